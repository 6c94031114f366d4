"""The catalogue's source, and its names through the search as shipped."""

from __future__ import annotations

import random
import re
import string
from collections import Counter
from functools import cache

import pytest
from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from mlcore.retrieval import formula
from mlcore.retrieval.names import plain
from mlcore.retrieval.search import SearchRequest
from tests.mlcore.retrieval import shipped

COLUMNS = {"name", "synonyms", "smiles", "formula", "category", "sentence", "file"}
#: of all names, how many are tried with a slip
SAMPLE = 500


@cache
def keys() -> dict[str, str]:
    """The InChIKey of each molecule by its name."""
    return {row["name"]: Chem.MolToInchiKey(Chem.MolFromSmiles(row["smiles"])) for row in shipped.molecules()}


def names() -> dict[str, set[str]]:
    """All names and synonyms, each with the names of the molecules that bear it."""
    found: dict[str, set[str]] = {}
    for row in shipped.molecules():
        for name in (row["name"], *shipped.synonyms(row)):
            found.setdefault(name, set()).add(row["name"])
    return found


def test_it_is_large_and_every_row_is_whole() -> None:
    rows = shipped.molecules()
    assert len(rows) >= 1000
    for row in rows:
        assert set(row) == COLUMNS, row
        assert all(row[column].strip() for column in COLUMNS - {"synonyms"}), row["name"]
        assert all(row[column] == row[column].strip() for column in COLUMNS), row["name"]


def test_formulas_agree_with_structures() -> None:
    for row in shipped.molecules():
        mol = Chem.MolFromSmiles(row["smiles"])
        assert mol is not None, row["name"]
        assert formula.key(CalcMolFormula(mol)) == formula.key(row["formula"]), row["name"]


def test_no_molecule_and_no_name_occurs_twice() -> None:
    twice = [key for key, count in Counter(keys().values()).items() if count > 1]
    assert not [name for name, key in keys().items() if key in twice]
    folded = Counter(plain(row["name"]) for row in shipped.molecules())
    folded.update(name for row in shipped.molecules() for name in {plain(s) for s in shipped.synonyms(row)})
    assert not [name for name, count in folded.items() if count > 1]


def test_sentences_are_sentences_of_their_own() -> None:
    texts = [row["sentence"] for row in shipped.molecules()]
    assert len(set(texts)) == len(texts)
    for text in texts:
        words = re.findall(r"[\w'\-]+", text)
        assert 6 <= len(words) <= 45, text
        assert text[0] == text[0].upper(), text
        assert text.endswith("."), text


def test_the_built_catalogue_holds_every_molecule() -> None:
    (shelf,) = shipped.searcher().shelves.values()
    rows = shelf.library.rows(range(shelf.size))
    assert {row.name: row.inchikey for row in rows} == keys()
    assert {row.name: row.descriptions for row in rows} == {
        row["name"]: (row["sentence"],) for row in shipped.molecules()
    }


def first(text: str) -> str:
    """The name of the first hit, as the search box would show it."""
    hits = shipped.searcher().search(SearchRequest(text, k=1))["hits"]
    return hits[0]["molecule"]["name"] if hits else ""


def by_name(text: str) -> str:
    """The first hit of what a name finds, with the model's part left out: it only ever ranks below."""
    query = shipped.searcher().understand(text)
    (shelf,) = shipped.searcher().shelves.values()
    if query.kind != "name":
        return first(text)
    matches = shelf.names.find(query.text, most=1)
    return shelf.library.row(matches[0].row).name if matches else ""


def test_the_short_way_to_names_is_the_search_itself() -> None:
    rng = random.Random(1)
    for text in rng.sample(sorted(names()), 25):
        assert by_name(text) == first(text), text


def test_exact_names_and_synonyms_come_first() -> None:
    asked = names()
    missed = {name: by_name(name) for name, bearers in asked.items() if by_name(name) not in bearers}
    print(
        f"exact names: {len(asked) - len(missed)} of {len(asked)} first, {1 - len(missed) / len(asked):.4f}"
    )
    assert len(missed) <= 0.01 * len(asked), missed


def slip(name: str, rng: random.Random) -> str:
    """``name`` with one letter put in, left out, exchanged, or swapped with the next."""
    places = [place for place, letter in enumerate(name) if letter.isalpha()]
    while True:
        at, letter = rng.choice(places), rng.choice(string.ascii_lowercase)
        after = name[at + 1 :]
        made = rng.choice(
            (
                name[:at] + letter + name[at:],
                name[:at] + after,
                name[:at] + letter + after,
                name[:at] + after[:1] + name[at] + after[1:],
            )
        )
        if plain(made) != plain(name):
            return made


@pytest.mark.parametrize("seed", [0, 1])
def test_names_with_one_slip_come_first(seed: int) -> None:
    rng = random.Random(seed)
    asked = names()
    long = [name for name in sorted(asked) if sum(letter.isalpha() for letter in name) >= 5]
    tried, missed = 0, {}
    for name in rng.sample(long, SAMPLE):
        typed = slip(name, rng)
        if typed in asked:  # it became another molecule's name
            continue
        tried += 1
        found = by_name(typed)
        if found not in asked[name]:
            missed[typed] = (name, found)
    print(
        f"names with one slip, seed {seed}: {tried - len(missed)} of {tried} first, {1 - len(missed) / tried:.4f}"
    )
    assert len(missed) <= 0.05 * tried, (len(missed) / tried, missed)
