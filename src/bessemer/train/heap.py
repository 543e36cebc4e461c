"""How the C library keeps the memory that training frees.

glibc gives a large block back to the system as it is freed only until the first one is: then it
keeps all of less than 32 MB, and what lives long comes to lie among what was freed. So the memory
of a process is by chance up to a tenth more than it needs (docs/log.md).
"""

from __future__ import annotations

import ctypes
from functools import cache

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# Smaller blocks come and go with every layer: fresh pages for each would take longer than the work
# on them.
_LARGE_BYTES, _MOST_KEPT_BYTES = 6 << 20, 512 << 20


@cache
def keep_less_of_what_is_freed() -> None:
    """Give blocks of 6 MB and more back at once, for the rest of the process; others are kept up to
    512 MB. Elsewhere than under glibc, nothing is changed."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _MOST_KEPT_BYTES)
