"""Opens an Arrow string array as two NumPy arrays that share its memory.

Input: a string column as Arrow gives it: array or chunked array, sliced or not, with or without
nulls. Output: `offsets` and `data`, the form every kernel of this floor reads: document `i` is
`data[offsets[i]:offsets[i + 1]]`, in UTF-8. `offsets[0]` need not be zero (slices).

Invariants: a null is an empty text; order and number of documents are those of the array; both
outputs are read-only, because they may be the caller's own memory.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit
from numba.core.types import Type, int8, int16, int32, int64
from numba.core.types.misc import unliteral

Function = TypeVar("Function", bound=Callable[..., Any])
Scalar = TypeVar("Scalar", bound=np.generic)
Bools: TypeAlias = npt.NDArray[np.bool_]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Codes: TypeAlias = npt.NDArray[np.uint32]
Hashes: TypeAlias = npt.NDArray[np.uint64]
Offsets: TypeAlias = npt.NDArray[np.int64]
Counts: TypeAlias = npt.NDArray[np.int32]
Integer: TypeAlias = int | np.int64  # in a kernel both are a 64-bit integer

MAX_DOCUMENT_BYTES = 2**31 - 1
"""Longest document the kernels take, in bytes: word positions and lengths are then proven to fit
the int32 scratch arrays. Two gigabytes of text is a corpus that lost its document boundaries."""


def kernel(function: Function) -> Function:
    """Compile a function that other kernels call and that allocates nothing.

    numba counts references to arrays by atomic operations, and where kernels call each other it
    cannot leave them out: datatrove's words took ten times as long. Without its runtime nothing is
    counted, and a kernel that allocates does not compile.

    numba also compiles a function anew for each type of argument, and takes the constant 0, an
    element of an int32 array and any other integer for three types: here all of them are int64.
    """
    return _compile(function)


def inline_kernel(function: Function) -> Function:
    """A kernel that becomes part of whatever calls it: for what is done for every character.

    A call passes seven numbers for each array, which can take longer than what is done, and LLVM
    does not see it. Each place that calls takes longer to compile.
    """
    return _compile(function, forceinline=True)


def _compile(function: Function, **options: bool) -> Function:
    dispatcher: Any = njit(cache=True, nogil=True, _nrt=False, **options)(function)
    resolve = dispatcher.get_call_template

    def resolve_wide(args: Iterable[Type], kws: dict[str, Type]) -> Any:
        return resolve(tuple(map(_wide, args)), kws)

    dispatcher.get_call_template = resolve_wide
    return dispatcher  # type: ignore[no-any-return]


def _wide(argument: Type) -> Type:
    plain = unliteral(argument)
    return int64 if plain in (int8, int16, int32) else plain


def utf8_buffers(array: pa.Array | pa.ChunkedArray) -> tuple[Offsets, Bytes]:
    """Return the offsets (int64, one more than documents) and the UTF-8 bytes of a string array.

    Cost: nothing is copied for `large_string` in one chunk, sliced or not. `string` costs 8 bytes
    per document (its offsets are widened, the text stays). Several chunks cost one copy of the
    text. A null that hides bytes, which Arrow permits, costs one copy of the text as well.
    Raises TypeError for anything but strings.
    """
    large = _one_large_string_array(array)
    num_documents = len(large)
    if num_documents == 0:
        return read_only(np.zeros(1, np.int64)), read_only(np.zeros(0, np.uint8))
    offsets = _offsets(large)
    if large.null_count and _nulls_hide_bytes(large, offsets):
        large = pc.fill_null(large, "")
        offsets = _offsets(large)
    text = large.buffers()[2]
    data = np.zeros(0, np.uint8) if text is None else np.frombuffer(text, np.uint8)
    return read_only(offsets), read_only(data)


def read_only(values: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Return a contiguous read-only view (a copy if the input is not contiguous).

    One array type for every caller, or numba would compile each kernel once for each.
    """
    view = np.ascontiguousarray(values).view()
    view.flags.writeable = False
    return view


def longest_document_bytes(offsets: Offsets) -> int:
    """Return the length of the longest document in bytes: what per-document scratch is sized by.

    Raises ValueError beyond MAX_DOCUMENT_BYTES.
    """
    lengths = np.diff(offsets)
    if lengths.size == 0:
        return 0
    longest = int(lengths.argmax())
    if lengths[longest] > MAX_DOCUMENT_BYTES:
        raise ValueError(
            f"document at position {longest} has {lengths[longest]} bytes; a document may have at "
            f"most {MAX_DOCUMENT_BYTES}: split it before measuring"
        )
    return int(lengths[longest])


@njit(cache=True, nogil=True)
def grown(values: npt.NDArray[Scalar], num_used: int, num_wanted: int) -> npt.NDArray[Scalar]:
    """Return the array of an output of unknown length if it has room for so many values, else one
    that has, twice as long at least, and begins with the used ones."""
    if num_wanted <= len(values):
        return values
    longer = np.empty(max(2 * len(values), num_wanted), values.dtype)
    longer[:num_used] = values[:num_used]
    return longer


def _one_large_string_array(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Widen to large_string first: joined chunks may exceed what 32-bit offsets can address."""
    kind = array.type
    if not (pa.types.is_large_string(kind) or pa.types.is_string(kind) or pa.types.is_null(kind)):
        raise TypeError(
            f"array is of type {kind}; text kernels read string or large_string: cast it first"
        )
    if not pa.types.is_large_string(kind):
        array = array.cast(pa.large_string())
    if isinstance(array, pa.ChunkedArray):
        if array.num_chunks == 1:
            return array.chunk(0)
        return pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    return array


def _offsets(array: pa.Array) -> Offsets:
    """Arrow's offsets are native int64; a slice is a window on them, so `array.offset` counts."""
    buffer = array.buffers()[1]
    return np.frombuffer(buffer, np.int64, count=len(array) + 1, offset=8 * array.offset)


def _nulls_hide_bytes(array: pa.Array, offsets: Offsets) -> bool:
    is_null = array.is_null().to_numpy(zero_copy_only=False)
    return bool(np.any(np.diff(offsets)[is_null]))
