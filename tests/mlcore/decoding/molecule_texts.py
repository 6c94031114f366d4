"""A few hundred made-up pairs of molecules and descriptions, and trainings small enough to be repeated."""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedTokenizerFast

from mlcore.decoding.language.presets import LanguageTraining, Shape
from mlcore.decoding.language.tokenizer import train_tokenizer

_ENDS = {
    "O": "alcohol",
    "N": "amine",
    "C(=O)O": "acid",
    "Cl": "chloride",
    "[N+](C)(C)C": "quaternary ammonium ion",
}
_STARTS = {
    "": "plain",
    "c1cc[nH]c1": "pyrrole",
    "OC1CCCCC1": "cyclohexanol",
    "C[C@H](O)": "lactic",
    "C=C": "vinyl",
}

#: seconds a run, with every stage
TINY = LanguageTraining(
    target=Shape(width=32, layers=1, heads=2, inner=48),
    draft=Shape(width=16, layers=1, heads=1, inner=32),
    vocabulary=360,
    context=128,
    tuning_share=0.2,
    epochs=2.0,
    batch=1024,
    rate=0.02,
    vector_rate=0.02,
    draft_rate=0.02,
    draft_epochs=1.0,
    distillation_epochs=1.0,
    checkpoint_minutes=60.0,
)


def pairs(longest: int = 6) -> list[tuple[str, str]]:
    """SMILES and descriptions; every molecule is another skeleton or another end."""
    return [
        (f"{start}{'C' * length}{end}", f"The molecule is a {name} {kind} with a chain of {length} carbons.")
        for start, name in _STARTS.items()
        for end, kind in _ENDS.items()
        for length in range(1, longest + 1)
    ]


def write(path: Path, rows: list[tuple[str, str]] | None = None) -> Path:
    """A table for training."""
    lines = [f"{n}\t{smiles}\t{text}" for n, (smiles, text) in enumerate(pairs() if rows is None else rows)]
    path.write_text("\n".join(["id\tSMILES\tdescription", *lines]) + "\n", encoding="utf-8")
    return path


def tokenizer(size: int = 360) -> PreTrainedTokenizerFast:
    """One learned from :func:`pairs`."""
    written = pairs()
    return train_tokenizer([text for _, text in written], [smiles for smiles, _ in written], size)
