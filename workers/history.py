"""What jobs have measured, step by step: stored thinned out, read as curves.

At most ``KEPT`` points of a job are kept. When there are more, half of them go, so that what remains covers the whole
run evenly; the newest always stays. A resumed job that goes back to its checkpoint replaces what came after it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from workers.models import Point

KEPT = 2000


@dataclass(frozen=True)
class Measured:
    """One point: step, seconds of work until then, epoch where there is one, and the metrics."""

    step: int
    seconds: float
    epoch: float | None
    values: Mapping[str, float]


def record(job: UUID, attempt: int, measured: Sequence[Measured]) -> None:
    """Store points of an attempt, replacing those at or after the first of them that an earlier attempt left."""
    if not measured:
        return
    with transaction.atomic():
        rows = Point.objects.filter(job=job)
        rows.filter(attempt__lt=attempt, step__gte=measured[0].step).delete()
        Point.objects.bulk_create(
            [
                Point(
                    job_id=job,
                    attempt=attempt,
                    step=point.step,
                    seconds=point.seconds,
                    epoch=point.epoch,
                    values={name: value for name, value in point.values.items() if math.isfinite(value)},
                )
                for point in measured
            ],
            update_conflicts=True,
            unique_fields=["job", "step"],
            update_fields=["attempt", "seconds", "epoch", "values"],
        )
        known = list(rows.order_by("step").values_list("pk", "step"))
        if len(known) > KEPT:
            rows.filter(pk__in=_superfluous(known, KEPT // 2)).delete()


def _superfluous(known: Sequence[tuple[int, int]], most: int) -> list[int]:
    """Keys of the points that go, so that about ``most`` stay, evenly spread over the steps, the last among them."""
    last = known[-1][1]
    stride = (last - known[0][1]) / most
    out, before = [], -math.inf
    for key, step in known:
        if step - before < stride and step != last:
            out.append(key)
        else:
            before = step
    return out


def points(job: UUID) -> list[dict[str, Any]]:
    """The points of a job in order: attempt, step, seconds, epoch, values."""
    fields = ("attempt", "step", "seconds", "epoch", "values")
    return list(Point.objects.filter(job=job).order_by("step").values(*fields))


def metrics(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """Names of the metrics of ``found`` points, in order of appearance."""
    return list(dict.fromkeys(name for point in found for name in point["values"]))


def seconds_worked(job: UUID) -> float:
    """Seconds of work up to the last point of a job, 0 where it has none."""
    return Point.objects.filter(job=job).order_by("-step").values_list("seconds", flat=True).first() or 0.0
