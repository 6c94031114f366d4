"""Maps from unpaired samples: Ferry and ott-jax's Monge gap estimator for the same time, against known maps.

    python -m benchmarks.monge --data W2_FOLDER --seconds 300

The folder holds ``w2_dimD.npz`` (source, target: unpaired) and ``w2_dimD_pairs.npz`` (source, mapped: for the scores
alone) of the Wasserstein-2 benchmark of Korotin et al. (NeurIPS 2021). Every method trains for ``--seconds`` on
``--threads`` threads; what compiling takes in JAX is not counted. Methods:

    linear         the closed-form map between Gaussians
    ott-jax        MongeGapEstimator: Sinkhorn divergence and Monge gap, a residual perceptron (PotentialMLP)
    ott-jax, 0     the same without the gap
    ferry-gap      the same loss and network here, from the linear map
    ferry-gap, 0   the same without the gap
    ferry          what `train monge` does by default: a convex potential fitted by the semi-dual

``--costs`` measures other costs instead: the geodesic distance on the sphere and l1 in the plane, fitted with and
without the gap for the same number of steps.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlcore.transport.maps.data import read_clouds, read_pairs
from mlcore.transport.maps.fitting import MongeTrainer, fit_map, map_config
from mlcore.transport.maps.gaussian import gaussian_map
from mlcore.transport.maps.presets import PRESETS, MongeTraining
from mlcore.transport.maps.scores import displacement_cosine, l2_uvp, on_held_out

METHODS = ("linear", "ott-jax", "ott-jax, 0", "ferry-gap", "ferry-gap, 0", "ferry")
#: of the gap in units of the loss of ott-jax: what its tutorial uses for the squared distance
OTT_STRENGTH = 0.1
OTT_BATCH = 256
PROBE = 40


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="the folder of the W2 benchmark")
    parser.add_argument("--dimensions", type=int, nargs="+", default=[2, 8, 32, 128])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--costs", action="store_true", help="measure the other costs instead")
    parser.add_argument("--steps", type=int, default=1000, help="of a fit with another cost")
    parser.add_argument("--out", type=Path, default=Path("var/benchmarks/monge.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if not args.costs and args.data is None:
        parser.error("--data is needed, unless --costs")
    rows = other_costs(args) if args.costs else known_maps(args)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(
        json.dumps({"rows": rows, "seconds": args.seconds, "threads": args.threads}, indent=1) + "\n"
    )
    print(f"written to {args.out}")


def known_maps(args: argparse.Namespace) -> list[dict[str, Any]]:
    print(f"{'d':>4} {'method':14} {'L2-UVP %':>9} {'cosine':>7} {'steps':>7} {'seconds':>8}")
    rows = []
    for dimension in args.dimensions:
        source, target = read_clouds({"clouds": args.data / f"w2_dim{dimension}.npz"})
        points, mapped = read_pairs(args.data / f"w2_dim{dimension}_pairs.npz")
        for method in args.methods:
            images, steps, seconds = run(method, source, target, points, args)
            row = {
                "dimension": dimension,
                "method": method,
                "l2_uvp": l2_uvp(images, mapped),
                "cosine": displacement_cosine(points, images, mapped),
                "steps": steps,
                "seconds": seconds,
            }
            rows.append(row)
            print(
                f"{dimension:4} {method:14} {row['l2_uvp']:9.2f} {row['cosine']:7.4f} {steps:7} {seconds:8.1f}",
                flush=True,
            )
    return rows


def run(
    method: str, source: torch.Tensor, target: torch.Tensor, points: torch.Tensor, args: argparse.Namespace
) -> tuple[torch.Tensor, int, float]:
    """Images of ``points``, the steps that were done and the time they took."""
    if method == "linear":
        return gaussian_map(source, target)(points), 0, 0.0
    strength = 0.0 if method.endswith(", 0") else 1.0
    if method.startswith("ott-jax"):
        return ott_jax(source, target, points, OTT_STRENGTH * strength, args)
    config = replace(PRESETS["cpu"], seed=args.seed)
    if method != "ferry":
        config = replace(config, kind="free", strength=config.strength * strength)
    return ferry(config, source, target, points, args.seconds)


def ferry(
    config: MongeTraining, source: torch.Tensor, target: torch.Tensor, points: torch.Tensor, seconds: float
) -> tuple[torch.Tensor, int, float]:
    """Train for as many steps as fit into ``seconds``, the time for the held-out points included."""
    probe = MongeTrainer(config, source, target)
    began = time.perf_counter()
    for _ in range(PROBE):
        probe.advance()
    step = (time.perf_counter() - began) / PROBE
    began = time.perf_counter()
    probe.look()
    step += (time.perf_counter() - began) / config.every
    steps = max(int(0.95 * seconds / step), 1)
    trainer = MongeTrainer(replace(config, steps=steps, gap_steps=steps), source, target)
    began = time.perf_counter()
    trainer.run()
    return trainer.model.carry(points), steps, time.perf_counter() - began


def ott_jax(
    source: torch.Tensor,
    target: torch.Tensor,
    points: torch.Tensor,
    strength: float,
    args: argparse.Namespace,
) -> tuple[torch.Tensor, int, float]:
    """ott-jax's estimator with its default optimiser (Adam, 1e-3) and the losses of its tutorial."""
    import jax
    import jax.numpy as jnp
    from ott.neural.methods import monge_gap
    from ott.neural.networks import potentials
    from ott.tools import sinkhorn_divergence

    dimension = source.shape[1]
    x, y = source.numpy(), target.numpy()
    mean_cross, mean_own = _mean_square(x, y), _mean_square(y, y)
    width = map_config(replace(PRESETS["cpu"], kind="free"), dimension)

    def fit(mapped: Any, wanted: Any) -> Any:
        return sinkhorn_divergence.sinkdiv(x=mapped, y=wanted, epsilon=0.1 * mean_own, static_b=True)

    def gap(given: Any, mapped: Any) -> Any:
        return monge_gap.monge_gap_from_samples(
            source=given, target=mapped, epsilon=0.01 * mean_cross, return_output=True
        )

    estimator = monge_gap.MongeGapEstimator(
        dim_data=dimension,
        model=potentials.PotentialMLP(
            dim_hidden=[width.width] * width.layers, is_potential=False, act_fn=jax.nn.gelu
        ),
        fitting_loss=fit,
        regularizer=gap if strength > 0 else None,
        regularizer_strength=strength,
        num_train_iters=10_000_000,
        rng=jax.random.key(args.seed),
    )
    clock = _Clock(args.seconds)
    with suppress(StopIteration):  # the time is over; the estimator keeps the state of its last step
        estimator.train_map_estimator(
            clock.batches(x, args.seed), _batches(y, args.seed + 1), iter(()), iter(())
        )
    state = jax.block_until_ready(estimator.state_neural_net)
    images = state.apply_fn({"params": state.params}, jnp.asarray(points.numpy()))
    return torch.from_numpy(np.array(images)), clock.steps, clock.spent


class _Clock:
    """Batches until the time is over; it starts with the third, when everything is compiled."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.steps, self.spent, self.began = seconds, 0, 0.0, math.inf

    def batches(self, points: np.ndarray, seed: int) -> Iterator[Any]:
        for number, batch in enumerate(_batches(points, seed)):
            if number == 2:
                self.began = time.perf_counter()
            self.spent = max(time.perf_counter() - self.began, 0.0)
            if self.spent >= self.seconds:
                return
            self.steps = number + 1
            yield batch


def _batches(points: np.ndarray, seed: int) -> Iterator[Any]:
    import jax.numpy as jnp

    random = np.random.default_rng(seed)
    while True:
        yield jnp.asarray(points[random.choice(len(points), OTT_BATCH, replace=False)])


def _mean_square(x: np.ndarray, y: np.ndarray) -> float:
    """The mean squared distance between independent points of both."""
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + x.var(0).sum() + y.var(0).sum())


def other_costs(args: argparse.Namespace) -> list[dict[str, Any]]:
    print(f"{'cost':10} {'map':14} {'divergence':>11} {'gap':>9}")
    rows = []
    for cost, (source, target) in clouds(args.seed).items():
        few = len(source) // 4
        config = MongeTraining(
            cost=cost,
            gap_steps=args.steps,
            start="identity",
            seed=args.seed,
            width=64,
            average=0.99,
        )
        maps = {
            name: fit_map(source[few:], target[few:], replace(config, strength=strength))
            for name, strength in (("with gap", config.strength), ("without", 0.0))
        }
        ground = maps["with gap"].cost
        scores = on_held_out(
            {"identity": lambda x: x} | {name: model.carry for name, model in maps.items()},
            source[:few],
            target[:few],
            ground,
        )
        for name, score in scores.items():
            gap = score["gap"] - scores["identity"]["gap"]  # the floor that epsilon gives a map without a gap
            rows.append({"cost": cost, "map": name, "divergence": score["divergence"], "gap": gap})
            print(f"{cost:10} {name:14} {score['divergence']:11.4f} {gap:9.4f}", flush=True)
    return rows


def clouds(seed: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Clouds to carry: on the sphere, and in the plane."""
    random = torch.Generator().manual_seed(seed)

    def heaps(centres: list[list[float]], spread: float) -> torch.Tensor:
        chosen = torch.tensor(centres)[torch.randint(len(centres), (6000,), generator=random)]
        return chosen + spread * torch.randn(chosen.shape, generator=random)

    sphere = [
        torch.nn.functional.normalize(heaps(centres, 0.3), dim=1)
        for centres in ([[0.0, 0, 1], [0.0, 1, 0]], [[1.0, 0, 0], [-1.0, 0.5, 0], [0.0, 0, -1]])
    ]
    plane = [heaps(centres, 0.2) for centres in ([[-1.0, 0], [1.0, 0]], [[-1.0, 1], [1.0, 1], [0.0, -1.5]])]
    return {"geodesic": (sphere[0], sphere[1]), "pnorm": (plane[0], plane[1])}


if __name__ == "__main__":
    main()
