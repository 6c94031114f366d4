"""Tables of texts and molecules: reading, featurising, and the tuning slice."""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rdkit import Chem, rdBase

from mlcore.retrieval.graphs import MoleculeFeatures, PackedMolecules, featurise
from mlcore.retrieval.pool import Failure, WorkerPool
from mlcore.runtime.errors import InputError

_CHUNK = 256


@dataclass(frozen=True)
class Row:
    """One row of a table: the first column, SMILES and, where there is one, the description."""

    id: str
    smiles: str
    description: str


def read_table(path: str | Path) -> list[Row]:
    """Rows of a TSV (gzipped or not) with a header: id first, then ``SMILES`` and ``description`` by name.

    Raises:
        InputError: the file is missing, empty, not UTF-8 or has no SMILES column, or a row has no SMILES.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"There is no file {path}.", remedy="Check the path.")
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", newline="") as handle:
            reader = csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
            columns = list(reader.fieldnames or ())
            if "SMILES" not in columns:
                raise InputError(
                    f"{path.name} has no column 'SMILES'.",
                    place=f"columns found: {', '.join(columns) or 'none'}",
                    remedy="Give a tab-separated table with a header.",
                )
            rows = [Row(row[columns[0]], row["SMILES"] or "", row.get("description") or "") for row in reader]
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile) as fault:
        raise InputError(
            f"{path.name} cannot be read: {fault}.", remedy="Give a complete UTF-8 file."
        ) from fault
    for number, row in enumerate(rows, start=2):
        if not row.smiles:
            raise InputError(f"{path.name} has a row without SMILES.", place=f"line {number}")
    return rows


def prepare(smiles: str) -> tuple[MoleculeFeatures, str] | None:
    """Features and InChIKey of a SMILES, or nothing where RDKit refuses it or it has no atom."""
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
        if mol is None or not mol.GetNumAtoms():
            return None
        return featurise(mol), Chem.MolToInchiKey(mol)


@dataclass(frozen=True)
class Molecules:
    """Distinct SMILES, featurised."""

    numbers: dict[str, int]  # SMILES -> row
    keys: np.ndarray  # (n,) InChIKeys
    packed: PackedMolecules


def featurise_all(smiles: Sequence[str], processes: int = 2) -> Molecules:
    """Featurise the distinct ones of ``smiles`` in child processes; those RDKit refuses or dies of are left out."""
    distinct = sorted(set(smiles))
    chunks = (
        (first, [(text,) for text in distinct[first : first + _CHUNK]])
        for first in range(0, len(distinct), _CHUNK)
    )
    with WorkerPool(prepare, workers=processes) as pool:
        found = [made for _, answers in pool.map(chunks, ahead=2 * processes) for made in answers]
    kept = [
        (text, made)
        for text, made in zip(distinct, found, strict=True)
        if made is not None and not isinstance(made, Failure)
    ]
    return Molecules(
        numbers={text: number for number, (text, _) in enumerate(kept)},
        keys=np.array([made[1] for _, made in kept]),
        packed=PackedMolecules.pack([made[0] for _, made in kept]),
    )


def save_molecules(molecules: Molecules, folder: Path) -> None:
    """Write a feature cache that :func:`load_molecules` reads; a GPU machine without RDKit trains from it."""
    folder.mkdir(parents=True, exist_ok=True)
    molecules.packed.save(folder / "packed.npz")
    np.savez(folder / "names.npz", smiles=np.array(list(molecules.numbers)), keys=molecules.keys)


def load_molecules(folder: Path) -> Molecules:
    with np.load(folder / "names.npz", allow_pickle=False) as names:
        smiles, keys = names["smiles"], names["keys"]
    packed = PackedMolecules.load(folder / "packed.npz")
    return Molecules({str(text): number for number, text in enumerate(smiles)}, keys, packed)


def tuning_slice(keys: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Mark rows whose skeleton (first InChIKey block) falls into the held-out ``share``: (n,) bool.

    Decided by a hash of the skeleton, so that it does not depend on which other rows there are.
    """
    chosen = {}
    for skeleton in {str(key)[:14] for key in keys}:
        digest = hashlib.sha256(f"{seed}:{skeleton}".encode()).digest()
        chosen[skeleton] = int.from_bytes(digest[:8], "big") / 2**64 < share
    return np.array([chosen[str(key)[:14]] for key in keys], dtype=bool)
