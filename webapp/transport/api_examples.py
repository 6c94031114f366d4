"""Worked examples of the API's transport addresses, for the schema; tests check each against its serializer."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample

_PROBLEM = {
    "source": {"points": [[0.0, 0.0], [1.0, 0.0]]},
    "target": {"points": [[0.0, 1.0], [1.0, 1.0]]},
    "solver": "exact",
}


def _answer(name: str, value: object) -> OpenApiExample:
    return OpenApiExample(name, value=value, response_only=True, status_codes=["200"])


def _body(name: str, value: object) -> OpenApiExample:
    return OpenApiExample(name, value=value, request_only=True)


PROBLEM_BODY = _body("Two points to two points", _PROBLEM)
SAMPLED_BODY = _body(
    "Sampled clouds, two solvers",
    {
        "source": {"sample": "moons", "n": 60, "seed": 1},
        "target": {"sample": "ring", "n": 80, "seed": 2, "shift": [0.5, 0.0]},
        "cost": "squared_euclidean",
        "solver": "sinkhorn",
        "parameters": {"epsilon": 0.05, "relative": "mean"},
        "against": {"solver": "exact"},
    },
)
FILE_BODY = _body("The problem as a file", {**_PROBLEM, "format": "problem.npz"})


def _cloud(points: list[list[float]]) -> dict[str, Any]:
    return {
        "recipe": {"given": "points"},
        "n": 2,
        "dimension": 2,
        "mass": 1.0,
        "weighted": False,
        "points": points,
        "weights": [0.5, 0.5],
    }


PLAN = _answer(
    "Two points to two points",
    {
        "problem": {
            "source": _cloud([[0.0, 0.0], [1.0, 0.0]]),
            "target": _cloud([[0.0, 1.0], [1.0, 1.0]]),
            "cost": {
                "name": "squared_euclidean",
                "label": "squared Euclidean",
                "formula": "|x − y|²",
                "parameters": {},
                "rows": 2,
                "columns": 2,
                "least": 1.0,
                "mean": 1.5,
                "greatest": 2.0,
                "deviation": 0.5,
            },
            "mass": [1.0, 1.0],
            "scaled": False,
            "note": "",
        },
        "solver": {
            "name": "exact",
            "label": "Exact (network simplex)",
            "objective": "min ⟨P, C⟩",
            "parameters": {},
            "regulariser": "none",
        },
        "status": {
            "name": "converged",
            "converged": True,
            "sentence": "Both marginals are met: the larger marginal error is 0, the tolerance 1e-09 of the mass.",
            "remedy": "",
        },
        "numbers": {"cost": 1.0, "primal": 1.0, "dual": 1.0, "gap": 0.0},
        "quantities": {
            "cost": {"label": "transport cost", "unit": "cost", "formula": "⟨P, C⟩ = Σᵢⱼ Pᵢⱼ Cᵢⱼ"}
        },
        "device": "cpu",
        "dtype": "float64",
        "plan": {"links": [[0, 0, 0.5], [1, 1, 0.5]], "shown": 2, "of": 2, "left_out": 0, "share": 1.0},
        "support": {"rows": [1, 1], "columns": [1, 1]},
        "matrix": {
            "cells": [[0.5, 0.0], [0.0, 0.5]],
            "rows": 2,
            "columns": 2,
            "of_rows": 2,
            "of_columns": 2,
            "order": "first coordinate",
            "largest": 0.5,
        },
        "code": {"pot": "plan = ot.emd(a, b, C)"},
        "check": None,
        "estimate": "needs about 192 bytes and less than 0.01 s",
    },
)
ESTIMATE = _answer(
    "A small one",
    {
        "source_points": 400,
        "target_points": 400,
        "dimension": 2,
        "entries": 160_000,
        "memory_bytes": 7_680_000,
        "seconds": 0.04,
        "seconds_at_most": 1.0,
        "sentence": "needs about 7.7 MB and 0.04 s",
    },
)
SOLVERS = _answer(
    "One of each kind",
    {
        "solvers": [
            {
                "name": "sinkhorn",
                "label": "Sinkhorn (entropic)",
                "words": "A blurred plan that is smooth in the points.",
                "objective": "min ⟨P, C⟩ + ε KL(P | a bᵀ)",
                "balanced": True,
                "parameters": [
                    {
                        "name": "epsilon",
                        "label": "ε",
                        "kind": "number",
                        "default": 0.05,
                        "words": "How much the entropy counts.",
                        "least": 1e-6,
                        "most": 1e6,
                        "choices": [],
                        "strength": True,
                        "endless": False,
                    }
                ],
            }
        ],
        "costs": [
            {
                "name": "euclidean",
                "label": "Euclidean",
                "words": "The length of the way.",
                "formula": "|x − y|",
                "parameters": [],
            }
        ],
        "samples": [{"name": "ring", "label": "a ring", "words": "a circle of radius 1, a little rough"}],
        "limits": {
            "points": 4_000,
            "entries": 1_000_000,
            "dimension": 32,
            "file_bytes": 4_000_000,
            "seconds": 15.0,
            "links": 50_000,
            "matrix": 256,
        },
    },
)
SWEEP_BODY = _body(
    "Two points to two points",
    {name: value for name, value in _PROBLEM.items() if name in {"source", "target"}},
)
SWEEP = _answer(
    "One row",
    {
        "exact": 1.0,
        "rows": [
            {
                "share": 0.1,
                "epsilon": 0.15,
                "cost": 1.0013,
                "excess": 0.0013,
                "blur": 0.036,
                "fan_out": 1.01,
                "error": 0.0,
                "iterations": 4,
                "seconds": 0.002,
                "converged": True,
            }
        ],
    },
)
MAP_BODY = _body(
    "Moons to a ring",
    {
        "source": {"sample": "moons", "n": 1000, "seed": 1},
        "target": {"sample": "ring", "n": 1000, "seed": 2},
        "parameters": {"strength": 0.3, "seconds": 5, "seed": 0},
    },
)


def _map_cloud(name: str, seed: int) -> dict[str, Any]:
    recipe = {"sample": name, "n": 1000, "seed": seed, "shift": [0.0, 0.0]}
    return {"recipe": recipe, "n": 1000, "points": [[0.1, 0.9]]}


MAP = _answer(
    "Moons to a ring, cut short",
    {
        "problem": {
            "source": _map_cloud("moons", 1),
            "target": _map_cloud("ring", 2),
            "cost": {"name": "squared_euclidean", "label": "squared Euclidean", "parameters": {}},
        },
        "parameters": {"strength": 0.3, "seconds": 5.0, "seed": 0},
        "estimate": "needs about 22 MB and 5 s, at most 5 s",
        "held_out": {
            "identity": {"divergence": 0.2022, "gap": 0.0},
            "map": {"divergence": 0.0552, "gap": 0.001},
        },
        "map": {
            "step": 160,
            "steps": 300,
            "seconds": 5.02,
            "divergence": 0.0552,
            "gap": 0.001,
            "lattice": [[[-1.2, -1.0], [1.2, -1.0]], [[-1.2, 1.0], [1.2, 1.0]]],
            "images": [[0.2, 0.98]],
            "last": True,
        },
        "seconds": 5.1,
    },
)
MAP_ESTIMATE = _answer(
    "Moons to a ring",
    {
        "source_points": 1_000,
        "target_points": 1_000,
        "steps": 300,
        "memory_bytes": 21_900_000,
        "seconds": 5.0,
        "seconds_at_most": 5.0,
        "sentence": "needs about 22 MB and 5 s, at most 5 s",
    },
)
