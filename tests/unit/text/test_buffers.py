"""An Arrow string array opens as offsets and bytes, without a copy where none is needed."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

from bessemer.text.buffers import MAX_DOCUMENT_BYTES, longest_document_bytes, utf8_buffers

from .texts import layouts

TEXTS = ["one", None, "", "zwei €", "\x00", "drei"]


def documents(array: pa.Array | pa.ChunkedArray) -> list[str]:
    offsets, data = utf8_buffers(array)
    assert offsets.dtype == np.int64 and data.dtype == np.uint8
    assert not offsets.flags.writeable and not data.flags.writeable
    return [bytes(data[a:b]).decode() for a, b in itertools.pairwise(offsets)]


@pytest.mark.parametrize("layout", layouts(TEXTS))
def test_every_layout_gives_the_same_documents(layout: str) -> None:
    assert documents(layouts(TEXTS)[layout]) == ["one", "", "", "zwei €", "\x00", "drei"]


@pytest.mark.parametrize("layout", layouts([]))
def test_no_documents(layout: str) -> None:
    offsets, data = utf8_buffers(layouts([])[layout])
    assert offsets.tolist() == [0]
    assert data.tolist() == []


def test_all_null_and_untyped_null() -> None:
    assert documents(pa.nulls(3, pa.large_string())) == ["", "", ""]
    assert documents(pa.nulls(2)) == ["", ""]
    assert documents(pa.chunked_array([], pa.string())) == []


def test_a_null_that_hides_bytes_is_empty() -> None:
    whole = pa.array(["ab", "cd", "ef"], pa.large_string())
    validity = pa.py_buffer(b"\x05")  # the second is null, its two bytes are still there
    array = pa.LargeStringArray.from_buffers(3, whole.buffers()[1], whole.buffers()[2], validity, 1)
    assert documents(array) == ["ab", "", "ef"]
    assert documents(array.slice(1)) == ["", "ef"]


@pytest.mark.parametrize("layout", ["large_string", "sliced", "one chunk", "string"])
def test_the_text_is_not_copied(layout: str) -> None:
    array = layouts(TEXTS)[layout]
    _, data = utf8_buffers(array)
    chunk = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
    assert data.ctypes.data == chunk.buffers()[2].address


def test_other_types_are_refused() -> None:
    with pytest.raises(TypeError, match="int64"):
        utf8_buffers(pa.array([1, 2]))
    with pytest.raises(TypeError, match="binary"):
        utf8_buffers(pa.array([b"x"]))


def test_longest_document() -> None:
    assert longest_document_bytes(np.array([3, 5, 12, 12])) == 7
    assert longest_document_bytes(np.array([4])) == 0
    assert longest_document_bytes(np.array([0, MAX_DOCUMENT_BYTES])) == MAX_DOCUMENT_BYTES
    with pytest.raises(ValueError, match="position 1 has 2147483648 bytes"):
        longest_document_bytes(np.array([0, 1, MAX_DOCUMENT_BYTES + 2]))
