"""What is known of a generated SMILES, for a table beside its drawing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rdkit import Chem, rdBase
from rdkit.Chem import Descriptors, rdMolDescriptors
from rdkit.Chem.QED import qed

from mlcore.decoding.rewards import read


def facts(text: str, reward: float | None = None) -> dict[str, Any]:
    """Formula, weight (g/mol), QED and Crippen's logP of the molecule that ``text`` spells; None where there is none.

    ``depiction`` is left for whoever draws.
    """
    smiles = text.strip()
    mol = read(smiles)
    known = {"smiles": smiles, "valid": mol is not None, "reward": reward, "depiction": None}
    if mol is None:
        return known | {"formula": None, "weight": None, "qed": None, "logp": None}
    return known | {
        "formula": rdMolDescriptors.CalcMolFormula(mol),
        "weight": _number(Descriptors.MolWt, mol),  # type: ignore[attr-defined]
        "qed": _number(qed, mol),
        "logp": _number(lambda each: rdMolDescriptors.CalcCrippenDescriptors(each)[0], mol),
    }


def _number(compute: Callable[[Chem.Mol], float], mol: Chem.Mol) -> float | None:
    try:
        with rdBase.BlockLogs():
            value = float(compute(mol))
    except (RuntimeError, ValueError, ArithmeticError):  # RDKit's own failed checks among them
        return None
    return value if math.isfinite(value) else None
