"""BLEU, ROUGE and METEOR: worked examples, closed forms, parity with nltk, and what they must survive."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import corpus_bleu as nltk_bleu
from rouge_score.rouge_scorer import RougeScorer

from mlcore.decoding.language import text_metrics
from mlcore.decoding.language.text_metrics import meteor, ngram_counts, score_texts, words

TRUE = "the cat sat on the mat"
MINE = "the cat sat on mat"
LETTERS = st.lists(st.sampled_from("abc"), max_size=8)


def figures(predicted: list[str], true: list[str]) -> dict[str, float]:
    once = np.ones((1, len(true)))
    return {name: float(value[0]) for name, value in score_texts(predicted, true).figures(once).items()}


def test_words_are_lower_cased_and_cut_at_every_mark():
    assert words("(2S)-α-D-Glucose, naïve") == [
        "(",
        "2s",
        ")",
        "-",
        "α",
        "-",
        "d",
        "-",
        "glucose",
        ",",
        "naive",
    ]


def test_a_worked_example():
    found = figures([MINE], [TRUE])
    brevity = math.exp(1 - 6 / 5)
    assert found["bleu2"] == pytest.approx(brevity * math.sqrt(5 / 5 * 3 / 4), abs=1e-12)
    assert found["bleu4"] == pytest.approx(brevity * (5 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25, abs=1e-12)
    assert found["rouge1"] == pytest.approx(2 * 1 * (5 / 6) / (1 + 5 / 6), abs=1e-12)
    assert found["rouge2"] == pytest.approx(2 * (3 / 4) * (3 / 5) / (3 / 4 + 3 / 5), abs=1e-12)
    assert found["rougeL"] == pytest.approx(2 * 1 * (5 / 6) / (1 + 5 / 6), abs=1e-12)


def test_meteor_by_hand():
    """Four of five words match in two chunks: F = PR / (0.9 P + 0.1 R), penalty 0.5 (2/4)³."""
    precision, recall = 4 / 5, 4 / 4
    mean = precision * recall / (0.9 * precision + 0.1 * recall)
    assert meteor(["a", "b", "c", "x", "d"], ["a", "b", "c", "d"]) == pytest.approx(
        mean * (1 - 0.5 * (2 / 4) ** 3)
    )


@given(st.permutations("abcdefg"), st.integers(1, 7), st.integers(1, 7))
@settings(deadline=None, max_examples=60)
def test_meteor_of_distinct_words_is_its_formula(order, mine, true):
    """Without repeated words the alignment is unique, so that the formula can be written down."""
    predicted, truth = order[:mine], sorted(order)[:true]
    places = [truth.index(word) if word in truth else None for word in predicted]
    matches = [place for place in places if place is not None]
    if not matches:
        assert meteor(predicted, truth) == 0
        return
    joined = sum(first is not None and second == first + 1 for first, second in itertools.pairwise(places))
    precision, recall = len(matches) / mine, len(matches) / true
    mean = precision * recall / (0.9 * precision + 0.1 * recall)
    expected = mean * (1 - 0.5 * ((len(matches) - joined) / len(matches)) ** 3)
    assert meteor(predicted, truth) == pytest.approx(expected, abs=1e-12)


def test_meteor_matches_stems_but_no_synonyms():
    assert meteor(["metabolites"], ["metabolite"]) == pytest.approx(0.5)
    assert meteor(["big"], ["large"]) == 0


def test_equal_texts():
    """All are 1, but METEOR keeps its penalty of 0.5 / m³ for m words in one chunk."""
    texts = ["It is a member of the class of phenols.", "It derives from a 2-aminoethanol."]
    found = figures(texts, texts)
    lengths = [len(words(text)) for text in texts]
    assert found.pop("meteor") == pytest.approx(np.mean([1 - 0.5 / m**3 for m in lengths]), abs=1e-12)
    assert list(found) == ["bleu2", "bleu4", "rouge1", "rouge2", "rougeL"]
    assert all(value == pytest.approx(1, abs=1e-12) for value in found.values())


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(st.lists(st.tuples(LETTERS, LETTERS), min_size=1, max_size=5))
@settings(deadline=None, max_examples=150)
def test_bleu_is_nltks(pairs):
    sums = np.sum([ngram_counts(mine, true) for mine, true in pairs], axis=0)
    for order in (1, 2, 4):
        wanted = nltk_bleu(
            [[true] for _, true in pairs], [mine for mine, _ in pairs], weights=[1 / order] * order
        )
        assert text_metrics.corpus_bleu(sums, order) == pytest.approx(wanted, abs=1e-12)


def test_bleu_is_of_the_corpus_not_a_mean_of_sentences():
    first, second = figures(["a b c d e"], ["a b c d e"]), figures(["a b c x e f g"], ["a b c d e f g"])
    both = figures(["a b c d e", "a b c x e f g"], ["a b c d e", "a b c d e f g"])
    assert both["bleu2"] == pytest.approx(math.sqrt((5 + 6) / (5 + 7) * (4 + 4) / (4 + 6)))
    assert both["bleu2"] != pytest.approx((first["bleu2"] + second["bleu2"]) / 2, abs=1e-3)


def test_rouge_reads_the_raw_text_without_stemming():
    found = figures(["Metabolites α of"], ["a metabolite of"])
    published = RougeScorer(["rouge1"]).score("a metabolite of", "Metabolites α of")["rouge1"].fmeasure
    assert found["rouge1"] == pytest.approx(published)
    assert found["rouge1"] == pytest.approx(
        2 * (1 / 2) * (1 / 3) / (1 / 2 + 1 / 3)
    )  # 'of' alone; α is no letter here


def test_swapping_precision_and_recall_shows():
    """The truth is METEOR's reference: recall counts nine times as much as precision."""
    assert meteor(["a", "b", "c", "d"], ["a", "b"]) > meteor(["a", "b"], ["a", "b", "c", "d"])


def test_the_order_of_the_pairs_does_not_matter():
    mine, true = [MINE, "", "a phenol", "x y z"], [TRUE, "an ether", "a phenol", "z y x"]
    order = [2, 0, 3, 1]
    shuffled = figures([mine[i] for i in order], [true[i] for i in order])
    assert shuffled == pytest.approx(figures(mine, true), abs=1e-12)


def test_a_weight_is_a_repetition():
    mine, true = [MINE, "a phenol", "x y z"], [TRUE, "a phenol ether", "z y x"]
    weighted = score_texts(mine, true).figures(np.array([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0]]))
    written = figures([mine[0], mine[0], mine[2]], [true[0], true[0], true[2]])
    assert {name: value[0] for name, value in weighted.items()} == pytest.approx(written, abs=1e-12)
    alone = figures([mine[1]], [true[1]])
    assert {name: value[1] for name, value in weighted.items()} == pytest.approx(alone, abs=1e-12)


@pytest.mark.parametrize(
    "odd", ["", " ", "日本語 α β", "\x00", "y" * 50_000, "word " * 5_000, "−" * 500, "🧪"]
)
def test_odd_predictions_are_scored_low(odd):
    found = figures([odd], [TRUE])
    assert all(0 <= value < 0.2 for value in found.values()), found


def test_nothing_to_score_is_refused():
    with pytest.raises(ValueError, match="0 predictions"):
        score_texts([], [])
    with pytest.raises(ValueError, match="1 predictions for 2"):
        score_texts(["a"], ["a", "b"])
