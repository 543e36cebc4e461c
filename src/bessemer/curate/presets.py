"""Rules that come with each kind of source, chosen by reading what they keep and drop."""

from __future__ import annotations

PRESETS: dict[str, dict[str, dict[str, float]]] = {
    "web": {
        "word_count": {"min": 50, "max": 100_000},
    },
    "books": {
        "word_count": {"min": 200},
    },
    "code": {
        "word_count": {"min": 10},
    },
}
