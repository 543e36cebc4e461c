"""From a raw row to the text of a document: read, then normalised.

What was changed is returned, to be recorded as edits. What cannot be decoded raises
UndecodableError, whose message becomes the document's quarantine error.
"""

from __future__ import annotations

from dataclasses import replace

from bessemer.config.data import CurateConfig
from bessemer.config.kinds import Kind
from bessemer.curate.normalise import normalise, steps_for
from bessemer.curate.read_row import Extract, Options, read_row, refuse_long
from bessemer.curate.rows import RawRow


def options_for(kind: Kind, curate: CurateConfig) -> Options:
    """How documents of a kind of source are extracted."""
    return Options(
        extractor=curate.extractor,
        steps=steps_for(kind, curate.normalise),
        max_document_bytes=curate.max_document_bytes,
    )


def extract(row: RawRow, options: Options | None = None) -> Extract:
    """The text of `row`; raises UndecodableError."""
    options = options or Options()
    return finish(read_row(row, options), row.url, options)


def finish(found: Extract, url: str, options: Options) -> Extract:
    """What was read, normalised; raises UndecodableError if that made it too long."""
    text, edits = normalise(found.text, found.encoded, options.steps, url)
    if not edits:
        return found
    refuse_long(text, options.max_document_bytes)
    return replace(found, text=text, encoded=text.encode(), edits=found.edits + edits)
