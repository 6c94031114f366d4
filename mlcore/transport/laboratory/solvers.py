"""The solvers by name, each with its parameters in plain words, behind one call."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mlcore.runtime.errors import InputError
from mlcore.transport.exact import exact_transport
from mlcore.transport.laboratory.outcomes import Outcome, Setting, Solver, absolute, of_solution
from mlcore.transport.laboratory.solver_parameters import ENTROPIC, PROXIMAL, QUADRATIC, SPARSE, UNBALANCED
from mlcore.transport.proximal import certificate, ipot
from mlcore.transport.sinkhorn import sinkhorn
from mlcore.transport.solution import Status
from mlcore.transport.sparse import quadratic_transport, sparse_transport
from mlcore.transport.unbalanced import unbalanced_sinkhorn


def _exact(setting: Setting, _values: dict[str, Any]) -> Outcome:
    found = of_solution(exact_transport(setting.cost, setting.a, setting.b))
    counted = found.status == Status.ITERATION_LIMIT  # the simplex does not count its pivots
    return found if counted else Outcome(**{**vars(found), "iterations": None})


def _sinkhorn(setting: Setting, values: dict[str, Any]) -> Outcome:
    epsilon = absolute(setting, values, ENTROPIC)["epsilon"]
    found = sinkhorn(
        setting.cost,
        setting.a,
        setting.b,
        epsilon,
        tolerance=values["tolerance"],
        max_iterations=values["max_iterations"],
    )
    return of_solution(found, epsilon=epsilon, entropic=float(found.entropic))


def _unbalanced(setting: Setting, values: dict[str, Any]) -> Outcome:
    strengths = absolute(setting, values, UNBALANCED)
    if math.isinf(strengths["rho_a"]) and math.isinf(strengths["rho_b"]):
        gap = abs(float(setting.a.sum()) - float(setting.b.sum()))
        if gap > 1e-9 * float(setting.a.sum()):
            raise InputError(
                f"both sides are demanded (both ρ infinite) but their masses are {float(setting.a.sum()):.6g} and "
                f"{float(setting.b.sum()):.6g}",
                field="parameters.rho_a",
                remedy="Make one of the two ρ finite, or give both clouds the same mass.",
            )
    found = unbalanced_sinkhorn(
        setting.cost,
        setting.a,
        setting.b,
        tolerance=values["tolerance"],
        max_iterations=values["max_iterations"],
        epsilon=strengths["epsilon"],
        rho_a=strengths["rho_a"],
        rho_b=strengths["rho_b"],
    )
    return of_solution(
        found,
        epsilon=strengths["epsilon"],
        rho_a=strengths["rho_a"],
        rho_b=strengths["rho_b"],
        entropic=float(found.entropic),
        mass=float(found.mass),
        row_penalty=float(found.row_penalty),
        column_penalty=float(found.column_penalty),
    )


def _ipot(setting: Setting, values: dict[str, Any]) -> Outcome:
    beta = absolute(setting, values, PROXIMAL)["beta"]
    problem = (setting.cost[None], setting.a[None], setting.b[None])
    found = ipot(*problem, beta=beta, steps=values["steps"], tolerance=values["tolerance"])
    bound = certificate(*problem, found.plan)
    return Outcome(
        plan=found.plan[0],
        cost=float(found.cost),
        primal=float(found.cost),
        dual=float(bound.dual),
        row_error=float(found.row_error),
        column_error=float(found.column_error),
        iterations=found.steps,
        status=Status(int(found.status)),
        tolerance=values["tolerance"],
        regulariser="none at the limit",
        f=bound.f[0],
        g=bound.g[0],
        further={"beta": beta},
    )


def _quadratic(setting: Setting, values: dict[str, Any]) -> Outcome:
    gamma = absolute(setting, values, QUADRATIC)["gamma"]
    found = quadratic_transport(
        setting.cost,
        setting.a,
        setting.b,
        gamma,
        tolerance=values["tolerance"],
        max_iterations=values["max_iterations"],
    )
    return of_solution(found, gamma=gamma)


def _sparse(setting: Setting, values: dict[str, Any]) -> Outcome:
    gamma, k, side = absolute(setting, values, SPARSE)["gamma"], values["k"], values["side"]
    found = sparse_transport(
        setting.cost,
        setting.a,
        setting.b,
        gamma,
        k,
        side=side,
        tolerance=values["tolerance"],
        max_iterations=values["steps"],
    )
    fault = "" if bool(found.feasible) else _without_plan(setting, k, side)
    return of_solution(found, fault=fault, gamma=gamma, relaxation_gap=float(found.relaxation_gap))


def _without_plan(setting: Setting, k: int, side: str) -> str:
    """Why there is no feasible plan, as far as that is known."""
    each, other = ("row", "column") if side == "rows" else ("column", "row")
    counted, reached = int((setting.a > 0).sum()), int((setting.b > 0).sum())
    if side == "columns":
        counted, reached = reached, counted
    links = "1 link" if k == 1 else f"{k} links"
    if k * counted < reached:
        return (
            f"no plan with at most {links} in every {each} carries all mass: {counted:,} {each}s with {links} each "
            f"reach {k * counted:,} of {reached:,} {other}s"
        )
    return (
        f"no plan with at most {links} in every {each} that meets both marginals was found, and there may be none; "
        f"this one keeps to {links}"
    )


def _entropic_passes(values: Mapping[str, Any], mean: float) -> tuple[float, float]:
    share = values["epsilon"] / (mean if values["relative"] == "absolute" and mean > 0 else 1.0)
    most = values["max_iterations"]
    return min(most, 40 + 8 / share), most + 200


def _newton_passes(values: Mapping[str, Any], _mean: float) -> tuple[float, float]:
    return 35 * min(70, values["max_iterations"]), 35 * values["max_iterations"]


def _rounded_passes(values: Mapping[str, Any], _mean: float) -> tuple[float, float]:
    return 600 * min(20, values["steps"]), 1_500 * values["steps"]


def _unbalanced_passes(values: Mapping[str, Any], mean: float) -> tuple[float, float]:
    usual, most = _entropic_passes(values, mean)
    return 25 * usual, 25 * most  # every step is made in the log domain


SOLVERS: dict[str, Solver] = {
    each.name: each
    for each in (
        Solver(
            "exact",
            "Exact (network simplex)",
            "The cheapest plan of all, at most n + m − 1 links. No parameter, and a certificate: the gap is zero.",
            "min ⟨P, C⟩",
            (),
            _exact,
            "the network simplex gave up; scale the costs to the order of 1",
            on_cpu=True,
            passes=lambda _values, _mean: (250, 1_500),
        ),
        Solver(
            "sinkhorn",
            "Sinkhorn (entropic)",
            "A blurred plan that is smooth in the points and fast on large problems: ε buys smoothness with cost.",
            "min ⟨P, C⟩ + ε KL(P | a bᵀ)",
            ENTROPIC,
            _sinkhorn,
            "allow more iterations. A larger ε ends sooner too, but it answers another, more blurred problem",
            passes=_entropic_passes,
        ),
        Solver(
            "unbalanced",
            "Unbalanced Sinkhorn",
            "Mass may be left behind or invented at a price ρ a side: for outliers and for clouds of different mass.",
            "min ⟨P, C⟩ + ε KL(P | a bᵀ) + ρ₁ KL(P1 | a) + ρ₂ KL(Pᵀ1 | b)",
            UNBALANCED,
            _unbalanced,
            "allow more iterations. A larger ε or a smaller ρ ends sooner, but answers another problem",
            balanced=False,
            passes=_unbalanced_passes,
            copies=10,
        ),
        Solver(
            "ipot",
            "IPOT (proximal point)",
            "Entropic steps around the plan before, so that the blur fades: nearly exact without a simplex.",
            "min ⟨P, C⟩, by Pₜ₊₁ = argmin ⟨P, C⟩ + β KL(P | Pₜ)",
            PROXIMAL,
            _ipot,
            "allow more outer steps; the column sums are met at every step, the row sums only at the end",
            passes=lambda values, _mean: (1.4 * values["steps"], 1.4 * values["steps"]),
            copies=9,
        ),
        Solver(
            "quadratic",
            "Quadratic",
            "A little blur and many exact zeros: a point sends to a few near targets, how few γ decides.",
            "min ⟨P, C⟩ + γ/2 |P|²",
            QUADRATIC,
            _quadratic,
            "allow more iterations; at a very small γ use the exact solver, whose plan is nearly the same",
            passes=_newton_passes,
            copies=10,
        ),
        Solver(
            "sparse",
            "Sparsity-constrained (k)",
            "No row (or column) has more than k links. The dual value bounds the primal value of every such plan from "
            "below; the gap is what the plan found may lie above the best.",
            "min ⟨P, C⟩ + γ/2 |P|², at most k links in every row or column",
            SPARSE,
            _sparse,
            "a larger k admits more plans. Without a bound on the links the quadratic solver finds the optimum",
            passes=_rounded_passes,
            copies=28,
        ),
    )
}
