"""Text that comes token by token is the text of the whole, and no half of a character is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from mlcore.decoding.language.prompts import plain_tokens
from mlcore.decoding.language.tokenizer import train_tokenizer
from mlcore.decoding.serving.spelling import Pieces, Spelling, decoded
from tests.decoding_models import SMILES, TEXTS

TOKENIZER = train_tokenizer(TEXTS, SMILES, 320)


def told(ids: list[int], before: list[int] | None = None) -> list[str]:
    spelling = Spelling(TOKENIZER, before or [])
    texts = [spelling.add(token) for token in ids]
    return [*texts, spelling.end()]


@given(st.text(max_size=200))
def test_any_text_comes_whole(text: str) -> None:
    texts = told(plain_tokens(TOKENIZER, text))
    assert "".join(texts) == text
    assert texts[-1] == ("\ufffd" if text.endswith("\ufffd") else "")


@settings(max_examples=200)
@given(st.lists(st.integers(0, len(TOKENIZER) - 1), max_size=150), st.lists(st.integers(0, 299), max_size=10))
def test_any_tokens_give_what_the_tokenizer_decodes_at_once(ids: list[int], before: list[int]) -> None:
    alone = "".join(told(ids))
    assert alone == decoded(TOKENIZER, ids)


def test_a_character_comes_with_its_last_byte() -> None:
    ids = plain_tokens(TOKENIZER, "a💊b")
    assert len(ids) == 6
    assert told(ids) == ["a", "", "", "", "💊", "b", ""]


def test_half_a_character_at_the_end_is_told_as_broken_only_then() -> None:
    assert told(plain_tokens(TOKENIZER, "€")[:2]) == ["", "", "\ufffd"]


def test_markers_have_no_text_but_a_name() -> None:
    pieces, eos = Pieces(TOKENIZER), TOKENIZER.eos_token_id
    assert told([eos]) == ["", ""]
    assert pieces.pairs([(eos, 0.5)]) == [["<eos>", 0.5]]
    assert pieces(plain_tokens(TOKENIZER, " molecule")[0]).startswith(" ")


def test_spaces_of_tokenizers_that_drop_the_first_one_are_kept(tmp_path: Path) -> None:
    tokenizer = metaspace(tmp_path)
    ids = tokenizer("an apple an apple")["input_ids"]
    spelling = Spelling(tokenizer, ids[:1])
    assert "".join(spelling.add(token) for token in ids[1:]) == " apple an apple"
    assert Pieces(tokenizer)(ids[1]) == " apple"


def metaspace(folder: Path) -> PreTrainedTokenizerFast:
    """A word tokenizer in the manner of SentencePiece."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    inner = Tokenizer(models.WordLevel({"▁an": 0, "▁apple": 1, "<unk>": 2}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")


@pytest.mark.parametrize("length", [63, 64, 65, 200])
def test_long_answers_are_not_decoded_from_the_start_each_time(length: int) -> None:
    ids = plain_tokens(TOKENIZER, "é" * length)
    spelling = Spelling(TOKENIZER)
    assert "".join(spelling.add(token) for token in ids) == "é" * length
    assert len(spelling._ids) <= 65
