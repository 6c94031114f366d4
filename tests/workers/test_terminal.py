"""Long work from the terminal: started from the registry, followed over the job's own stream, rebuilt once."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from workers import events, jobs, kinds, rebuilding, watching
from workers.kinds import Kind, Slot, TrainingParameters
from workers.models import AuditEntry, Job, Library

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def no_bells(house, monkeypatch):
    """Nobody is rung."""
    monkeypatch.setattr(jobs, "ring", lambda job: None)


@pytest.fixture
def tiny(monkeypatch, settings) -> Kind:
    """A kind that was added to the registry just now, and a data set."""
    kind = Kind(
        "tiny", "training", TrainingParameters, "tests:none", "A tiny training",
        presets="mlcore.transport.maps.presets:PRESETS", data=(Slot("source", "points"),), internal=False,
    )  # fmt: skip
    monkeypatch.setitem(kinds.KINDS, "tiny", kind)
    (settings.FERRY_DATA / "datasets").mkdir()
    (settings.FERRY_DATA / "datasets" / "a.csv").write_text("1,2\n")
    return kind


def test_a_new_kind_can_be_started_at_once(tiny, capsys, trainer):
    call_command("jobs", "kinds")
    told = capsys.readouterr().out
    assert "tiny" in told
    assert "--data source=NAME" in told
    assert "check" not in told.split(), "kinds that other pages begin are not offered"
    call_command(
        "jobs",
        "start",
        "tiny",
        "--data",
        "source=a.csv",
        "--set",
        "seed=7",
        "--name",
        "mine",
        "--owner",
        "theo",
    )
    job = Job.objects.get()
    assert (job.kind, job.name, job.owner, job.state) == ("tiny", "mine", trainer, "queued")
    assert job.parameters["data"] == {"source": "a.csv"}
    assert job.parameters["overrides"] == {"seed": "7"}
    told = capsys.readouterr().out
    assert str(job.pk) in told
    assert "No worker listens to training" in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nothing", "--data", "source=a.csv"), "no kind"),
        (("tiny", "--data", "a.csv"), "NAME=VALUE"),
        (("tiny", "--data", "source=b.csv"), "no data set"),
        (("tiny", "--data", "source=a.csv", "--set", "sead=7"), "sead"),
        (("tiny", "--data", "source=a.csv", "--owner", "nobody"), "no account"),
        (("check",), "begun elsewhere"),
    ],
)
def test_what_cannot_be_started_is_told_in_words(tiny, words, message):
    with pytest.raises(CommandError, match=message):
        call_command("jobs", "start", *words)
    assert not Job.objects.exists()


def test_list_stop_resume_by_the_beginning_of_the_key(tiny, capsys):
    call_command("jobs", "start", "tiny", "--data", "source=a.csv")
    key = str(Job.objects.get().pk)[:8]
    call_command("jobs", "stop", key)
    assert Job.objects.get().state == "stopped"
    call_command("jobs", "list", "--open")
    call_command("jobs", "resume", key)
    assert Job.objects.get().state == "queued"
    capsys.readouterr()
    call_command("jobs", "list")
    assert capsys.readouterr().out.startswith(key)
    assert list(AuditEntry.objects.values_list("verb", flat=True))[:2] == ["resume", "stop"]
    for wrong in ("", "zzzz"):
        with pytest.raises(CommandError, match="begin with"):
            call_command("jobs", "stop", wrong)


def test_watching_tells_what_the_stream_tells_and_ends_with_the_job(tiny):
    job = jobs.submit("tiny", {"data": {"source": "a.csv"}, "preset": next(iter(tiny.load_presets()))})
    held = jobs.claim(job.pk, "here:1")
    said: list[str] = []

    def work() -> None:
        for step in (1, 2, 3):
            jobs.note(held, {"done": step, "total": 3, "metrics": {"loss": 1.0 / step}}, "")
        jobs.finish(held, "failed", error="It was too small.")
        connections.close_all()

    threading.Timer(0.2, work).start()
    seen = [news["done"] for news in watching.follow(job) if news.get("done")]
    assert seen[:3] == [1, 2, 3]
    assert watching.watch(job, said.append) == "failed"
    assert said[-1].endswith("It was too small.")


def test_a_stream_that_is_away_does_not_hide_the_end(tiny, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError

    job = jobs.submit("tiny", {"data": {"source": "a.csv"}, "preset": next(iter(tiny.load_presets()))})
    jobs.stop(job)
    monkeypatch.setattr(events, "subscribe", refuse)
    assert [news["state"] for news in watching.follow(job)] == ["stopped"]


@pytest.fixture
def libraries(house) -> None:
    """One that fits the model in use, two that do not, one unfinished."""
    for name, digest, state in (
        ("fits", "a" * 64, "ready"), ("old", "b" * 64, "ready"), ("older", "c" * 64, "ready"),
        ("half", "b" * 64, "importing"),
    ):  # fmt: skip
        Library.objects.create(id=name, name=name, state=state, model_hash=digest, size=3)


def test_what_is_stale_is_rebuilt_once(libraries, capsys):
    call_command("rebuild", "--dry-run")
    assert not Job.objects.exists()
    assert "would rebuild old (3 molecules)" in capsys.readouterr().out
    call_command("rebuild")
    assert {job.parameters["library"] for job in Job.objects.filter(kind="rebuild")} == {"old", "older"}
    call_command("rebuild", "--area", "retrieval")
    assert Job.objects.count() == 2
    assert "Nothing to begin" in capsys.readouterr().out
    jobs.stop(Job.objects.get(parameters__library="old"))
    assert [library.pk for library in rebuilding.stale()] == ["old"], "a stopped one may begin again"
    assert {entry.who for entry in AuditEntry.objects.filter(verb="rebuild")} == {"manage.py rebuild"}


def test_an_area_that_nothing_rests_on(libraries):
    with pytest.raises(CommandError, match="retrieval"):
        call_command("rebuild", "--area", "speech")


def test_waiting_ends_with_the_jobs(libraries, monkeypatch):
    monkeypatch.setattr(
        watching, "watch", lambda job, say: "done" if "older" in str(job.parameters) else "failed"
    )
    with pytest.raises(SystemExit) as end:
        call_command("rebuild", "--wait")
    assert end.value.code == 1


def test_the_science_hands_over(monkeypatch, tmp_path):
    from mlcore import cli_rebuild
    from mlcore.__main__ import main

    calls: list[list[str]] = []

    def note(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.setattr(cli_rebuild.subprocess, "run", note)
    assert main(["rebuild", "--area", "retrieval", "--wait"]) == 3
    assert calls == [[sys.executable, str(ROOT / "manage.py"), "rebuild", "--area", "retrieval", "--wait"]]
    monkeypatch.setattr(cli_rebuild, "HOME", tmp_path)
    assert main(["rebuild"]) == 2
    assert len(calls) == 1


def test_the_commands_of_manage_are_there():
    done = subprocess.run(
        [sys.executable, "manage.py", "help", "--commands"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    wanted = {"serve", "doctor", "backup", "restore", "rebuild", "jobs", "notify_test", "make_admin"}
    assert wanted <= set(done.stdout.split())
