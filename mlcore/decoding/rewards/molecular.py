"""Rewards computed from the molecule alone: validity, QED, synthetic accessibility, logP window, similarity."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors
from rdkit.Chem.QED import qed

from mlcore.decoding.rewards import synthetic
from mlcore.decoding.rewards.base import MoleculeReward
from mlcore.decoding.rewards.texts import LONGEST
from mlcore.retrieval import descriptors
from mlcore.retrieval.structure import read_structure, tanimoto
from mlcore.runtime.errors import InputError
from mlcore.runtime.options import option


@dataclass(frozen=True)
class Validity(MoleculeReward):
    """1 for a molecule, 0 for what is none."""

    name: ClassVar[str] = "validity"

    def value(self, mol: Chem.Mol) -> float:
        return 1.0


@dataclass(frozen=True)
class QED(MoleculeReward):
    """Quantitative estimate of drug-likeness (Bickerton et al., Nat. Chem. 4:90, 2012), average weights."""

    name: ClassVar[str] = "qed"

    def value(self, mol: Chem.Mol) -> float:
        return float(qed(mol))


@dataclass(frozen=True)
class SyntheticAccessibility(MoleculeReward):
    """(10 - SA) / 9 of the score SA in 1 (easy) … 10 (hard): 1 for what is easiest to make, 0 for what is hardest.

    Raises :class:`ModelError` when made, where RDKit comes without the score.
    """

    name: ClassVar[str] = "synthetic_accessibility"

    def __post_init__(self) -> None:
        synthetic.scorer()

    def value(self, mol: Chem.Mol) -> float:
        easiest, hardest = synthetic.EASIEST, synthetic.HARDEST
        return (hardest - synthetic.accessibility(mol)) / (hardest - easiest)


@dataclass(frozen=True)
class LogPWindow(MoleculeReward):
    """1 where Crippen's logP lies in [low, high], falling linearly to 0 at ``margin`` outside of it."""

    name: ClassVar[str] = "logp"
    low: float = option(1.0, "lowest logP with full reward", minimum=-20, maximum=20)
    high: float = option(3.0, "highest logP with full reward", minimum=-20, maximum=20)
    margin: float = option(
        1.0,
        "distance outside the window, in units of logP, at which the reward is 0",
        minimum=0.01,
        maximum=20,
    )

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise InputError(
                f"The logP window begins at {self.low:g} and ends at {self.high:g}.",
                field="low",
                remedy="Its low end must not be above its high end.",
            )
        if not self.margin > 0:
            raise InputError(f"A margin of {self.margin:g} is not possible.", field="margin", remedy="Use 1.")

    def value(self, mol: Chem.Mol) -> float:
        return self.at(rdMolDescriptors.CalcCrippenDescriptors(mol)[0])

    def at(self, logp: float) -> float:
        """The reward of a logP."""
        outside = max(self.low - logp, logp - self.high, 0.0)
        return max(0.0, 1.0 - outside / self.margin)


@dataclass(frozen=True)
class Similarity(MoleculeReward):
    """Tanimoto similarity of Morgan fingerprints (radius 2, 2048 bits) to a target molecule.

    Without ``chirality`` stereo-isomers are alike, as in similarity search; with it the fingerprint tells assigned
    tetrahedral centres apart. Raises :class:`InputError` when made, for a target that cannot be read.
    """

    name: ClassVar[str] = "similarity"
    target: str = option("", f"SMILES of the molecule to come near, at most {LONGEST:,} characters")
    chirality: bool = option(False, "whether R and S count as different")
    _bits: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        text = self.target.strip()
        if not text:
            raise InputError(
                "The similarity has no target.", field="target", remedy="Give a molecule as SMILES."
            )
        if len(text) > LONGEST:
            raise InputError(
                f"The target has {len(text):,} characters; {LONGEST:,} is the limit.",
                field="target",
                remedy="Give a smaller molecule.",
            )
        smiles = read_structure(text, field="target").smiles
        object.__setattr__(self, "_bits", _morgan(Chem.MolFromSmiles(smiles), self.chirality))

    def value(self, mol: Chem.Mol) -> float:
        return float(tanimoto(_morgan(mol, self.chirality)[None], self._bits)[0])


@cache
def _chiral_generator() -> Any:
    return rdFingerprintGenerator.GetMorganGenerator(
        radius=2, fpSize=descriptors.FINGERPRINT_BITS, includeChirality=True
    )


def _morgan(mol: Chem.Mol, chirality: bool) -> np.ndarray:
    """(256,) uint8, packed."""
    if not chirality:
        return descriptors.morgan_bits(mol)
    return descriptors.packed(_chiral_generator().GetFingerprint(mol))
