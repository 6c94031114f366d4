"""A problem and its plan as files that reopen elsewhere."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np

from mlcore.runtime.errors import InputError, LimitError
from mlcore.transport.laboratory import planview
from mlcore.transport.laboratory.report import Prepared, Solved, plan_of
from mlcore.transport.laboratory.solving import LabRequest, prepare, run

MOST_LINES = 200_000
#: what can be taken away: name of the file, content type
FILES = {
    "links.csv": ("plan-links.csv", "text/csv; charset=utf-8"),
    "plan.npy": ("plan.npy", "application/octet-stream"),
    "plan.npz": ("plan.npz", "application/octet-stream"),
    "problem.npz": ("problem.npz", "application/octet-stream"),
}


def file_of(request: LabRequest, kind: str) -> tuple[str, str, bytes]:
    """Name, content type and content of one of :data:`FILES`; the plan is solved anew.

    Raises:
        InputError: no such file, a plan with too many links for a table, or what
            :func:`~mlcore.transport.laboratory.solving.solve` refuses.
    """
    if kind not in FILES:
        raise InputError(
            f"there is no file '{kind[:40]}'", field="format", remedy=f"Use one of {', '.join(FILES)}."
        )
    prepared = prepare(request)
    name, content_type = FILES[kind]
    if kind == "problem.npz":
        return name, content_type, archive(**problem_arrays(prepared))
    solved = run(prepared, request.limits)
    if kind == "links.csv":
        return name, content_type, table(solved)
    if kind == "plan.npy":
        stream = io.BytesIO()
        np.save(stream, plan_of(solved), allow_pickle=False)
        return name, content_type, stream.getvalue()
    return name, content_type, archive(**plan_arrays(solved))


def problem_arrays(prepared: Prepared) -> dict[str, Any]:
    """``x`` (n, d), ``y`` (m, d), ``a`` (n,), ``b`` (m,) as the solver gets them, and ``cost`` (n, m)."""
    setting = prepared.setting()
    return {
        "x": prepared.source.points,
        "y": prepared.target.points,
        "a": setting.a.cpu().numpy(),
        "b": setting.b.cpu().numpy(),
        "cost": setting.cost.cpu().numpy(),
    }


def plan_arrays(solved: Solved) -> dict[str, Any]:
    """``plan`` (n, m), the points and weights, and the potentials ``f`` (n,), ``g`` (m,) where the solver has them."""
    setting, outcome, prepared = solved.setting, solved.outcome, solved.prepared
    out = {
        "plan": plan_of(solved),
        "x": prepared.source.points,
        "y": prepared.target.points,
        "a": setting.a.cpu().numpy(),
        "b": setting.b.cpu().numpy(),
    }
    for name in ("f", "g"):
        potential = getattr(outcome, name)
        if potential is not None:
            out[name] = potential.cpu().numpy()
    return out


def archive(**arrays: Any) -> bytes:
    """Arrays as a compressed ``.npz``."""
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def table(solved: Solved) -> bytes:
    """Every link as a line: its two points, its mass, their coordinates; the strongest first.

    Raises:
        LimitError: more links than a table should have.
    """
    plan = plan_of(solved)
    found = planview.links(plan, MOST_LINES)
    if found["left_out"]:
        raise LimitError(
            f"the plan has {found['of']:,} links and a table takes {MOST_LINES:,}",
            field="format",
            remedy="Take the whole plan as plan.npy.",
        )
    x, y = solved.prepared.source.points, solved.prepared.target.points
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(
        [
            "source",
            "target",
            "mass",
            *(f"source_x{at + 1}" for at in range(x.shape[1])),
            *(f"target_x{at + 1}" for at in range(y.shape[1])),
        ]
    )
    for row, column, mass in found["links"]:
        writer.writerow(
            [row, column, repr(mass), *map(repr, x[row].tolist()), *map(repr, y[column].tolist())]
        )
    return stream.getvalue().encode()
