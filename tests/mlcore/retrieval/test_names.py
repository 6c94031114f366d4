"""Names find their molecules however they are spelt, and a few slips away."""

from __future__ import annotations

import csv
import random
import statistics
import time
from pathlib import Path

import pytest

from mlcore.retrieval.names import NameIndex, bare, loose, plain
from mlcore.retrieval.spelling import Speller, allowed_edits, slip_cost

CATALOGUE = Path(__file__).parents[3] / "mlcore" / "retrieval" / "catalogue"


@pytest.fixture(scope="module")
def catalogue() -> list[tuple[str, list[str]]]:
    rows = []
    for path in sorted(CATALOGUE.glob("*.tsv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                synonyms = [name.strip() for name in (row["synonyms"] or "").split("|") if name.strip()]
                rows.append((row["name"], synonyms))
    return rows


@pytest.fixture(scope="module")
def names(catalogue: list[tuple[str, list[str]]]) -> NameIndex:
    entries = []
    for number, (name, synonyms) in enumerate(catalogue):
        entries.append((number, name, True))
        entries.extend((number, synonym, False) for synonym in synonyms)
    return NameIndex(entries)


@pytest.fixture(scope="module")
def few() -> NameIndex:
    return NameIndex(
        [
            (0, "aspirin", True), (0, "acetylsalicylic acid", False), (1, "β-carotene", True),
            (2, "(R)-limonene", True),
            (3, "(S)-limonene", True), (4, "vitamin C", True), (5, "1,1-dichloroethane", True),
            (6, "11-dichloroethanol", True), (7, "Löwenzahn acid", True), (8, "ibuprofen", True), (9, "caffeine", True),
            (10, "L-cysteine", True), (11, "L-cystine", True), (12, "2-butanol", True), (13, "3-methylphenol", True),
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "row", "how"),
    [
        ("aspirin", 0, "exact"), ("ASPIRIN", 0, "exact"), ("  Aspirin ", 0, "exact"), ("what is aspirin?", 0, "exact"),
        ("acetyl salicylic acid", 0, "spelling"), ("acetylsalicylic-acid", 0, "spelling"),
        ("beta-carotene", 1, "exact"), ("beta carotene", 1, "spelling"), ("Β-Carotene", 1, "exact"),
        ("(r)-limonene", 2, "exact"), ("limonene", 2, "stereo"), ("(±)-limonene", 2, "stereo"),
        ("vitamin–c", 4, "spelling"), ("1 1 dichloroethane", 5, "spelling"), ("lowenzahn acid", 7, "exact"),
    ],
)  # fmt: skip
def test_spelling_does_not_matter(few: NameIndex, typed: str, row: int, how: str) -> None:
    match = few.exact(typed)[0]
    assert (match.row, match.how) == (row, how)


@pytest.mark.parametrize(
    ("typed", "row"),
    [
        ("asprin", 0), ("apsirin", 0), ("aspirni", 0), ("adpirin", 0), ("ibuprofin", 8), ("cafeine", 9),
        ("caffiene", 9), ("acetylsalicilic acid", 0), ("vitmain c", 4), ("L-cystein", 10), ("betta-carotene", 1),
    ],
)  # fmt: skip
def test_slips_are_corrected(few: NameIndex, typed: str, row: int) -> None:
    assert not few.exact(typed)
    match = few.find(typed)[0]
    assert (match.row, match.how) == (row, "corrected")
    assert 0.3 <= match.score < 0.95


@pytest.mark.parametrize("typed", ["vitamin q", "9-butanol", "xy", "", "!!!", "zzzzzzzzzz", "4-methylphenol"])
def test_what_nobody_can_have_meant_is_not_corrected(few: NameIndex, typed: str) -> None:
    assert few.corrected(typed) == []


def test_numbers_do_not_run_together() -> None:
    assert loose(plain("1,1-Dichloro ethane")) == "1,1dichloroethane"
    assert loose(plain("11-dichloroethane")) == "11dichloroethane"
    assert bare(plain("(2R,3S)-tartaric acid")) == bare(plain("L-tartaric acid")) == "tartaricacid"


def test_beginnings_and_completions(few: NameIndex) -> None:
    assert [match.row for match in few.begins("lim")][:2] == [2, 3]
    assert few.begins("li") == []
    assert few.suggest("asp") == ["aspirin"]
    assert few.suggest("salic") == []
    assert few.suggest("car") == ["β-carotene"]
    assert few.suggest("acid", 2) == ["Löwenzahn acid", "acetylsalicylic acid"]
    assert few.suggest("") == []


def test_slips_of_the_finger_cost_less() -> None:
    assert slip_cost("aspirin", "aspirin") == 0
    assert slip_cost("asprin", "aspirin") == 1.0
    assert slip_cost("aspiirn", "aspirin") < 1.0
    assert slip_cost("adpirin", "aspirin") < slip_cost("apppirin", "aspirin")
    assert slip_cost("cafeine", "caffeine") < slip_cost("cafeine", "cadeine") + 0.5
    assert [allowed_edits(n) for n in (2, 3, 6, 7, 11, 12)] == [0, 1, 1, 2, 2, 3]


def test_the_speller_agrees_with_trying_every_word() -> None:
    from rapidfuzz.distance import OSA

    rng = random.Random(3)
    words = sorted({"".join(rng.choices("abcdef", k=rng.randint(4, 10))) for _ in range(400)})
    speller = Speller(words)
    for word in rng.sample(words, 60):
        place = rng.randrange(len(word))
        typed = word[:place] + rng.choice("abcdef") + word[place + 1 :]
        nearest = min(OSA.distance(typed, other) for other in words)
        found = speller.near(typed)
        assert found
        assert OSA.distance(typed, words[found[0][0]]) <= max(nearest, allowed_edits(len(typed)))
        assert word in [words[position] for position, _ in speller.near(typed, most=50)]


def test_every_name_of_the_catalogue_finds_its_molecule(
    names: NameIndex, catalogue: list[tuple[str, list[str]]]
) -> None:
    asked = [(row, name) for row, (own, synonyms) in enumerate(catalogue) for name in (own, *synonyms)]
    right = sum(names.find(name)[0].row == row for row, name in asked)
    assert right / len(asked) >= 0.99


def _slip(name: str, rng: random.Random) -> str:
    place = rng.randrange(len(name))
    letter = rng.choice("abcdefghijklmnopqrstuvwxyz")
    kind = rng.choice(("leave out", "swap", "replace", "add"))
    if kind == "leave out":
        return name[:place] + name[place + 1 :]
    if kind == "replace":
        return name[:place] + letter + name[place + 1 :]
    if kind == "add":
        return name[:place] + letter + name[place:]
    place = rng.randrange(len(name) - 1)
    return name[:place] + name[place + 1] + name[place] + name[place + 2 :]


def test_names_with_one_slip_find_their_molecule(
    names: NameIndex, catalogue: list[tuple[str, list[str]]]
) -> None:
    rng = random.Random(11)
    asked = [
        (row, _slip(name, rng)) for row, (name, _) in enumerate(catalogue) if len(name) > 3 for _ in range(2)
    ]
    found = [(row, names.find(typed)) for row, typed in asked]
    right = sum(bool(matches) and matches[0].row == row for row, matches in found)
    assert right / len(asked) >= 0.95


def test_thirty_thousand_names_are_searched_in_milliseconds() -> None:
    rng = random.Random(5)
    parts = [
        "meth",
        "eth",
        "prop",
        "chlor",
        "brom",
        "hydr",
        "oxy",
        "amin",
        "phen",
        "benz",
        "cycl",
        "ane",
        "ol",
        "one",
        "ide",
    ]
    made = sorted(
        {"".join(rng.choices(parts, k=rng.randint(2, 5))) + str(rng.randint(1, 99)) for _ in range(34_000)}
    )
    index = NameIndex((row, name, True) for row, name in enumerate(made[:30_000]))
    times = []
    for name in rng.sample(made[:30_000], 60):
        started = time.perf_counter()
        index.find(_slip(name, rng))
        times.append(time.perf_counter() - started)
    assert statistics.median(times) < 0.02
