"""The same problem in other libraries: programs for POT and ott-jax with their conventions.

What differs between libraries, and is translated here: whether epsilon is absolute (POT and ott-jax: yes), what the
entropy is measured against (the plan is the same), how a price of mass is written (ott-jax: ``tau = rho / (rho +
eps)``), and in which norm the error is taken (POT: L2 of one side; ott-jax and Ferry: L1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_DIST = {
    "squared_euclidean": 'metric="sqeuclidean"',
    "euclidean": 'metric="euclidean"',
    "cosine": 'metric="cosine"',
}


def snippets(
    solver: str,
    strengths: Mapping[str, float],
    values: Mapping[str, Any],
    cost: str,
    options: Mapping[str, Any],
) -> dict[str, str]:
    """Programs for POT and ott-jax: ``{"pot": ..., "ott": ...}``; without the libraries that cannot solve it."""
    out = {"pot": _pot(solver, strengths, values, cost, options)}
    ott = _ott(solver, strengths, values, cost)
    return out | ({"ott": ott} if ott else {})


def _pot_cost(cost: str, options: Mapping[str, Any]) -> str:
    if cost in _DIST:
        return f"C = ot.dist(x, y, {_DIST[cost]})"
    if cost == "pnorm" and not options["power"]:
        return f'C = ot.dist(x, y, metric="minkowski", p={options["p"]:g})'
    return 'C = problem["cost"]  # POT has no such cost; this is Ferry\'s matrix'


def _pot(
    solver: str,
    strengths: Mapping[str, float],
    values: Mapping[str, Any],
    cost: str,
    options: Mapping[str, Any],
) -> str:
    head = [
        "import numpy as np",
        "import ot",
        "",
        'problem = np.load("problem.npz")  # the problem as a file: x, y, a, b, cost',
        'x, y, a, b = (problem[name] for name in ("x", "y", "a", "b"))',
        _pot_cost(cost, options),
    ]
    if solver == "exact":
        call = ["plan = ot.emd(a, b, C)"]
    elif solver == "ipot":
        call = ["plan = ot.emd(a, b, C)  # POT has no IPOT; this is the plan that IPOT tends to"]
    elif solver == "sinkhorn":
        call = [
            "# reg is absolute; POT's entropy is that of the plan alone, which changes the value but not the plan;",
            "# stopThr is the L2 error of one side",
            f'plan = ot.sinkhorn(a, b, C, reg={strengths["epsilon"]!r}, method="sinkhorn_log",',
            f"                   stopThr={values['tolerance']:g}, numItermax={values['max_iterations']})",
        ]
    elif solver == "unbalanced":
        call = [
            '# reg and reg_m are absolute; with reg_type="kl" the entropy is measured against a bᵀ, as here',
            f"plan = ot.unbalanced.sinkhorn_unbalanced(a, b, C, reg={strengths['epsilon']!r},",
            f'    reg_m=({_written(strengths["rho_a"])}, {_written(strengths["rho_b"])}), reg_type="kl",',
            f"    stopThr={values['tolerance']:g}, numItermax={values['max_iterations']})",
        ]
    elif solver == "quadratic":
        call = [
            "# reg is absolute; both add reg / 2 times the squares of the plan",
            f'plan = ot.smooth.smooth_ot_dual(a, b, C, reg={strengths["gamma"]!r}, reg_type="l2",',
            "                                stopThr=1e-13, numItermax=20_000)",
        ]
    elif solver == "sparse":
        call = _pot_sparse(strengths["gamma"], values["k"], values["side"])
    else:
        raise ValueError(f"no call of POT is known for the solver {solver!r}")
    return "\n".join([*head, *call, "print((plan * C).sum())", ""])


def _pot_sparse(gamma: float, k: int, side: str) -> list[str]:
    notes = [
        "# POT climbs the dual by L-BFGS and reads the plan off; at small k it stops early, and its plan misses",
        "# marginals. It limits the columns",
    ]
    limits = (
        f'reg={gamma!r},\n    reg_type="sparsity_constrained", max_nz={k}, stopThr=1e-13, numItermax=20_000)'
    )
    if side == "columns":
        return [*notes, f"plan = ot.smooth.smooth_ot_dual(a, b, C, {limits}"]
    notes[-1] += ", so that rows are limited by turning the problem over"
    return [*notes, f"plan = ot.smooth.smooth_ot_dual(b, a, C.T.copy(), {limits}.T"]


def _ott(solver: str, strengths: Mapping[str, float], values: Mapping[str, Any], cost: str) -> str:
    if solver not in {"sinkhorn", "unbalanced"}:
        return ""
    epsilon = strengths["epsilon"]
    kind = {"squared_euclidean": "SqEuclidean", "euclidean": "Euclidean", "cosine": "Cosine"}.get(cost)
    if solver == "unbalanced":
        tau_a, tau_b = (_tau(strengths[name], epsilon) for name in ("rho_a", "rho_b"))
        note = [
            "# epsilon is absolute; ott-jax takes the entropy of the plan alone: a bᵀ goes into the cost;",
            "# a price rho of mass is written tau = rho / (rho + epsilon)",
            f"epsilon = {epsilon!r}",
            "moved = C - epsilon * jax.numpy.log(a[:, None] * b[None, :])",
            "geom = geometry.Geometry(cost_matrix=moved, epsilon=epsilon)",
            f"asked = linear_problem.LinearProblem(geom, a=a, b=b, tau_a={tau_a!r}, tau_b={tau_b!r})",
        ]
        kind = None
    else:
        made = (
            f"pointcloud.PointCloud(x, y, cost_fn=costs.{kind}(), epsilon={epsilon!r})"
            if kind
            else f"geometry.Geometry(cost_matrix=C, epsilon={epsilon!r})"
        )
        note = [
            "# epsilon is absolute; the threshold is the L1 error, as here",
            f"geom = {made}",
            "asked = linear_problem.LinearProblem(geom, a=a, b=b)",
        ]
    return "\n".join(
        [
            "import jax",
            "import numpy as np",
            f"from ott.geometry import {'costs, pointcloud' if kind else 'geometry'}",
            "from ott.problems.linear import linear_problem",
            "from ott.solvers.linear import sinkhorn",
            "",
            'jax.config.update("jax_enable_x64", True)  # ott-jax computes in float32 otherwise',
            'problem = np.load("problem.npz")  # the problem as a file: x, y, a, b, cost',
            'x, y, a, b, C = (jax.numpy.asarray(problem[name]) for name in ("x", "y", "a", "b", "cost"))',
            *note,
            f"solve = sinkhorn.Sinkhorn(threshold={values['tolerance']:g}, max_iterations={values['max_iterations']})",
            "plan = solve(asked).matrix",
            "print((plan * C).sum())",
            "",
        ]
    )


def _tau(rho: float, epsilon: float) -> float:
    return 1.0 if math.isinf(rho) else rho / (rho + epsilon)


def _written(value: float) -> str:
    return 'float("inf")' if math.isinf(value) else repr(value)
