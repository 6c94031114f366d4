"""What a problem will need, told before it is solved: memory and a rough time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlcore.runtime.errors import LimitError
from mlcore.transport.laboratory.clouds import Limits
from mlcore.transport.laboratory.outcomes import Solver

#: seconds for one entry of the matrix in one iteration, and for an iteration itself; measured on one core of a server
#: processor (benchmark: 100, 400 and 1,000 points a side). They are good to a factor of about three.
ENTRY_SECONDS = 1.0e-9
START_SECONDS = 3.0e-5
BYTES = 8


def needs(
    rows: int, columns: int, solver: Solver, values: Mapping[str, Any], mean_cost: float
) -> dict[str, float]:
    """``memory`` in bytes, ``seconds`` as expected, ``seconds_most`` with every iteration used."""
    entries = rows * columns
    usual, most = solver.passes(values, mean_cost)
    grows = max(max(rows, columns) / 1_000, 0.05) ** 0.5 if solver.on_cpu else 1.0

    def seconds(passes: float) -> float:
        return (
            0.003
            + grows * passes * entries * ENTRY_SECONDS
            + (0 if solver.on_cpu else passes * START_SECONDS)
        )

    return {
        "entries": entries,
        "memory": entries * BYTES * solver.copies,
        "seconds": seconds(usual),
        "seconds_most": max(seconds(most), seconds(usual)),
    }


def refuse_beyond(
    limits: Limits, found: Mapping[str, float], rows: int, columns: int, solver: Solver
) -> None:
    """Raise LimitError where the problem is beyond ``limits``, with what would fit."""
    if found["entries"] > limits.entries:
        side = int(limits.entries**0.5)
        raise LimitError(
            f"{rows:,} by {columns:,} points make a cost matrix of {found['entries']:,} entries "
            f"(about {spoken_bytes(found['memory'])}), and the limit is {limits.entries:,}",
            field="source",
            remedy=f"Take at most {side:,} points a side, or use the command line on your own machine: "
            "python -m mlcore transport plan.",
        )
    if found["seconds_most"] > limits.seconds:
        names = [each.name for each in solver.parameters]
        fewer = "fewer points" + "".join(
            f", or fewer {word}"
            for name, word in (("max_iterations", "iterations"), ("steps", "steps"))
            if name in names
        )
        raise LimitError(
            f"this may take {spoken_seconds(found['seconds_most'])} if every iteration is used, and the limit is "
            f"{spoken_seconds(limits.seconds)}",
            field=f"parameters.{'max_iterations' if 'max_iterations' in names else 'steps'}",
            remedy=f"Use {fewer}, or the command line on your own machine: python -m mlcore transport plan.",
        )


def sentence(found: Mapping[str, float]) -> str:
    """As people say it: "needs about 38 MB and 0.2 s"."""
    return f"needs about {spoken_bytes(found['memory'])} and {spoken_seconds(found['seconds'])}"


def spoken_bytes(count: float) -> str:
    """``38 MB``."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            value = count / size
            return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"
    return f"{count:.0f} bytes"


def spoken_seconds(count: float) -> str:
    """``0.2 s``, ``3 min``."""
    if count < 0.01:
        return "less than 0.01 s"
    if count < 90:
        return f"{count:.2g} s" if count < 10 else f"{count:.0f} s"
    return f"{count / 60:.0f} min" if count < 5_400 else f"{count / 3600:.0f} h"
