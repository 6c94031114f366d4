"""A deterministic stand-in for the model, small inputs, and a build that can be killed: for the library's tests."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rdkit import Chem

from mlcore.retrieval.encoding import MoleculeEncoding, TextEncoding

DIM, FINE = 16, 8


def unit(text: str, width: int) -> np.ndarray:
    """A unit vector that depends on ``text`` alone."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    vector = np.random.default_rng(seed).normal(size=width).astype(np.float32)
    return vector / np.linalg.norm(vector)


class FakeModel:
    """Encodes by hashing: equal input, equal vectors; one motif an atom pair, one atom vector an atom."""

    dim, fine = DIM, FINE

    def __init__(self, fingerprint: str = "a" * 64, pause: float = 0.0, refuse: str = "") -> None:
        self.fingerprint = fingerprint
        self.pause = pause
        self.refuse = refuse
        self.batches: list[int] = []

    def encode_texts(self, texts: Sequence[str]) -> TextEncoding:
        sentence = np.stack([unit(text, DIM) for text in texts])
        words = np.zeros((len(texts), 1, FINE), np.float32)
        return TextEncoding(sentence, words, words, np.ones((len(texts), 1), bool), [[(0, 1)]] * len(texts))

    def encode_molecules(self, molecules: Sequence[Chem.Mol]) -> MoleculeEncoding:
        self.batches.append(len(molecules))
        time.sleep(self.pause * len(molecules))
        written = [Chem.MolToSmiles(mol) for mol in molecules]
        if self.refuse and self.refuse in written:
            raise ValueError("no motif was found")
        counts = [mol.GetNumAtoms() for mol in molecules]
        halves = [(count + 1) // 2 for count in counts]
        return MoleculeEncoding(
            np.stack([unit(smiles, DIM) for smiles in written]),
            np.stack(
                [
                    unit(f"{smiles} {i}", FINE)
                    for smiles, n in zip(written, halves, strict=True)
                    for i in range(n)
                ]
            ),
            np.concatenate([[0], np.cumsum(halves)]).astype(np.int64),
            np.stack(
                [
                    unit(atom.GetSymbol() + str(atom.GetIdx()), FINE)
                    for mol in molecules
                    for atom in mol.GetAtoms()
                ]
            ),
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        )


class FeaturisingModel(FakeModel):
    """A model whose own preparation runs in the worker processes."""

    @staticmethod
    def featurise(mol: Chem.Mol) -> tuple[int, Chem.Mol]:
        return os.getpid(), mol

    def encode_features(self, features: Sequence[tuple[int, Chem.Mol]]) -> MoleculeEncoding:
        if any(process == os.getpid() for process, _ in features):
            raise AssertionError("featurised in the parent")
        return self.encode_molecules([mol for _, mol in features])


def homologues(count: int) -> list[tuple[str, str]]:
    """``count`` different molecules: (SMILES, name)."""
    ends = {
        "O": "alcohol", "N": "amine", "C(=O)O": "acid", "F": "fluoride", "S": "thiol", "C#N": "nitrile",
        "Cl": "chloride", "Br": "bromide", "I": "iodide", "C(=O)N": "amide", "C=O": "aldehyde",
        "OC": "ether", "SC": "sulfide", "N(C)C": "dimethylamine",
    }  # fmt: skip
    found = [
        ("C" * n + end, f"C{n} {name}")
        for n in range(1, count // len(ends) + 2)
        for end, name in ends.items()
    ]
    return found[:count]


def write_table(path: Path, count: int) -> Path:
    """A table of ``count`` homologues, after every tenth a row to refuse, after every 25th a duplicate."""
    lines = ["smiles\tname\tdescription"]
    for number, (smiles, name) in enumerate(homologues(count), start=1):
        lines.append(f"{smiles}\t{name}\tThe {name}.")
        if number % 10 == 0:
            lines.append(f"C(C)(C)(C)(C)C\tbad {number}\t")
        if number % 25 == 0:
            lines.append(f"{smiles}\tagain {number}\tSeen twice.")
    path.write_text("\n".join(lines) + "\n")
    return path


def odd(kind: str, value: str) -> str:
    """What a worker may meet: a hang, a crash, a hunger for memory, or an ordinary item."""
    if kind == "sleep":
        time.sleep(3600)
    if kind == "spin":
        while True:
            pass
    if kind == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == "eat":
        try:
            return str(len(bytearray(1 << 40)))
        except MemoryError:
            return "hungry"
    print("noise on standard output")
    return value.upper()


def main() -> None:
    """Build slowly in a process that a test kills: SOURCE OUT PAUSE."""
    from mlcore.retrieval.importer import build

    source, out, pause = sys.argv[1:]
    build(source, out, FakeModel(pause=float(pause)), commit_every=16, workers=1)


if __name__ == "__main__":
    main()
