"""Every environment variable that Ferry reads, with its default and its meaning.

A name that begins with ``FERRY_`` and is not in the table is an error at start: a misspelt setting that is silently
ignored costs an operator an afternoon.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True)
class Variable:
    """One environment variable: its name, what holds when it is not set, and what it does."""

    name: str
    default: str
    meaning: str


VARIABLES = (
    Variable("FERRY_DATA", "var/", "The one folder that a running server writes to."),
    Variable("FERRY_MODELS", "models/", "The folder of the shipped models."),
    Variable(
        "FERRY_URL",
        "",
        "The address people type, such as https://ferry.example.org (several: separated by commas). Sets the allowed "
        "host names, the origins that forms are accepted from, and secure cookies. Without it the server answers to "
        "localhost, 127.0.0.1 and [::1].",
    ),
    Variable(
        "FERRY_SECRET_KEY",
        "made at first start",
        "Signs sessions. Kept in FERRY_DATA/secret_key if not given.",
    ),
    Variable("FERRY_DEBUG", "false", "Django's debug pages. Never on a machine that others reach."),
    Variable("FERRY_LOG_LEVEL", "INFO", "How much is logged: DEBUG, INFO, WARNING or ERROR."),
    Variable("FERRY_LOG_FORMAT", "line", "line: for people. json: one object a line, for programs."),
    Variable(
        "FERRY_MAX_UPLOAD_MB", "200", "The largest upload, in megabytes; anything larger is refused with 413."
    ),
    Variable(
        "FERRY_RATE_ANONYMOUS", "6000/minute", "API requests per address without log-in; off for no limit."
    ),
    Variable("FERRY_RATE_MEMBER", "12000/minute", "API requests per account; off for no limit."),
    Variable(
        "FERRY_RATE_WRITE", "60/minute", "API requests per caller that change something; off for no limit."
    ),
    Variable(
        "FERRY_PROXIES",
        "0",
        "Proxies in front of the server: the caller's address, by which rates are counted, is that many places from "
        "the end of X-Forwarded-For. With 0 the header is not believed.",
    ),
    Variable("FERRY_THREADS", "1", "Threads for one search; searches run beside each other anyway."),
    Variable("FERRY_SEARCHES", "0", "Searches worked on at once in one process, others wait; 0: one a core."),
    Variable(
        "FERRY_SEARCH_WAIT", "20", "Seconds that a search waits for its turn before the answer is 'busy'."
    ),
    Variable(
        "FERRY_DEADLINE",
        "20",
        "Seconds after which an answer is of no use: a search not begun by then is dropped. A request may ask for "
        "fewer with the header X-Request-Timeout.",
    ),
    Variable(
        "FERRY_QUEUE",
        "64",
        "Searches that may wait or be worked on at once in one process; further ones get 503 with Retry-After.",
    ),
    Variable(
        "FERRY_BATCH",
        "32",
        "Searches in words that are worked on together at most; 0 or 1: each by itself.",
    ),
    Variable(
        "FERRY_BATCH_WAIT_MS",
        "4",
        "Milliseconds that a search waits for company while others are coming; a lone one never waits.",
    ),
    Variable(
        "FERRY_METRICS_TOKEN",
        "",
        "Opens /metrics to whoever sends it as 'Authorization: Bearer TOKEN'. Without it only private addresses that "
        "come without a proxy may read.",
    ),
    Variable(
        "FERRY_INFERENCE",
        "local",
        "local: answers are computed in the web server. queue: an inference worker computes them (needs REDIS_URL).",
    ),
    Variable("FERRY_LEASE", "60", "Seconds after which a job whose worker went silent is given to another."),
    Variable("FERRY_HEARTBEAT", "5", "Seconds between two signs of life of a worker at a job."),
    Variable("FERRY_SWEEP", "15", "Seconds between two rounds of the sweeper that finds such jobs."),
    Variable(
        "FERRY_JOBS_PER_USER", "3", "Jobs that one account may have waiting or running at the same time."
    ),
    Variable(
        "FERRY_JOB_MEMORY_MB",
        "0",
        "Memory, in megabytes, beyond which the watchdog stops a job, saved; 0 for no limit.",
    ),
    Variable("FERRY_DEVICE", "auto", "Where jobs train: cpu, cuda, or auto for cuda where there is one."),
    Variable(
        "FERRY_DATASETS",
        "",
        "Further folders of data sets for trainings, separated as in PATH; only read, never written.",
    ),
    Variable(
        "FERRY_WEBHOOK",
        "",
        "An address that is sent a JSON object when a job ends (POST; the field text suits Slack and Mattermost).",
    ),
    Variable(
        "FERRY_WEBHOOK_SECRET",
        "",
        "Signs what is sent: X-Ferry-Signature: sha256=HMAC of the body, in hexadecimal.",
    ),
    Variable("FERRY_NOTIFY", "", "Mail addresses, separated by commas, that are told when a job ends."),
    Variable("FERRY_NOTIFY_FROM", "ferry@ and the host of FERRY_URL", "The sender of such mail."),
    Variable(
        "EMAIL_URL",
        "written to the log",
        "smtp+tls://user:password@host:587 (or smtp+ssl://…:465): how mail is sent.",
    ),
    Variable(
        "FERRY_REQUIRE_SERVICES",
        "",
        "1 in CI: tests that need Redis, PostgreSQL or Chromium fail without them.",
    ),
    Variable("FERRY_TEST_REDIS_URL", "", "The Redis that tests may empty."),
    Variable("FERRY_TEST_DATABASE_URL", "", "The PostgreSQL server on which tests may create a database."),
    Variable("DATABASE_URL", "SQLite in FERRY_DATA", "postgres://user:password@host/name to use PostgreSQL."),
    Variable(
        "VECTOR_STORE",
        "",
        "milvus://user:password@host:19530/database: new libraries keep their vectors in that Milvus (docs/scale.md); "
        "milvus:///path/to/file.db for Milvus Lite, one process. Without it they are files in the library's folder.",
    ),
    Variable("REDIS_URL", "", "redis://host:6379/0: job bells, events and the cache go through Redis."),
)


#: names whose value is never shown, and names of addresses, of which only scheme and host are shown
SECRETS = ("FERRY_SECRET_KEY", "FERRY_WEBHOOK_SECRET", "FERRY_METRICS_TOKEN")
ADDRESSES = ("DATABASE_URL", "REDIS_URL", "EMAIL_URL", "VECTOR_STORE", "FERRY_WEBHOOK")


@dataclass(frozen=True)
class Effective:
    """What holds for one variable, and where it comes from: *environment* or *default*. Secrets are masked."""

    name: str
    value: str
    origin: str


def effective(environ: Mapping[str, str]) -> tuple[Effective, ...]:
    """Every variable as it holds under ``environ``, without the secrets."""
    return tuple(
        Effective(entry.name, masked(entry.name, environ[entry.name]), "environment")
        if environ.get(entry.name)
        else Effective(entry.name, entry.default, "default")
        for entry in VARIABLES
    )


def masked(name: str, value: str) -> str:
    """A value as it may be shown: of secrets nothing, of addresses neither log-in nor path that may hold a token."""
    if name.endswith(SECRETS):
        return "(set, not shown)"
    if name not in ADDRESSES:
        return value
    parts = urlsplit(value)
    host = parts.netloc.rpartition("@")[2]
    path = parts.path if name != "FERRY_WEBHOOK" else "/…" * bool(parts.path.strip("/"))
    hidden = "…@" if "@" in parts.netloc else ""
    return f"{parts.scheme}://{hidden}{host}{path}"


def one_of(name: str, value: str, *choices: str) -> str:
    """``value`` if it is one of ``choices``. Raises ImproperlyConfigured."""
    if value not in choices:
        raise ImproperlyConfigured(f"{name} is {value!r}. Choose {' or '.join(choices)}.")
    return value


def web_address(name: str, value: str) -> str:
    """``value`` if it is empty or an http(s) address. Raises ImproperlyConfigured without repeating it."""
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ImproperlyConfigured(f"{name} is no web address. Write it whole: https://host/path")
    return value


def check(environ: Mapping[str, str]) -> None:
    """Raise ImproperlyConfigured when ``environ`` has a ``FERRY_`` name that nothing reads."""
    known = {variable.name for variable in VARIABLES}
    unknown = sorted(name for name in environ if name.startswith("FERRY_") and name not in known)
    if not unknown:
        return
    hints = []
    for name in unknown:
        close = difflib.get_close_matches(name, known, n=1)
        hints.append(f"{name} (did you mean {close[0]}?)" if close else name)
    raise ImproperlyConfigured(
        f"The environment sets names that Ferry does not know: {', '.join(hints)}. "
        "Remove them or correct the spelling; docs/operations.md lists every name."
    )
