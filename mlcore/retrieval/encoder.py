"""The model as an import sees it, and encoding that a single odd molecule cannot stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from rdkit import Chem, rdBase

from mlcore.retrieval.encoding import MoleculeEncoding, TextEncoding
from mlcore.retrieval.preparation import Prepared
from mlcore.runtime.errors import ModelError

_BATCH = 256
#: so many failures without a success are the model's fault, not the molecules'
_HOPELESS = 32


class Encoder(Protocol):
    """What an import asks of a model.

    A model may also have ``featurise(mol)``, picklable, run in the worker processes of the import, and
    ``encode_features(features) -> MoleculeEncoding``, given what ``featurise`` returned; both together
    replace ``encode_molecules``.
    """

    @property
    def dim(self) -> int:
        """Width of sentence and molecule vectors."""

    @property
    def fine(self) -> int:
        """Width of motif and atom vectors."""

    @property
    def fingerprint(self) -> str:
        """The sha256 of the weights."""

    def encode_texts(self, texts: Sequence[str]) -> TextEncoding:
        """Encode a batch of texts."""

    def encode_molecules(self, molecules: Sequence[Chem.Mol]) -> MoleculeEncoding:
        """Encode a batch of molecules."""


def encode(model: Encoder, molecules: Sequence[Prepared]) -> tuple[MoleculeEncoding, dict[int, str]]:
    """Encode ``molecules``: those that worked, in order, and position -> reason of those that did not."""
    done: list[MoleculeEncoding] = []
    failed: dict[int, str] = {}
    stack = [(start, min(start + _BATCH, len(molecules))) for start in range(0, len(molecules), _BATCH)][::-1]
    while stack:
        start, end = stack.pop()
        try:
            done.append(_checked(_run(model, molecules[start:end]), end - start))
        except (ValueError, RuntimeError, ArithmeticError, IndexError, KeyError) as fault:
            if end - start == 1:
                failed[start] = f"the model cannot encode it: {str(fault)[:200]}"
                continue
            middle = (start + end) // 2
            stack += [(middle, end), (start, middle)]
    if not done and len(failed) >= _HOPELESS:
        raise ModelError(f"None of {len(failed)} molecules can be encoded: {next(iter(failed.values()))}")
    return join(done, model.dim, model.fine), failed


def _run(model: Encoder, molecules: Sequence[Prepared]) -> MoleculeEncoding:
    if molecules[0].features is not None:
        return model.encode_features([molecule.features for molecule in molecules])  # type: ignore[attr-defined]
    # read again from the stored SMILES: atoms and stereo labels are exactly those of any later reading of it
    # (handing RDKit's binary form over from the worker would save 0.06 of about 6 ms a molecule)
    with rdBase.BlockLogs():  # what it had to say was heard when the record was prepared
        read = [Chem.MolFromSmiles(molecule.smiles) for molecule in molecules]
    return model.encode_molecules(read)


def _checked(encoding: MoleculeEncoding, count: int) -> MoleculeEncoding:
    if len(encoding) != count:
        raise AssertionError(f"the model returned {len(encoding)} molecules for {count}")
    for values in (encoding.vectors, encoding.motifs, encoding.atoms):
        if not np.isfinite(values).all():
            raise ArithmeticError("its vectors are not finite numbers")
    return encoding


def join(encodings: Sequence[MoleculeEncoding], dim: int, fine: int) -> MoleculeEncoding:
    """Several batches as one."""
    if not encodings:
        none, zero = np.empty((0, fine), np.float32), np.zeros(1, np.int64)
        return MoleculeEncoding(np.empty((0, dim), np.float32), none, zero, none, zero)
    if len(encodings) == 1:
        return encodings[0]
    return MoleculeEncoding(
        np.concatenate([e.vectors for e in encodings]),
        np.concatenate([e.motifs for e in encodings]),
        _offsets([e.motif_offsets for e in encodings]),
        np.concatenate([e.atoms for e in encodings]),
        _offsets([e.atom_offsets for e in encodings]),
    )


def _offsets(parts: Sequence[np.ndarray]) -> np.ndarray:
    lengths = np.concatenate([np.diff(part) for part in parts])
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
