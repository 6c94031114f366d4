"""The transport laboratory: from two weighted clouds, a cost and a solver to a plan with all that can be said of it.

Every answer repeats the problem as it was understood, states how the solver ended and how well the plan meets its
marginals, and holds JSON values only; a number that does not exist or is not finite is None.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Any

import torch

from mlcore.runtime.errors import InputError
from mlcore.transport.laboratory import estimates, planview
from mlcore.transport.laboratory.clouds import PAGE, Limits, make_cloud
from mlcore.transport.laboratory.grounds import GROUNDS, ground_named
from mlcore.transport.laboratory.outcomes import Setting, Solver
from mlcore.transport.laboratory.parameters import checked
from mlcore.transport.laboratory.report import Prepared, Solved, all_finite, answer, finite, plan_of, problem
from mlcore.transport.laboratory.samples import SAMPLES
from mlcore.transport.laboratory.solvers import SOLVERS

MOST_LINKS, MOST_CELLS = 50_000, 256
DEVICES = ("cpu", "cuda", "auto")
#: entries from which a graphics card is faster, for ``device="auto"``
_WORTH_A_CARD = 250_000
_LOOK = 200  # points a side that the statistics of an estimate are made from


@dataclass(frozen=True)
class LabRequest:
    """One problem and how to solve it. ``source`` and ``target``: see :func:`~.clouds.make_cloud`."""

    source: Mapping[str, Any]
    target: Mapping[str, Any]
    cost: str = "squared_euclidean"
    cost_parameters: Mapping[str, Any] = field(default_factory=dict)
    solver: str = "sinkhorn"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    against: Mapping[str, Any] | None = None  # {"solver", "parameters"}: solved too and compared
    check: bool = False  # whether to solve with another library as well
    links: int = 400  # strongest links to list
    matrix: int = 48  # cells a side of the picture of the plan
    device: str = "cpu"
    limits: Limits = PAGE


def describe(limits: Limits = PAGE) -> dict[str, Any]:
    """What can be asked: solvers, costs, sampled clouds, limits."""
    solvers = [
        {
            **{name: getattr(each, name) for name in ("name", "label", "words", "objective", "balanced")},
            "parameters": [_described(parameter) for parameter in each.parameters],
        }
        for each in SOLVERS.values()
    ]
    costs = [
        {
            **{name: getattr(each, name) for name in ("name", "label", "formula", "words")},
            "parameters": [_described(parameter) for parameter in each.parameters],
        }
        for each in GROUNDS.values()
    ]
    samples = [{"name": each.name, "label": each.label, "words": each.words} for each in SAMPLES.values()]
    return {
        "solvers": solvers,
        "costs": costs,
        "samples": samples,
        "limits": {
            "points": limits.points,
            "entries": limits.entries,
            "dimension": limits.dimension,
            "file_bytes": limits.file_bytes,
            "seconds": finite(limits.seconds),
            "links": MOST_LINKS,
            "matrix": MOST_CELLS,
        },
    }


def _described(parameter: Any) -> dict[str, Any]:
    known = asdict(parameter)
    known["choices"] = list(known["choices"])
    ranged = parameter.kind in {"number", "whole"}
    return {**known, "least": parameter.least if ranged else None, "most": parameter.most if ranged else None}


def estimate(request: LabRequest) -> dict[str, Any]:
    """Memory and time that ``request`` will need, without solving it.

    Raises:
        InputError: as for :func:`solve`, also where the problem is beyond the limits.
    """
    total: dict[str, float] = {}
    for prepared in _prepared(request):
        found = _needs(prepared, request.limits)
        total = {name: max(total.get(name, 0.0), found[name]) for name in ("entries", "memory")} | {
            name: total.get(name, 0.0) + found[name] for name in ("seconds", "seconds_most")
        }
    return {
        "source_points": len(prepared.source),
        "target_points": len(prepared.target),
        "dimension": prepared.source.points.shape[1],
        "entries": int(total["entries"]),
        "memory_bytes": int(total["memory"]),
        "seconds": total["seconds"],
        "seconds_at_most": total["seconds_most"],
        "sentence": estimates.sentence(total),
    }


def solve(request: LabRequest) -> dict[str, Any]:
    """The plan of ``request`` and what can be said of it; see ``docs/transport.md`` for the fields.

    Raises:
        InputError: a cloud, name or value cannot be used; the field says which.
        LimitError: (an InputError) the problem is beyond the limits.
    """
    _check_sizes(request)
    runs = [run(prepared, request.limits) for prepared in _prepared(request)]
    first = runs[0]
    found = {
        "problem": problem(first),
        **_one(first, request),
        "estimate": estimates.sentence(_needs(first.prepared, request.limits)),
    }
    if len(runs) == 1:
        return found
    second = runs[1]
    between = planview.difference(plan_of(first), plan_of(second))
    exact = next((each for each in runs if each.prepared.solver.name == "exact"), None)
    between["cost"] = second.outcome.cost - first.outcome.cost
    found["against"] = _one(second, request)
    found["difference"] = {
        **all_finite(between),
        "excess_over_exact": [
            finite(each.outcome.cost - exact.outcome.cost) if exact is not None else None for each in runs
        ],
    }
    return found


def _one(solved: Solved, request: LabRequest) -> dict[str, Any]:
    return answer(solved, links=request.links, cells=request.matrix, check=request.check)


def _check_sizes(request: LabRequest) -> None:
    for name, value, most in (("links", request.links, MOST_LINKS), ("matrix", request.matrix, MOST_CELLS)):
        if not 0 <= value <= most or (name == "matrix" and value < 1):
            raise InputError(f"{name} cannot be {value}", field=name, remedy=f"Give at most {most:,}.")


def _prepared(request: LabRequest) -> list[Prepared]:
    first = prepare(request)
    if request.against is None:
        return [first]
    other = replace(
        request,
        solver=str(request.against.get("solver", "")),
        parameters=request.against.get("parameters") or {},
        against=None,
    )
    try:
        solver, values = _solver(other)
    except InputError as error:
        raise InputError(error.message, field=f"against.{error.field}", remedy=error.remedy) from None
    return [first, replace(first, solver=solver, values=values)]


def prepare(request: LabRequest) -> Prepared:
    """Make the clouds and check every name and value.

    Raises:
        InputError: what cannot be used.
    """
    solver, values = _solver(request)
    ground, cost_values, cost = ground_named(request.cost, request.cost_parameters)
    source = make_cloud(request.source, "source", request.limits)
    target = make_cloud(request.target, "target", request.limits)
    if source.points.shape[1] != target.points.shape[1]:
        raise InputError(
            f"the source has {source.points.shape[1]} coordinates and the target {target.points.shape[1]}",
            field="target",
            remedy="Both clouds must lie in the same space; sampled clouds lie in the plane.",
        )
    return Prepared(
        source,
        target,
        ground,
        cost_values,
        cost,
        solver,
        values,
        _device(request, solver, len(source) * len(target)),
    )


def _solver(request: LabRequest) -> tuple[Solver, dict[str, Any]]:
    if request.solver not in SOLVERS:
        raise InputError(
            f"there is no solver called '{request.solver[:40]}'",
            field="solver",
            remedy=f"Use one of {', '.join(SOLVERS)}.",
        )
    solver = SOLVERS[request.solver]
    return solver, checked(solver.parameters, request.parameters, f"the solver {solver.name}")


def _device(request: LabRequest, solver: Solver, entries: int) -> torch.device:
    if request.device not in DEVICES:
        raise InputError(
            f"there is no device '{request.device[:20]}'",
            field="device",
            remedy=f"Use one of {', '.join(DEVICES)}.",
        )
    there = torch.cuda.is_available()
    if request.device == "cuda" and not there:
        raise InputError("there is no CUDA device here", field="device", remedy="Use cpu, or auto.")
    card = request.device == "cuda" or (request.device == "auto" and there and entries >= _WORTH_A_CARD)
    return torch.device("cuda" if card and not solver.on_cpu else "cpu")


def _needs(prepared: Prepared, limits: Limits) -> dict[str, float]:
    rows, columns = len(prepared.source), len(prepared.target)
    x, y = prepared.points()
    few = prepared.cost.matrix(x[:: max(1, rows // _LOOK)], y[:: max(1, columns // _LOOK)])
    found = estimates.needs(rows, columns, prepared.solver, prepared.values, float(few.mean()))
    estimates.refuse_beyond(limits, found, rows, columns, prepared.solver)
    return found


@cache
def _warm(name: str, device: torch.device) -> None:
    """Solve something tiny once a process, so that the first time told is not that of loading libraries."""
    solver = SOLVERS[name]
    half = torch.full((2,), 0.5, dtype=torch.float64, device=device)
    solver.run(Setting(1 - torch.diag(half), half, half), checked(solver.parameters, {}, name))


def run(prepared: Prepared, limits: Limits) -> Solved:
    """Solve a prepared problem.

    Raises:
        InputError: the problem cannot be solved as it stands, or is beyond ``limits``.
    """
    _needs(prepared, limits)
    setting = prepared.setting()
    _warm(prepared.solver.name, setting.cost.device)
    started = time.perf_counter()
    try:
        outcome = prepared.solver.run(setting, prepared.values)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(
            f"the problem cannot be solved: {error}", field="source", remedy="Check the points."
        ) from error
    if setting.cost.is_cuda:
        torch.cuda.synchronize()
    return Solved(prepared, setting, outcome, time.perf_counter() - started)
