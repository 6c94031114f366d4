"""What stands between an installation and the world: policies, logs, settings, and the examples of the manual."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from django.core.exceptions import ImproperlyConfigured

from webapp import environment
from workers import logs, work

ROOT = Path(__file__).resolve().parents[2]
MANUAL = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")

ASK = """
import json, logging
import django
django.setup()
from django.conf import settings
from django.test import Client
answer = Client(HTTP_HOST="ferry.example.org").get("/accounts/log-in/", secure=True)
logging.getLogger("ferry.test").error("said")
print(json.dumps({"status": answer.status_code, "headers": dict(answer.headers),
                  "cookies": [settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE],
                  "mail": settings.DEFAULT_FROM_EMAIL}))
"""


def python(code: str, tmp_path: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Code in an installation of its own."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("FERRY_") and k != "DATABASE_URL"}
    clean |= {"FERRY_DATA": str(tmp_path), "DJANGO_SETTINGS_MODULE": "webapp.settings", **environ}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=clean, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def behind_https(tmp_path_factory) -> tuple[dict[str, Any], str]:
    """An answer and the log of an installation behind https, which logs JSON."""
    done = python(
        ASK, tmp_path_factory.mktemp("data"), FERRY_URL="https://ferry.example.org", FERRY_LOG_FORMAT="json"
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_behind_https_the_headers_are_strict(behind_https):
    answer, _ = behind_https
    headers = answer["headers"]
    assert answer["status"] == 200
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert answer["cookies"] == [True, True]
    assert answer["mail"] == "ferry@ferry.example.org"


def test_no_script_stands_in_a_page_and_no_host_is_asked(behind_https):
    policy = dict(
        rule.strip().split(" ", 1)
        for rule in behind_https[0]["headers"]["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["connect-src"] == "'self'"
    assert not re.search(r"https?:|\*|unsafe-eval", " ".join(policy.values()))


def test_logs_for_programs_are_one_object_a_line(behind_https):
    answer, log = behind_https
    lines = [json.loads(line) for line in log.splitlines()]
    asked = next(line for line in lines if line["logger"] == "ferry.access")
    assert asked["request_id"] == answer["headers"]["X-Request-ID"]
    assert "GET /accounts/log-in/ 200" in asked["message"]
    said = next(line for line in lines if line["message"] == "said")
    assert said["level"] == "ERROR"
    assert "request_id" not in said


def record(fault: bool = False) -> logging.LogRecord:
    """A record as a logger makes one."""
    try:
        raise ValueError("line one\nline two")
    except ValueError:
        made = logging.LogRecord("x", logging.INFO, "f", 1, "a %s", ("b",), sys.exc_info() if fault else None)
    assert logs.Marks().filter(made)
    return made


def test_the_work_of_a_job_is_logged_under_its_key(monkeypatch):
    seen: list[logging.LogRecord] = []
    monkeypatch.setattr(work.jobs, "claim", lambda pk, worker: SimpleNamespace(job=pk))
    monkeypatch.setattr(work, "_held", lambda held: seen.append(record()))
    work.perform("0123-job")
    assert seen[0].job_id == "0123-job"
    assert seen[0].mark == "job 0123-job"
    assert record().mark == "-"
    assert json.loads(logs.JsonLines().format(seen[0]))["job_id"] == "0123-job"


def test_an_exception_stays_on_its_line():
    text = logs.JsonLines().format(record(fault=True))
    assert "\n" not in text
    assert "line two" in json.loads(text)["exception"]


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"FERRY_LOG_FORMAT": "xml"}, "line or json"),
        ({"FERRY_WEBHOOK": "hooks.example.org/very-secret"}, "no web address"),
        ({"FERRY_LOG_FORMT": "json"}, "FERRY_LOG_FORMAT"),
    ],
)
def test_a_value_that_cannot_be_ends_the_start_in_words(tmp_path, environ, message):
    done = python("import django; django.setup()", tmp_path, **environ)
    assert done.returncode != 0
    assert message in done.stderr
    assert "very-secret" not in done.stderr.split("ImproperlyConfigured")[-1]


def test_what_is_shown_of_settings_hides_secrets():
    given = {
        "FERRY_SECRET_KEY": "s3cret-key",
        "FERRY_WEBHOOK": "https://hooks.example.org/services/T0/s3cret",
        "FERRY_WEBHOOK_SECRET": "s3cret-hook",
        "FERRY_METRICS_TOKEN": "s3cret-token",
        "DATABASE_URL": "postgres://ferry:s3cret@db:5432/ferry",
        "REDIS_URL": "redis://:s3cret@redis:6379/0",
        "EMAIL_URL": "smtp+tls://me:s3cret@mail.example.org:587",
        "FERRY_LEASE": "30",
    }
    shown = {entry.name: entry for entry in environment.effective(given)}
    assert "s3cret" not in str(shown.values())
    assert shown["DATABASE_URL"].value == "postgres://…@db:5432/ferry"
    assert shown["FERRY_WEBHOOK"].value == "https://hooks.example.org/…"
    assert (shown["FERRY_LEASE"].value, shown["FERRY_LEASE"].origin) == ("30", "environment")
    assert shown["FERRY_SWEEP"].origin == "default"
    assert len(shown) == len(environment.VARIABLES)


def test_choices_and_addresses():
    assert environment.one_of("X", "a", "a", "b") == "a"
    assert environment.web_address("X", "") == ""
    with pytest.raises(ImproperlyConfigured):
        environment.web_address("X", "ftp://host/")


# The examples that are shipped


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """docker-compose.yml, its anchors resolved."""
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


def test_compose_knows_only_names_that_ferry_reads(compose):
    known = {variable.name for variable in environment.VARIABLES}
    for name, service in compose["services"].items():
        if service.get("image") == "ferry":
            assert set(service["environment"]) <= known, name


def test_every_queue_has_a_container_and_every_worker_command_can_be_read(compose):
    from celery.bin.celery import celery
    from click import Context

    from workers.celery import QUEUES

    heard: set[str] = set()
    for service in compose["services"].values():
        command = service.get("command", [])
        if command[:1] != ["celery"]:
            continue
        at = command.index("worker")
        _read(celery, command[1:at])
        options = _read(celery.get_command(Context(celery), "worker"), command[at + 1 :])
        queues = options["queues"].split(",")
        heard |= set(queues)
        if "training" in queues:
            assert options["pool"] in ("threads", "solo"), "CUDA does not survive a fork"
    assert heard == set(QUEUES)


def _read(command: Any, words: list[str]) -> dict[str, Any]:
    """The options of a command line. Raises for one that the command does not know."""
    from click import Context

    options, left, _ = command.make_parser(Context(command)).parse_args(list(words))
    assert not left or command.name == "celery"
    return options


def test_ferrys_containers_hold_no_rights(compose):
    for name, service in compose["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"] is True, name
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER 10001", dockerfile, re.MULTILINE)


def test_the_manuals_table_is_the_tables_of_the_code():
    rows = set(re.findall(r"^\| `[A-Z_]+` \|.*$", MANUAL, re.MULTILINE))
    for variable in environment.VARIABLES:
        row = f"| `{variable.name}` | {variable.default or 'not set'} | {variable.meaning} |"
        assert row in rows, row


def test_streams_are_told_to_pass_a_proxy():
    """What streams sets the header itself, so that no proxy has to be configured for it."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "webapp").rglob("*.py"))
    assert text.count("text/event-stream") >= 1
    assert "X-Accel-Buffering" in text
    assert "proxy_set_header X-Forwarded-Proto" in MANUAL


def test_every_command_that_the_manual_names_exists():
    done = subprocess.run(
        [sys.executable, "manage.py", "help", "--commands"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    named = set(re.findall(r"manage\.py ([a-z_]+)", MANUAL))
    assert named <= set(done.stdout.split()) | {"help"}
    assert {"backup", "restore", "doctor", "rebuild", "jobs"} <= named
