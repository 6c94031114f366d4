"""Rules that the database itself holds to: jobs change state only as they may, and histories only grow.

Triggers, because a check constraint cannot see what was there before. They are laid again after every migration: SQLite
loses those of a table that a migration rewrites.
"""

from __future__ import annotations

from typing import Any

from django.db import connections

APPEND_ONLY = ("workers_promotion", "workers_auditentry")


def install(using: str = "default", **_: Any) -> None:
    """Lay the triggers of the database called ``using``, replacing earlier ones."""
    from workers.models import Job

    connection = connections[using]
    legal = " OR ".join(
        f"(OLD.state = '{before}' AND NEW.state = '{after}')"
        for before, allowed in Job.TRANSITIONS.items()
        for after in allowed
    )
    build = {"sqlite": _sqlite, "postgresql": _postgresql}.get(connection.vendor)
    if build is None:
        return
    with connection.cursor() as cursor:
        for statement in build(legal):
            cursor.execute(statement)


def _sqlite(legal: str) -> list[str]:
    out = [
        "DROP TRIGGER IF EXISTS job_transition",
        (
            "CREATE TRIGGER job_transition BEFORE UPDATE OF state ON workers_job FOR EACH ROW "
            f"WHEN OLD.state <> NEW.state AND NOT ({legal}) "
            "BEGIN SELECT RAISE(ABORT, 'illegal change of a job''s state'); END"
        ),
    ]
    for table in APPEND_ONLY:
        for act in ("UPDATE", "DELETE"):
            name = f"{table}_no_{act.lower()}"
            out += [
                f"DROP TRIGGER IF EXISTS {name}",
                (
                    f"CREATE TRIGGER {name} BEFORE {act} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} only grows'); END"
                ),
            ]
    return out


def _postgresql(legal: str) -> list[str]:
    out = [
        (
            "CREATE OR REPLACE FUNCTION ferry_job_transition() RETURNS trigger AS $$ BEGIN "
            f"IF OLD.state <> NEW.state AND NOT ({legal}) THEN "
            "RAISE EXCEPTION 'illegal change of a job''s state: % to %', OLD.state, NEW.state "
            "USING ERRCODE = 'check_violation'; END IF; RETURN NEW; END $$ LANGUAGE plpgsql"
        ),
        "DROP TRIGGER IF EXISTS job_transition ON workers_job",
        (
            "CREATE TRIGGER job_transition BEFORE UPDATE OF state ON workers_job FOR EACH ROW "
            "EXECUTE FUNCTION ferry_job_transition()"
        ),
        (
            "CREATE OR REPLACE FUNCTION ferry_only_grows() RETURNS trigger AS $$ BEGIN "
            "RAISE EXCEPTION '% only grows', TG_TABLE_NAME USING ERRCODE = 'check_violation'; END $$ "
            "LANGUAGE plpgsql"
        ),
    ]
    for table in APPEND_ONLY:
        out += [
            f"DROP TRIGGER IF EXISTS {table}_only_grows ON {table}",
            (
                f"CREATE TRIGGER {table}_only_grows BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW "
                "EXECUTE FUNCTION ferry_only_grows()"
            ),
        ]
    return out
