"""Parts of a decoder, one after another, compute what the whole does."""

from __future__ import annotations

import pytest
import torch

from bessemer.config.model import ModelConfig
from bessemer.model.initialize import initialize
from bessemer.model.transformer import Decoder

VOCAB_SIZE = 50


def make_decoder(tie_embeddings: bool) -> Decoder:
    config = ModelConfig(
        num_layers=4,
        hidden_dim=24,
        num_heads=3,
        num_kv_heads=1,
        ffn_dim=40,
        tie_embeddings=tie_embeddings,
    )
    decoder = Decoder(config, VOCAB_SIZE)
    initialize(decoder, 3)
    return decoder


@pytest.mark.parametrize("document_mask", [True, False])
@pytest.mark.parametrize("tie_embeddings", [True, False])
def test_parts_in_a_row_give_the_hidden_states_of_the_whole(
    tie_embeddings: bool, document_mask: bool
) -> None:
    decoder = make_decoder(tie_embeddings)
    ids_BT = torch.arange(32).view(2, 16) * 7 % VOCAB_SIZE
    documents_BT = torch.arange(16).expand(2, 16) // 5
    expected, _ = decoder.hidden_states(ids_BT, documents_BT if document_mask else None)
    x = ids_BT
    for layers in (range(1), range(1, 3), range(3, 4)):
        part = decoder.part(layers)
        x, _ = part.hidden_states(x, documents_BT, document_mask=document_mask)
    assert torch.equal(x, expected)
    assert len(list(decoder.parameters())) == len(list(make_decoder(tie_embeddings).parameters()))


def names_of(decoder: Decoder) -> set[str]:
    return {name for name, _ in decoder.named_parameters()}


@pytest.mark.parametrize("tie_embeddings", [True, False])
def test_what_ranks_keep_is_the_whole_once_but_for_a_tied_weight(tie_embeddings: bool) -> None:
    whole = names_of(make_decoder(tie_embeddings))
    kept = [make_decoder(tie_embeddings) for _ in range(3)]
    for decoder, layers in zip(kept, ([0], [1, 2], [3]), strict=True):
        decoder.keep(layers)
    assert set.union(*map(names_of, kept)) == whole
    assert "embed_tokens.weight" not in names_of(kept[1])
    assert not names_of(kept[0]) & names_of(kept[1])
    both = {"embed_tokens.weight"} if tie_embeddings else set()
    assert names_of(kept[0]) & names_of(kept[2]) == both
    assert [decoder.copied for decoder in kept] == [set(), set(), both]


def test_a_rank_with_both_ends_has_one_tied_weight() -> None:
    decoder = make_decoder(tie_embeddings=True)
    decoder.keep([0, 3])
    assert decoder.lm_head.weight is decoder.embed_tokens.weight
    assert not decoder.copied
