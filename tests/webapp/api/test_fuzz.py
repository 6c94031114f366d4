"""A short fuzz of the whole API with every check; ``python -m benchmarks.fuzz`` is the long one."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.webapp.api import fuzzing
from webapp.api.urls import v1

METHODS = ("get", "post", "put", "patch", "delete")


@pytest.mark.django_db(transaction=True)
def test_nothing_that_is_sent_brings_a_server_error_or_an_undocumented_answer(tmp_path: Path) -> None:
    logging.getLogger("ferry.access").setLevel(logging.WARNING)
    with fuzzing.small_house(tmp_path) as app:
        token = fuzzing.furnish(tmp_path)
        report = fuzzing.run(app, token=token, phases=("examples", "fuzzing"), examples=2)
    assert report.errors == []
    assert report.failures == {}
    assert report.server_errors == 0
    served = sum(hasattr(pattern.callback.cls, method) for pattern in v1 for method in METHODS)
    assert len(report.operations) == served
    assert report.cases >= 150
    assert report.statuses[200] > 20
    assert sum(report.statuses[status] for status in (400, 404, 405)) > 20
