"""Every environment variable that Ferry reads, with its default and its meaning.

A name that begins with ``FERRY_`` and is not in the table is an error at start: a misspelt setting that is silently
ignored costs an operator an afternoon.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

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
        "FERRY_INFERENCE",
        "local",
        "local: answers are computed in the web server. queue: an inference worker computes them (needs REDIS_URL).",
    ),
    Variable("FERRY_LEASE", "60", "Seconds after which a job whose worker went silent is given to another."),
    Variable("FERRY_HEARTBEAT", "10", "Seconds between two signs of life of a worker at a job."),
    Variable("FERRY_SWEEP", "15", "Seconds between two rounds of the sweeper that finds such jobs."),
    Variable(
        "FERRY_JOBS_PER_USER", "3", "Jobs that one account may have waiting or running at the same time."
    ),
    Variable(
        "FERRY_REQUIRE_SERVICES",
        "",
        "1 in CI: tests that need Redis, PostgreSQL or Chromium fail without them.",
    ),
    Variable("FERRY_TEST_REDIS_URL", "", "The Redis that tests may empty."),
    Variable("FERRY_TEST_DATABASE_URL", "", "The PostgreSQL server on which tests may create a database."),
    Variable("DATABASE_URL", "SQLite in FERRY_DATA", "postgres://user:password@host/name to use PostgreSQL."),
    Variable("REDIS_URL", "", "redis://host:6379/0: job bells, events and the cache go through Redis."),
)


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
