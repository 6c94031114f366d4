"""The batched Sinkhorn on one device, beside POT's, and the share of the memory bandwidth that it reaches.

    python -m benchmarks.transport_device [--device cuda] [--repeats 5]

The same problems and the same stopping rule as ``benchmarks.transport``; ott-jax and geomloss are left to that one, as
their CUDA builds are not in the lock. Bandwidth: every step reads the costs at least once; their bytes times the steps
of the slowest problem over the time, as a share of what copying a large tensor reaches on the same device. Writes
var/benchmarks/transport_device.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ot.batch
import torch

from benchmarks.transport import GOAL, MOST, clouds, loosest, ragged, show, worst
from mlcore.transport.sinkhorn import sinkhorn

COPIED = 256_000_000  # bytes


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("var/benchmarks/transport_device.json"))
    args = parser.parse_args()
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("there is no CUDA device; --device cpu measures this machine's processor")
    reached = bandwidth(args.device, args.repeats)
    print(f"{args.device}: copying reaches {reached / 1e9:.0f} GB/s")
    tables: dict[str, Any] = {"device": args.device, "bytes per second": reached}
    for eps in (0.05, 0.01):
        tables[f"batch {eps}"] = batch(args.device, eps, args.repeats, reached)
        tables[f"single {eps}"] = single(args.device, eps, args.repeats, reached)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(tables, indent=1))


def best(run: Callable[[], Any], device: str, repeats: int) -> tuple[float, Any]:
    """Seconds of the fastest of ``repeats`` runs after one that is not counted, and the last result."""
    times = []
    result = run()
    for _ in range(repeats):
        _wait(device)
        started = time.perf_counter()
        result = run()
        _wait(device)
        times.append(time.perf_counter() - started)
    return min(times), result


def bandwidth(device: str, repeats: int) -> float:
    """Bytes a second, read and written, of copying a large tensor."""
    source = torch.rand(COPIED // 4, device=device)
    target = torch.empty_like(source)
    seconds, _ = best(lambda: target.copy_(source), device, repeats)
    return 2 * COPIED / seconds


def batch(device: str, eps: float, repeats: int, reached: float) -> list[dict[str, Any]]:
    """1,024 ragged problems, ours and POT's."""
    cost, a, b = (part.to(device) for part in ragged())
    rows = [_ours(cost, a, b, eps, device, repeats, reached)]
    for method in ("sinkhorn", "log_sinkhorn"):

        def pot(tolerance: float, method: str = method) -> Any:
            with torch.no_grad():
                found = ot.batch.solve_batch(cost, eps, a, b, method=method, tol=tolerance, max_iter=MOST)
            return found.plan.cpu()

        tolerance = loosest(pot, lambda plan: worst(plan, a.cpu(), b.cpu()))
        if tolerance is not None:
            seconds, plan = best(lambda t=tolerance, run=pot: run(t), device, repeats)
            rows.append(
                {
                    "name": f"POT batch, {method}",
                    "ms": 1e3 * seconds,
                    "L1 error": worst(plan, a.cpu(), b.cpu()),
                }
            )
    return show(f"1,024 problems of 128 x 16 on {device}, eps = {eps} mean cost", rows)


def single(device: str, eps: float, repeats: int, reached: float) -> list[dict[str, Any]]:
    """One problem of 2,000 x 2,000, ours."""
    x, y = clouds()
    cost = torch.cdist(x, y).square().to(device)
    weights = torch.full((2000,), 1 / 2000, device=device)
    rows = [_ours(cost / cost.mean(), weights, weights, eps, device, repeats, reached)]
    return show(f"one problem of 2,000 x 2,000 on {device}, eps = {eps} mean cost", rows)


def _ours(cost: Any, a: Any, b: Any, eps: float, device: str, repeats: int, reached: float) -> dict[str, Any]:
    seconds, found = best(lambda: sinkhorn(cost, a, b, eps, tolerance=GOAL), device, repeats)
    steps = int(found.iterations.max())
    moved = steps * cost.numel() * cost.element_size() / seconds
    return {
        "name": "Ferry",
        "ms": 1e3 * seconds,
        "L1 error": worst(found.plan.cpu(), a.cpu(), b.cpu()),
        "steps": steps,
        "share of bandwidth": moved / reached,
    }


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
