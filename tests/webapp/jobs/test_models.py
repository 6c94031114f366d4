"""The pages of models: what answers, what it rests on, comparing, promoting, going back, deleting."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from workers import registry
from workers.models import Evaluation, ModelVersion, Promotion


def words(html: str) -> str:
    """What the page says, without tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


@pytest.fixture
def in_charge(client, administrator):
    """An administrator's browser."""
    client.force_login(administrator)
    return client


@pytest.fixture
def scored(make):
    """``scored(version, **metrics)``: an evaluation of it."""

    def made(row, **metrics):
        data = [{"name": "pairs.npz", "use": "pairs", "sha256": "a" * 64}]
        command = "python -m mlcore evaluate monge --model DIR --pairs pairs.npz"
        return Evaluation.objects.create(version=row, metrics=metrics, data=data, command=command)

    return made


def test_every_place_says_what_answers(page, version, administrator):
    row = version()
    other = version()
    html = page("/models/")
    assert "No model ships for this, and none is promoted: nothing answers." in words(html)
    registry.promote(row, administrator, "the first", unmeasured=True)
    html = page("/models/")
    assert re.search(rf'href="/models/{row.pk}/">v1</a> <span class="tag">answers now', html)
    assert not re.search(rf'href="/models/{other.pk}/">v2</a> <span class="tag">', html)
    assert "ada none → v1 the first unmeasured, as was said" in words(html)


def test_trainers_see_no_button_that_they_may_not_press(page, version, administrator):
    row, other = version(), version()
    registry.promote(row, administrator, "the first", unmeasured=True)
    html = page("/models/") + page(f"/models/{row.pk}/") + page(f"/models/{other.pk}/")
    assert not re.search(r"/promote/|/roll-back/|/shipped/|/delete/", html)
    assert f"/jobs/new/?kind=evaluation&amp;version={row.pk}" in html


def test_a_version_shows_card_lineage_and_evaluations(page, version, make, scored):
    job = make("done", name="Cells")
    row = version(job=job)
    ModelVersion.objects.filter(pk=row.pk).update(parent=version())
    scored(row, l2_uvp=1.25)
    html = page(f"/models/{row.pk}/")
    said = words(html)
    assert "carries one cloud onto another" in said
    assert "clouds.npz , CC BY 4.0 500 rows" in said
    assert f'href="/jobs/{job.pk}/">Cells' in html
    assert re.search(r"from monge v\d", said)
    assert "l2_uvp 1.25" in said
    assert "--pairs pairs.npz" in said
    assert "python -m mlcore evaluate monge" in said
    page("/models/999/", 404)


def test_a_promotion_rests_on_an_evaluation_and_a_reason(in_charge, version, scored):
    row = version()
    evaluation = scored(row, l2_uvp=1.25)
    address = f"/models/{row.pk}/promote/"
    assert "l2_uvp 1.25 on pairs.npz" in in_charge.get(address).content.decode()
    for missing in (
        {},
        {"why": "better"},
        {"evaluation": evaluation.pk},
        {"evaluation": evaluation.pk, "why": " "},
    ):
        response = in_charge.post(address, missing)
        assert response.status_code == 422
        assert 'aria-invalid="true"' in response.content.decode()
    assert not Promotion.objects.exists()
    assert in_charge.post(address, {"evaluation": evaluation.pk, "why": "half the error"}).status_code == 302
    change = Promotion.objects.get()
    assert (change.who, change.why, change.after) == ("ada", "half the error", row.version)
    assert change.evidence["metrics"] == {"l2_uvp": 1.25}
    assert in_charge.post(address, {"evaluation": evaluation.pk, "why": "again"}).status_code == 422


def test_without_an_evaluation_it_has_to_be_said(in_charge, version, scored):
    row, other = version(), version()
    address = f"/models/{row.pk}/promote/"
    foreign = scored(other, l2_uvp=1.0)
    assert in_charge.post(address, {"evaluation": foreign.pk, "why": "of another"}).status_code == 422
    assert in_charge.post(address, {"unmeasured": "on", "why": "urgent"}).status_code == 302
    assert Promotion.objects.get().evidence == {"unmeasured": True}


def test_going_back_and_back_to_the_shipped_model(in_charge, version, administrator):
    first, second = version(), version()
    for row in (first, second):
        registry.promote(row, administrator, "better", unmeasured=True)
    assert "v1 will answer again instead of v2" in words(
        in_charge.get("/models/places/monge/roll-back/").content.decode()
    )
    assert in_charge.post("/models/places/monge/roll-back/", {"why": ""}).status_code == 422
    in_charge.post("/models/places/monge/roll-back/", {"why": "worse on small clouds"})
    assert registry.active("monge").version == 1
    assert "Nothing will answer" in words(in_charge.get("/models/places/monge/shipped/").content.decode())
    in_charge.post("/models/places/monge/shipped/", {"why": "neither"})
    assert registry.active("monge").version == 0
    assert in_charge.post("/models/places/monge/shipped/", {"why": "twice"}).status_code == 422
    assert in_charge.get("/models/places/nothing/roll-back/").status_code == 404
    assert Promotion.objects.count() == 4


def test_which_version_answered_then(page, version, administrator):
    row = version()
    registry.promote(row, administrator, "better", unmeasured=True)
    moment = timezone.localtime(timezone.now() + timedelta(seconds=1))
    before = (moment - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    assert "nothing answered for monge" in words(page("/models/", data={"place": "monge", "at": before}))
    now = timezone.localtime().strftime("%Y-%m-%dT%H:%M:%S")
    said = words(page("/models/", data={"place": "monge", "at": now}))
    assert "answered for monge" in said
    later = (moment + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    assert "has not come yet" in page("/models/", 422, data={"place": "monge", "at": later})
    assert "as 2026-05-03" in page("/models/", 422, data={"place": "monge", "at": "in May"})


def test_comparing_shows_figures_and_only_parameters_that_differ(page, version, make, scored):
    jobs = [make("done", points=20), make("done", points=30)]
    rows = [version(job=jobs[0], width=64, cost="cosine"), version(job=jobs[1], width=128, cost="cosine")]
    scored(rows[0], l2_uvp=1.5, cosine=0.9)
    scored(rows[1], l2_uvp=1.25)
    html = page(f"/models/compare/?v={rows[0].pk}&v={rows[1].pk}")
    said = words(html)
    assert "l2_uvp 1.5 1.25" in said
    assert "cosine 0.9 —" in said
    table = words(html[html.index('id="parameters"') : html.index('id="curves"')])
    assert "model.width 64 128" in table
    assert "cost" not in table
    assert "layers" not in table
    assert "loss of monge v1: 0.05 at step 20. loss of monge v2: 0.033333 at step 30." in html
    assert "epoch 2." in page(f"/models/compare/?v={rows[0].pk}&v={rows[1].pk}&x=epoch")


def test_a_compared_chart_comes_as_points_and_as_a_picture(at_work, version, make):
    rows = [version(job=make("done", points=2)), version(job=make("done", points=3))]
    query = f"v={rows[0].pk}&v={rows[1].pk}"
    html = at_work.get(f"/models/compare/?{query}").content.decode()
    assert f"compare.csv?{query}&x=step&chart=loss" in html.replace("&amp;", "&")
    lines = at_work.get(f"/models/compare.csv?{query}&chart=loss").content.decode().splitlines()
    assert lines[0] == "version,step,epoch,seconds,attempt,loss"
    assert [line.split(",")[:2] for line in lines[1:]] == [
        *[["monge v1", str(step)] for step in (1, 2)],
        *[["monge v2", str(step)] for step in (1, 2, 3)],
    ]
    svg = at_work.get(f"/models/compare.svg?{query}&chart=loss&x=time")
    assert svg["Content-Type"] == "image/svg+xml"
    assert b"seconds of work" in svg.content
    assert at_work.get(f"/models/compare.csv?{query}&chart=mood").status_code == 404


def test_a_comparison_needs_two_that_are_there(page, version):
    row = version()
    assert "2 to 8 versions" in page(f"/models/compare/?v={row.pk}", 422)
    page(f"/models/compare/?v={row.pk}&v=999", 404)
    page(f"/models/compare/?v={row.pk}&v=shipped:nothing", 404)


def test_the_shipped_model_can_be_compared_by_its_card(page, version, settings, tmp_path):
    (tmp_path / "monge").mkdir()
    (tmp_path / "monge" / "card.json").write_text(
        '{"name": "Old map", "metrics": {"l2_uvp": 9.5}, "sha256": "0"}'
    )
    settings.FERRY_MODELS = tmp_path
    row = version()
    assert "Old map" in page("/models/")
    said = words(page(f"/models/compare/?v={row.pk}&v=shipped:monge"))
    assert "monge v1 monge shipped" in said
    assert "l2_uvp 2.5 9.5" in said


def test_what_ships_is_said_to_answer(settings, tmp_path, version, in_charge):
    (tmp_path / "monge").mkdir()
    (tmp_path / "monge" / "card.json").write_text('{"name": "Old map", "sha256": "0"}')
    settings.FERRY_MODELS = tmp_path
    row = version()
    html = in_charge.get("/models/", {"place": "monge", "at": "2026-05-03T14:00"}).content.decode()
    assert "On 3 May 2026, 14:00 the shipped model answered for monge" in words(html)
    assert "instead of the shipped model" in words(
        in_charge.get(f"/models/{row.pk}/promote/").content.decode()
    )
    in_charge.post(f"/models/{row.pk}/promote/", {"unmeasured": "on", "why": "newer"})
    html = in_charge.get("/models/").content.decode()
    assert "shipped → v1" in words(html)
    assert "Back to the shipped model…" in html


def test_a_version_is_deleted_with_its_files_after_its_size_was_shown(in_charge, version, administrator):
    row, active = version(), version()
    registry.promote(active, administrator, "better", unmeasured=True)
    folder = registry.resolve(row.folder)
    assert "kB of files" in in_charge.get(f"/models/{row.pk}/delete/").content.decode()
    in_charge.post(f"/models/{row.pk}/delete/")
    assert not folder.exists()
    assert in_charge.post(f"/models/{active.pk}/delete/").status_code == 422
    assert list(ModelVersion.objects.all()) == [active]
