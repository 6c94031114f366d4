"""Worked examples beside the empty box: one for each thing that the box reads, with its known answer."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode


@dataclass(frozen=True)
class Example:
    """What to type, what kind of question it is, and what it finds: for a formula among others, else first."""

    kind: str
    text: str
    answer: str
    smiles: str

    @property
    def query(self) -> str:
        """The example as a query string, without its question mark."""
        return urlencode({"q": self.text})


EXAMPLES = (
    Example(
        "A sentence", "an aromatic aldehyde that smells of bitter almonds", "benzaldehyde", "O=Cc1ccccc1"
    ),
    Example("A name, typos and all", "asprin", "aspirin", "CC(=O)Oc1ccccc1C(=O)O"),
    Example("Everyday words", "the blue of blue jeans", "indigo", "O=C1C(=C2Nc3ccccc3C2=O)Nc2ccccc12"),
    Example("A formula", "C8H8O3", "vanillin and its isomers", "COc1cc(C=O)ccc1O"),
    Example("A structure as SMILES", "CC(C)Cc1ccc(cc1)C(C)C(=O)O", "ibuprofen", "CC(C)Cc1ccc(C(C)C(=O)O)cc1"),
    Example("The first block of an InChIKey", "NOOLISFMXDJSKH", "menthol", "CC1CCC(C(C)C)C(O)C1"),
)
