"""Molecular formulas as people write them, brought to one form (Hill order) so that equal ones are found as equal."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

ELEMENTS = (
    "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar", "K", "Ca",
    "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr", "Rb", "Sr", "Y",
    "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba", "La", "Ce",
    "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os", "Ir",
    "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Cm",
    "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr", "Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl",
    "Mc", "Lv", "Ts", "Og",
)  # fmt: skip
_KNOWN = frozenset(ELEMENTS)
#: how unlikely a symbol is when the case does not tell: lower is likelier, anything else costs 5
_RARITY = {
    **dict.fromkeys(("C", "H", "N", "O"), 0),
    **dict.fromkeys(("S", "P", "F", "Cl", "Br", "I"), 1),
    **dict.fromkeys(("Na", "K", "Ca", "Mg", "Li", "Si", "B", "Fe", "Cu", "Zn", "Al"), 2),
}
_LONE = frozenset(("h2", "n2", "o2", "o3", "f2", "i2", "p4", "s8", "c60", "c70"))
#: ions of several equal atoms that are written like the charge of one
_POLYATOMIC = frozenset(("I3-", "N3-", "Br3-"))
_PIECE = re.compile(r"([A-Z][a-z]?)(\d*)|([(\[{])|([)\]}])(\d*)")
_CHARGE = re.compile(r"(?:\^|\s)?(?:(\d+)([+-])|([+-])(\d+)|([+-]+))$")
#: the largest count of one element that is still read as a formula
_MOST = 100_000


@dataclass(frozen=True)
class Formula:
    """The atoms of a formula and its charge (``None`` when the text does not state one)."""

    counts: Mapping[str, int]
    charge: int | None = None

    @property
    def hill(self) -> str:
        """Hill order without the charge: carbon, hydrogen, then the alphabet; all alphabetical without carbon."""
        return hill(self.counts)

    def __str__(self) -> str:
        if not self.charge:
            return self.hill
        sign = "+" if self.charge > 0 else "-"
        return f"{self.hill}{sign}{abs(self.charge) if abs(self.charge) > 1 else ''}"


def hill(counts: Mapping[str, int]) -> str:
    """``counts`` in Hill order."""
    first = [symbol for symbol in ("C", "H") if symbol in counts] if "C" in counts else []
    rest = sorted(symbol for symbol in counts if symbol not in first)
    return "".join(f"{symbol}{counts[symbol] if counts[symbol] > 1 else ''}" for symbol in first + rest)


def parse(text: str, *, written: bool = False) -> Formula | None:
    """Read a formula whose case is right (``C9H8O4``, ``Ca(OH)2``, ``CuSO4·5H2O``, ``NH4+``, ``SO4 2-``,
    ``Fe3+``).

    ``None`` when it is not one. D and T count as hydrogen. Digits before a final sign are a charge after
    ``^`` or a space, for a single element (``Fe3+``), or as the last of several digits (``SO42-``); else they
    are a count.
    """
    body, charge = _charged(re.sub(r"\s?\((?:aq|s|l|g)\)$", "", text.strip()), written)
    if not body or abs(charge or 0) > (4 if re.fullmatch(r"[A-Z][a-z]?", body) else 40):  # F-18 is no charge
        return None
    total: Counter[str] = Counter()
    for part in re.split(r"[·.•*∙]", body):
        multiple = re.match(r"\d+", part)
        counts = _counts(part[multiple.end() :] if multiple else part)
        if counts is None:
            return None
        for symbol, count in counts.items():
            total[symbol] += count * (int(multiple.group()) if multiple else 1)
    if not total or max(total.values()) > _MOST:
        return None
    return Formula(dict(total), charge)


def _charged(text: str, written: bool) -> tuple[str, int | None]:
    """The text without its charge and the brackets that carry it, and the charge."""
    bracketed = re.fullmatch(r"\[(.+)\]((?:\^|\s)?(?:\d*[+-]|[+-]\d*))", text)
    if bracketed:
        text = f"{bracketed.group(1)} {bracketed.group(2).strip('^ ')}"
    found = _CHARGE.search(text)
    if not found:
        return text, None
    digits, sign, sign_first, after_digits, signs = found.groups()
    way = -1 if "-" in (signs or sign or sign_first) else 1
    start = found.start()
    if signs:
        return text[:start], len(signs) * way
    if sign_first:
        return text[:start], int(after_digits) * way
    counted = written or text in _POLYATOMIC
    if not counted and (text[start] in "^ \t" or re.fullmatch(r"[A-Z][a-z]?", text[:start])):
        return text[:start], int(digits) * way
    if not counted and len(digits) > 1:  # SO42-: the last digit is the charge, the others are the count
        return text[: found.end(1) - 1], int(digits[-1]) * way
    return text[: found.end(1)], way


def _counts(text: str) -> Counter[str] | None:
    stack: list[Counter[str]] = [Counter()]
    place = 0
    while place < len(text):
        piece = _PIECE.match(text, place)
        if piece is None:
            return None
        symbol, count, opened, closed, times = piece.groups()
        place = piece.end()
        if symbol:
            if symbol not in _KNOWN and len(symbol) == 2 and symbol[0] in "DT":
                return None
            name = "H" if symbol in ("D", "T") else symbol
            if name not in _KNOWN or count.startswith("0") or len(count) > 6:
                return None
            stack[-1][name] += int(count or 1)
        elif opened:
            stack.append(Counter())
        elif closed:
            if len(stack) == 1 or times.startswith("0") or len(times) > 6:
                return None
            group = stack.pop()
            if not group:
                return None
            for name, number in group.items():
                stack[-1][name] += number * int(times or 1)
    return stack[0] if len(stack) == 1 and stack[0] else None


def parse_any_case(text: str) -> Formula | None:
    """Read a formula typed in the wrong case (``h2co3``): of all readings the one with the commonest
    elements.

    Only text with a digit counts, so that words stay words.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,39}", text) or not any(c.isdigit() for c in text):
        return None
    if re.fullmatch(r"[A-Za-z]\d+", text) and text.lower() not in _LONE:  # p53 and b12 are no formulas
        return None
    pieces = re.findall(r"[A-Za-z]+|\d+", text)
    spelled = ""
    for piece in pieces:
        if piece.isdigit():
            spelled += piece
            continue
        best = _symbols(piece.lower())
        if best is None:
            return None
        spelled += best
    return parse(spelled)


def _symbols(letters: str) -> str | None:
    """The likeliest split of ``letters`` into element symbols, or ``None``."""
    best: list[tuple[int, str] | None] = [(0, "")] + [None] * len(letters)
    for end in range(1, len(letters) + 1):
        for length in (1, 2):
            before = best[end - length] if end >= length else None
            symbol = letters[end - length : end].capitalize()
            if before is None or symbol not in _KNOWN:
                continue
            made = (before[0] + _RARITY.get(symbol, 5), before[1] + symbol)
            kept = best[end]
            if kept is None or made[0] < kept[0]:
                best[end] = made
    found = best[-1]
    return found[1] if found else None


@lru_cache(maxsize=65536)
def key(formula: str) -> tuple[str, int]:
    """Hill key and charge of a formula as a library stores it (``C2H4NO2-``, ``Fe+3``); an odd one is its own key."""
    read = parse(formula, written=True)
    return (formula, 0) if read is None else (read.hill, read.charge or 0)
