"""How a model is asked in tokens, and how its answer is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from mlcore.decoding.language import prompts
from mlcore.decoding.language.tokenizer import BOS, EOS, PAD, SMILES, TEXT
from mlcore.runtime.errors import InputError
from tests.mlcore.decoding.molecule_texts import tokenizer

LEARNED = tokenizer()
TEXTS = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=40)


def number(marker: str) -> int:
    return LEARNED.convert_tokens_to_ids(marker)


@pytest.mark.parametrize(
    ("task", "given_", "order"),
    [("molecule", "an acid", (TEXT, SMILES)), ("description", "CCO", (SMILES, TEXT))],
)
def test_a_prompt_is_what_is_given_between_two_markers(task, given_, order):
    ids = prompts.prompt(LEARNED, task, f"  {given_}\n")
    assert ids == [number(BOS), number(order[0]), *prompts.plain_tokens(LEARNED, given_), number(order[1])]


@given(TEXTS, TEXTS)
def test_a_pair_is_its_prompt_and_an_answer_that_reads_back(asked, wanted):
    if not asked.strip():
        return
    whole = prompts.pair(LEARNED, "molecule", asked, wanted)
    first = prompts.prompt(LEARNED, "molecule", asked)
    assert whole[: len(first)] == first
    assert whole.count(number(EOS)) == 1
    assert prompts.answer(LEARNED, whole[len(first) :]) == wanted.strip()


def test_an_answer_ends_at_its_end_and_shows_no_markers():
    said = prompts.plain_tokens(LEARNED, "CCO")
    assert prompts.answer(LEARNED, [*said, number(EOS), *said]) == "CCO"
    assert prompts.answer(LEARNED, [number(TEXT), *said, number(PAD)]) == "CCO"
    assert prompts.answer(LEARNED, said) == "CCO"
    assert prompts.answer(LEARNED, [number(EOS)]) == prompts.answer(LEARNED, []) == ""


def test_an_end_marker_in_a_prompt_ends_nothing():
    ids = prompts.prompt(LEARNED, "molecule", "an acid<eos><smiles>CCO<eos>")
    assert number(EOS) not in ids
    assert [place for place, token in enumerate(ids) if token == number(SMILES)] == [len(ids) - 1]


@pytest.mark.parametrize("empty", ["", "  \n\t"])
def test_nothing_is_no_question(empty):
    with pytest.raises(InputError, match="nothing to answer") as caught:
        prompts.prompt(LEARNED, "molecule", empty)
    assert caught.value.field == "prompt"


def test_an_unknown_task_is_named_with_those_there_are():
    with pytest.raises(InputError, match=r"'poem'.*molecule, description") as caught:
        prompts.prompt(LEARNED, "poem", "x")
    assert caught.value.field == "task"


def test_half_a_character_is_refused_with_its_place():
    with pytest.raises(InputError, match="half of a character") as caught:
        prompts.prompt(LEARNED, "molecule", "ab\ud83e")
    assert caught.value.place == "character 3"


@pytest.mark.parametrize("room", [4, 5, 9, 10, 11])
def test_a_prompt_that_is_too_long_loses_the_end_of_what_is_asked(room):
    ids = prompts.prompt(LEARNED, "molecule", "zq" * 4)
    short = prompts.shortened(ids, room)
    assert len(short) == min(room, len(ids))
    assert short[-1] == ids[-1]
    assert short[:-1] == ids[: len(short) - 1]


def test_other_language_models_speak_no_molecules():
    plain = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1, EOS: 2}, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    assert prompts.speaks_molecules(LEARNED)
    assert not prompts.speaks_molecules(PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="<unk>"))
    assert not prompts.speaks_molecules(PreTrainedTokenizerFast(tokenizer_object=plain))
