"""Stems: one form for a word and its plural, and no more than that."""

from __future__ import annotations

import pytest

from mlcore.retrieval.lexical import LexicalIndex, stem, terms_of


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("chillies", "chilli"), ("chilies", "chili"), ("cookies", "cookie"), ("calories", "calorie"),
        ("berries", "berry"), ("allergies", "allergy"), ("flies", "fly"), ("pies", "pie"), ("days", "day"),
        ("alloys", "alloy"), ("dyes", "dye"), ("roses", "rose"), ("waxes", "wax"), ("matches", "match"),
        ("rashes", "rash"), ("glasses", "glass"), ("oranges", "orange"), ("medicines", "medicine"),
    ],
)  # fmt: skip
def test_a_plural_has_the_stem_of_its_singular(plural: str, singular: str) -> None:
    assert stem(plural) == stem(singular)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("smelling", "smell"), ("smells", "smell"), ("rose", "rose"), ("orange", "orang"), ("acid", "acid"),
        ("gas", "gas"), ("virus", "virus"), ("analysis", "analysis"), ("glass", "glass"), ("ring", "ring"),
        ("red", "red"), ("stopped", "stop"), ("carried", "carri"), ("carrying", "carri"), ("pi", "pi"), ("pie", "pie"),
        ("day", "day"), ("py", "py"),
    ],
)  # fmt: skip
def test_ordinary_stems(word: str, expected: str) -> None:
    assert stem(word) == expected


@pytest.mark.parametrize(
    ("one", "other"), [("pie", "pi"), ("tie", "ti"), ("day", "dai"), ("berry", "beer"), ("carry", "care")]
)
def test_different_words_stay_apart(one: str, other: str) -> None:
    assert stem(one) != stem(other)


def test_a_plural_finds_the_text_that_has_the_singular() -> None:
    index = LexicalIndex(
        [(0, "text", "the burn of a chilli"), (1, "text", "a chilly cellar full of wine")], 2
    )
    assert index.terms("chillies") == terms_of("chilli")
    assert index.scores("the burn of chillies").argmax() == 0
