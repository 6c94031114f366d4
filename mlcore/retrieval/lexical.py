"""Ranking molecules by the words of their names, synonyms, categories and descriptions (BM25).

The score is divided by the most that the query's words could earn, so that 1 means "every word occurs,
prominently" and the number can be compared between queries. A term earns more the rarer it is, and more in a
name than in a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mlcore.retrieval import thesaurus
from mlcore.retrieval.names import plain
from mlcore.retrieval.spelling import Speller

#: words that say nothing about a molecule
STOP_WORDS = frozenset((
    "a", "an", "and", "any", "are", "as", "at", "be", "been", "being", "but", "by", "can", "compound", "compounds",
    "could", "do", "does", "for", "from", "found", "give", "gives", "had", "has", "have", "how", "i", "in", "into",
    "is", "it", "its", "made", "make", "makes", "may", "me", "might", "molecule", "molecules", "more", "most",
    "much", "my", "no", "not", "of", "on", "one", "or", "our", "out", "over", "people", "s", "same", "show", "so",
    "some", "something", "someone", "substance", "substances", "such", "t", "than", "that", "the", "their", "them",
    "then", "there", "these", "they", "thing", "things", "this", "those", "through", "to", "too", "used", "use",
    "uses", "using", "very", "was", "we", "were", "what", "when", "where", "which", "while", "who", "whose", "why",
    "will", "with", "without", "would", "you", "your", "chemical", "chemicals", "please", "find", "search",
    "called", "named", "name", "about", "it's",
))  # fmt: skip
WEIGHTS = {"name": 3.0, "synonym": 2.0, "category": 1.5, "text": 1.0}
_WORD = re.compile(r"[a-z0-9]+(?:['\-][a-z0-9]+)*")
#: a final ``y`` after a consonant, or ``ie``; short words such as "py" and "pie" keep theirs
_FINAL_Y = re.compile(r"(?:(?<=[a-z][^aeiouy\W\d])y|(?<=[a-z]{2})ie)$")
#: what a related word earns of what the word itself would
RELATED = 0.7
_K1 = 1.2
_B = 0.6


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """A word without its commonest English endings: ``roses`` -> ``rose``, ``smelling`` -> ``smell``.

    A final ``ie``, ``y`` after a consonant, and ``i`` become the one form ``i``, since a plural in ``-ies`` does not
    say which of them its singular has: ``cookies``, ``chillies``, ``berries`` -> ``cooki``, ``chilli``, ``berri``.
    """
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-3] + "y" if word.endswith("ies") and len(word) > 4 else word[:-1]
        if word.endswith(("she", "che", "xe", "sse")):
            word = word[:-1]
    for ending in ("ing", "ed"):
        root = word[: -len(ending)]
        if word.endswith(ending) and len(root) >= 4 and re.search("[aeiouy]", root):
            if root[-1] == root[-2] and root[-1] not in "lsz":
                root = root[:-1]
            return _FINAL_Y.sub("i", root)
    return word[:-1] if len(word) > 4 and word.endswith("e") else _FINAL_Y.sub("i", word)


@dataclass(frozen=True)
class Word:
    """A word of a text: its characters ``start`` to ``end`` there and the terms that it is indexed by."""

    text: str
    start: int
    end: int
    terms: tuple[str, ...]


def words(text: str) -> list[Word]:
    """The words of ``text``; a hyphenated one also counts by its parts."""
    found = []
    lowered = text.lower() if len(text.lower()) == len(text) else text
    for match in re.finditer(r"[^\W_]+(?:['\-\u2010-\u2015][^\W_]+)*", lowered):
        flat = plain(match.group())
        terms = [stem(flat)]
        parts = re.split(r"[^a-z0-9]+", flat)
        if len(parts) > 1:
            terms.extend(stem(part) for part in parts if len(part) > 1)
        original = text[match.start() : match.end()]
        found.append(Word(original, match.start(), match.end(), tuple(dict.fromkeys(filter(None, terms)))))
    return found


def terms_of(text: str) -> list[str]:
    """All terms of ``text`` in order, stop words left out."""
    found: list[str] = []
    for word in _WORD.findall(plain(text)):
        if word in STOP_WORDS:
            continue
        found.append(stem(word))
        if "-" in word or "'" in word:
            found.extend(
                stem(part) for part in re.split(r"['\-]", word) if len(part) > 1 and part not in STOP_WORDS
            )
    return found


class LexicalIndex:
    """An inverted index over the fields of a library's rows; postings are NumPy arrays. Thread-safe once
    built.

    ``fields``: (row, field, text) with field one of :data:`WEIGHTS`; ``size``: number of rows.
    """

    def __init__(self, fields: Iterable[tuple[int, str, str]], size: int) -> None:
        self.size = size
        numbers: dict[str, int] = {}
        counts: dict[tuple[int, int], float] = {}
        lengths = np.zeros(size, np.float32)
        seen: dict[str, list[int]] = {}
        self._used: set[str] = set()
        for row, field, text in fields:
            weight = WEIGHTS[field]
            known = seen.get(text)
            if known is None:
                known = [numbers.setdefault(term, len(numbers)) for term in terms_of(text)]
                self._used.update(
                    part for word in _WORD.findall(plain(text)) for part in (word, *word.split("-"))
                )
                if field == "category":  # few distinct values, many rows
                    seen[text] = known
            for term in known:
                counts[(term, row)] = counts.get((term, row), 0.0) + weight
            lengths[row] += len(known)
        self._numbers = numbers
        self._build(counts, lengths)
        self._spelled = [word for word in numbers if len(word) > 3 and word.isalpha()]
        self._speller = Speller(self._spelled)

    def _build(self, counts: dict[tuple[int, int], float], lengths: np.ndarray) -> None:
        pairs = np.array(list(counts), np.int64).reshape(-1, 2)
        values = np.fromiter(counts.values(), np.float32, len(counts))
        order = np.lexsort((pairs[:, 1], pairs[:, 0]))
        pairs, values = pairs[order], values[order]
        self._rows = pairs[:, 1].astype(np.int32)
        self._starts = np.searchsorted(pairs[:, 0], np.arange(len(self._numbers) + 1))
        frequency = np.diff(self._starts)
        # rarity between 0 and 1, so that the best possible score of a query is the sum over its terms
        self._rarity = (np.log1p(self.size / (frequency + 0.5)) / np.log1p(2.0 * max(self.size, 1))).astype(
            np.float32
        )
        mean = float(lengths.mean()) if self.size else 1.0
        norm = _K1 * (1 - _B + _B * lengths / max(mean, 1.0))
        saturated = values / (values + norm[self._rows]) if len(values) else values
        self._impacts = saturated * np.repeat(self._rarity, frequency)

    def __contains__(self, word: str) -> bool:
        """Whether a row contains ``word``, or its plural or singular."""
        form = plain(word)
        return any(each in self._used for each in (form, f"{form}s", form.removesuffix("s")))

    def correct(self, word: str) -> str | None:
        """The term that a misspelt ``word`` stands for, when the index does not know it and one is close."""
        typed = stem(plain(word))
        if typed in self._numbers or len(typed) < 5 or not typed.isalpha():
            return None
        near = self._speller.near(typed, most=3)
        if not near or near[0][1] > (1.0 if len(typed) < 9 else 1.8):
            return None
        return self._spelled[near[0][0]]

    def terms(self, text: str) -> list[str]:
        """The distinct terms that a query is looked up by, misspelt ones corrected."""
        found: dict[str, None] = {}
        for term in terms_of(text):
            known = term in self._numbers or term in thesaurus.related(stem)
            found.setdefault(term if known else self.correct(term) or term)
        return list(found)

    def scores(self, text: str) -> np.ndarray:
        """The score of every row for ``text``: (size,) float32 in 0..1.

        A row that lacks a word but has a related one (:mod:`.thesaurus`) earns :data:`RELATED` of it.
        """
        total = np.zeros(self.size, np.float32)
        best = 0.0
        terms = self.terms(text)
        for term in terms:
            others = [other for other in thesaurus.related(stem).get(term, ()) if other in self._numbers]
            number = self._numbers.get(term)
            if number is None and not others:
                best += 0.6  # a word nobody uses still counts against every row
                continue
            best += max(
                float(self._rarity[self._numbers[each]]) for each in (others if number is None else [term])
            )
            if not others:
                self._add(total, term, 1.0)
                continue
            earned = np.zeros(self.size, np.float32)
            for other in others:
                self._raise(earned, other, RELATED)
            if number is not None:
                self._raise(earned, term, 1.0)
            total += earned
        for meant in self._phrases(terms):
            self._add(total, meant, RELATED)
        return np.minimum(total / best, 1.0) if best else total

    def _phrases(self, terms: Sequence[str]) -> list[str]:
        """What the phrases among ``terms`` stand for, without what is said anyway."""
        held = set(terms)
        found = [term for words, means in thesaurus.phrases(stem) if held.issuperset(words) for term in means]
        return [term for term in dict.fromkeys(found) if term in self._numbers and term not in held]

    def _postings(self, term: str) -> slice:
        number = self._numbers[term]
        return slice(self._starts[number], self._starts[number + 1])

    def _add(self, total: np.ndarray, term: str, factor: float) -> None:
        part = self._postings(term)
        total[self._rows[part]] += factor * self._impacts[part]

    def _raise(self, earned: np.ndarray, term: str, factor: float) -> None:
        part = self._postings(term)
        rows = self._rows[part]
        earned[rows] = np.maximum(earned[rows], factor * self._impacts[part])

    def asked(self, text: str) -> list[tuple[str, frozenset[str]]]:
        """The words of the query ``text`` that mean something, as typed, with the terms each one may match."""
        found = []
        for word in words(text):
            if word.text.lower() in STOP_WORDS:
                continue
            terms = {term for term in word.terms if term not in STOP_WORDS}
            terms |= {fixed for term in terms if (fixed := self.correct(term))}
            terms.update(*(thesaurus.related(stem).get(term, ()) for term in tuple(terms)))
            found.append((word.text, frozenset(terms)))
        return found


def matched(asked: Sequence[tuple[str, frozenset[str]]], fields: Sequence[str]) -> list[str]:
    """Those of the ``asked`` words (:meth:`LexicalIndex.asked`) that occur in ``fields``."""
    present = {term for field in fields for term in terms_of(field)}
    return list(dict.fromkeys(word for word, terms in asked if not present.isdisjoint(terms)))
