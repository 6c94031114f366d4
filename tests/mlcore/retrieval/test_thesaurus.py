"""Everyday words: relations go both ways, phrases come longest first, and a query profits from them."""

from __future__ import annotations

import pytest

from mlcore.retrieval import thesaurus
from mlcore.retrieval.lexical import RELATED, STOP_WORDS, LexicalIndex, stem


def test_relations_go_both_ways_and_never_to_the_word_itself() -> None:
    related = thesaurus.related(stem)
    for word, others in related.items():
        assert word not in others
        assert all(word in related[other] for other in others)


def test_a_line_relates_all_its_words_and_lines_add_up() -> None:
    related = thesaurus.related(stem)
    for line in thesaurus.GROUPS.splitlines():
        stems = {stem(word) for word in line.split()}
        assert len(stems) > 1 or line == "vitamin vitamins", line
        for each in stems & set(related):
            assert stems - {each} <= related[each]
    assert {stem("bitterness"), stem("mould")}.isdisjoint(related[stem("sweet")])


def test_no_word_is_written_twice_in_a_line_and_none_is_one_that_says_nothing() -> None:
    for line in thesaurus.GROUPS.splitlines():
        assert len(set(line.split())) == len(line.split()), line
        assert not STOP_WORDS & set(line.split())


def test_phrases_are_whole_ones_the_longest_first() -> None:
    found = thesaurus.phrases(stem)
    assert len(found) == len(thesaurus.PHRASES)
    assert [len(words) for words, _ in found] == sorted((len(words) for words, _ in found), reverse=True)
    for words, means in found:
        assert len(words) >= 2
        assert means
        assert not set(words) & set(means), words


def test_any_way_of_stemming_will_do() -> None:
    related = thesaurus.related(str.upper)
    assert related["PAINKILLER"] == {"ANALGESIC", "PAIN", "ACHE"}
    assert (("BLOOD", "THINNER"), ("ANTICOAGULANT",)) in thesaurus.phrases(str.upper)


@pytest.mark.parametrize("line", thesaurus.GROUPS.splitlines()[:12])
def test_a_related_word_finds_the_text_but_the_word_itself_finds_it_better(line: str) -> None:
    first, second = line.split()[:2]
    index = LexicalIndex(
        [
            (0, "text", f"an old {second} here"),
            (1, "text", f"an old {first} here"),
            (2, "text", "an old hat"),
        ],
        3,
    )
    scores = index.scores(first)
    assert scores[1] > scores[0] > scores[2] == 0
    assert scores[0] == pytest.approx(RELATED * scores[1], rel=1e-5)


def test_a_phrase_stands_for_what_its_words_do_not_say() -> None:
    index = LexicalIndex([(0, "text", "a hydrazine propellant"), (1, "text", "petrol for cars")], 2)
    assert index.scores("rocket fuel")[0] > 0
    assert index.scores("rocket")[0] == 0
