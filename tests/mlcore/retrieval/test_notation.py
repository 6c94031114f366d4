"""Forms told apart by their characters: against RDKit's SMILES, and check digits against known numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcore.retrieval import notation
from tests.mlcore.retrieval import small


@pytest.mark.parametrize("smiles", [smiles for _, _, smiles, *_ in small.MOLECULES])
def test_every_smiles_has_the_form_of_one(smiles: str) -> None:
    assert notation.smiles_like(smiles)


@pytest.mark.parametrize("text", ["C[C@H", "C(=O", "[Na+", "CC=#C"])
def test_an_unfinished_or_wrong_smiles_has_it_too(text: str) -> None:
    assert notation.smiles_like(text)


@pytest.mark.parametrize(
    "text", ["", "aspirin", "pin", "snob", "ibuprofen", "1-2", "C9H8O4", "C C", "rose oil", "=-="]
)
def test_words_formulas_and_numbers_have_not(text: str) -> None:
    assert not notation.smiles_like(text)


def test_lower_case_atoms_need_a_ring() -> None:
    assert notation.smiles_like("c1ccccc1")
    assert not notation.smiles_like("cocos")


@pytest.mark.parametrize("text", ["[#6]~[#7]", "[!C]", "[C;R]", "[$(CO)]", "[CX4]"])
def test_marks_of_smarts(text: str) -> None:
    assert notation.SMARTS_ONLY.search(text)
    assert notation.OPEN_SMILES.match(text)
    assert not notation.SMARTS_ONLY.search("CC(=O)Oc1ccccc1C(=O)O")


@pytest.mark.parametrize("number", ["50-78-2", "58-08-2", "7732-18-5", "CAS 64-17-5", "cas no. 103-90-2"])
def test_real_cas_numbers_check(number: str) -> None:
    found = notation.CAS.fullmatch(number)
    assert found
    assert notation.cas_checks(found)


@given(st.from_regex(r"[1-9]\d{1,6}-\d{2}", fullmatch=True))
def test_exactly_one_check_digit_fits(beginning: str) -> None:
    fits = [
        digit for digit in range(10) if notation.cas_checks(notation.CAS.fullmatch(f"{beginning}-{digit}"))
    ]  # type: ignore[arg-type]
    assert len(fits) == 1


def test_a_key_may_be_cut_after_a_block() -> None:
    whole = "BSYNRYMUTXBXSQ-UHFFFAOYSA-N"
    for end in (14, 25, 27):
        found = notation.KEY.fullmatch(whole[:end])
        assert found
        assert "-".join(filter(None, found.groups())) == whole[:end]
    assert not notation.KEY.fullmatch(whole[:20])
