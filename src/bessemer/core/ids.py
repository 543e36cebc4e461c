"""Document ids: exact, reversible, and independent of who read the document when.

`doc_id = file_id << 32 | row`, an int64. `file_id` is the position of the source file in the
run's inventory (sources in run-file order, paths sorted); `row` counts documents in that file.
"""

from __future__ import annotations

ROW_BITS = 32
MAX_ROW = (1 << ROW_BITS) - 1
MAX_FILE_ID = (1 << 31) - 1  # keeps doc_id inside a signed 64-bit integer


def pack_doc_id(file_id: int, row: int) -> int:
    """The id of document `row` of file `file_id`."""
    assert 0 <= file_id <= MAX_FILE_ID, file_id
    assert 0 <= row <= MAX_ROW, row
    return file_id << ROW_BITS | row


def unpack_doc_id(doc_id: int) -> tuple[int, int]:
    """`(file_id, row)` of a document id."""
    return doc_id >> ROW_BITS, doc_id & MAX_ROW


def format_doc_id(doc_id: int) -> str:
    """The form people type and read: `file:row`, e.g. `17:0`."""
    file_id, row = unpack_doc_id(doc_id)
    return f"{file_id}:{row}"


def parse_doc_id(text: str) -> int | None:
    """A document id from `file:row` or from the plain integer; None if `text` is neither."""
    head, colon, tail = text.partition(":")
    if not _is_number(head):
        return None
    if not colon:
        doc_id = int(head)
        return doc_id if doc_id < 1 << 63 else None
    if not _is_number(tail):
        return None
    if int(head) > MAX_FILE_ID or int(tail) > MAX_ROW:
        return None
    return pack_doc_id(int(head), int(tail))


def _is_number(text: str) -> bool:
    """ASCII digits, no more of them than an int64 has: int() refuses thousands of digits."""
    return text.isascii() and text.isdigit() and len(text) < 20
