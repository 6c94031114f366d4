"""A batch of generated texts, each distinct one read as SMILES once however many rewards ask for its molecule."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import overload

from rdkit import Chem, rdBase

#: characters that a SMILES may have, and so atoms: longer ones count as invalid, unread
LONGEST = 1000
#: rings that a molecule may have (C70 has 36): paths through a denser net are too many to count for a fingerprint
MOST_RINGS = 40


def read(text: str) -> Chem.Mol | None:
    """The molecule that ``text`` spells, or None where it spells none.

    Outer space is ignored. Invalid are: what RDKit refuses, no atom at all, more than :data:`LONGEST` characters
    or :data:`MOST_RINGS` rings, and anything after inner space (RDKit would take it for a name and read on).
    """
    text = text.strip()
    if not text or len(text) > LONGEST or not text.isascii() or not text.isprintable() or " " in text:
        return None
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(text)
        if mol is None or not mol.GetNumAtoms():
            return None
        rings = mol.GetNumBonds() - mol.GetNumAtoms() + len(Chem.GetMolFrags(mol))
    return mol if rings <= MOST_RINGS else None


class Texts(Sequence[str]):
    """Texts (n,) that remember their molecules.

    A composed reward makes one of what it is given and hands it to its parts, which find it already read.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        if isinstance(texts, str):
            raise TypeError("a reward takes a sequence of texts, not one text")
        self._texts = tuple(texts)
        numbers: dict[str, int] = {}
        #: (n,) the number of each text in ``distinct``
        self.places = [numbers.setdefault(text, len(numbers)) for text in self._texts]
        self.distinct = tuple(numbers)

    @classmethod
    def of(cls, texts: Sequence[str]) -> Texts:
        """``texts`` themselves where they are such a batch already."""
        return texts if isinstance(texts, cls) else cls(texts)

    @cached_property
    def molecules(self) -> tuple[Chem.Mol | None, ...]:
        """The molecules of ``distinct``; shared, so not to be changed."""
        return tuple(read(text) for text in self.distinct)

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        return self._texts[index]
