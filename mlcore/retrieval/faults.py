"""RDKit's complaints about a structure, in a chemist's words, with atoms counted from 1."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from rdkit import Chem, rdBase

_PERIODIC = Chem.GetPeriodicTable()


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(re.sub(r"^\[[\d:]+\]\s?", "", record.getMessage()))


@cache
def _collector() -> _Collector:
    """Send what RDKit says in this process to a collector and nowhere else (molfile faults are warnings)."""
    rdBase.LogToPythonLogger()
    rdBase.EnableLog("rdApp.warning")
    rdBase.DisableLog("rdApp.info")
    rdBase.EnableLog("rdApp.error")
    logger = logging.getLogger("rdkit")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    collector = _Collector()
    logger.addHandler(collector)
    logger.propagate = False
    return collector


@contextmanager
def complaints() -> Iterator[list[str]]:
    """Collect what RDKit complains of meanwhile. For a process of its own: RDKit's log is global."""
    collector = _collector()
    collector.lines.clear()
    yield collector.lines


def in_words(lines: list[str], structure: str = "", kind: str = "smiles") -> str:
    """One reason from RDKit's error ``lines`` about ``structure`` (SMILES, InChI or a molfile)."""
    text = "\n".join(lines)
    for pattern, words in _RULES:
        found = re.search(pattern, text)
        if found:
            return words if isinstance(words, str) else words(found)
    syntax = _SYNTAX.search(text)
    if syntax:
        return _position(syntax, structure)
    for line in lines:
        plain = re.sub(r"^(SMILES Parse Error|Error|ERROR):?\s*", "", line).strip()
        if plain.startswith("Violation occurred"):
            break
        if set(plain) - set("~^*- "):
            return plain[:200]
    return {"smiles": "it is not a SMILES", "inchi": "it is not an InChI"}.get(kind, "it is not a molfile")


def _valence(found: re.Match[str]) -> str:
    element = _PERIODIC.GetElementName(_PERIODIC.GetAtomicNumber(found[2])).lower()
    return f"atom {int(found[1]) + 1}: {element} with {found[3]} bonds"


def _kekule(found: re.Match[str]) -> str:
    atoms = ", ".join(str(int(atom) + 1) for atom in found[1].split())
    return (
        f"atoms {atoms}: these aromatic atoms cannot be drawn with single and double bonds (is a hydrogen "
        "missing, as in [nH]?)"
    )


def _not_in_ring(found: re.Match[str]) -> str:
    return f"atom {int(found[1]) + 1}: drawn aromatic but not in a ring"


def _own_ring(found: re.Match[str]) -> str:
    return f"ring bond {found[1]} joins atom {int(found[2]) + 1} to itself"


def _bond(found: re.Match[str]) -> str:
    return f"line {found[1]} of the record: a bond names an atom that does not exist"


def _element(found: re.Match[str]) -> str:
    return f"there is no element '{found[1]}'"


def _position(found: re.Match[str], structure: str) -> str:
    position = int(found[1])
    character = structure[position - 1 : position]
    return (
        f"the SMILES cannot be read from character {position} ('{character}') on"
        if character
        else "it breaks off"
    )


_SYNTAX = re.compile(r"syntax error[^\n]*\n[^\n]*around position (\d+)")
#: what RDKit says -> what we say; the first that fits
_RULES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"Explicit valence for atom # (\d+) (\w+), (\d+), is greater than permitted", _valence),
    (r"Can't kekulize mol\.\s+Unkekulized atoms: ([\d ]+)", _kekule),
    (r"non-ring atom (\d+) marked aromatic", _not_in_ring),
    (r"unclosed ring", "a ring is opened and never closed"),
    (r"extra open parentheses", "a parenthesis is opened and never closed"),
    (r"extra close parentheses", "a parenthesis is closed that was never opened"),
    (r"duplicated ring closure (\d+) bonds atom (\d+) to itself", _own_ring),
    (r"EOF hit while reading atoms", "the record ends within its list of atoms"),
    (r"EOF hit while reading bonds", "the record ends within its list of bonds"),
    (r"Unexpected hit EOF|EOF hit|moved to end of file", "the record breaks off"),
    (r"Bad bond indices on line (\d+)", _bond),
    (r"(?:Begin|End)AtomIdx\(\)", "a bond names an atom that does not exist"),
    (r"Element '([^']*)' not found", _element),
    (r"M  END missing", "the line 'M  END' is missing"),
)
