"""What a strength does: the same problem at several values of epsilon, from blurred to sharp."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mlcore.runtime.errors import InputError
from mlcore.transport.laboratory import planview
from mlcore.transport.laboratory.report import all_finite, plan_of
from mlcore.transport.laboratory.solving import LabRequest, prepare, run
from mlcore.transport.solution import Status

#: shares of the mean cost
SHARES = (1.0, 0.3, 0.1, 0.05, 0.03, 0.01, 0.003)
ENTRIES = 250_000
MOST_ITERATIONS = 3_000


def sweep(request: LabRequest) -> dict[str, Any]:
    """Sinkhorn at each of :data:`SHARES` of the mean cost, and the exact plan to measure it by.

    Returns ``exact`` (its cost) and ``rows`` with ``share``, ``epsilon`` (absolute), ``cost``, ``excess`` over the
    exact cost, ``blur``, ``fan_out``, ``error`` (the larger of both marginals), ``iterations``, ``seconds`` and
    ``converged``.

    Raises:
        InputError: what :func:`~mlcore.transport.laboratory.solving.solve` refuses, or more than 250,000 entries.
    """
    base = prepare(replace(request, solver="exact", parameters={}, against=None))
    entries = len(base.source) * len(base.target)
    if entries > ENTRIES:
        raise InputError(
            f"the comparison of ε solves the problem {len(SHARES) + 1} times and takes at most {ENTRIES:,} entries; "
            f"this one has {entries:,}",
            field="source",
            remedy="Use at most 500 points a side here.",
        )
    exact = run(base, request.limits).outcome.cost
    rows = []
    for share in SHARES:
        values = {"epsilon": share, "relative": "mean", "max_iterations": MOST_ITERATIONS}
        solved = run(
            prepare(replace(request, solver="sinkhorn", parameters=values, against=None)), request.limits
        )
        outcome = solved.outcome
        spread = planview.spread(plan_of(solved), base.target.points)
        rows.append(
            all_finite(
                {
                    "share": share,
                    "epsilon": outcome.further["epsilon"],
                    "cost": outcome.cost,
                    "excess": outcome.cost - exact,
                    "blur": spread["blur"],
                    "fan_out": spread["fan_out"],
                    "error": max(outcome.row_error, outcome.column_error),
                    "iterations": outcome.iterations,
                    "seconds": solved.seconds,
                    "converged": outcome.status == Status.CONVERGED,
                }
            )
        )
    return {"exact": exact, "rows": rows}
