"""Token-motif alignment by IPOT and by sparsity-constrained transport: retrieval, and how readable the plans are.

    python -m benchmarks.token_motif --model models/retrieval --data train.tsv.gz --candidates candidates.tsv.gz

The trained model is asked with one plan in place of the other, nothing is trained again (``benchmarks.retrieval
--variant "two motifs a token"`` trains with it). Queries are the tuning slice, which training held out.

Columns: Hits@1 and MRR re-ranked; milliseconds for one shortlist of 64 (one thread); motifs a token (the exponential
of the entropy of where its mass goes); links that carry 80 % of the mass of a plan; and grounding: for words that name
a group ("chloro", "hydroxy", "phenyl", ...), the share of their mass that arrives at motifs that hold such a group,
beside the share that those motifs get of all words. The text's own molecule is explained.
"""

from __future__ import annotations

import argparse
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rdkit import Chem

from benchmarks.retrieval import features, task
from mlcore.retrieval.data import Row, read_table
from mlcore.retrieval.evaluate import Protocol, evaluate
from mlcore.retrieval.model import RetrievalModel, molecule_side, text_side
from mlcore.retrieval.motifs import motifs_or_whole
from mlcore.retrieval.presets import PRESETS
from mlcore.retrieval.train import make_pairs
from mlcore.runtime.progress import TerminalProgress

#: name -> (most motifs a token, weight of the quadratic term)
PLANS = {
    "IPOT": (0, 0.0),
    "k = 1": (1, 5.0),
    "k = 2": (2, 5.0),
    "k = 2, gamma 20": (2, 20.0),
    "k = 4": (4, 5.0),
}
#: words that name a group -> its own atoms
GROUPS = {
    r"chloro|chloride": "[Cl]",
    r"fluoro": "[F]",
    r"bromo": "[Br]",
    r"hydroxy": "[OX2H]",
    r"amino(?! acid)": "[NX3;H2,H1]",
    r"methoxy": "[OX2;$(O[CH3])]",
    r"nitro": "[N+](=O)[O-]",
    r"phenyl|benzene": "c1ccccc1",
    r"carboxylic|carboxy|carboxylate": "[CX3](=O)[OX2H1,OX1-]",
    r"sulfonamide|sulfonic|sulfate|sulfonyl": "S(=O)=O",
    r"phosph\w+": "P",
    r"nitrile|cyano": "C#N",
    r"indole": "c1ccc2[nH]ccc2c1",
    r"pyridine|pyridinyl|pyridyl": "n1ccccc1",
    r"pyrimidine": "c1cncnc1",
    r"thiol|sulfanyl": "[SX2]",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=Path("models/retrieval"))
    parser.add_argument("--data", action="append", required=True, type=Path)
    parser.add_argument("--candidates", required=True, type=Path)
    parser.add_argument("--out", type=Path, default=Path("var/benchmarks/retrieval"))
    parser.add_argument("--queries", type=int, default=600)
    parser.add_argument("--pool", type=int, default=10_000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    rows = [row for path in args.data for row in read_table(path)]
    candidates = read_table(args.candidates)
    molecules = features([*rows, *candidates], args.out / "features")
    _, tuning = make_pairs(rows, molecules, PRESETS["cpu"])
    queries, pool = task(tuning, candidates, molecules, args.queries, args.pool)
    model = RetrievalModel.load(args.model)
    print(f"{len(queries)} queries, {len(pool)} molecules")
    print(
        f"{'plan':18} {'Hits@1':>7} {'MRR':>7} {'ms':>6} {'motifs':>7} {'links':>6} {'grounded':>9} {'anyway':>7}"
    )
    protocol = Protocol(pools=("full",), directions=("text_to_molecule",))
    for name, (k, gamma) in PLANS.items():
        network = model.network
        network.config = replace(network.config, motifs_per_token=k, transport_gamma=gamma or 1.0)
        found = evaluate(model, queries, pool, [], protocol, TerminalProgress(name), molecules)
        figures = found["full"]["text_to_molecule"]
        cells = [figures["hits@1"], figures["mrr"], _milliseconds(model, queries), *_readable(model, queries)]
        print(
            "{:18} {:7.3f} {:7.3f} {:6.1f} {:7.2f} {:6.1f} {:9.3f} {:7.3f}".format(name, *cells), flush=True
        )


def _milliseconds(model: RetrievalModel, queries: list[Row]) -> float:
    """Median time to re-rank 64 molecules for one text."""
    some = model.encode_molecules([Chem.MolFromSmiles(row.smiles) for row in queries[:64]])
    taken = []
    for row in queries[:8]:
        text = model.encode_texts([row.description])
        started = time.perf_counter()
        model.rerank(text, 0, some)
        taken.append(1e3 * (time.perf_counter() - started))
    return float(np.median(taken))


@torch.inference_mode()
def _readable(model: RetrievalModel, queries: list[Row]) -> tuple[float, float, float, float]:
    """Motifs a token, links for 80 % of the mass, mass on the group a word names, and what that group gets anyway."""
    spread, links, grounded, anyway = [], [], [], []
    groups = [
        (re.compile(rf"\b\w*?({words})"), Chem.MolFromSmarts(smarts)) for words, smarts in GROUPS.items()
    ]
    for row in queries[:300]:
        mol = Chem.MolFromSmiles(row.smiles)
        text = model.encode_texts([row.description])
        side, other = text_side(text, 0), molecule_side(model.encode_molecules([mol]), np.array([0]))
        plan = model.network.align(side, other)[0, 0].double().numpy()
        if plan.shape[1] < 3:
            continue
        plan /= plan.sum()
        going = plan / np.maximum(plan.sum(1, keepdims=True), 1e-300)
        entropy = -(going * np.log(np.maximum(going, 1e-300))).sum(1)
        spread.append(float((plan.sum(1) * np.exp(entropy)).sum()))
        carried = np.cumsum(np.sort(plan.ravel())[::-1])
        links.append(float(np.searchsorted(carried, 0.8) + 1))
        motifs = [set(motif) for motif in motifs_or_whole(mol)]
        for words, pattern in groups:
            atoms = {atom for match in mol.GetSubstructMatches(pattern) for atom in match}
            holds = np.array([bool(motif & atoms) for motif in motifs])
            if not holds.any() or holds.all():
                continue
            for match in words.finditer(row.description.lower()):
                said = [
                    i
                    for i, (a, b) in enumerate(text.spans[0])
                    if a < b and a < match.end(1) and b > match.start(1)
                ]
                if said and plan[said].sum() > 0:
                    grounded.append(float(plan[said][:, holds].sum() / plan[said].sum()))
                    anyway.append(float(plan[:, holds].sum()))
    return float(np.mean(spread)), float(np.mean(links)), float(np.mean(grounded)), float(np.mean(anyway))


if __name__ == "__main__":
    main()
