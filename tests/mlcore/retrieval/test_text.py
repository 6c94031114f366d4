"""n-grams, the adapted vocabulary, and the text encoder."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from mlcore.retrieval import ngrams, vocabulary
from mlcore.retrieval.text import TextTokenizer
from tests.mlcore.retrieval.networks import SMALL, network, tokenizer_json


@given(st.text(max_size=300))
def test_grams_of_anything_fit_the_table(text: str) -> None:
    found = ngrams.grams(text, 256)
    assert np.array_equal(found, np.unique(found))
    assert not len(found) or (found[0] >= 0 and found[-1] < 256)


def test_grams_ignore_case_and_see_locants() -> None:
    assert np.array_equal(ngrams.grams("Ethyl ACETATE", 4096), ngrams.grams("ethyl acetate", 4096))
    assert set(ngrams.grams("(9Z,12Z)", 1 << 20)) != set(ngrams.grams("(9Z,12E)", 1 << 20))


def test_rare_grams_weigh_more() -> None:
    weights = ngrams.document_weights(["an acid", "an amine", "an ester"], 1 << 16)
    common, rare = (ngrams.grams(word, 1 << 16)[0] for word in ("an", "acid"))
    assert weights[rare] > weights[common]


def test_adapted_vocabulary_keeps_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "EVERYDAY", 10)
    table = torch.randn(Tokenizer.from_str(tokenizer_json()).get_vocab_size(), 6)
    texts = ["the steroid is a steroid", "a steroid", "steroid acid"]
    described, adapted = vocabulary.adapt(tokenizer_json(), table, texts, words=5)
    old, new = Tokenizer.from_str(tokenizer_json()), Tokenizer.from_str(described)
    assert new.get_vocab_size() == len(adapted) < old.get_vocab_size()
    whole = new.encode("steroid", add_special_tokens=False)
    assert whole.tokens == ["steroid"]
    pieces = old.encode("steroid", add_special_tokens=False).ids
    assert adapted[whole.ids[0]].allclose(table[pieces].mean(0))
    assert new.encode("the acid").tokens[0] == "[CLS]"
    kept = new.token_to_id("acid")
    assert adapted[kept].equal(table[old.token_to_id("acid")])
    assert json.loads(described)["truncation"] is None


def test_encoding_does_not_depend_on_the_batch() -> None:
    model, tokenizer = network().text, TextTokenizer(tokenizer_json(), SMALL.tokens, SMALL.buckets)
    texts = ["acid", "the molecule is an alcohol of roses", "ring"] * 12  # long enough to run in chunks
    with torch.no_grad():
        together = model(tokenizer(texts)[0])
        for i in (0, 1, 2, 35):
            alone = model(tokenizer([texts[i]])[0])
            size = int(together.mask[i].sum())
            assert together.sentence[i].allclose(alone.sentence[0], atol=1e-5)
            assert together.tokens[i, :size].allclose(alone.tokens[0, :size], atol=1e-4)
            assert together.phrase_weights[i, :size].allclose(alone.phrase_weights[0, :size], atol=1e-5)


def test_spans_point_into_the_text() -> None:
    text = "the molecule is an acid"
    spans = TextTokenizer(tokenizer_json(), 48, 64)([text])[1][0]
    assert [text[a:b] for a, b in spans if a < b] == text.split()
