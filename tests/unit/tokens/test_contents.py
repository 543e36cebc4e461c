"""The bytes of tokens as training reads them, against the tokenizer that encodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bessemer.core.errors import IntegrityError
from bessemer.tokens.contents import read_token_bytes
from bessemer.tokens.tokenizer import Tokenizer, train_tokenizer

TEXT = "Nine men poured the iron, and the ladle was empty. " * 20


def test_bytes_are_those_that_the_saved_tokenizer_encodes(tmp_path: Path) -> None:
    train_tokenizer(iter([TEXT]), 290, ["<|spare|>"]).save(tmp_path / "tokenizer.json")
    found = read_token_bytes(tmp_path / "tokenizer.json")
    tokenizer = Tokenizer.load(tmp_path / "tokenizer.json")
    assert found.dtype == np.int32
    assert len(found) == tokenizer.vocab_size
    for text in (TEXT, "naïve 漢字 \x00", ""):
        assert found[tokenizer.encode(text)].sum() == len(text.encode())
    assert found[[tokenizer.begin_id, tokenizer.end_id]].tolist() == [0, 0]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model": {"vocab": 3}, "added_tokens": []}'])
def test_what_is_no_tokenizer_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(IntegrityError, match="run again"):
        read_token_bytes(tmp_path / "tokenizer.json")
