"""What the quick form of the text transformer saves, and whether it moves ranks.

    python -m benchmarks.quick --descriptions FILE

Encodes the same texts, one at a time as a search does, with the transformer in the form that is trained and in its
quick forms (int8 where the processor has it, float32), in turns: short texts (the descriptions' first nine words) and
long ones (whole). Then ranks the molecules of the table for every description by the sentence vectors' cosine, and
counts the ranks that differ from those of the trained form. Prints tables and writes var/benchmarks/quick.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlcore.retrieval.data import read_table
from mlcore.retrieval.evaluate import encode_rows
from mlcore.retrieval.model import RetrievalModel
from mlcore.retrieval.quick import QuickTransformer, has_int8
from mlcore.retrieval.ranking import ranks, summary
from mlcore.runtime.progress import TerminalProgress

ROOT = Path(__file__).resolve().parents[1]
WORDS = 9
TRAINED = "as trained"
Encoder = Callable[[str], np.ndarray]


def forms(model: RetrievalModel) -> dict[str, Encoder]:
    """Each form by its name: a function from a text to its sentence vector (dim,)."""
    transformers: dict[str, QuickTransformer | None] = {TRAINED: None}
    if has_int8():
        transformers["quick, int8"] = QuickTransformer(model.network.text.bert, int8=True)
    transformers["quick, float32"] = QuickTransformer(model.network.text.bert, int8=False)

    def encoder(transformer: QuickTransformer | None) -> Encoder:
        def encode(text: str) -> np.ndarray:
            batch, _ = model.tokenizer([text])
            with torch.inference_mode():
                return model.network.text(batch, transformer).sentence[0].numpy()

        return encode

    return {name: encoder(transformer) for name, transformer in transformers.items()}


def times(encoders: dict[str, Encoder], texts: Sequence[str]) -> dict[str, float]:
    """The median milliseconds of encoding one text in each form; the forms take turns at every text."""
    taken: dict[str, list[float]] = {name: [] for name in encoders}
    for text in texts:
        for name, encode in encoders.items():
            started = time.perf_counter()
            encode(text)
            taken[name].append((time.perf_counter() - started) * 1000)
    return {name: round(statistics.median(each), 2) for name, each in taken.items()}


def ranked(encode: Encoder, texts: Sequence[str], molecules: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The rank of each text's molecule, (n,)."""
    return ranks(np.stack([encode(text) for text in texts]) @ molecules.T, truth)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--descriptions", type=Path, required=True, metavar="FILE", help="id, SMILES, description"
    )
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "retrieval", metavar="DIR")
    parser.add_argument("--queries", type=int, default=500, metavar="N", help="descriptions (default 500)")
    parser.add_argument("--pool", type=int, default=3000, metavar="N", help="molecules (default 3,000)")
    parser.add_argument("--out", type=Path, default=ROOT / "var/benchmarks/quick.json", metavar="FILE")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = RetrievalModel.load(args.model)
    rows = read_table(args.descriptions)[: args.pool]
    texts = [row.description for row in rows[: args.queries]]
    encoders = forms(model)
    lengths = {"short": [" ".join(text.split()[:WORDS]) for text in texts], "long": texts}
    times(encoders, texts[:20])  # warm
    taken = {kind: times(encoders, part) for kind, part in lengths.items()}
    molecules, _ = encode_rows(model, rows, TerminalProgress("molecules"))
    truth = np.arange(len(texts))
    found = {name: ranked(encode, texts, molecules.vectors, truth) for name, encode in encoders.items()}
    results: dict[str, Any] = {}
    for name, own in found.items():
        moved = own != found[TRAINED]
        results[name] = {
            "short, ms": taken["short"][name],
            "long, ms": taken["long"][name],
            "ranks that differ": float(moved.mean()),
            "largest difference": int(np.abs(own - found[TRAINED]).max()),
            "hits@1": summary(own, len(rows))["hits@1"],
            "mrr": summary(own, len(rows))["mrr"],
        }
    names = list(results[TRAINED])
    print(f"{len(texts)} descriptions, {len(rows)} molecules, one thread")
    print(f"{'':16}" + "".join(f"{name:>20}" for name in names))
    for form, figures in results.items():
        print(f"{form:16}" + "".join(f"{figures[name]:20.4g}" for name in names))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
