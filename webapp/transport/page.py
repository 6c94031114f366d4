"""What the page of the laboratory shows for one state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webapp.search.problems import FAULTS, Problem, explain
from webapp.transport import examples, heat, picture, recipes, support
from webapp.transport.packing import Points
from webapp.transport.state import BY_HAND, LONGEST_ADDRESS, SIDES, LabState, Side, parameters
from workers import inference

LINKS = 500
CELLS = 64
LISTED = 12
GROUPS = (
    (
        "What it costs",
        (
            "cost",
            "primal",
            "dual",
            "gap",
            "relaxation_gap",
            "entropic",
            "divergence",
            "mass",
            "row_penalty",
            "column_penalty",
        ),
    ),
    ("Whether to trust it", ("row_error", "column_error", "tolerance", "iterations", "seconds")),
    (
        "What the plan is like",
        ("nonzeros", "links_row", "links_column", "density", "fan_out", "blur", "entropy"),
    ),
    ("Strengths in absolute terms", ("epsilon", "epsilon_of_mean", "gamma", "beta", "rho_a", "rho_b")),
)
DOWNLOADS = (
    ("links.csv", "Links (.csv)"),
    ("plan.npy", "Plan (.npy)"),
    ("plan.npz", "Plan and potentials (.npz)"),
    ("problem.npz", "Problem (.npz)"),
)
#: of a map that learns: the weight of the Monge gap, and how long it may take
FILM_DEFAULTS = {"strength": "0.3", "seconds": "15"}
NOWHERE: dict[str, Any] = {"points": [], "weights": []}


def resolved(state: LabState, uploads: Mapping[str, dict[str, Any]]) -> LabState:
    """The state with the points of its coordinate boxes and of ``uploads`` (side to name and content) read.

    Raises BadInput for text or files that cannot be read.
    """
    for side in SIDES:
        cloud: Side = getattr(state, side)
        if side in uploads:
            spec: dict[str, Any] = {"file": uploads[side]}
        elif cloud.by_hand and cloud.points is None and cloud.text.strip():
            spec = {"text": cloud.text}
        else:
            continue
        found = inference.transport_points(spec, side)
        rows = tuple(tuple(row) for row in found["points"])
        state = state.with_points(side, Points(rows, tuple(found["weights"]) if found["weights"] else None))
    return state


def context(
    state: LabState, known: Mapping[str, Any], base_url: str, fault: Exception | None = None
) -> dict[str, Any]:
    """Everything that the template draws; ``fault`` is what went wrong while the state was read."""
    shown: dict[str, Any] = {
        "state": state,
        "known": known,
        "examples": examples.EXAMPLES,
        "problem": explain(fault) if fault else None,
        "answer": None,
    }
    answer = None
    if not fault and not state.empty:
        try:
            answer = inference.transport_plan(
                {**state.problem(), "check": state.check, "links": LINKS, "matrix": CELLS}
            )
        except FAULTS as error:
            shown["problem"] = explain(error)
    if shown["problem"]:
        shown["problem"] = _titled(shown["problem"])
    shown["form"] = _form(state, known, shown["problem"])
    if answer is None:
        clouds = [_cloud(getattr(state, side), side) for side in SIDES]
        shown["board"] = picture.board(*clouds)
        shown["raw"] = [_raw(cloud["points"]) for cloud in clouds]
        return shown
    return shown | _answered(state, answer, base_url)


def clouds_and_cost(state: LabState) -> dict[str, Any]:
    """The problem without its solver."""
    problem = state.problem()
    return {name: problem[name] for name in ("source", "target", "cost", "cost_parameters")}


def _titled(problem: Problem) -> Problem:
    """The same with a title that fits: nothing is searched here."""
    if problem.status != 422:
        return problem
    return Problem("That cannot be solved", problem.message, problem.remedy, problem.field, problem.status)


def _answered(state: LabState, answer: dict[str, Any], base_url: str) -> dict[str, Any]:
    state = state.completed(answer)
    query = state.query()
    runs = [answer, *([answer["against"]] if "against" in answer else [])]
    clouds = [answer["problem"][side] for side in SIDES]
    shown = [
        {
            **run,
            "board": picture.board(*clouds, run["plan"]["links"]),
            "heat": heat.pictures(run["matrix"]["cells"]),
            "histograms": support.histograms(run["support"]),
            "strongest": run["plan"]["links"][:LISTED],
        }
        for run in runs
    ]
    return {
        "answer": answer,
        "runs": shown,
        "board": shown[0]["board"],
        "raw": [_raw(cloud["points"]) if cloud["dimension"] == 2 else "" for cloud in clouds],
        "groups": _groups(runs),
        "difference": _difference(answer) if len(runs) == 2 else None,
        "query": query,
        "pairs": state.pairs(),
        "watchable": len(query) < LONGEST_ADDRESS and answer["problem"]["source"]["dimension"] == 2,
        "film_defaults": FILM_DEFAULTS,
        "linkable": len(query) < LONGEST_ADDRESS,
        "letters": len(query),
        "longest": LONGEST_ADDRESS,
        "permalink": base_url.rstrip("/") + "/transport/" + query,
        "recipes": recipes.recipes(state, answer, base_url),
        "downloads": DOWNLOADS,
        "listed": LISTED,
    }


def _groups(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The numbers of all runs, row by row, in groups; a row is there when one of the runs has it."""
    out = []
    for title, names in GROUPS:
        rows = [
            {
                "name": name,
                **next(run["quantities"][name] for run in runs if name in run["quantities"]),
                "values": [run["numbers"].get(name) for run in runs],
            }
            for name in names
            if any(name in run["numbers"] for run in runs)
        ]
        if rows:
            out.append({"title": title, "rows": rows})
    return out


def _difference(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Both plans against each other, the cost also in percent of the first."""
    found = dict(answer["difference"])
    first, second = answer["numbers"]["cost"], answer["against"]["numbers"]["cost"]
    lower, higher = (answer, answer["against"]) if second >= first else (answer["against"], answer)
    costs = sorted(value for value in (first, second) if value is not None)
    found["cheaper"], found["dearer"] = lower["solver"]["label"], higher["solver"]["label"]
    found["excess"] = costs[1] - costs[0] if len(costs) == 2 else None
    found["excess_share"] = (
        found["excess"] / costs[0] if found["excess"] is not None and costs[0] > 0 else None
    )
    return found


def _form(state: LabState, known: Mapping[str, Any], problem: Problem | None) -> dict[str, Any]:
    faulty = problem.field if problem else ""
    sides = [
        {"name": side, "cloud": getattr(state, side), "faulty": faulty.startswith(side)} for side in SIDES
    ]
    return {
        "sides": sides,
        "by_hand": BY_HAND,
        "cost": next((each for each in known["costs"] if each["name"] == state.cost), None),
        "cost_fields": _fields(
            parameters(known["costs"], state.cost), state.cost_values, "cost_", "cost_parameters", faulty
        ),
        "solver": next((each for each in known["solvers"] if each["name"] == state.solver), None),
        "fields": _fields(parameters(known["solvers"], state.solver), state.values, "", "parameters", faulty),
        "other": next((each for each in known["solvers"] if each["name"] == state.other), None),
        "other_fields": _fields(
            parameters(known["solvers"], state.other),
            state.other_values,
            "with_",
            "against.parameters",
            faulty,
        ),
        "faulty": faulty,
    }


def _fields(
    known: list[dict[str, Any]], values: Mapping[str, str], prefix: str, where: str, faulty: str
) -> list[dict[str, Any]]:
    return [
        {
            **each,
            "field": prefix + each["name"],
            "value": values.get(each["name"], _default(each["default"])),
            "ticked": values.get(each["name"], "") not in {"", "0", "false", "off"},
            "faulty": faulty == f"{where}.{each['name']}",
        }
        for each in known
    ]


def _default(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cloud(side: Side, name: str) -> Mapping[str, Any]:
    """The points of one side where there is no answer to take them from."""
    if side.empty or (side.by_hand and side.points is None):
        return NOWHERE
    try:
        found = inference.transport_points(side.spec(), name)
    except FAULTS:
        return NOWHERE
    points = [[*row, 0.0][:2] for row in found["points"]]
    weights = found["weights"] or [1.0] * len(points)
    total = sum(weights)
    return {"points": points, "weights": [weight / total for weight in weights]}


def _raw(points: list[list[float]]) -> str:
    """Coordinates for the script that draws by hand; nothing where the points are too many to draw all."""
    if len(points) > picture.MOST_POINTS:
        return ""
    return " ".join(f"{x:.4f},{y:.4f}" for x, y in points)
