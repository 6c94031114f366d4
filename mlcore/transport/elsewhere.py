"""The same problem in other libraries: the call with their conventions, and a check of our answer against theirs.

What differs between libraries, and is translated here: whether epsilon is absolute (POT and ott-jax: yes), what the
entropy is measured against (the plan is the same), how a price of mass is written (ott-jax: ``tau = rho / (rho +
eps)``), and in which norm the error is taken (POT: L2 of one side; ott-jax and Ferry: L1).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlcore.transport.solvers import Outcome, Setting

Array = NDArray[np.float64]
_DIST = {
    "squared_euclidean": 'metric="sqeuclidean"',
    "euclidean": 'metric="euclidean"',
    "cosine": 'metric="cosine"',
}
#: multiplications that a check may take
_EFFORT = 6e8
_LINEAR_PROGRAMME = 20_000


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
    else:
        raise ValueError(f"no call of POT is known for the solver {solver!r}")
    return "\n".join([*head, *call, "print((plan * C).sum())", ""])


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


def crosscheck(solver: str, setting: Setting, found: Outcome) -> dict[str, Any]:
    """Solve once more with another library and compare the transport costs.

    Returns ``library``, ``call``, ``cost``, ``difference``, ``tolerance`` and ``agrees``, None where the other did not
    converge (``note`` says so). The tolerance is ``1e-6 <P, C> + 2 max|C| (marginal errors of both)``.
    """
    import ot

    a, b, C = (each.cpu().double().numpy() for each in (setting.a, setting.b, setting.cost))
    note, slack = "", 1e-6
    library = f"POT {ot.__version__}"
    with warnings.catch_warnings():  # whether it converged is in the answer
        warnings.simplefilter("ignore")
        if solver == "sinkhorn":
            most = max(100, min(100_000, int(_EFFORT / C.size / 10)))
            plan, log = ot.sinkhorn(
                a,
                b,
                C,
                found.further["epsilon"],
                method="sinkhorn_log",
                stopThr=1e-10,
                numItermax=most,
                log=True,
            )
            call = "ot.sinkhorn(method='sinkhorn_log')"
            if not log["err"] or not log["err"][-1] <= 1e-7:
                note = f"POT did not converge within {most:,} iterations"
        elif solver == "unbalanced":
            most = max(100, min(100_000, int(_EFFORT / C.size)))
            prices = (found.further["rho_a"], found.further["rho_b"])
            plan = ot.unbalanced.sinkhorn_unbalanced(
                a, b, C, found.further["epsilon"], prices, reg_type="kl", stopThr=1e-11, numItermax=most
            )
            call = "ot.unbalanced.sinkhorn_unbalanced(reg_type='kl')"
            slack = 1e-5
        elif solver == "exact" and C.size <= _LINEAR_PROGRAMME:
            plan, library, call = (
                _linear_programme(a, b, C),
                _scipy(),
                "scipy.optimize.linprog(method='highs')",
            )
        else:
            plan, call = ot.emd(a, b, C), "ot.emd"
            if solver == "exact":
                note = "this solver calls the same network simplex; the duality gap is the independent proof"
            elif solver == "ipot":
                slack = 1e-3
    cost = float((plan * C).sum())
    difference = found.cost - cost
    balanced = solver != "unbalanced"
    theirs = float(np.abs(plan.sum(1) - a).sum() + np.abs(plan.sum(0) - b).sum()) if balanced else 0.0
    tolerance = slack * abs(cost) + 2 * float(np.abs(C).max()) * (
        theirs + found.row_error + found.column_error
    )
    finite = math.isfinite(cost) and math.isfinite(difference)
    unsure = not finite or note.startswith("POT did not")
    return {
        "library": library,
        "call": call,
        "cost": cost if math.isfinite(cost) else None,
        "difference": difference if finite else None,
        "tolerance": tolerance,
        "agrees": None if unsure else abs(difference) <= tolerance,
        "note": note if finite else "the other library found no finite plan",
    }


def _linear_programme(a: Array, b: Array, C: Array) -> Array:
    from scipy.optimize import linprog
    from scipy.sparse import eye_array, kron, vstack

    n, m = C.shape
    rows, columns = kron(eye_array(n), np.ones((1, m))), kron(np.ones((1, n)), eye_array(m))
    found = linprog(C.ravel(), A_eq=vstack([rows, columns]), b_eq=np.concatenate([a, b]), method="highs")
    return found.x.reshape(n, m) if found.x is not None else np.full_like(C, np.nan)


def _scipy() -> str:
    import scipy

    return f"SciPy {scipy.__version__}"
