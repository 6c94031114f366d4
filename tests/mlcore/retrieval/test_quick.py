"""The transformer as a search runs it, against the one that is trained."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from mlcore.retrieval.quick import QuickTransformer, has_int8
from mlcore.retrieval.text import TextTokenizer
from tests.mlcore.retrieval.networks import network, tokenizer_json

TEXTS = ["a sweet smell", "the molecule is an acid with a ring and an amine", "an ester of a rose alcohol"]


@torch.inference_mode()
def states(int8: bool) -> tuple[list[torch.Tensor], list[torch.Tensor], torch.Tensor]:
    """The last three hidden states in the quick and in the trained form, and the mask."""
    bert = network().text.bert
    batch, _ = TextTokenizer(tokenizer_json(), 48, 512)(TEXTS)
    expected = bert(
        input_ids=batch.pieces, attention_mask=batch.mask, output_hidden_states=True
    ).hidden_states[-3:]
    return QuickTransformer(bert, int8=int8)(batch.pieces, batch.mask), list(expected), batch.mask


def test_in_float32_it_is_the_same_network() -> None:
    found, expected, mask = states(int8=False)
    assert not mask.all(), "padding takes part in this test"
    for quick, trained in zip(found, expected, strict=True):
        assert torch.allclose(quick[mask], trained[mask], atol=1e-5)


@pytest.mark.skipif(not has_int8(), reason="this processor has no int8 products")
def test_in_int8_directions_stay() -> None:
    found, expected, mask = states(int8=True)
    for quick, trained in zip(found, expected, strict=True):
        assert float(F.cosine_similarity(quick[mask], trained[mask]).min()) > 0.98


def test_padding_changes_nothing() -> None:
    bert = network().text.bert
    tokenizer = TextTokenizer(tokenizer_json(), 48, 512)
    quick = QuickTransformer(bert, int8=False)
    with torch.inference_mode():
        together, _ = tokenizer(TEXTS)
        alone, _ = tokenizer(TEXTS[:1])
        length = int(together.mask[0].sum())
        assert torch.allclose(
            quick(together.pieces, together.mask)[-1][0, :length],
            quick(alone.pieces, alone.mask)[-1][0],
            atol=1e-5,
        )
