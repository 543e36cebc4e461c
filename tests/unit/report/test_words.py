"""Near-duplicates are shown from their first difference on, word by word."""

from bessemer.report.facts import Piece
from bessemer.report.words import COMPARED_CHARS, compare


def same(text: str) -> Piece:
    return Piece(text=text, differs=False)


def differing(text: str) -> Piece:
    return Piece(text=text, differs=True)


def test_one_word_differs() -> None:
    found = compare("the cat sat\ndown", "the dog  sat down")
    assert found.skipped_words == 0
    assert found.left == (same("the "), differing("cat"), same(" "), same("sat\ndown"))
    assert found.right == (same("the "), differing("dog"), same("  "), same("sat down"))


def test_the_window_begins_shortly_before_the_first_difference() -> None:
    common = " ".join(f"w{number}" for number in range(1000))
    found = compare(f"{common} left tail", f"{common} right tail")
    assert found.skipped_words == 984
    assert found.left[0].text.split() == [f"w{number}" for number in range(984, 1000)]
    assert found.left[1:] == (differing("left"), same(" "), same("tail"))
    assert found.right[1:] == (differing("right"), same(" "), same("tail"))


def test_an_inserted_passage_leaves_the_rest_equal() -> None:
    rest = " ".join(f"w{number}" for number in range(60))
    found = compare(f"new words here {rest}", rest)
    assert found.left[0] == differing("new words here")
    assert not any(piece.differs for piece in found.left[1:] + found.right)


def test_lines_that_differ_are_marked_without_their_line_ends() -> None:
    found = compare("one\n\n  two\nend", "end")
    assert found.left == (
        differing("one"), same("\n\n  "), differing("two"), same("\n"), same("end"),
    )  # fmt: skip


def test_white_space_is_no_difference() -> None:
    found = compare("a  b\n\n\n\nc", "a b c")
    assert found.left == (same("a  b\n\nc"),)
    assert found.right == (same("a b c"),)
    assert found.where == "equal but for white space"


def test_equal_words_are_shown_from_their_beginning() -> None:
    text = " ".join(f"w{number}" for number in range(1000))
    found = compare(text, text.replace(" ", "\n"))
    assert found.skipped_words == 0
    assert found.left[0].text.startswith("w0 w1 ")
    long = compare("a " * COMPARED_CHARS, "a\n" * COMPARED_CHARS)
    assert long.where == "equal but for white space in the first 200,000 characters"


def test_where_texts_part_is_told() -> None:
    assert compare("a b", "c b").where == ""
    common = " ".join(f"w{number}" for number in range(17))
    assert compare(f"{common} x", f"{common} y").where == "after 1 equal word"
    assert compare(f"w {common} x", f"w {common} y").where == "after 2 equal words"


def test_a_window_has_few_lines_and_the_first_difference() -> None:
    lines = [f"line{number}" for number in range(200)]
    other = [*lines]
    other[100] = "changed"
    found = compare("\n".join(lines), "\n".join(other))
    shown = "".join(piece.text for piece in found.left)
    assert shown.split() == [*lines[97:111], "…"]
    assert found.skipped_words == 97
    assert [piece.text for piece in found.left if piece.differs] == ["line100"]
    assert [piece.text for piece in found.right if piece.differs] == ["changed"]


def test_a_window_of_endless_words_has_the_first_difference() -> None:
    common = " ".join("x" * 500 for _ in range(30))
    found = compare(f"{common} left {common}", f"{common} right {common}")
    assert [piece.text for piece in found.left if piece.differs] == ["left"]
    assert sum(len(piece.text) for piece in found.left) < 1000
    assert found.left[-1] == same("…")


def test_empty_texts_and_endless_words() -> None:
    assert compare("", "").left == ()
    assert compare("", "a").right == (differing("a"),)
    found = compare("x" * 100_000, "y")
    assert found.left == (differing("x" * 80 + "…"), same(" "))
