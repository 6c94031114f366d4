"""One record of a file of molecules before any chemistry, and what its columns or data items may be called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from mlcore.retrieval.sources import TextSource

#: what a column (or an SD field) may be called, most trusted first
STRUCTURE = (
    "smiles", "isomeric_smiles", "isomericsmiles", "isosmiles", "structure", "structure_smiles",
    "smiles_string", "canonical_smiles", "canonicalsmiles", "cansmiles", "rdkit_smiles", "mol_smiles", "smi",
)  # fmt: skip
INCHI = ("inchi", "standard_inchi", "std_inchi", "standardinchi")
ROLES = {
    "id": (
        "id", "identifier", "compound_id", "molecule_id", "mol_id", "molecule_chembl_id", "chembl_id",
        "chebi_id", "pubchem_cid", "pubchem_compound_cid", "cid", "zinc_id", "drugbank_id", "catalog_id",
        "catalogue_id", "row",
    ),
    "name": (
        "name", "title", "preferred_name", "pref_name", "common_name", "generic_name", "compound_name",
        "molecule_name", "chebi_name", "iupac_name", "pubchem_iupac_name",
    ),
    "synonyms": ("synonyms", "synonym", "aliases", "other_names"),
    "description": ("description", "descriptions", "sentence", "text", "definition"),
    "category": ("category", "class", "group"),
    "source": ("source", "sources", "dataset"),
}  # fmt: skip


class RawRecord(NamedTuple):
    """One record as the file gives it, before any chemistry."""

    record: int
    line: int
    raw: str  # the record's text, to be handed back for mending
    kind: str  # "smiles", "inchi" or "molblock"
    structure: str
    id: str = ""
    name: str = ""
    synonyms: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    category: str = ""
    source: str = ""
    fault: str | None = None


class Reader(Protocol):
    """Reads one file, any number of times."""

    source: TextSource
    format: str  # "smi", "sdf", "csv" or "tsv"
    columns: dict[str, str]  # role -> the column's name in the file

    def records(self) -> Iterator[RawRecord]:
        """Every record from the first."""

    def mend_header(self) -> str:
        """What a file of refused records begins with."""

    def mend(self, record: RawRecord, reason: str) -> str:
        """``record`` with its ``reason``, in a form that can be read again once it is mended."""


def normal(name: str) -> str:
    """A column's name as the known ones are written: lower case, words joined by ``_``."""
    return re.sub(r"[\s\-.]+", "_", name.strip().strip('"').lower())


def split_names(text: str) -> tuple[str, ...]:
    """The names in one cell, which ``|`` or line ends part."""
    return tuple(name.strip() for name in re.split(r"[|\n]", text) if name.strip())


def texts(text: str) -> tuple[str, ...]:
    """A cell's text on one line; none where it is empty."""
    joined = " ".join(text.split())
    return (joined,) if joined else ()


def one_line(text: str) -> str:
    """``text`` with every run of white space made one blank."""
    return " ".join(text.split())
