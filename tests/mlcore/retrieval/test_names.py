"""Names find their molecules however they are spelt, and a few slips away."""

from __future__ import annotations

import random

import pytest

from mlcore.retrieval.names import NameIndex, bare, loose, plain
from mlcore.retrieval.spelling import Speller, allowed_edits, slip_cost


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
