"""How chemistry is written on the page."""

from __future__ import annotations

import pytest

from webapp.search.templatetags import chem


@pytest.mark.parametrize(
    ("plain", "written"),
    [
        ("C9H8O4", "C<sub>9</sub>H<sub>8</sub>O<sub>4</sub>"),
        ("C7H16NO2+", "C<sub>7</sub>H<sub>16</sub>NO<sub>2</sub><sup>+</sup>"),
        ("Ca+2", "Ca<sup>2+</sup>"),
        ("O4S-2", "O<sub>4</sub>S<sup>2−</sup>"),
        ("<b>", "&lt;b&gt;"),
    ],
)
def test_formulas(plain, written):
    assert chem.formula(plain) == written


@pytest.mark.parametrize(
    ("value", "name", "written"),
    [
        (180.159, "weight", "180.16 g/mol"),
        (1234.5, "weight", "1,234.50 g/mol"),
        (180.04226, "exact_mass", "180.0423 Da"),
        (-0.5, "logp", "−0.50"),
        (3.0, "rings", "3"),
        (0, "charge", "0"),
        (-1, "charge", "−1"),
        (2, "charge", "+2"),
        (None, "tpsa", "—"),
    ],
)
def test_quantities_carry_units_and_true_minus_signs(value, name, written):
    assert chem.quantity(value, name) == written


def test_words_are_marked_where_they_begin_and_nothing_else_is_let_through():
    assert (
        chem.marked("Roses & <b>prose</b>", ["rose"]) == "<mark>Roses</mark> &amp; &lt;b&gt;prose&lt;/b&gt;"
    )
    assert chem.marked("salt & amp", ["amp"]) == "salt &amp; <mark>amp</mark>"
    assert chem.marked("a.b", [".", ""]) == "a.b"


def test_a_score_says_what_it_means():
    hit = {"score": 0.8, "matched": {"similarity": None, "channels": ["meaning", "words"]}}
    sentence = chem.score_sentence(hit)
    assert "about 80 were" in sentence
    assert "in the library at all" in sentence
    assert "first hits" in sentence
    named = {"score": 1.0, "matched": {"similarity": None, "channels": ["name"]}}
    assert "1 for the very name" in chem.score_sentence(named)
    assert "25 in 100" in chem.score_sentence({"score": 0.25, "matched": {"similarity": 0.25}})
