"""Measures text: kernels that read Arrow string buffers in place and return NumPy arrays.

Read in this order: `buffers` (Arrow to NumPy), `characters` (what a code point is), `words` (what a
word is, the one definition), `hashing` (64-bit arithmetic and the position table), `lines`; then
the families of measures: `quality`, `repetition`, `minhash`; `scripts`, `web_lines`, `redpajama`,
`code`, `urls`. Measures of a peer go by `string_classes`, what Python's str says of a code point.

Numba's on-disk cache watches only the file a kernel stands in, not the helpers it calls: after
editing a helper here, delete this folder's `__pycache__`.
"""
