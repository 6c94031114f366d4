"""Why a molecule fits a text: the transport plan between words and motifs, words on atoms, and two hits compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rdkit import Chem

from mlcore.retrieval import grains
from mlcore.retrieval.lexical import STOP_WORDS, Word, words
from mlcore.retrieval.model import RetrievalModel, molecule_side, text_side
from mlcore.retrieval.motif_names import name_motifs
from mlcore.retrieval.motifs import motifs_or_whole
from mlcore.retrieval.rows import MoleculeRow
from mlcore.runtime.errors import InputError

#: links named at the most, and the difference between two hits that a word must make to favour one
LINKS = 60
NOTABLE = 0.02
_PARTS = {
    "sentence": "the sentence as a whole",
    "phrase": "its phrases and groups",
    "token": "its words and atoms",
}


@dataclass(frozen=True)
class _Reading:
    """One text against one molecule, by word."""

    words: list[Word]
    plan: np.ndarray  # (words, motifs) sums to one
    pull: np.ndarray  # (words, motifs) mass times the cosine across which it is carried
    atoms: np.ndarray  # (words, atoms) mean cosine of the word's tokens with each atom
    support: np.ndarray  # (words,) what each word adds to the token grain
    score: dict[str, float]


@torch.inference_mode()
def _read(model: RetrievalModel, text: str, mol: Chem.Mol) -> _Reading:
    encoding = model.encode_texts([text])
    molecule = model.encode_molecules([mol])
    scores = model.rerank(encoding, 0, molecule)
    side, other = text_side(encoding, 0), molecule_side(molecule, np.array([0]))
    plan = model.network.align(side, other)[0, 0].numpy()
    near = torch.einsum("td,kd->tk", side.phrases[0], other.motifs[0]).numpy()
    alike = torch.einsum("td,kd->tk", side.tokens[0], other.atoms[0]).numpy()
    pooled = grains.token_atom_parts(side, other, model.network.log_sharpness.exp())[0, 0].numpy()
    said = words(text)
    inside = [
        [i for i, (a, b) in enumerate(encoding.spans[0]) if a < b and a < word.end and b > word.start]
        for word in said
    ]
    kept = [i for i, tokens in enumerate(inside) if tokens]
    if not kept:
        raise InputError(
            "The text has no word that can be explained.", field="q", remedy="Describe the molecule in words."
        )
    by_word = np.stack([plan[inside[i]].sum(0) for i in kept])
    mass = max(float(by_word.sum()), 1e-12)
    shares = side.token_shares[0].numpy()
    return _Reading(
        words=[said[i] for i in kept],
        plan=by_word / mass,
        pull=np.stack([(plan * near)[inside[i]].sum(0) for i in kept]) / mass,
        atoms=np.stack([alike[inside[i]].mean(0) for i in kept]),
        support=np.array([float((pooled * shares)[inside[i]].sum()) for i in kept]),
        score={
            name: round(float(getattr(scores, name)[0]), 4)
            for name in ("total", "sentence", "phrase", "token")
        },
    )


def explain(model: RetrievalModel, text: str, row: MoleculeRow) -> dict[str, Any]:
    """The documented explanation of ``row`` for ``text``; atoms are numbered as in the row's SMILES.

    ``plan`` and the ``mass`` of a link are the model's own. Much mass rests on little words, whose shares are learnt
    like any other; ``links`` are therefore ordered by their ``pull``, the mass times the cosine across which it is
    carried, and those of words that say nothing alone (not ``telling``) come last.

    Raises:
        InputError: the text holds no word.
    """
    mol = Chem.MolFromSmiles(row.smiles)
    found = _read(model, text, mol)
    links = [
        {
            "word": word,
            "motif": motif,
            "mass": round(float(mass), 6),
            "pull": round(float(found.pull[word, motif]), 6),
        }
        for (word, motif), mass in np.ndenumerate(found.plan)
        if mass > 1e-4
    ]
    telling = [word.text.lower() not in STOP_WORDS for word in found.words]
    links.sort(key=lambda link: (not telling[link["word"]], -link["pull"], link["word"], link["motif"]))
    low, high = float(found.atoms.min()), float(found.atoms.max())
    atoms = (found.atoms - low) / max(high - low, 1e-9)
    return {
        "text": text,
        "molecule": _brief(row),
        "words": [
            {"index": i, "text": word.text, "start": word.start, "end": word.end, "telling": telling[i]}
            for i, word in enumerate(found.words)
        ],
        "motifs": name_motifs(mol, motifs_or_whole(mol)),
        "plan": np.round(found.plan, 6).tolist(),
        "links": links[:LINKS],
        "atom_scores": np.round(atoms, 4).tolist(),
        "score": found.score,
    }


def compare(model: RetrievalModel, text: str, first: MoleculeRow, second: MoleculeRow) -> dict[str, Any]:
    """Why one of two molecules stands above the other for ``text``, by grain and by word.

    Raises:
        InputError: the text holds no word.
    """
    one, two = (_read(model, text, Chem.MolFromSmiles(row.smiles)) for row in (first, second))
    shares = np.maximum(np.abs(one.support), np.abs(two.support)).max() or 1.0
    by_word = [
        {
            "text": word.text,
            "first": round(float(a), 4),
            "second": round(float(b), 4),
            "favours": "neither" if abs(a - b) < NOTABLE * shares else "first" if a > b else "second",
        }
        for word, a, b in zip(one.words, one.support, two.support, strict=True)
    ]
    differences = [{"part": part, "first": one.score[part], "second": two.score[part]} for part in _PARTS]
    weights = model.network.log_weights.exp().tolist()
    gains = {
        part: weight * (one.score[part] - two.score[part])
        for part, weight in zip(_PARTS, weights, strict=True)
    }
    ahead, behind = (first, second) if one.score["total"] >= two.score["total"] else (second, first)
    sign = 1 if ahead is first else -1
    best = max(gains, key=lambda part: sign * gains[part])
    return {
        "text": text,
        "first": {"molecule": _brief(first), "score": one.score},
        "second": {"molecule": _brief(second), "score": two.score},
        "differences": differences,
        "words": by_word,
        "sentence": f"{ahead.name} fits better than {behind.name}; the largest difference is in {_PARTS[best]}.",
    }


def _brief(row: MoleculeRow) -> dict[str, str]:
    return {"id": row.id, "name": row.name, "smiles": row.smiles}
