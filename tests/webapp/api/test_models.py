"""Models over the API: what answers, versions side by side, promoting, rolling back, deleting, what answered when."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from tests.webapp.api import problem
from workers import registry
from workers.models import AuditEntry, Evaluation, Job, ModelVersion, Promotion

MODELS = "/api/v1/models/"


@pytest.fixture
def shipped(house: Path, settings: Any) -> str:
    """A model that ships for retrieval; its hash."""
    folder = settings.FERRY_MODELS / "retrieval"
    folder.mkdir()
    card = {"sha256": "c0" * 32, "metrics": {"mrr": 0.3, "command": "python -m mlcore evaluate"}}
    (folder / "card.json").write_text(json.dumps(card))
    return "c0" * 32


def evaluated(version: ModelVersion, **metrics: float) -> Evaluation:
    """An evaluation of a version."""
    data = [{"name": "pairs.npz", "use": "pairs", "sha256": "0" * 64}]
    return Evaluation.objects.create(version=version, metrics={"monge": metrics}, data=data, command="make x")


def promote(caller: APIClient, version: ModelVersion, **body: Any) -> Any:
    """Ask for a promotion."""
    return caller.post(f"{MODELS}{version.pk}/promote/", {"why": "Better.", **body}, format="json")


def test_what_answers_where(
    tina: APIClient, version: Callable[..., ModelVersion], shipped: str, job: Callable[..., Job]
) -> None:
    made = job("done")
    first, second = version(job=made), version()
    evaluated(first, l2_uvp=2.0)
    evaluated(first, l2_uvp=1.5)
    registry.promote(second, "ada", "Try it.", unmeasured=True)
    monge, retrieval = tina.get(MODELS).json()["models"]
    assert (monge["place"], monge["answers"], monge["shipped"]) == ("monge", 2, None)
    assert [(row["version"], row["active"]) for row in monge["versions"]] == [(2, True), (1, False)]
    assert monge["versions"][1]["metrics"] == {"monge.l2_uvp": 1.5}
    assert (monge["versions"][1]["job"], monge["versions"][0]["job"]) == (str(made.pk), None)
    assert all(row["bytes"] > 1_000 for row in monge["versions"])
    assert (retrieval["answers"], retrieval["versions"]) == (0, [])
    assert retrieval["shipped"] == {"hash": shipped, "metrics": {"mrr": 0.3}}


def test_a_version_with_all_that_is_known(
    tina: APIClient, ada: APIClient, version: Callable[..., ModelVersion], job: Callable[..., Job]
) -> None:
    row, child = version(width=64, job=job("done")), version()
    ModelVersion.objects.filter(pk=child.pk).update(parent=row)
    found = evaluated(row, l2_uvp=2.0)
    shown = tina.get(f"{MODELS}{row.pk}/").json()
    assert shown["card"] == row.card
    assert shown["configuration"]["model"] == {"layers": 3, "width": 64}
    assert shown["configuration"]["job"]["preset"] == "small"
    assert (shown["children"], shown["parent"], shown["promotions"]) == ([child.pk], None, [])
    assert [(each["id"], each["command"]) for each in shown["evaluations"]] == [(found.pk, "make x")]
    assert shown["may"] == []
    assert ada.get(f"{MODELS}{row.pk}/").json()["may"] == ["promote"]
    assert ada.get(f"{MODELS}{child.pk}/").json()["may"] == ["promote", "delete"]
    problem.check(tina.get(f"{MODELS}999/"), 404, "999")
    problem.check(tina.get(f"{MODELS}{10**30}/"), 404)


def test_side_by_side_only_what_differs(
    tina: APIClient, version: Callable[..., ModelVersion], shipped: str
) -> None:
    one, two = version(width=64), version(width=128)
    evaluated(one, l2_uvp=2.0)
    evaluated(two, l2_uvp=1.0, cosine=0.9)
    found = tina.get(f"{MODELS}compare/?version={one.pk}&version={two.pk}&version=shipped:retrieval").json()
    assert [side["label"] for side in found["versions"]] == ["monge v1", "monge v2", "retrieval shipped"]
    figures = {(row["source"], row["name"]): row["values"] for row in found["metrics"]}
    assert figures["Latest evaluation", "monge.l2_uvp"] == [2.0, 1.0, None]
    assert figures["Latest evaluation", "monge.cosine"] == [None, 0.9, None]
    parameters = {row["name"]: row["values"] for row in found["parameters"]}
    assert parameters["model.width"] == [64, 128, None]
    only = tina.get(f"{MODELS}compare/?version={one.pk}&version={two.pk}").json()
    assert "model.layers" not in {row["name"] for row in only["parameters"]}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("version=1", 400),
        ("version=1&version=1", 400),
        ("version=1&version=x", 400),
        ("version=1&version=shipped:../../secret", 400),
        ("version=1&version=shipped:none", 404),
        ("version=1&version=999", 404),
        ("&".join(f"version={n}" for n in range(9)), 400),
    ],
)
def test_what_cannot_be_compared_is_told(
    tina: APIClient, version: Callable[..., ModelVersion], query: str, status: int
) -> None:
    ModelVersion.objects.filter(pk=version().pk).update(id=1)
    problem.check(tina.get(f"{MODELS}compare/?{query}"), status)


def test_a_promotion_rests_on_an_evaluation_or_says_that_it_does_not(
    ada: APIClient, version: Callable[..., ModelVersion]
) -> None:
    first, second = version(), version()
    found, other = evaluated(first, l2_uvp=2.0), evaluated(second, l2_uvp=1.0)
    problem.check(promote(ada, first), 400, field="evaluation")
    problem.check(promote(ada, first, evaluation=found.pk, unmeasured=True), 400, field="evaluation")
    problem.check(promote(ada, first, evaluation=other.pk), 400, "no evaluation", field="evaluation")
    problem.check(promote(ada, first, evaluation=found.pk, why=" \t"), 400, field="why")
    problem.check(promote(ada, first, unmeasured="yes"), 400, field="unmeasured")
    assert not Promotion.objects.exists()
    made = promote(ada, first, evaluation=found.pk).json()
    assert (made["before"], made["after"], made["who"], made["why"]) == (0, 1, "ada", "Better.")
    assert made["evidence"]["evaluation"] == found.pk
    problem.check(promote(ada, first, evaluation=found.pk), 400, "already")
    assert promote(ada, second, unmeasured=True).json()["evidence"] == {"unmeasured": True}
    assert [row.active for row in ModelVersion.objects.order_by("version")] == [False, True]
    assert AuditEntry.objects.filter(who="ada", verb="promote").count() == 2


def test_back_and_to_the_shipped_one(ada: APIClient, version: Callable[..., ModelVersion]) -> None:
    first, second = version(), version()
    promote(ada, first, unmeasured=True)
    promote(ada, second, unmeasured=True)
    body = {"area": "monge", "why": "Worse after all."}
    back = ada.post(f"{MODELS}roll-back/", body, format="json").json()
    assert (back["before"], back["after"]) == (2, 1)
    retired = ada.post(f"{MODELS}retire/", body, format="json").json()
    assert (retired["before"], retired["after"]) == (1, 0)
    problem.check(ada.post(f"{MODELS}retire/", body, format="json"), 400, "already")
    problem.check(ada.post(f"{MODELS}roll-back/", {**body, "area": "lm"}, format="json"), 400, field="area")
    for area in ("", "../x", 7):
        problem.check(ada.post(f"{MODELS}retire/", {**body, "area": area}, format="json"), 400, field="area")


def test_row_and_files_go_together_but_never_what_answers(
    ada: APIClient, version: Callable[..., ModelVersion]
) -> None:
    row, spare = version(), version()
    promote(ada, row, unmeasured=True)
    problem.check(ada.delete(f"{MODELS}{row.pk}/"), 400, "answers now")
    assert ada.delete(f"{MODELS}{spare.pk}/").status_code == 204
    assert not registry.resolve(spare.folder).exists()
    problem.check(ada.delete(f"{MODELS}{spare.pk}/"), 404)
    assert registry.resolve(row.folder).exists()


def test_which_version_answered_then(tina: APIClient, version: Callable[..., ModelVersion]) -> None:
    first, second = version(), version()
    moments = []
    for row in (first, second):
        moments.append(timezone.now())
        registry.promote(row, "ada", f"v{row.version}", unmeasured=True)
    history = tina.get(f"{MODELS}promotions/").json()
    assert [(row["before"], row["after"], row["why"]) for row in history["promotions"]] == [
        (1, 2, "v2"),
        (0, 1, "v1"),
    ]
    assert history["served"] is None
    for moment, number, changes in (
        (moments[0] - timedelta(days=1), 0, 0),
        (moments[1], 1, 1),
        (timezone.now(), 2, 2),
    ):
        asked = {"area": "monge", "at": moment.isoformat()}
        found = tina.get(f"{MODELS}promotions/", asked).json()
        assert (found["served"]["version"], found["total"]) == (number, changes)
    assert tina.get(f"{MODELS}promotions/", {"area": "lm"}).json()["total"] == 0
    page = tina.get(f"{MODELS}promotions/", {"k": 1})
    assert len(page.json()["promotions"]) == 1
    assert 'rel="next"' in page.headers["Link"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"at": "2026-05-03T14:00:00Z"}, "area"),
        ({"area": "monge", "at": "2999-01-01T00:00:00Z"}, "at"),
        ({"area": "monge", "at": "yesterday"}, "at"),
        ({"area": "monge", "at": "0001-01-01T00:00:00+14:00"}, "at"),
        ({"area": "../..", "at": "2026-05-03T14:00:00Z"}, "area"),
        ({"area": "monge", "slot": "a/b"}, "slot"),
    ],
)
def test_a_moment_or_place_that_is_none(tina: APIClient, asked: dict[str, str], field: str) -> None:
    problem.check(tina.get(f"{MODELS}promotions/", asked), 400, field=field)
