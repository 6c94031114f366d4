"""Which model answers."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from workers import registry
from workers.errors import NotFound
from workers.models import ModelVersion

pytestmark = pytest.mark.django_db


def test_the_shipped_model_answers_until_another_is_promoted(settings, tmp_path):
    settings.FERRY_DATA = tmp_path
    assert registry.active("retrieval").folder == settings.FERRY_MODELS / "retrieval"
    assert registry.active("speech", "mboshi-fr").folder.name == "speech-mboshi-fr"
    versions = []
    for number in (1, 2):
        folder = tmp_path / "jobs" / str(number)
        folder.mkdir(parents=True)
        (folder / "card.json").write_text('{"sha256": "ab"}')
        versions.append(registry.register("retrieval", "", folder))
    assert [version.version for version in versions] == [1, 2]
    assert versions[0].folder == "jobs/1", "relative, so that the data folder can move"
    assert registry.active("retrieval").version == 0
    for version in versions:
        registry.promote(version, "anna", "better", unmeasured=True)
        assert registry.active("retrieval").folder == tmp_path / "jobs" / str(version.version)
    assert ModelVersion.objects.filter(active=True).count() == 1
    registry.retire("retrieval", "", "anna", "worse")
    assert registry.active("retrieval").version == 0


def test_a_folder_without_a_card_is_no_model(tmp_path):
    with pytest.raises(NotFound, match=r"card\.json"):
        registry.register("retrieval", "", tmp_path)


def test_the_database_refuses_two_active_versions():
    facts = {"area": "retrieval", "slot": "", "folder": "x", "hash": "h", "active": True}
    ModelVersion.objects.create(version=1, **facts)
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelVersion.objects.create(version=2, **facts)
    ModelVersion.objects.create(version=1, **{**facts, "area": "speech"})
