"""A small mixture of experts on the ChEBI classes, routed in four ways at equal compute.

    python -m benchmarks.routing --data classes.parquet [--seeds 3] [--steps 800]

Input: log counts of Morgan fingerprints (radius 2, chiral, 2,048 bits); output: 500 classes of a molecule. A tenth of
the skeletons is held out. The network is a linear layer, one mixture-of-experts layer of 16 experts in a residual
connection and a linear layer; only the router differs. An item asks for two experts, an expert takes at most
``factor`` times its even share. Printed: held-out loss (nats a class), held-out mean average precision over classes
with at least 10 molecules, unevenness of what the experts are asked for (coefficient of variation), items that no
expert takes, milliseconds a step; mean and spread over the seeds. Writes var/benchmarks/routing.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlcore.retrieval.data import tuning_slice
from mlcore.transport.experts import MixtureOfExperts, Router
from mlcore.transport.routing import capacity_of, sinkhorn_routing, softmax_routing, sparse_routing

EXPERTS, WIDTH, HIDDEN, BATCH, PER_ITEM = 16, 128, 64, 512, 2
BITS = 2048


def main() -> None:
    """Train every router with every seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--factor", type=float, nargs="+", default=[1.0, 1.5])
    parser.add_argument("--out", type=Path, default=Path("var/benchmarks/routing.json"))
    args = parser.parse_args()
    features, labels, held = _load(args.data, args.out.parent / "routing.npz")
    table = []
    print(
        f"{'router':28}{'factor':>7}{'loss':>18}{'mean AP':>17}{'uneven':>8}{'dropped':>9}{'ms a step':>11}"
    )
    for factor in args.factor:
        capacity = capacity_of(BATCH, EXPERTS, PER_ITEM, factor)
        routers: dict[str, Router] = {
            "top-2 softmax": partial(softmax_routing, k=PER_ITEM, capacity=capacity),
            "Sinkhorn": partial(sinkhorn_routing, k=PER_ITEM, capacity=capacity),
            "sparse, experts choose": partial(sparse_routing, k=PER_ITEM, capacity=capacity),
            "sparse, items choose": partial(sparse_routing, k=PER_ITEM, capacity=capacity, side="items"),
        }
        for name, router in routers.items():
            runs = [_run(router, features, labels, held, args.steps, seed) for seed in range(args.seeds)]
            row: dict[str, Any] = {"router": name, "factor": factor, "runs": runs}
            for key in runs[0]:
                values = [run[key] for run in runs]
                row[key] = statistics.mean(values)
                row[f"{key} spread"] = statistics.stdev(values) if len(values) > 1 else 0.0
            table.append(row)
            print(
                f"{name:28}{factor:>7}{row['loss']:>10.5f} ± {row['loss spread']:.5f}"
                f"{row['map']:>9.4f} ± {row['map spread']:.4f}{row['uneven']:>8.2f}{row['dropped']:>9.3f}"
                f"{row['ms']:>11.1f}",
                flush=True,
            )
    args.out.write_text(json.dumps(table, indent=1))


def _load(path: Path, cache: Path) -> tuple[Tensor, Tensor, Tensor]:
    """Features (n, 2048), labels (n, 500), and which rows are held out (n,) bool."""
    if not cache.exists():
        import pyarrow.parquet as parquet
        from rdkit import Chem, RDLogger
        from rdkit.Chem import rdFingerprintGenerator

        RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]
        table = parquet.read_table(path)
        make = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS, includeChirality=True)
        kept, keys, counts = [], [], []
        for row, smiles in enumerate(table["SMILES"].to_pylist()):
            mol = Chem.MolFromSmiles(smiles or "")
            if mol is not None and mol.GetNumAtoms():
                kept.append(row)
                keys.append(Chem.MolToInchiKey(mol))
                counts.append(make.GetCountFingerprintAsNumPy(mol).astype(np.uint8))
        names = [name for name in table.column_names if name.startswith("class_")]
        labels = np.stack([np.asarray(table[name], dtype=bool) for name in names], 1)[kept]
        cache.parent.mkdir(parents=True, exist_ok=True)
        held = tuning_slice(np.array(keys), 0.1, 0)
        np.savez_compressed(cache, counts=np.stack(counts), labels=labels, held=held)
    with np.load(cache) as stored:
        counts, labels, held = (torch.from_numpy(stored[name]) for name in ("counts", "labels", "held"))
    return torch.log1p(counts.float()), labels.float(), held


class _Classifier(nn.Module):
    def __init__(self, classes: int, router: Router) -> None:
        super().__init__()
        self.first = nn.Linear(BITS, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.experts = MixtureOfExperts(WIDTH, HIDDEN, EXPERTS, router)
        self.last = nn.Linear(WIDTH, classes)

    def forward(self, features: Tensor) -> tuple[Tensor, Any]:
        hidden = torch.relu(self.first(features))
        routed, routing = self.experts(self.norm(hidden))
        return self.last(torch.relu(hidden + routed)), routing


def _run(
    router: Router, features: Tensor, labels: Tensor, held: Tensor, steps: int, seed: int
) -> dict[str, float]:
    torch.manual_seed(seed)
    model = _Classifier(labels.shape[1], router)
    train = (~held).nonzero().squeeze(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    started = time.perf_counter()
    for _ in range(steps):
        rows = train[torch.randint(len(train), (BATCH,))]
        logits, _ = model(features[rows])
        loss = F.binary_cross_entropy_with_logits(logits, labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    spent = (time.perf_counter() - started) / steps
    return {**_measure(model, features[held], labels[held]), "ms": 1e3 * spent}


@torch.no_grad()
def _measure(model: nn.Module, features: Tensor, labels: Tensor) -> dict[str, float]:
    model.eval()
    parts = [model(features[first : first + BATCH]) for first in range(0, len(features) - BATCH + 1, BATCH)]
    logits, truth = torch.cat([part[0] for part in parts]), labels[: BATCH * len(parts)]
    common = truth.sum(0) >= 10
    order = logits[:, common].argsort(0, descending=True)
    hits = truth[:, common].gather(0, order)
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1).unsqueeze(1)
    routings = [part[1] for part in parts]
    return {
        "loss": float(F.binary_cross_entropy_with_logits(logits, truth)),
        "map": float(((precision * hits).sum(0) / hits.sum(0)).mean()),
        "uneven": statistics.mean(float(routing.imbalance) for routing in routings),
        "dropped": statistics.mean(float(routing.dropped) for routing in routings),
    }


if __name__ == "__main__":
    main()
