"""What property tests share: the same examples on every machine and in every run."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile(
    "bessemer", derandomize=True, database=None, deadline=None, max_examples=100
)
settings.load_profile("bessemer")
