"""How good a map is: against known images where there are any, else by its divergence from the target and its gap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from mlcore.transport.costs import Cost, Geodesic, SquaredEuclidean
from mlcore.transport.divergence import sinkhorn_divergence
from mlcore.transport.maps.model import MongeMap
from mlcore.transport.maps.monge import exact_monge_gap, monge_gap
from mlcore.transport.sinkhorn import sinkhorn

#: points that a score looks at, at the most: gaps are comparable at equal numbers only
POINTS = 2048
EXACT_POINTS = 1024
#: epsilon of the scores, as a share of the mean cost between the clouds
_EPSILON = 0.01
#: points of each cloud that the discrete plan is made of, and its epsilon
PLAN_POINTS = 2048
_PLAN_EPSILON = 0.01
_TOLERANCE = 1e-3

Map = Callable[[Tensor], Tensor]


def l2_uvp(found: Tensor, true: Tensor) -> float:
    """``100 E|T(x) - T*(x)|^2 / Var(T*(x))`` of images (n, d): 0 is perfect, the best constant has 100.

    The unexplained variance percentage of Korotin et al. (NeurIPS 2021); the variance is the sum over coordinates.
    """
    found, true = found.double(), true.double()
    return float(100 * (found - true).square().sum(1).mean() / true.var(0, correction=0).sum())


def displacement_cosine(x: Tensor, found: Tensor, true: Tensor) -> float:
    """``<T - id, T* - id> / (|T - id| |T* - id|)`` in L2: 1 is perfect; 0 for a map that moves nothing."""
    moved, wanted = (found - x).double(), (true - x).double()
    size = float(moved.norm() * wanted.norm())
    return float((moved * wanted).sum()) / size if size > 0 else 0.0


def against_pairs(model: MongeMap, source: Tensor, mapped: Tensor) -> dict[str, Any]:
    """Scores against the true images ``mapped`` (n, d) of ``source``: the map, and beside it identity and linear map.

    ``gap`` is the exact Monge gap on the first points (their number is in ``gap_points``), for the cost of the map, in
    its units.
    """
    source = source.to(model.linear.matrix)
    images = {"map": model.carry(source), "identity": source, "linear": model.linear(source)}
    few = min(len(source), EXACT_POINTS)
    scores = {
        name: {
            "l2_uvp": l2_uvp(found, mapped),
            "cosine": displacement_cosine(source, found, mapped),
            "gap": float(exact_monge_gap(source[:few].double(), found[:few].double(), model.cost)),
        }
        for name, found in images.items()
    }
    return {
        **scores.pop("map"),
        "gap_points": few,
        "points": len(source),
        "cost": model.config.cost,
        "baselines": scores,
    }


def entropic_map(source: Tensor, target: Tensor, cost: Cost) -> Map:
    """The barycentric map of the discrete entropic plan between two clouds, for any point (Pooladian and Niles-Weed,
    2021): ``T(x) = sum_j y_j p_j(x)`` with ``p_j`` proportional to ``b_j exp((g_j - c(x, y_j)) / eps)``.

    Of each cloud the first :data:`PLAN_POINTS` points are used. On the sphere the barycentre is projected back.
    """
    x, y = source[:PLAN_POINTS], target[:PLAN_POINTS]
    matrix = cost.matrix(x, y)
    epsilon = _PLAN_EPSILON * float(matrix.mean())
    g = sinkhorn(matrix, epsilon=epsilon, tolerance=_TOLERANCE, max_iterations=2000).g

    def carry(points: Tensor) -> Tensor:
        shares = ((g - cost.matrix(points, y)) / epsilon).softmax(-1)
        images = shares @ y
        return torch.nn.functional.normalize(images, dim=-1) if isinstance(cost, Geodesic) else images

    return carry


@torch.no_grad()
def on_held_out(maps: Mapping[str, Map], x: Tensor, y: Tensor, cost: Cost) -> dict[str, dict[str, float]]:
    """Divergence of the image of ``x`` from ``y``, and Monge gap, of every map, on the same points and epsilons.

    The divergence is Sinkhorn's with the squared Euclidean distance; both epsilons are 0.01 of the mean cost between
    ``x`` and ``y``.
    """
    x, y = x[:POINTS], y[:POINTS]
    fit_epsilon = _EPSILON * float(SquaredEuclidean().matrix(x, y).mean())
    gap_epsilon = _EPSILON * float(cost.matrix(x, y).mean())

    def gap(images: Tensor) -> float:
        return float(monge_gap(x, images, cost, gap_epsilon, tolerance=_TOLERANCE, max_iterations=2000).value)

    found = {}
    for name, carry in maps.items():
        images = carry(x)
        divergence = sinkhorn_divergence(images, y, epsilon=fit_epsilon, tolerance=_TOLERANCE).value
        found[name] = {"divergence": float(divergence), "gap": gap(images)}
    return found


def verdict(scores: Mapping[str, Mapping[str, float]]) -> str:
    """One sentence: whether the network earned its training against the discrete plan and the linear map."""
    own = scores["map"]["divergence"]
    figures = ", ".join(f"{name} {each['divergence']:.4g}" for name, each in scores.items())
    for name, words in (("discrete", "The discrete plan is"), ("linear", "The linear map is")):
        if scores[name]["divergence"] <= own:
            return f"{words} enough here: its image lies no farther from held-out targets ({figures})."
    return f"The network brings points nearer to held-out targets than the others ({figures})."
