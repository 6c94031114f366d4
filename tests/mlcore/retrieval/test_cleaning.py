"""What was typed or pasted, before it is read: idempotent, visible, short enough."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mlcore.retrieval.cleaning import LONGEST, LONGEST_MOLFILE, clean, is_molfile
from mlcore.runtime.errors import InputError, LimitError

MOLFILE = "water\n  x\n\n  1  0  0  0  0  0  0  0  0  0999 V2000\n    0.0 0.0 0.0 O\nM  END\n"


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60))
def test_nothing_is_left_to_clean_nor_to_hide(text: str) -> None:
    try:
        cleaned, notes = clean(text)
    except InputError:
        return
    assume(not is_molfile(text))
    assert cleaned == unicodedata.normalize("NFKC", cleaned) == cleaned.strip()
    assert not any(unicodedata.category(letter) == "Cc" and letter not in "\n\t" for letter in cleaned)
    assert all("left out" in note for note in notes)


def test_what_was_left_out_is_counted() -> None:
    assert clean("a\x00b\x07c\u200bd") == (
        "abcd",
        ["2 control characters were left out.", "1 invisible character was left out."],
    )
    assert clean(" β\u2011carotene ") == ("β\u2010carotene", [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"rose oil"', "rose oil"),
        ("'CCO'", "CCO"),
        ("'a' or 'b'", "'a' or 'b'"),
        ("\"half'", "\"half'"),
        ("'", "'"),
    ],
)
def test_only_quotes_around_the_whole_go(text: str, expected: str) -> None:
    assert clean(text)[0] == expected


def test_the_lines_of_a_molfile_keep_their_places() -> None:
    assert is_molfile(MOLFILE)
    assert not is_molfile("M  END")
    shifted = "\n" + MOLFILE  # a molfile may begin with an empty line
    assert clean(shifted.replace("\n", "\r\n"))[0] == shifted.rstrip()


@pytest.mark.parametrize("text", ["", " \n\t", "\x00", "\u200b", '" "'])
def test_nothing_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="nothing to search for"):
        clean(text)


def test_bytes_are_counted_and_molfiles_may_be_longer() -> None:
    assert clean("x" * LONGEST)[0]
    with pytest.raises(LimitError, match="20,000"):
        clean("é" * (LONGEST // 2 + 1))
    long = "x\n" * (LONGEST // 2) + MOLFILE
    assert clean(long)[0]
    with pytest.raises(LimitError, match="100,000"):
        clean("x\n" * (LONGEST_MOLFILE // 2) + MOLFILE)
