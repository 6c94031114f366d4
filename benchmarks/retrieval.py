"""What each part of the retrieval model is worth: the ``small`` preset with parts switched off, several seeds.

    python -m benchmarks.retrieval --data train.tsv.gz --candidates candidates.tsv.gz

Every variant is trained on the same pairs and measured on the tuning slice (carved from the training table by
skeleton, never the validation split) against its own molecules and --pool others; the first stage and the re-ranked
figures, mean and spread over the seeds. Runs that are already in --out are not repeated, so that several processes
can share the work (--variant).
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np

from mlcore.retrieval.data import Molecules, Row, featurise_all, load_molecules, read_table, save_molecules
from mlcore.retrieval.evaluate import Protocol, evaluate
from mlcore.retrieval.model import RetrievalModel, save_model
from mlcore.retrieval.presets import PRESETS, RetrievalTraining, without
from mlcore.retrieval.train import Pairs, Trainer, make_pairs
from mlcore.runtime.progress import TerminalProgress

#: variant -> parts of the network that are switched off
VARIANTS = {
    "all": (),
    "no token-atom grain": ("tokens",),
    "no multitoken-motif grain": ("motifs",),
    "no transport (mean instead)": ("transport",),
    "two motifs a token": (),
    "no fine grains": ("tokens", "motifs"),
    "no fingerprints": ("fingerprints",),
    "no graph in the vector": ("graph",),
    "no n-grams": ("ngrams",),
    "no transformer": ("transformer", "tokens", "motifs"),
}
#: variant -> what else is different in the network
CHANGES = {"two motifs a token": {"motifs_per_token": 2}}
COLUMNS = ("hits@1", "hits@10", "mrr")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", action="append", required=True, type=Path)
    parser.add_argument("--candidates", required=True, type=Path)
    parser.add_argument("--out", type=Path, default=Path("var/benchmarks/retrieval"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--queries", type=int, default=600)
    parser.add_argument("--pool", type=int, default=10_000, help="molecules that compete with the right ones")
    parser.add_argument("--variant", action="append", choices=list(VARIANTS), help="only these")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rows = [row for path in args.data for row in read_table(path)]
    candidates = read_table(args.candidates)
    molecules = features([*rows, *candidates], args.out / "features")
    for variant in args.variant or VARIANTS:
        for seed in range(args.seeds):
            config = replace(without(PRESETS["small"], *VARIANTS[variant]), seed=seed)
            config = replace(config, model=replace(config.model, **CHANGES.get(variant, {})))
            place = args.out / f"{variant.replace(' ', '_')}-{seed}"
            if not (place / "result.json").exists():
                _measure(config, rows, candidates, molecules, place, args)
    _table(args.out, args.variant or list(VARIANTS), args.seeds)


def features(rows: list[Row], folder: Path) -> Molecules:
    if not (folder / "names.npz").exists():
        save_molecules(featurise_all([row.smiles for row in rows]), folder)
    return load_molecules(folder)


def _measure(
    config: RetrievalTraining,
    rows: list[Row],
    candidates: list[Row],
    molecules: Molecules,
    place: Path,
    args: argparse.Namespace,
) -> None:
    pairs, tuning = make_pairs(rows, molecules, config)
    place.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(config, pairs, tuning, molecules, place)
    progress = TerminalProgress(place.name)
    trainer.run(progress)
    save_model(trainer.model, trainer.tokenizer.described, place / "model")
    queries, pool = task(tuning, candidates, molecules, args.queries, args.pool)
    protocol = Protocol(pools=("full",), directions=("text_to_molecule",))
    model = RetrievalModel.load(place / "model")
    found = evaluate(model, queries, pool, [], protocol, progress, molecules)
    (place / "result.json").write_text(json.dumps(found))


def task(
    tuning: Pairs, candidates: list[Row], molecules: Molecules, most: int, others: int
) -> tuple[list[Row], list[Row]]:
    """At most ``most`` queries of the tuning slice, and their molecules among ``others`` further candidates."""
    known = {row.smiles: row.id for row in candidates}
    names = {number: smiles for smiles, number in molecules.numbers.items()}
    queries = [
        Row(known[names[number]], names[number], text)
        for text, number in zip(tuning.texts, tuning.molecules, strict=True)
        if names[number] in known
    ][:most]
    asked = {row.id for row in queries}
    rest = [row for row in candidates if row.id not in asked]
    chosen = np.random.default_rng(0).permutation(len(rest))[:others]
    return queries, [*(row for row in candidates if row.id in asked), *(rest[number] for number in chosen)]


def _table(out: Path, variants: list[str], seeds: int) -> None:
    print(f"{'variant':30} {'stage':9} " + " ".join(f"{name:>17}" for name in COLUMNS))
    summary = {}
    for variant in variants:
        runs = [
            json.loads((out / f"{variant.replace(' ', '_')}-{seed}" / "result.json").read_text())["full"]
            for seed in range(seeds)
        ]
        entries = [run["text_to_molecule"] for run in runs]
        stages = {"first": [entry["first_stage"] for entry in entries], "reranked": entries}
        for stage, figures in stages.items():
            cells = []
            for name in COLUMNS:
                values = [figure[name] for figure in figures]
                spread = statistics.stdev(values) if len(values) > 1 else 0.0
                cells.append(f"{statistics.mean(values):.3f} ± {spread:.3f}")
            summary[f"{variant} / {stage}"] = cells
            print(f"{variant:30} {stage:9} " + " ".join(f"{cell:>17}" for cell in cells))
    (out / "summary.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
