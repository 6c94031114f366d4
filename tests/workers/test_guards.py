"""What the database refuses whoever asks."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from workers import audit, guards
from workers.models import AuditEntry, Promotion

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["audit", "promotion"])
def row(request):
    """A row of a history."""
    if request.param == "audit":
        audit.record("anna", "stop", "job/1")
        return AuditEntry.objects.get()
    return Promotion.objects.create(area="monge", before=0, after=1, who="anna", why="better")


def test_histories_only_grow(row):
    rows = type(row).objects.filter(pk=row.pk)
    with pytest.raises(IntegrityError, match="only grows"), transaction.atomic():
        rows.update(who="nobody")
    with pytest.raises(IntegrityError, match="only grows"), transaction.atomic():
        rows.delete()
    assert rows.get().who == "anna"


def test_laying_the_guards_twice_changes_nothing(row):
    guards.install()
    guards.install()
    test_histories_only_grow(row)


def test_an_account_that_is_deleted_stays_in_the_trail(administrator):
    audit.record(administrator, "promote", "model/retrieval v1")
    administrator.delete()
    assert AuditEntry.objects.get().who == "ada"
