"""Rewards on generated SMILES: what each molecule is worth, safe on text that is no molecule.

A reward is anything with a ``name`` that maps n texts to a float64 tensor (n,), higher is better. Those of this
package lie in [0, 1] and give a text that is no molecule the floor, 0. They are added with :func:`combine`, brought
to mean 0 and standard deviation 1 on reference samples with :func:`standardise`, and named in JSON for
:func:`build`.
"""

from mlcore.decoding.rewards.base import FLOOR, Guarded, Reward, RewardError, guarded
from mlcore.decoding.rewards.composition import Standardised, Sum, Weighted, combine, standardise
from mlcore.decoding.rewards.matching import TextMatch
from mlcore.decoding.rewards.molecular import QED, LogPWindow, Similarity, SyntheticAccessibility, Validity
from mlcore.decoding.rewards.registry import REWARDS, build, forms
from mlcore.decoding.rewards.texts import LONGEST, Texts, read

__all__ = [
    "FLOOR",
    "LONGEST",
    "QED",
    "REWARDS",
    "Guarded",
    "LogPWindow",
    "Reward",
    "RewardError",
    "Similarity",
    "Standardised",
    "Sum",
    "SyntheticAccessibility",
    "TextMatch",
    "Texts",
    "Validity",
    "Weighted",
    "build",
    "combine",
    "forms",
    "guarded",
    "read",
    "standardise",
]
