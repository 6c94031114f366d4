"""The audit trail: who started, stopped, promoted, deleted what. It only grows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.models import AuditEntry

NOBODY = "Ferry"


def record(who: Any, verb: str, subject: str, detail: Mapping[str, Any] | None = None) -> None:
    """Add an entry; ``who`` is a user, a name, or None for Ferry itself."""
    AuditEntry.objects.create(
        who=name_of(who)[:150], verb=verb, subject=subject[:200], detail=dict(detail or {})
    )


def name_of(who: Any) -> str:
    """The name under which an account is remembered after it is gone."""
    if who is None:
        return NOBODY
    return who if isinstance(who, str) else who.get_username()
