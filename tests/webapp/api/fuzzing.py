"""The real application with a science small enough to be asked thousands of times, for schemathesis.

Everything above the inference door runs as it is: middleware, views, database, files. The door is the small one of
``tests/webapp/fakes.py`` with the fields that only the API shows; nobody works on the jobs that are started.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from django.test import override_settings
from django.utils import timezone

from tests.webapp import fakes

SECRET = "ferry_fuzz"
JOB = "8d0f5a0e-53c4-4a3e-9f0b-6f2f8f6f9a51"


class Door(fakes.FakeDoor):
    """The small door, with what pages do not read."""

    def search(self, **asked: Any) -> dict[str, Any]:
        """As ever, with every field of the understood question."""
        answer = super().search(**asked)
        answer["query"] |= {"inchikey": None, "formula": None, "smarts": None}
        return {**answer, "sort": asked["sort"], "filters": {k: str(v) for k, v in asked["filters"].items()}}

    def _kind(self, text: str, read_as: str) -> tuple[str, str | None]:
        """Readings that the small door has no words for count as prose."""
        kind, canonical = super()._kind(text, read_as)
        return (kind if kind in fakes.LABELS else "prose"), canonical

    def neighbours(self, library: str, identifier: str, k: int = 12) -> dict[str, Any]:
        """With the molecule itself."""
        row = self._row(identifier)
        return {**super().neighbours(library, identifier, k), "molecule": row, "took_ms": 1.0}

    def describe(self, structure: str, libraries: Any = None, k: int = 10) -> dict[str, Any]:
        """With whose text it is."""
        answer = super().describe(structure, libraries, k)
        return {**answer, "texts": [{**text, "own": False} for text in answer["texts"]]}


def learn_nothing(problem: Any) -> dict[str, Any]:
    """A map as in the example for every problem that is in order: learning takes seconds and is tested elsewhere."""
    from webapp.transport import api_examples
    from workers import inference

    inference.transport_map_estimate(problem)
    return copy.deepcopy(api_examples.MAP.value)


@contextmanager
def small_house(folder: Path) -> Iterator[Any]:
    """The application over an empty data folder; gives what schemathesis calls. The database has to be there."""
    from django.core.asgi import get_asgi_application

    from webapp import streaming
    from webapp.api import following
    from workers import events, inference, jobs, libraries

    door = Door(inference)
    subscribe = events.subscribe
    patches = [mock.patch.object(inference, verb, getattr(door, verb)) for verb in fakes.VERBS]
    patches += [
        mock.patch.object(libraries, "list_libraries", door.list_libraries),
        mock.patch.object(inference, "transport_map", learn_nothing),
        mock.patch.object(jobs, "ring"),
        mock.patch.object(events, "subscribe", lambda stream, after=0, *, wait=0.0: subscribe(stream, after)),
        mock.patch.object(following, "LONGEST", 0.05),
        mock.patch.object(streaming, "POLL_SECONDS", 0.01),
    ]
    for name in ("data", "models"):
        (folder / name).mkdir()
    (folder / "data" / "tmp").mkdir()
    changed = {
        "FERRY_DATA": folder / "data",
        "FERRY_MODELS": folder / "models",
        "FILE_UPLOAD_TEMP_DIR": str(folder / "data" / "tmp"),
        "FERRY_JOBS_PER_USER": 10**6,
        "ALLOWED_HOSTS": ["testserver"],
    }
    with override_settings(**changed):
        for patch in patches:
            patch.start()
        inference.decoding_describe()  # what loads the science may take longer than a request is waited for
        try:
            yield get_asgi_application()
        finally:
            for patch in patches:
                patch.stop()


def furnish(folder: Path) -> str:
    """Accounts, jobs, versions and data sets to be asked for; the token of an administrator."""
    from django.contrib.auth.models import Group

    from webapp.accounts.models import ApiToken, User, digest
    from workers import datasets, history, registry
    from workers.models import Evaluation, Job

    ada = User.objects.create_user("ada", is_staff=True)
    ada.groups.add(Group.objects.get(name="admin"))
    ApiToken.objects.create(user=ada, name="fuzz", digest=digest(SECRET), hint="ferry")
    now = timezone.now()
    parameters = {"data": {"source": "clouds.npz"}, "preset": "small", "overrides": {}}
    facts = {"kind": "monge", "queue": "training", "parameters": parameters, "owner": ada}
    done = Job.objects.create(pk=JOB, state="done", started=now, finished=now, attempts=1, **facts)
    history.record(done.pk, 1, [history.Measured(n, n / 2, n / 10, {"loss": 1 / n}) for n in range(1, 30)])
    Job.objects.create(state="failed", started=now, finished=now, error="Too little memory.", **facts)
    held = {"lease_until": now + timedelta(days=1), "heartbeat": now, "worker": "lab:1"}
    progress = {"done": 3, "total": 9, "metrics": {"loss": 0.5, "epoch": 1.0}}
    Job.objects.create(state="running", started=now, progress=progress, **held, **facts)
    (datasets.roots()[0] / "clouds.npz").write_bytes(b"not read here")
    for number in (1, 2):
        made = folder / "data" / "made" / str(number)
        made.mkdir(parents=True)
        card = {"sha256": f"{number:064x}", "metrics": {"l2_uvp": 2.5}}
        (made / "card.json").write_text(json.dumps(card))
        (made / "config.json").write_text(json.dumps({"width": 64 * number}))
        version = registry.register("monge", "", made, done)
        data = [{"name": "clouds.npz", "use": "pairs", "sha256": "0" * 64}]
        Evaluation.objects.create(version=version, metrics={"l2_uvp": 2.0 * number}, data=data)
    return SECRET


@dataclass
class Report:
    """What a run asked and what it found."""

    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def server_errors(self) -> int:
        """Answers of 500 and above, but for 503: that one is an honest word and documented."""
        return sum(count for status, count in self.statuses.items() if status >= 500 and status != 503)


def run(app: Any, *, token: str = "", phases: Iterable[str], examples: int, seed: int = 4) -> Report:
    """Ask every documented operation, as nobody or with ``token``, and hold each answer to all checks."""
    import schemathesis
    from schemathesis.engine import events, from_schema

    config = schemathesis.Config.from_dict(
        {
            "seed": seed,
            "headers": {"Authorization": f"Bearer {token}"} if token else {},
            "phases": {name: {"enabled": name in phases} for name in PHASES},
            "generation": {
                "max-examples": examples,
                "deterministic": True,
                "no-shrink": True,
                "with-security-parameters": False,
            },
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "3xx", "4xx", "503"]}},
            "continue-on-failure": True,
            "request-timeout": 30,
        }
    )
    schema = schemathesis.openapi.from_asgi("/api/schema/", app, config=config)
    report = Report()
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            _count(report, event.recorder)
        elif isinstance(event, events.NonFatalError | events.FatalError):
            report.errors.append(f"{getattr(event, 'label', '')}: {getattr(event, 'value', None) or event}")
    return report


PHASES = ("examples", "coverage", "fuzzing", "stateful")


def _count(report: Report, recorder: Any) -> None:
    for key, interaction in recorder.interactions.items():
        report.cases += 1
        status = interaction.response.status_code if interaction.response is not None else 0
        report.statuses[status] += 1
        if key in recorder.cases:
            label = recorder.cases[key].value.operation.label
            report.operations[label] += 1
            report.seconds[label] += getattr(interaction.response, "elapsed", 0.0)
    for key, nodes in recorder.checks.items():
        for node in nodes:
            report.checks[node.name] += 1
            if node.failure_info is not None:
                where = recorder.cases[key].value.operation.label
                failure = node.failure_info.failure
                report.failures.setdefault(
                    (node.name, where), f"{failure.title}: {failure.message}\n{node.failure_info.code_sample}"
                )
