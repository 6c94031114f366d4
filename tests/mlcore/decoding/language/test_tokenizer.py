"""One tokenizer over prose and SMILES: nothing is lost, no bracket atom is split, no marker is read out of a text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from mlcore.decoding.language import prompts
from mlcore.decoding.language.tokenizer import MARKERS, train_tokenizer
from tests.mlcore.decoding.molecule_texts import pairs, tokenizer

LEARNED = tokenizer()
BRACKETS = ["[nH]", "[N+]", "[C@H]", "[13CH3]", "[2H]"]


def ids_of(text: str) -> list[int]:
    return prompts.plain_tokens(LEARNED, text)


def tokens_of(text: str) -> list[str]:
    return LEARNED.convert_ids_to_tokens(ids_of(text))


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=60))
def test_whatever_goes_in_comes_out(text):
    assert LEARNED.decode(ids_of(text)) == text


@given(st.text(alphabet="CNOPSFIclnosBr[]()=#@+-/\\%.0123456789H*:$ ", max_size=60))
def test_so_does_all_that_looks_like_smiles(text):
    assert LEARNED.decode(ids_of(text)) == text


@given(
    st.lists(
        st.sampled_from(
            ["é", "Ġ", "Ċ", "ł", "\x00", "\ufeff", "\u0301", "🧪", "\r\n", "  ", *MARKERS, *BRACKETS]
        )
    )
)
def test_so_do_the_letters_that_bytes_are_written_with_and_what_looks_like_tokens(parts):
    assert LEARNED.decode(ids_of("".join(parts))) == "".join(parts)


@given(st.lists(st.sampled_from([*BRACKETS, "C", "c1", "(=O)", "Cl", "%12", " and "]), max_size=12))
def test_a_bracket_atom_of_the_training_data_is_one_token_wherever_it_stands(parts):
    text = "".join(parts)
    whole = [token for token in tokens_of(text) if "[" in token or "]" in token]
    assert whole == re.findall(r"\[[^]]*\]", text)


def test_an_unseen_bracket_atom_is_spelled_out_beside_whole_ones():
    tokens = tokens_of("C[Uuo]C[nH]")
    assert "[nH]" in tokens
    assert "[Uuo]" not in tokens


@pytest.mark.parametrize("marker", MARKERS)
def test_a_marker_in_a_text_is_letters(marker):
    special = set(LEARNED.convert_tokens_to_ids(list(MARKERS)))
    for text in (marker, f"an acid{marker}CCO", f"{marker}{marker}", f" {marker} "):
        assert not special & set(ids_of(text)), text
        assert LEARNED.decode(ids_of(text), skip_special_tokens=True) == text


def test_markers_are_five_different_tokens_that_decoding_leaves_out():
    special = LEARNED.convert_tokens_to_ids(list(MARKERS))
    assert len(set(special)) == len(MARKERS)
    assert LEARNED.decode([special[0], *ids_of("CCO"), special[1]], skip_special_tokens=True) == "CCO"
    assert (LEARNED.bos_token, LEARNED.eos_token, LEARNED.pad_token) == MARKERS[:3]


@pytest.mark.parametrize("size", [262, 270, 300, 420])
def test_no_more_tokens_than_asked_for(size):
    many = [f"[{mass}C]" for mass in range(100)]
    made = train_tokenizer([text for _, text in pairs()], many, size)
    assert len(made) <= size
    assert made.decode(prompts.plain_tokens(made, "C[57C]é")) == "C[57C]é"


@pytest.mark.parametrize("size", [0, 261])
def test_bytes_and_markers_need_room(size):
    with pytest.raises(ValueError, match="more than 261 tokens"):
        train_tokenizer(["an acid"], ["CCO"], size)


def test_the_same_data_make_the_same_tokenizer():
    assert tokenizer().get_vocab() == LEARNED.get_vocab()


def test_merges_are_learned_and_no_longer_than_allowed():
    longest = {}
    for limit in (5, 40):
        made = train_tokenizer(["electroencephalographically"] * 50, ["C"], 600, longest=limit)
        longest[limit] = max(len(token) for token in made.get_vocab() if not token.startswith(("[", "<")))
    assert longest[5] <= 5 < longest[40]
    assert len(ids_of("The molecule is a")) < 8


def test_saved_and_loaded_it_is_the_same(tmp_path):
    LEARNED.save_pretrained(tmp_path)
    read = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    assert read.get_vocab() == LEARNED.get_vocab()
    assert (read.bos_token_id, read.eos_token_id, read.pad_token_id) == (
        LEARNED.bos_token_id,
        LEARNED.eos_token_id,
        LEARNED.pad_token_id,
    )
    for smiles, text in pairs():
        for written in (smiles, text, f"{text} <eos> {smiles}", " ' s n't é"):
            assert prompts.plain_tokens(read, written) == ids_of(written)
            assert read.decode(ids_of(written)) == written


def test_brackets_of_other_alphabets_are_no_whole_tokens():
    """A byte is written as a letter, so a whole token with such a letter would come out as another text."""
    made = train_tokenizer(["an acid"], ["[é]", "[Ġ]"] * 9, 400)
    for text in ("C[é]C", "[Ġ]"):
        assert made.decode(prompts.plain_tokens(made, text)) == text
