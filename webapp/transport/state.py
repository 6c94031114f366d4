"""The state of the laboratory: all of it stands in the address, and makes the problem that the door is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict

from webapp.transport import packing
from webapp.transport.packing import Points

SIDES = ("source", "target")
BY_HAND = "points"
LONGEST_ADDRESS = 6_000
LONGEST_VALUE = 60


@dataclass(frozen=True)
class Side:
    """One cloud: a sample with its numbers as typed, or points."""

    sample: str = BY_HAND
    n: str = ""
    seed: str = ""
    dx: str = ""
    dy: str = ""
    text: str = ""  # of the coordinates box, as typed
    points: Points | None = None  # as read from it

    @property
    def by_hand(self) -> bool:
        """Whether the points were drawn, typed or read from a file."""
        return self.sample == BY_HAND

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it."""
        return self.by_hand and not (self.points and self.points.rows) and not self.text.strip()

    def spec(self) -> dict[str, Any]:
        """The cloud as the door takes it."""
        if not self.by_hand:
            found: dict[str, Any] = {"sample": self.sample, "n": self.n or "60", "seed": self.seed or "0"}
            return found | ({"shift": [self.dx or "0", self.dy or "0"]} if self.dx or self.dy else {})
        if self.points is None:
            return {"text": self.text}
        weights = None if self.points.weights is None else list(self.points.weights)
        return {"points": [list(row) for row in self.points.rows], "weights": weights}

    def completed(self, recipe: Mapping[str, Any]) -> Side:
        """The same with the number of points and the seed that a sample was made with."""
        return self if self.by_hand else replace(self, n=str(recipe["n"]), seed=str(recipe["seed"]))

    def pairs(self, side: str) -> list[tuple[str, str]]:
        """Names and values for the address."""
        found = [(side, self.sample)]
        if self.by_hand:
            return [*found, (f"{side}_points", packing.pack(self.points))] if self.points else found
        numbers = (("n", self.n), ("seed", self.seed), ("dx", self.dx), ("dy", self.dy))
        return [*found, *((f"{side}_{name}", value) for name, value in numbers if value)]


@dataclass(frozen=True)
class LabState:
    """Everything that decides an answer. Values are kept as typed: the door says what is wrong with them."""

    source: Side = field(default_factory=Side)
    target: Side = field(default_factory=Side)
    cost: str = "squared_euclidean"
    cost_values: Mapping[str, str] = field(default_factory=dict)
    solver: str = "sinkhorn"
    values: Mapping[str, str] = field(default_factory=dict)
    other: str = ""  # a second solver to compare with
    other_values: Mapping[str, str] = field(default_factory=dict)
    check: bool = False

    @classmethod
    def read(cls, query: QueryDict, known: Mapping[str, Any]) -> LabState:
        """The state of an address or a form; ``known`` is what the door says that can be asked.

        Raises BadInput for points that are damaged.
        """
        cost = query.get("cost") or cls.cost
        solver, other = query.get("solver") or cls.solver, query.get("with", "")
        return cls(
            source=_side(query, "source"),
            target=_side(query, "target"),
            cost=cost[:LONGEST_VALUE],
            cost_values=_values(query, "cost_", parameters(known["costs"], cost)),
            solver=solver[:LONGEST_VALUE],
            values=_values(query, "", parameters(known["solvers"], solver)),
            other=other[:LONGEST_VALUE],
            other_values=_values(query, "with_", parameters(known["solvers"], other)),
            check=query.get("check", "") not in {"", "0", "off"},
        )

    @property
    def empty(self) -> bool:
        """Whether a cloud is missing, so that there is nothing to solve."""
        return self.source.empty or self.target.empty

    def problem(self) -> dict[str, Any]:
        """The problem as the door and the API take it."""
        found: dict[str, Any] = {
            "source": self.source.spec(),
            "target": self.target.spec(),
            "cost": self.cost,
            "cost_parameters": dict(self.cost_values),
            "solver": self.solver,
            "parameters": dict(self.values),
        }
        if self.other:
            found["against"] = {"solver": self.other, "parameters": dict(self.other_values)}
        return found

    def pairs(self) -> list[tuple[str, str]]:
        """All names and values of the address, in order."""
        pairs = [*self.source.pairs("source"), *self.target.pairs("target"), ("cost", self.cost)]
        pairs += [(f"cost_{name}", value) for name, value in self.cost_values.items()]
        pairs += [("solver", self.solver), *self.values.items()]
        if self.other:
            pairs += [
                ("with", self.other),
                *((f"with_{name}", value) for name, value in self.other_values.items()),
            ]
        if self.check:
            pairs.append(("check", "1"))
        return pairs

    def query(self) -> str:
        """The query string that leads here, with its question mark."""
        return f"?{urlencode(self.pairs())}"

    def completed(self, answer: Mapping[str, Any]) -> LabState:
        """The same with every value that ``answer`` was made with written out, so that no default can change it."""
        sides = {side: getattr(self, side).completed(answer["problem"][side]["recipe"]) for side in SIDES}
        found = replace(
            self,
            **sides,
            cost=answer["problem"]["cost"]["name"],
            cost_values=_typed(answer["problem"]["cost"]["parameters"]),
            values=_typed(answer["solver"]["parameters"]),
        )
        if "against" not in answer:
            return found
        return replace(found, other_values=_typed(answer["against"]["solver"]["parameters"]))

    def with_points(self, side: str, points: Points) -> LabState:
        """The same with other points on one side."""
        changed = Side(points=points, text=packing.in_lines(points))
        return replace(self, source=changed) if side == "source" else replace(self, target=changed)


def parameters(kinds: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The parameters of the solver or cost called ``name``; none for an unknown one."""
    return next((kind["parameters"] for kind in kinds if kind["name"] == name), [])


def _typed(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as they are typed; a box that is not ticked is left out."""
    written = {
        name: "true" if value is True else str(value) for name, value in values.items() if value is not False
    }
    return {name: value.removesuffix(".0") for name, value in written.items()}


def _values(query: QueryDict, prefix: str, known: list[dict[str, Any]]) -> dict[str, str]:
    """What was given for the known parameters, without empty fields; an unticked box is its absence."""
    found = {each["name"]: query.get(prefix + each["name"], "").strip()[:LONGEST_VALUE] for each in known}
    return {name: value for name, value in found.items() if value}


def _side(query: QueryDict, side: str) -> Side:
    sample = query.get(side, BY_HAND).strip()[:LONGEST_VALUE] or BY_HAND
    text = query.get(f"{side}_points", "")
    if sample != BY_HAND:
        names = ("n", "seed", "dx", "dy")
        return Side(sample, *(query.get(f"{side}_{name}", "").strip()[:LONGEST_VALUE] for name in names))
    if packing.packed(text):
        points = packing.unpack(text, f"{side}.points")
        return Side(points=points, text=packing.in_lines(points))
    return Side(text=text)
