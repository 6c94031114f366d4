"""The synthetic accessibility score of Ertl and Schuffenhauer (J. Cheminf. 1:8, 2009), as RDKit distributes it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path

from rdkit import Chem, RDConfig

from mlcore.runtime.errors import ModelError

#: the score of what is easiest and of what is hardest to make
EASIEST, HARDEST = 1.0, 10.0


@cache
def scorer(contrib: str = RDConfig.RDContribDir) -> Callable[[Chem.Mol], float]:
    """The score, 1 (easy) to 10 (hard), of a molecule; loads the table of fragments on first use.

    The program and the table (a pickle) are files of the installed RDKit, trusted as its libraries are.

    Raises:
        ModelError: they are not there or cannot be loaded.
    """
    program = Path(contrib) / "SA_Score" / "sascorer.py"
    spec = importlib.util.spec_from_file_location("rdkit_contrib_sascorer", program)
    if not program.is_file() or spec is None or spec.loader is None:
        raise ModelError(
            f"This RDKit comes without {Path(*program.parts[-3:])}, which synthetic accessibility needs. "
            "Install the rdkit wheel from PyPI, or use another reward."
        )
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        module.readFragmentScores()
    except Exception as fault:
        raise ModelError(
            f"RDKit's synthetic accessibility score cannot be loaded: {type(fault).__name__}: {fault}. "
            "Install the rdkit wheel from PyPI again, or use another reward."
        ) from fault
    score: Callable[[Chem.Mol], float] = module.calculateScore
    return score


def accessibility(mol: Chem.Mol) -> float:
    """The score of ``mol``, 1 (easy to make) to 10 (hard)."""
    return float(scorer()(mol))
