"""A name that is nearly right is answered with the right one; others with all there are."""

from __future__ import annotations

import pytest

from bessemer.config.names import hint

KEYS = ["tokens", "microbatch_tokens", "max_document_bytes", "max_cluster_docs", "min", "En_Us"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("token", "tokens"),
        ("microbatch_token", "microbatch_tokens"),
        ("minimum", "min"),
        ("max_document", "max_document_bytes"),
        ("en_us", "En_Us"),
        ("workers", None),
        ("curate_workers", None),
        ("max", None),  # two begin so
        ("m", None),
    ],
)
def test_only_what_is_alike_is_proposed(name: str, meant: str | None) -> None:
    known = f"; known: {', '.join(KEYS)}"
    assert hint(name, KEYS) == (known if meant is None else f"; did you mean {meant!r}?")
