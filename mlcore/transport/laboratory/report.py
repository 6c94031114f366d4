"""What the laboratory says of one solved problem: the question as understood, the status, the numbers, the plan."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlcore.transport.costs import Cost
from mlcore.transport.divergence import sinkhorn_divergence
from mlcore.transport.laboratory import crosscheck, elsewhere, planview
from mlcore.transport.laboratory.clouds import Cloud
from mlcore.transport.laboratory.grounds import Ground
from mlcore.transport.laboratory.outcomes import Outcome, Setting, Solver, absolute
from mlcore.transport.laboratory.quantities import QUANTITIES, UNBALANCED_FORMULAS
from mlcore.transport.solution import Status

Array = NDArray[np.float64]
#: entries of the two problems of a cloud with itself, up to which the Sinkhorn divergence is computed too
_SELF_ENTRIES = 500_000
_WORDS = {
    Status.CONVERGED: "converged",
    Status.ITERATION_LIMIT: "iteration limit",
    Status.STALLED: "stalled",
    Status.NOT_FINITE: "not finite",
}


@dataclass(frozen=True, eq=False)
class Prepared:
    """A request whose clouds were made and whose names and values were checked."""

    source: Cloud
    target: Cloud
    ground: Ground
    cost_values: dict[str, Any]
    cost: Cost
    solver: Solver
    values: dict[str, Any]
    device: torch.device

    def points(self) -> tuple[Tensor, Tensor]:
        """The points as float64 tensors (n, d) and (m, d)."""
        return (
            torch.from_numpy(self.source.points).to(self.device),
            torch.from_numpy(self.target.points).to(self.device),
        )

    def setting(self) -> Setting:
        """Costs and weights; both weights are scaled to the mass 1 where the solver carries all of it."""
        x, y = self.points()
        a, b = (
            each.weights / each.mass if self.solver.balanced else each.weights
            for each in (self.source, self.target)
        )
        matrix = self.cost.matrix(x, y)
        return Setting(matrix, torch.from_numpy(a).to(matrix), torch.from_numpy(b).to(matrix))


@dataclass(frozen=True, eq=False)
class Solved:
    """One solver's outcome on one problem, with the time it took."""

    prepared: Prepared
    setting: Setting
    outcome: Outcome
    seconds: float


def plan_of(solved: Solved) -> Array:
    """The plan (n, m) on the CPU."""
    return solved.outcome.plan.cpu().double().numpy()


def problem(solved: Solved) -> dict[str, Any]:
    """The problem as it was understood: both clouds, the costs, the masses, and what was scaled."""
    prepared, costs = solved.prepared, solved.setting.cost
    clouds = {
        side: _cloud(cloud) for side, cloud in (("source", prepared.source), ("target", prepared.target))
    }
    masses = [prepared.source.mass, prepared.target.mass]
    scaled = prepared.solver.balanced and any(abs(mass - 1) > 1e-9 for mass in masses)
    note = ""
    if scaled:
        note = (
            f"The weights sum to {masses[0]:.6g} and {masses[1]:.6g}; both were scaled to 1, "
            "so that the plan carries shares."
        )
    return {
        **clouds,
        "cost": {
            "name": prepared.ground.name,
            "label": prepared.ground.label,
            "formula": prepared.ground.formula,
            "parameters": prepared.cost_values,
            "rows": costs.shape[0],
            "columns": costs.shape[1],
            **all_finite(
                {
                    "least": float(costs.min()),
                    "mean": float(costs.mean()),
                    "greatest": float(costs.max()),
                    "deviation": float(costs.std(correction=0)),
                }
            ),
        },
        "mass": [float(solved.setting.a.sum()), float(solved.setting.b.sum())],
        "scaled": scaled,
        "note": note,
    }


def _cloud(cloud: Cloud) -> dict[str, Any]:
    points = cloud.points[:, :2]
    if points.shape[1] == 1:
        points = np.column_stack([points, np.zeros(len(points))])
    return {
        "recipe": dict(cloud.recipe),
        "n": len(cloud),
        "dimension": cloud.points.shape[1],
        "mass": cloud.mass,
        "weighted": cloud.weighted,
        "points": points.tolist(),
        "weights": (cloud.weights / cloud.mass).tolist(),
    }


def answer(solved: Solved, *, links: int, cells: int, check: bool) -> dict[str, Any]:
    """Everything but the problem: solver, status, numbers with their formulas, links, matrix, code, check."""
    prepared, outcome, setting = solved.prepared, solved.outcome, solved.setting
    solver, plan = prepared.solver, plan_of(solved)
    numbers = _numbers(solved, plan)
    strengths = absolute(setting, prepared.values, solver.parameters)
    quantities = {name: asdict(QUANTITIES[name]) for name in numbers}
    if not solver.balanced:
        for name, formula in UNBALANCED_FORMULAS.items():
            quantities[name]["formula"] = formula
    return {
        "solver": {
            "name": solver.name,
            "label": solver.label,
            "objective": solver.objective,
            "parameters": {name: _written(value) for name, value in prepared.values.items()},
            "regulariser": outcome.regulariser,
        },
        "status": _status(outcome, solver),
        "numbers": numbers,
        "quantities": quantities,
        "device": str(setting.cost.device) if not solver.on_cpu else "cpu",
        "dtype": "float64",
        "plan": planview.links(plan, links),
        "support": planview.support(plan),
        "matrix": planview.matrix(plan, prepared.source.points, prepared.target.points, cells),
        "code": elsewhere.snippets(
            solver.name, strengths, prepared.values, prepared.ground.name, prepared.cost_values
        ),
        "check": crosscheck.crosscheck(solver.name, setting, outcome, prepared.values)
        if check and outcome.status != Status.NOT_FINITE
        else None,
    }


def _numbers(solved: Solved, plan: Array) -> dict[str, Any]:
    outcome = solved.outcome
    found: dict[str, Any] = {"cost": outcome.cost, "primal": outcome.primal, "dual": outcome.dual}
    found["gap"] = None if outcome.dual is None else outcome.primal - outcome.dual
    further = dict(outcome.further)
    for name in ("relaxation_gap", "entropic", "mass", "row_penalty", "column_penalty"):
        if name in further:
            found[name] = further.pop(name)
    if solved.prepared.solver.name == "sinkhorn":
        found["divergence"] = _divergence(solved)
    found |= {
        "row_error": outcome.row_error,
        "column_error": outcome.column_error,
        "tolerance": outcome.tolerance,
        "iterations": outcome.iterations,
        "seconds": solved.seconds,
        **further,
    }
    mean = float(solved.setting.cost.mean())
    if "epsilon" in further and mean > 0:
        found["epsilon_of_mean"] = further["epsilon"] / mean
    if outcome.status != Status.NOT_FINITE:
        found |= planview.sparsity(plan) | planview.spread(plan, solved.prepared.target.points)
    return all_finite(found)


def _divergence(solved: Solved) -> float | None:
    """None for large clouds, and where a cloud with itself does not converge."""
    x, y = solved.prepared.points()
    if len(x) ** 2 + len(y) ** 2 > _SELF_ENTRIES or solved.outcome.status != Status.CONVERGED:
        return None
    tolerance = max(solved.outcome.tolerance, 1e-6)
    found = sinkhorn_divergence(
        x,
        y,
        solved.setting.a,
        solved.setting.b,
        epsilon=solved.outcome.further["epsilon"],
        cost=solved.prepared.cost,
        tolerance=tolerance,
    )
    return float(found.value) if float(found.self_error) <= tolerance else None


def _status(outcome: Outcome, solver: Solver) -> dict[str, Any]:
    good = outcome.status == Status.CONVERGED
    error = max(outcome.row_error, outcome.column_error)
    errors = f"the larger marginal error is {error:.2g}, the tolerance {outcome.tolerance:.2g} of the mass."
    met = "Both marginals are met" if solver.balanced else "The plan has the sums that its potentials ask for"
    sentence, remedy = f"{met}: {errors}", ""
    if not good:
        after = f" after {outcome.iterations:,} iterations" if outcome.iterations else ""
        sentence, remedy = (
            f"{_capital(outcome.fault)}. T{errors[1:]}"
            if outcome.fault
            else f"Not converged{after}: {errors}",
            f"{_capital(solver.remedy)}.",
        )
    if outcome.status == Status.NOT_FINITE:
        sentence = "There is no plan: it is not finite."
        remedy = "Scale the coordinates to the order of 1, or regularise more strongly."
    return {"name": _WORDS[outcome.status], "converged": good, "sentence": sentence, "remedy": remedy}


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def finite(value: float | None) -> float | None:
    """``value``, None where it is not finite: JSON has no such numbers."""
    return value if value is None or math.isfinite(value) else None


def all_finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same for the values of a mapping."""
    return {name: finite(value) if isinstance(value, float) else value for name, value in values.items()}


def _written(value: Any) -> Any:
    return "inf" if isinstance(value, float) and math.isinf(value) else value
