"""Finding molecules by what people call them: names and synonyms, exact, begun, or misspelt.

Names are compared in three forms, each looser than the one before:

1. *plain*: case, accents, Greek letters (alpha = α), kinds of dash and extra spaces do not matter;
2. *loose*: nor do hyphens, brackets and spaces (``2 methylbutane`` = ``2-methylbutane``; commas between digits stay);
3. *bare*: nor does a stereo prefix (``(R)-``, ``L-``, ``(+)-``, ``rac-``).
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlcore.retrieval.spelling import Speller

GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "µ": "mu", "ν": "nu", "ξ": "xi", "ο": "omicron", "π": "pi",
    "ρ": "rho", "σ": "sigma", "ς": "sigma", "τ": "tau", "υ": "upsilon", "φ": "phi", "χ": "chi", "ψ": "psi",
    "ω": "omega",
}  # fmt: skip
_GREEK = re.compile("|".join(GREEK))
_DASHES = str.maketrans(
    dict.fromkeys("‐‑‒–—―−﹣－", "-") | dict.fromkeys("′’‘ʹ´`", "'") | dict.fromkeys("″“”", '"')
)
_STEREO = re.compile(
    r"^(?:\((?:[+\-±]|\+/-|\+-|[rsez*]|(?:\d+[a-z]?'?[rsez*],?\s?)+|rac|[dl])\)-?|(?:[dl]|dl|rac|meso)-"
    r"|(?:d|l)\((?:[+\-])\)-?)+"
)
#: what people put around a name in a search box
_AROUND = re.compile(
    r"^(?:(?:what(?:'s| is| are)|show(?: me)?|find(?: me)?|search(?: for)?|look up|structure of|formula of|the|a|an"
    r"|molecule|compound|called|named)\s+)+|(?:\s+(?:molecule|compound|structure|formula))+$|\s*[?!.]+$",
    re.IGNORECASE,
)
#: rank of a match, best first
HOW = ("exact", "spelling", "stereo", "corrected", "begins")


def plain(name: str) -> str:
    """The first form: ``"  β-Carotene "`` -> ``beta-carotene``."""
    text = unicodedata.normalize("NFKC", name).casefold().translate(_DASHES)
    if not text.isascii():
        text = _GREEK.sub(lambda found: GREEK[found.group()], text)
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(text.split())


def loose(text: str) -> str:
    """The second form, of a plain name: letters and digits, and a comma where two numbers would run together."""
    return re.sub(r"(?<=\d)[\W_]+(?=\d)|[\W_]+", _joint, text)


def _joint(found: re.Match[str]) -> str:
    before = found.string[found.start() - 1 : found.start()]
    after = found.string[found.end() : found.end() + 1]
    return "," if before.isdigit() and after.isdigit() else ""


def bare(text: str) -> str:
    """The third form, of a plain name."""
    return loose(_STEREO.sub("", text) or text)


@dataclass(frozen=True)
class NameMatch:
    """One molecule found by name. ``how`` is one of :data:`HOW`, ``score`` 0..1, ``name`` as the library spells it."""

    row: int
    name: str
    how: str
    score: float


class NameIndex:
    """All names of a library, for look-up, completion and correction.

    ``entries``: (row, name, main) with ``main`` true for a molecule's own name. Thread-safe once built.
    """

    def __init__(self, entries: Iterable[tuple[int, str, bool]]) -> None:
        self._entries = [(row, name, main) for row, name, main in entries if name.strip()]
        self._plain: dict[str, list[int]] = {}
        self._loose: dict[str, list[int]] = {}
        self._bare: dict[str, list[int]] = {}
        starts: list[tuple[str, int]] = []
        for place, (_, name, _main) in enumerate(self._entries):
            form = plain(name)
            packed = loose(form)
            self._plain.setdefault(form, []).append(place)
            if packed:
                self._loose.setdefault(packed, []).append(place)
            stripped = bare(form)
            if stripped:
                self._bare.setdefault(stripped, []).append(place)
            starts.append((form, place))
            starts.extend((form[found.end() :], place) for found in re.finditer(r"[\s\-]+(?=[a-z]{3})", form))
        starts.sort()
        self._starts = [form for form, _ in starts]
        self._start_places = [place for _, place in starts]
        self._spelled = sorted(self._loose)
        self._speller = Speller(self._spelled)

    def __len__(self) -> int:
        return len(self._entries)

    def exact(self, text: str) -> list[NameMatch]:
        """Molecules called ``text``, from the strictest form that finds any; words around the name are ignored."""
        for candidate in dict.fromkeys((text, _AROUND.sub("", _AROUND.sub("", text.strip())))):
            form = plain(candidate)
            if not form:
                continue
            for how, score, places in (
                ("exact", 1.0, self._plain.get(form)),
                ("spelling", 0.99, self._loose.get(loose(form))),
                ("stereo", 0.95, self._bare.get(bare(form))),
            ):
                if places:
                    return self._matches(places, how, score)
        return []

    def known(self, text: str) -> bool:
        """Whether some molecule is called ``text``."""
        return bool(self.exact(text))

    def corrected(self, text: str, *, most: int = 5) -> list[NameMatch]:
        """Molecules whose names are a slip or two away from ``text``, likeliest first; scores below 0.95."""
        form = plain(text)
        typed = loose(form)
        found: dict[int, NameMatch] = {}
        ranked: list[tuple[float, bool, int, str]] = []
        for position, cost in self._speller.near(typed):
            word = self._spelled[position]
            for place in self._loose[word]:
                row, name, main = self._entries[place]
                extra = _short_words_differ(form, plain(name))
                if extra is None:
                    continue
                ranked.append((cost + extra, not main, row, name))
        ranked.sort(key=lambda item: item[:3])
        for cost, _, row, name in ranked:
            if row not in found:
                score = max(0.3, 0.95 - 1.5 * cost / max(len(typed), 1))
                found[row] = NameMatch(row, name, "corrected", round(score, 4))
        return list(found.values())[:most]

    def begins(self, text: str, *, most: int = 20) -> list[NameMatch]:
        """Molecules of whose names ``text`` (three letters or more) is the beginning, shortest name first."""
        form = plain(text)
        if len(form) < 3:
            return []
        found: dict[int, NameMatch] = {}
        for place in self._completions(form, most=4 * most):
            row, name, _ = self._entries[place]
            share = len(form) / max(len(plain(name)), 1)
            score = round(0.5 + 0.4 * min(share, 1.0), 4)
            if row not in found or score > found[row].score:
                found[row] = NameMatch(row, name, "begins", score)
        return sorted(found.values(), key=lambda match: (-match.score, match.row))[:most]

    def find(self, text: str, *, most: int = 20) -> list[NameMatch]:
        """Exact matches, then corrected ones if there are none, then names that begin so; one match a molecule."""
        matches = self.exact(text) or self.corrected(text)
        merged = {match.row: match for match in matches}
        for match in self.begins(text, most=most):
            merged.setdefault(match.row, match)
        return list(merged.values())[:most]

    def suggest(self, prefix: str, k: int = 8) -> list[str]:
        """Names to complete ``prefix`` with, as the library spells them: own names first, then the shortest."""
        form = plain(prefix)
        if not form:
            return []
        offered: dict[str, None] = {}
        for place in self._completions(form, most=40 * k):
            offered.setdefault(self._entries[place][1])
            if len(offered) == k:
                break
        return list(offered)

    def _completions(self, form: str, *, most: int) -> list[int]:
        """Entries in which a word begins with ``form``: whole-name beginnings, own names and short names first."""
        first = bisect_left(self._starts, form)
        last = bisect_left(self._starts, form + "\U0010ffff", lo=first)
        places = dict.fromkeys(self._start_places[first : min(last, first + 2000)])

        def rank(place: int) -> tuple[bool, bool, int, int]:
            _, name, main = self._entries[place]
            return (not plain(name).startswith(form), not main, len(name), place)

        return sorted(places, key=rank)[:most]

    def _matches(self, places: Sequence[int], how: str, score: float) -> list[NameMatch]:
        found: dict[int, NameMatch] = {}
        for place in sorted(places, key=lambda p: (not self._entries[p][2], p)):
            row, name, _ = self._entries[place]
            found.setdefault(row, NameMatch(row, name, how, score))
        return list(found.values())


def _short_words_differ(typed: str, meant: str) -> float | None:
    """What differing one- and two-letter words add to the cost of a correction; ``None`` forbids it.

    ``vitamin q`` is not a slip for ``vitamin c``: where only such a word differs, nobody knows what was
    meant.
    """
    first, second = re.findall(r"\w+", typed), re.findall(r"\w+", meant)
    short_first = sorted(word for word in first if len(word) < 3)
    short_second = sorted(word for word in second if len(word) < 3)
    if short_first == short_second:
        return 0.0
    long_first = [word for word in first if len(word) > 2]
    long_second = [word for word in second if len(word) > 2]
    return None if len(first) == len(second) and long_first == long_second else 0.4
