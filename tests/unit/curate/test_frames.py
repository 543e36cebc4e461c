"""Project Gutenberg's frame is cut to the byte, and nothing else is."""

from __future__ import annotations

import time

import pytest

from bessemer.curate.frames import cut_gutenberg_frame

BODY = (
    "\n\nPRODUCED by the men of Sheffield — “for iron’s sake”\n\n\nCHAPTER I.\n\n*** A rule of "
    "stars ***\n\nIt was the end of Project work; Gutenberg lay far off.\n\nTHE END\n\n\n"
)
NEW_HEADERS = [
    "\ufeffThe Project Gutenberg eBook of Iron, by É. Zola\n\nThis eBook is for anyone.\n\n"
    "*** START OF THE PROJECT GUTENBERG EBOOK IRON ***\n",
    "Project Gutenberg's Iron, by Émile Zola\n\n***START OF THIS PROJECT GUTENBERG EBOOK IRON***\n",
    "The Project Gutenberg EBook of Iron\n\n*** START OF THE PROJECT GUTENBERG ETEXT IRON,\n"
    "OR THE MEN ***\n",
    "The Project Gutenberg eBook of Iron\n\n*** Start of the Project Gutenberg eBook Iron ***  \n",
]
NEW_FOOTERS = [
    "*** END OF THE PROJECT GUTENBERG EBOOK IRON ***\n\nUpdated editions will replace…\n",
    "End of the Project Gutenberg EBook of Iron, by Zola\n\n"
    "*** END OF THIS PROJECT GUTENBERG EBOOK IRON ***\n\n***** This file should be named …\n",
    "End of Project Gutenberg's Iron, by Émile Zola\n\n"
    "***END OF THE PROJECT GUTENBERG EBOOK IRON***\n",
]
OLD_HEADER = (
    "The Project Gutenberg Etext of Iron, by Émile Zola\n\n**Welcome To The World of Free Plain "
    "Vanilla Electronic Texts**\n\n*** START**THE SMALL PRINT!**FOR PUBLIC DOMAIN ETEXTS***\n"
    "Why is this small print here? …\n*END THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*"
    "END*\n"
)
OLD_FOOTERS = [
    "End of The Project Gutenberg Etext of Iron\n",
    "End of Project Gutenberg's Etext of Iron, by É. Zola\n\n\n",
    "End of this Project Gutenberg Etext of Iron",
]
FRAMES = [
    *[(header, footer) for header in NEW_HEADERS for footer in [*NEW_FOOTERS, OLD_FOOTERS[0]]],
    *[(OLD_HEADER, footer) for footer in OLD_FOOTERS],
]


@pytest.mark.parametrize(("header", "footer"), FRAMES)
def test_both_ends_are_cut_with_exact_spans(header: str, footer: str) -> None:
    original = header + BODY + footer
    text, cuts = cut_gutenberg_frame(original)
    assert text == BODY
    data = original.encode()
    left = data
    for cut, rule, part in zip(
        cuts, ("gutenberg_footer", "gutenberg_header"), (footer, header), strict=True
    ):
        [(start, end, replacement)] = cut.spans
        assert (cut.rule, left[start:end].decode(), replacement) == (rule, part, None)
        assert (cut.removed_bytes, cut.inserted_bytes) == (end - start, 0)
        left = left[:start] + left[end:]
    assert left == text.encode()
    assert [cut.evidence for cut in cuts] == [
        " ".join(part[:200].split()) for part in (footer, header)
    ]


@pytest.mark.parametrize("header", [*NEW_HEADERS, OLD_HEADER])
def test_one_end_alone_is_cut_alone(header: str) -> None:
    text, [cut] = cut_gutenberg_frame(header + BODY)
    assert (text, cut.rule, cut.spans[0].start_byte) == (BODY, "gutenberg_header", 0)
    title = "The Project Gutenberg eBook of Iron\n"
    text, [cut] = cut_gutenberg_frame(title + BODY + NEW_FOOTERS[0])
    assert (text, cut.rule) == (title + BODY, "gutenberg_footer")
    assert cut.spans[0].start_byte == len((title + BODY).encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        BODY,
        "Iron\n\n*** START OF THE CHAPTER ***\n" + BODY,
        "About Project Gutenberg: it offers free books.\n" + BODY,
        # A book that only quotes the marker far behind, without the sign at its head.
        BODY + "x\n" * 2000 + NEW_FOOTERS[0] + BODY,
    ],
)
def test_text_without_the_frame_is_left_alone(text: str) -> None:
    assert cut_gutenberg_frame(text) == (text, ())


def test_blanks_behind_a_footer_take_no_time_with_their_square() -> None:
    sign = "Project Gutenberg\nEnd of Project Gutenberg"
    begun = time.process_time()
    text = sign + " " * 200 + "\n" * 2**20 + "x"
    assert cut_gutenberg_frame(text) == (text, ())
    found, edits = cut_gutenberg_frame(text[:-1])
    assert found == "Project Gutenberg\n"
    assert [edit.rule for edit in edits] == ["gutenberg_footer"]
    assert time.process_time() - begun < 2
