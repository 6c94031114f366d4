"""A hand-written library of a few dozen molecules and a deterministic model that knows a handful of words."""

from __future__ import annotations

import atexit
import hashlib
import re
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from rdkit import Chem

from mlcore.retrieval.encoding import MoleculeEncoding, RerankScores, TextEncoding
from mlcore.retrieval.fusion import Calibration, Fusion
from mlcore.retrieval.library import Library, build
from mlcore.retrieval.search import Searcher

DIM, FINE = 16, 8

#: name, synonyms, SMILES, category, description
MOLECULES = [
    ("aspirin", "acetylsalicylic acid|ASA|50-78-2", "CC(=O)Oc1ccccc1C(=O)O", "drug",
     "A pain reliever that also thins the blood; an aromatic acid."),
    ("paracetamol", "acetaminophen|103-90-2", "CC(=O)Nc1ccc(O)cc1", "drug", "Lowers fever and eases a headache."),
    ("ibuprofen", "", "CC(C)Cc1ccc(C(C)C(=O)O)cc1", "drug", "An aromatic acid taken against inflammation."),
    ("caffeine", "1,3,7-trimethylxanthine|theine", "Cn1c(=O)c2c(ncn2C)n(C)c1=O", "alkaloid",
     "The stimulant of coffee and tea."),
    ("theobromine", "", "Cn1cnc2c1c(=O)[nH]c(=O)n2C", "alkaloid", "The bitter stimulant of cocoa."),
    ("methanol", "methyl alcohol|wood alcohol", "CO", "solvent", "A poisonous alcohol once made from wood."),
    ("ethanol", "ethyl alcohol|alcohol", "CCO", "solvent", "The alcohol of wine and beer."),
    ("dimethyl ether", "methoxymethane", "COC", "solvent", "A gas that serves as a propellant."),
    ("carbon monoxide", "", "[C-]#[O+]", "gas", "A poisonous gas from incomplete burning."),
    ("carbon dioxide", "", "O=C=O", "gas", "The gas in fizzy drinks."),
    ("methane", "marsh gas", "C", "gas", "The main part of natural gas."),
    ("water", "", "O", "solvent", "The solvent of life."),
    ("carbonic acid", "", "OC(=O)O", "acid", "Forms when carbon dioxide dissolves in water."),
    ("ammonium", "", "[NH4+]", "ion", "The cation of ammonia."),
    ("sodium chloride", "table salt|NaCl", "[Na+].[Cl-]", "salt", "Salt for the kitchen."),
    ("L-alanine", "(S)-alanine", "C[C@H](N)C(=O)O", "amino acid", "A small amino acid of proteins."),
    ("D-alanine", "(R)-alanine", "C[C@@H](N)C(=O)O", "amino acid", "An amino acid of bacterial walls."),
    ("glycine", "", "NCC(=O)O", "amino acid", "The smallest amino acid."),
    ("(R)-limonene", "D-limonene", "CC1=CC[C@H](C(=C)C)CC1", "terpene", "The smell of oranges."),
    ("(S)-limonene", "L-limonene", "CC1=CC[C@@H](C(=C)C)CC1", "terpene", "Smells of turpentine and pine."),
    ("geraniol", "", "CC(C)=CCC/C(C)=C/CO", "terpene", "A terpene alcohol that smells of roses."),
    ("nerol", "", "CC(C)=CCC/C(C)=C\\CO", "terpene", "A terpene alcohol with a sweet rose scent."),
    ("menthol", "(-)-menthol|levomenthol", "C[C@@H]1CC[C@@H](C(C)C)[C@H](O)C1",
     "terpene", "Cools the skin; from mint."),
    ("β-carotene", "provitamin A",
     "CC1=C(C(CCC1)(C)C)/C=C/C(C)=C/C=C/C(C)=C/C=C/C=C(C)/C=C/C=C(C)/C=C/C1=C(C)CCCC1(C)C",
     "pigment", "The orange colour of carrots."),
    ("benzene", "", "c1ccccc1", "solvent", "The simplest aromatic ring."),
    ("toluene", "methylbenzene", "Cc1ccccc1", "solvent", "An aromatic solvent of paints."),
    ("chlorobenzene", "", "Clc1ccccc1", "solvent", "A chlorinated aromatic solvent."),
    ("phenol", "carbolic acid", "Oc1ccccc1", "solvent", "An early antiseptic."),
    ("pyridine", "", "c1ccncc1", "solvent", "A smelly base."),
    ("acetic acid", "ethanoic acid|vinegar acid", "CC(=O)O", "acid", "The sour part of vinegar."),
    ("sildenafil", "", "CCCc1nn(C)c2c1nc([nH]c2=O)-c1cc(ccc1OCC)S(=O)(=O)N1CCN(C)CC1", "drug", "Widens vessels."),
    ("sildenafil citrate", "",
     "CCCc1nn(C)c2c1nc([nH]c2=O)-c1cc(ccc1OCC)S(=O)(=O)N1CCN(C)CC1.OC(=O)CC(O)(CC(=O)O)C(=O)O", "drug", "A salt."),
    ("cyanocobalt", "", "[Co].[Co]", "metal", "Two atoms of cobalt."),
    ("fullerene-like biphenyl", "biphenyl", "c1ccc(-c2ccccc2)cc1", "solvent", "Two rings joined."),
]  # fmt: skip

_FEATURES = {
    "alcohol": "[CX4][OX2H]",
    "acid": "C(=O)[OX2H1]",
    "aromatic": "c",
    "nitrogen": "[#7]",
    "chlorinated": "Cl",
    "ring": "[R]",
    "alkene": "C=C",
    "gas": "[$([C-]#[O+]),$(O=C=O),$([CH4])]",
}


def _vector(word: str, width: int) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "little")
    return np.random.default_rng(seed).standard_normal(width).astype(np.float32)


def _unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9)).astype(np.float32)


class WordModel:
    """Texts are bags of words; molecules are bags of the words in ``_FEATURES`` whose patterns they contain."""

    dim, fine, fingerprint = DIM, FINE, "0" * 64

    def __init__(self) -> None:
        self.encoded = 0
        self._patterns = {word: Chem.MolFromSmarts(pattern) for word, pattern in _FEATURES.items()}

    def encode_texts(self, texts: Sequence[str]) -> TextEncoding:
        self.encoded += len(texts)
        spans = [[match.span() for match in re.finditer(r"\w+", text)] or [(0, len(text))] for text in texts]
        longest = max(len(each) for each in spans)
        tokens = np.zeros((len(texts), longest, FINE), np.float32)
        mask = np.zeros((len(texts), longest), bool)
        sentence = np.zeros((len(texts), DIM), np.float32)
        for i, (text, each) in enumerate(zip(texts, spans, strict=True)):
            for j, (start, end) in enumerate(each):
                word = text[start:end].lower().rstrip("s")
                tokens[i, j] = _vector(word, FINE)
                mask[i, j] = True
                sentence[i] += _vector(word, DIM) * (3.0 if word in _FEATURES else 1.0)
        return TextEncoding(_unit(sentence), _unit(tokens), _unit(tokens), mask, spans)

    def encode_molecules(self, molecules: Sequence[Chem.Mol]) -> MoleculeEncoding:
        vectors, motifs, atoms = [], [], []
        for molecule in molecules:
            words = [w for w, pattern in self._patterns.items() if molecule.HasSubstructMatch(pattern)] or [
                "none"
            ]
            vectors.append(sum(_vector(word, DIM) for word in words))
            motifs.append(np.stack([_vector(word, FINE) for word in words]))
            atoms.append(np.stack([_vector(a.GetSymbol(), FINE) for a in molecule.GetAtoms()]))
        return MoleculeEncoding(
            _unit(np.stack(vectors)),
            _unit(np.concatenate(motifs)),
            np.cumsum([0, *(len(m) for m in motifs)]).astype(np.int64),
            _unit(np.concatenate(atoms)),
            np.cumsum([0, *(len(a) for a in atoms)]).astype(np.int64),
        )

    def rerank(self, text: TextEncoding, row: int, molecules: MoleculeEncoding) -> RerankScores:
        sentence = molecules.vectors @ text.sentence[row]
        real = text.phrases[row][text.mask[row]]
        phrase = np.array(
            [
                (real @ molecules.motifs[start:end].T).max()
                for start, end in zip(molecules.motif_offsets[:-1], molecules.motif_offsets[1:], strict=True)
            ]
        )
        return RerankScores(10 * sentence + phrase, sentence, phrase, np.zeros_like(sentence))


def write_table(path: Path, molecules: Sequence[tuple[str, str, str, str, str]]) -> Path:
    """``molecules`` as a table that the importer reads."""
    lines = ["id\tname\tsynonyms\tSMILES\tcategory\tdescription"]
    lines += [
        f"M{number:03d}\t{name}\t{synonyms}\t{smiles}\t{category}\t{text}"
        for number, (name, synonyms, smiles, category, text) in enumerate(molecules, start=1)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@cache
def folder() -> Path:
    """A folder for this test run, removed at its end."""
    made = Path(tempfile.mkdtemp(prefix="ferry-search-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


@cache
def model() -> WordModel:
    """The model of these tests."""
    return WordModel()


def made_library(name: str, molecules: Sequence[tuple[str, str, str, str, str]]) -> Library:
    """A library of ``molecules``, built by the real importer."""
    source = write_table(folder() / f"{name}.tsv", molecules)
    report = build(source, folder() / name, model(), name=name, workers=1)
    assert report.used == len(molecules), report.refusals
    return Library.open(folder() / name)


@cache
def library() -> Library:
    """All of :data:`MOLECULES`."""
    return made_library("small", MOLECULES)


@cache
def searcher() -> Searcher:
    """A searcher over :func:`library`, its constants made for :class:`WordModel`."""
    fusion = Fusion(total_centre=5.0, total_scale=2.0, sentence_centre=0.5, description_centre=0.5)
    return Searcher(model(), {"small": library()}, fusion=fusion, calibration=Calibration())
