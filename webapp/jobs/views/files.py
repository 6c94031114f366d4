"""Charts and their points as files to take away."""

from __future__ import annotations

from collections.abc import Sequence

from django.http import HttpResponse
from django.utils.http import content_disposition_header

from webapp.jobs.charts import Chart
from workers.inference import NotFound

TYPES = {"csv": "text/csv; charset=utf-8", "svg": "image/svg+xml"}


def named(charts: Sequence[Chart], name: str) -> Chart:
    """The chart called ``name``. Raises NotFound."""
    found = next((chart for chart in charts if chart.name == name), None)
    if found is None:
        known = ", ".join(chart.name for chart in charts) or "none"
        raise NotFound(f"There is no chart '{name[:60]}' here; there is {known}.")
    return found


def attached(content: str, stem: str, extension: str) -> HttpResponse:
    """A file called ``stem.extension``."""
    named = content_disposition_header(True, f"{stem}.{extension}") or "attachment"
    return HttpResponse(content, content_type=TYPES[extension], headers={"Content-Disposition": named})
