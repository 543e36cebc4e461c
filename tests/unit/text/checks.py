"""What is asked of every family of signals and of every cutter of lines, whatever they measure."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bessemer.text.cuts import Cut

from .texts import EDGE_CASES, layouts

Texts = pa.Array | pa.ChunkedArray
Signals = Callable[[Texts], dict[str, npt.NDArray[np.float32]]]
Twin = Callable[[str], Mapping[str, np.float32]]


def edge_cases(layout: str) -> tuple[Texts, list[str]]:
    """The edge cases and a null in one of `layouts`, and the texts that kernels see."""
    texts = [*EDGE_CASES, None, *reversed(EDGE_CASES)]
    return layouts(texts)[layout], [text or "" for text in texts]


def assert_signals_like_twin(
    signals: Signals,
    definitions: Mapping[str, str],
    twin: Twin,
    array: Texts,
    texts: Sequence[str],
) -> None:
    """Bit for bit: both round one exact quotient once to double and once to float32."""
    found = signals(array)
    expected = [twin(text) for text in texts]
    assert list(found) == list(definitions)
    assert found.keys() == twin("").keys()
    for name, values in found.items():
        assert values.dtype == np.float32
        assert values.tolist() == [float(row[name]) for row in expected], name


def assert_nothing_in_blank_texts(
    signals: Signals, definitions: Mapping[str, str], blank: Mapping[str, float] | None = None
) -> None:
    """All signals of texts without a visible character are 0, save what `blank` says of a blank
    text of four characters; no texts have no values."""
    found = signals(pa.array(["", None, " \r\n\t", " \n\n "], pa.large_string()))
    of_blank = {name: (blank or {}).get(name, 0) for name in definitions}
    assert {name: values.tolist() for name, values in found.items()} == {
        name: [0, 0, value, value] for name, value in of_blank.items()
    }
    none = signals(pa.array([], pa.string()))
    assert {name: values.shape for name, values in none.items()} == dict.fromkeys(definitions, (0,))


def assert_layout_changes_nothing(signals: Signals, texts: list[str | None]) -> None:
    expected = signals(pa.array(texts, pa.large_string()))
    for layout, array in layouts(texts).items():
        found = signals(array)
        assert list(found) == list(expected)
        for name, values in expected.items():
            assert np.array_equal(found[name], values), (layout, name)


def apply_cuts(text: str, cuts: Sequence[Cut]) -> str:
    """What is left of a text; its edits must be in order, and each must take out something."""
    data = text.encode()
    parts, done = [], 0
    for begin, end, replacement in cuts:
        assert done <= begin < end
        parts += [data[done:begin], (replacement or "").encode()]
        done = end
    return b"".join([*parts, data[done:]]).decode()
