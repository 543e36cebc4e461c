"""A fingerprint stands for a value exactly: no order of keys enters, and no guess."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from bessemer.core.fingerprint import canonical_json, digest_bytes, digest_file, fingerprint

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children),
    max_leaves=8,
)


def test_the_fingerprint_is_xxh3_of_sorted_json_without_spaces() -> None:
    value = {"b": "é", "a": [1, 2.5, None, True, {"z": -0.001}]}
    text = '{"a":[1,2.5,null,true,{"z":-0.001}],"b":"é"}'
    assert canonical_json(value) == text
    assert fingerprint(value) == xxhash.xxh3_128_hexdigest(text.encode())[:16]
    assert fingerprint(value) == "1d362031eac574d1"


@given(st.dictionaries(st.text(), VALUES, min_size=2, max_size=6), st.randoms())
def test_the_order_of_keys_does_not_matter(value: dict[str, object], random: object) -> None:
    keys = list(value)
    random.shuffle(keys)  # type: ignore[attr-defined]
    assert fingerprint({key: value[key] for key in keys}) == fingerprint(value)


def test_values_that_differ_in_type_alone_have_different_fingerprints() -> None:
    values = [1, 1.0, True, "1", [1], {"1": 1}, None, "", [], {}, 0, False, "True", "null"]
    assert len({fingerprint(value) for value in values}) == len(values)


def test_a_tuple_and_a_list_are_one_array() -> None:
    assert fingerprint({"a": (1, 2)}) == fingerprint({"a": [1, 2]})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1, 2}, "$: set has no exact JSON form"),
        ({"a": [0, math.nan]}, "$.a[1]: nan has no JSON form"),
        ([math.inf], "$[0]: inf has no JSON form"),
        ({"a": -math.inf}, "$.a: -inf has no JSON form"),
        ({"a": {1: 2}}, "$.a: key 1 is not a string"),
        ({None: 1}, "$: key None is not a string"),
        ({"a": object()}, "$.a: object has no exact JSON form"),
        (b"a", "$: bytes has no exact JSON form"),
        (Path("a"), "$: PosixPath has no exact JSON form"),
        (np.int64(1), "$: int64 has no exact JSON form"),
        (1j, "$: complex has no exact JSON form"),
        (len, "$: builtin_function_or_method has no exact JSON form"),
    ],
)
def test_what_has_no_exact_json_is_refused(value: object, message: str) -> None:
    with pytest.raises(TypeError) as error:
        fingerprint(value)
    assert str(error.value) == message


def test_bytes_are_digested_by_xxh3_128() -> None:
    # The published value of XXH3_128bits over no bytes with seed 0 (xxHash's own test vectors).
    assert digest_bytes(b"") == "99aa06d3014798d86001c324468d497f"


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20])
def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path, size: int) -> None:
    data = np.random.default_rng(size).bytes(size)
    path = tmp_path / "file"
    path.write_bytes(data)
    assert digest_file(path) == digest_bytes(data)
