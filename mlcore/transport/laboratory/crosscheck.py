"""The same problem solved by another library, and whether our answer agrees with theirs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlcore.transport.laboratory.outcomes import Outcome, Setting

Array = NDArray[np.float64]
#: multiplications that a check may take
_EFFORT = 6e8
_LINEAR_PROGRAMME = 20_000
_UNSURE = "POT did not converge"


@dataclass(frozen=True, eq=False)
class _Theirs:
    """What another library found."""

    plan: Array  # (n, m)
    call: str
    library: str
    note: str = ""
    slack: float = 1e-6  # relative difference that is allowed
    dual: float | None = None  # compared instead of the cost where there is one
    at_ours: float | None = None  # their dual function at our potentials


def crosscheck(solver: str, setting: Setting, found: Outcome, values: Mapping[str, Any]) -> dict[str, Any]:
    """Solve once more with another library and compare the transport costs, or the dual values of a quadratic problem.

    Returns ``library``, ``call``, ``quantity`` (what is compared), ``cost`` (theirs of it), ``difference``,
    ``tolerance`` and ``agrees``, None where the other did not converge (``note`` says so). The tolerance is ``1e-6
    <P, C> + 2 max|C| (marginal errors of both)`` for costs, and 1e-5 of the value for duals. A dual value is a lower
    bound, so that the larger of two is the better: ours agrees when POT's dual function gives the same at our
    potentials, and POT's solver finds none above it.
    """
    a, b, C = (each.cpu().double().numpy() for each in (setting.a, setting.b, setting.cost))
    with warnings.catch_warnings():  # whether it converged is in the answer
        warnings.simplefilter("ignore")
        if solver in {"quadratic", "sparse"}:
            theirs = _smooth(a, b, C, found, values)
        elif solver == "sinkhorn":
            theirs = _sinkhorn(a, b, C, found.further["epsilon"])
        elif solver == "unbalanced":
            theirs = _unbalanced(a, b, C, found)
        else:
            theirs = _exact(a, b, C, solver)
    cost = float((theirs.plan * C).sum())
    if theirs.dual is not None:
        return _of_duals(theirs, found)
    difference = found.cost - cost
    missed = 0.0
    if solver != "unbalanced":
        missed = float(np.abs(theirs.plan.sum(1) - a).sum() + np.abs(theirs.plan.sum(0) - b).sum())
    errors = missed + found.row_error + found.column_error
    tolerance = theirs.slack * abs(cost) + 2 * float(np.abs(C).max()) * errors
    finite = math.isfinite(cost) and math.isfinite(difference)
    unsure = not finite or theirs.note.startswith(_UNSURE)
    return {
        "library": theirs.library,
        "call": theirs.call,
        "quantity": "cost",
        "cost": cost if math.isfinite(cost) else None,
        "difference": difference if finite else None,
        "tolerance": tolerance,
        "agrees": None if unsure else abs(difference) <= tolerance,
        "note": theirs.note if finite else "the other library found no finite plan",
    }


def _of_duals(theirs: _Theirs, found: Outcome) -> dict[str, Any]:
    assert theirs.dual is not None
    assert theirs.at_ours is not None
    assert found.dual is not None
    difference = found.dual - theirs.dual
    tolerance = theirs.slack * max(abs(theirs.dual), abs(found.dual))
    finite = math.isfinite(difference)
    same = abs(found.dual - theirs.at_ours) <= 1e-9 * max(abs(found.dual), 1e-300)
    note = "" if finite else "the other library found no finite value"
    if finite and same and difference > tolerance:
        note = "POT's dual function, a lower bound, gives our value at our potentials; POT's solver stopped below it"
    return {
        "library": theirs.library,
        "call": theirs.call,
        "quantity": "dual value",
        "cost": theirs.dual if math.isfinite(theirs.dual) else None,
        "difference": difference if finite else None,
        "tolerance": tolerance,
        "agrees": same and difference >= -tolerance if finite else None,
        "note": note,
    }


def _pot() -> str:
    import ot

    return f"POT {ot.__version__}"


def _smooth(a: Array, b: Array, C: Array, found: Outcome, values: Mapping[str, Any]) -> _Theirs:
    """L-BFGS on the dual; POT limits the columns, so that rows are limited by turning the problem over."""
    import ot

    k, turned = values.get("k"), values.get("side") == "rows"
    if turned:
        a, b, C = b, a, np.ascontiguousarray(C.T)
    assert found.f is not None
    assert found.g is not None
    potentials = [
        each.cpu().double().numpy() for each in ((found.g, found.f) if turned else (found.f, found.g))
    ]
    gamma, most = found.further["gamma"], k and min(k, len(a))
    kind = "l2" if k is None else "sparsity_constrained"
    rule = (
        ot.smooth.SquaredL2(gamma) if k is None else ot.smooth.SparsityConstrained(max_nz=most, gamma=gamma)
    )
    plan, log = ot.smooth.smooth_ot_dual(
        a,
        b,
        C,
        gamma,
        reg_type=kind,
        max_nz=most,
        stopThr=1e-13,
        numItermax=max(100, min(5_000, int(_EFFORT / C.size / 5))),
        log=True,
    )
    return _Theirs(
        plan.T if turned else plan,
        f"ot.smooth.smooth_ot_dual(reg_type='{kind}')",
        _pot(),
        slack=1e-5,
        dual=-float(log["res"].fun),
        at_ours=float(ot.smooth.dual_obj_grad(*potentials, a, b, C, rule)[0]),
    )


def _sinkhorn(a: Array, b: Array, C: Array, epsilon: float) -> _Theirs:
    import ot

    most = max(100, min(100_000, int(_EFFORT / C.size / 10)))
    plan, log = ot.sinkhorn(a, b, C, epsilon, method="sinkhorn_log", stopThr=1e-10, numItermax=most, log=True)
    there = log["err"] and log["err"][-1] <= 1e-7
    note = "" if there else f"{_UNSURE} within {most:,} iterations"
    return _Theirs(plan, "ot.sinkhorn(method='sinkhorn_log')", _pot(), note)


def _unbalanced(a: Array, b: Array, C: Array, found: Outcome) -> _Theirs:
    import ot

    most = max(100, min(100_000, int(_EFFORT / C.size)))
    prices = (found.further["rho_a"], found.further["rho_b"])
    plan = ot.unbalanced.sinkhorn_unbalanced(
        a, b, C, found.further["epsilon"], prices, reg_type="kl", stopThr=1e-11, numItermax=most
    )
    return _Theirs(plan, "ot.unbalanced.sinkhorn_unbalanced(reg_type='kl')", _pot(), slack=1e-5)


def _exact(a: Array, b: Array, C: Array, solver: str) -> _Theirs:
    import ot

    if solver == "exact" and C.size <= _LINEAR_PROGRAMME:
        import scipy

        plan = _linear_programme(a, b, C)
        return _Theirs(plan, "scipy.optimize.linprog(method='highs')", f"SciPy {scipy.__version__}")
    note = ""
    if solver == "exact":
        note = "this solver calls the same network simplex; the duality gap is the independent proof"
    return _Theirs(ot.emd(a, b, C), "ot.emd", _pot(), note, slack=1e-3 if solver == "ipot" else 1e-6)


def _linear_programme(a: Array, b: Array, C: Array) -> Array:
    from scipy.optimize import linprog
    from scipy.sparse import eye_array, kron, vstack

    n, m = C.shape
    rows, columns = kron(eye_array(n), np.ones((1, m))), kron(np.ones((1, n)), eye_array(m))
    found = linprog(C.ravel(), A_eq=vstack([rows, columns]), b_eq=np.concatenate([a, b]), method="highs")
    return found.x.reshape(n, m) if found.x is not None else np.full_like(C, np.nan)
