"""Jobs in every state, made as rows: what the pages make of them is tested here, not the work."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from webapp.jobs import press
from workers import history, jobs, kinds, registry
from workers.models import Job, ModelVersion

HELD = ("running", "stopping")
ENDED = ("done", "failed", "stopped", "lost")


@pytest.fixture(autouse=True)
def bells(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Bells that only count."""
    rung: list[str] = []
    monkeypatch.setattr(jobs, "ring", lambda job: rung.append(str(job.pk)))
    return rung


@pytest.fixture(scope="session", autouse=True)
def drawing_ends() -> Iterator[None]:
    """The child that draws ends with the tests."""
    yield
    press.close()


@pytest.fixture
def make(db: None) -> Callable[..., Job]:
    """``make("running", kind="monge", silent=True, points=30, **fields)``: a job that stands so."""

    def made(state: str, *, kind: str = "monge", silent: bool = False, points: int = 0, **fields: Any) -> Job:
        now = timezone.now()
        values: dict[str, Any] = {
            "parameters": {
                "data": {"source": "a.npy", "target": "b.npy"},
                "preset": "small",
                "overrides": {},
            },
            "queue": kinds.find(kind).queue,
        }
        if state != "queued":
            values |= {"started": now - timedelta(minutes=4), "attempts": 1, "token": 1}
        if state in HELD:
            lease = now - timedelta(minutes=2) if silent else now + timedelta(hours=1)
            beat = now - timedelta(minutes=3) if silent else now
            values |= {"lease_until": lease, "heartbeat": beat, "worker": "node7:41"}
            values |= {"progress": {"done": 30, "total": 120, "rate": 1.5, "seconds_left": 60.0}}
        if state in ENDED:
            values |= {"finished": now}
        job = Job.objects.create(kind=kind, state=state, **(values | fields))
        measure(job, points)
        return job

    return made


def measure(job: Job, count: int, *, start: int = 0, attempt: int = 1) -> None:
    """Store ``count`` points: a loss that falls as 1 / step, and two figures that share a beginning."""
    steps = range(start + 1, start + count + 1)
    found = [
        history.Measured(
            step, step * 2.0, step / 10, {"loss": 1 / step, "held_out_l2": 2 / step, "held_out_gap": 3 / step}
        )
        for step in steps
    ]
    history.record(job.pk, attempt, found)


@pytest.fixture
def version(settings: Any, db: None) -> Callable[..., ModelVersion]:
    """``version(width=64, job=job)``: a registered version with a folder of its own."""

    def made(area: str = "monge", job: Job | None = None, **config: Any) -> ModelVersion:
        number = ModelVersion.objects.count() + 1
        folder = Path(settings.FERRY_DATA) / "made" / f"{area}-{number}-{uuid4().hex}"
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"\0" * 2_048)
        (folder / "config.json").write_text(json.dumps({"layers": 3, **config}))
        card = {
            "what": "A map that carries one cloud onto another.",
            "data": [{"name": "clouds.npz", "licence": "CC BY 4.0", "rows": 500}],
            "metrics": {"l2_uvp": 2.5, "command": "python -m mlcore evaluate monge"},
            "sha256": f"{number:064x}",
        }
        (folder / "card.json").write_text(json.dumps(card))
        return registry.register(area, "", folder, job)

    return made


@pytest.fixture
def at_work(client: Any, trainer: Any) -> Any:
    """A trainer's browser."""
    client.force_login(trainer)
    return client


@pytest.fixture
def page(at_work: Any) -> Callable[..., str]:
    """What a trainer reads at an address, after checking the status (200 unless told)."""

    def fetch(address: str, status: int = 200, **options: Any) -> str:
        response = at_work.get(address, **options)
        assert response.status_code == status, response.content[:2000]
        return response.content.decode()

    return fetch


@pytest.fixture
def measured() -> Callable[..., None]:
    """:func:`measure` for tests."""
    return measure
