"""The engine: one model, the libraries that are on the disk now, a bounded number of searches."""

from __future__ import annotations

import shutil
import threading

import pytest

from workers import engine, inference, registry
from workers.models import Library

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_model_is_loaded_once_for_many_questions(science):
    for text in ("one", "two", "three"):
        assert inference.search(text)["text"] == text
    assert len(science.loads) == 1


def test_a_new_library_is_seen_by_the_next_question_and_nothing_else_is_reopened(
    science, settings, write_library
):
    inference.search("x")
    write_library(settings.FERRY_DATA / "libraries" / "mine")
    assert inference.search("x", libraries=["mine"])["libraries"] == ("mine",)
    assert science.opened == ["catalogue", "mine"]


def test_a_rebuilt_library_is_opened_again(science, settings, write_library):
    folder = write_library(settings.FERRY_DATA / "libraries" / "mine")
    inference.search("x", libraries=["mine"])
    write_library(folder, rows=44)
    inference.search("x", libraries=["mine"])
    assert science.opened == ["catalogue", "mine", "mine"]


def test_a_deleted_library_is_gone(science, settings, write_library):
    folder = write_library(settings.FERRY_DATA / "libraries" / "mine")
    inference.search("x", libraries=["mine"])
    shutil.rmtree(folder)
    with pytest.raises(inference.NotFound, match="mine"):
        inference.search("x", libraries=["mine"])


def test_without_a_choice_only_shared_libraries_are_searched(science, settings, write_library, member):
    for name in ("secret", "open"):
        write_library(settings.FERRY_DATA / "libraries" / name)
        Library.objects.create(id=name, name=name, owner=member, state="ready")
    Library.objects.filter(pk="open").update(visibility="shared")
    assert inference.search("x")["libraries"] == ("catalogue", "open")


def test_a_library_of_another_model_is_left_out_and_says_why(science, settings, write_library):
    write_library(settings.FERRY_DATA / "libraries" / "old", model="b" * 64)
    assert inference.search("x")["libraries"] == ("catalogue",)
    with pytest.raises(inference.NotFound, match="another model"):
        inference.search("x", libraries=["old"])
    assert inference.stale() == {"old"}


def test_a_library_under_construction_is_not_opened(science, settings, write_library):
    write_library(settings.FERRY_DATA / "libraries" / "mine.building")
    inference.search("x")
    assert science.opened == ["catalogue"]


def test_a_promoted_model_answers_after_the_next_check(science, house, settings, write_library, monkeypatch):
    monkeypatch.setattr(engine, "MODEL_CHECK_SECONDS", 0.0)
    inference.search("x")
    newer = settings.FERRY_DATA / "jobs" / "1" / "model"
    newer.mkdir(parents=True)
    (newer / "card.json").write_text('{"sha256": "' + "c" * 64 + '"}')
    write_library(newer / "catalogue", model="c" * 64)
    registry.promote(registry.register("retrieval", "", newer), "anna", "newer", unmeasured=True)
    inference.search("x")
    assert [folder.name for folder in science.loads] == ["retrieval", "model"]
    registry.retire("retrieval", "", "anna", "back")
    inference.search("x")
    assert science.loads[-1].name == "retrieval"


def test_a_full_house_says_busy_instead_of_waiting_for_ever(science):
    inference.search("x")
    science.hold = threading.Event()
    waiting = [
        threading.Thread(target=inference.search, args=("x",), kwargs={"libraries": ["catalogue"]})
        for _ in range(2)
    ]
    for thread in waiting:
        thread.start()
    assert all(science.entered.acquire(timeout=5) for _ in waiting), "both work on their search"
    with pytest.raises(inference.Busy, match="Try again"):
        inference.search("third", libraries=["catalogue"])
    science.hold.set()
    for thread in waiting:
        thread.join()
    assert inference.search("fourth", libraries=["catalogue"])["text"] == "fourth"


def test_an_unknown_library_is_not_found(science):
    with pytest.raises(inference.NotFound, match="elsewhere"):
        inference.molecule("elsewhere", "1")


def test_ready_only_after_the_rehearsal(science):
    assert inference.ready()["ready"] is False
    engine.shared().warm()
    state = inference.ready()
    assert state["ready"] is True
    assert state["libraries"] == 1
    assert science.rehearsed == 1


def test_warming_up_tries_again_until_the_model_is_there(science, settings, monkeypatch):
    monkeypatch.setattr(engine, "WARM_AGAIN_SECONDS", 0.02)
    card = settings.FERRY_MODELS / "retrieval" / "card.json"
    kept = card.read_text()
    card.unlink()
    thread = engine.shared().warm_in_background()
    for _ in range(200):
        if "no model" in inference.ready().get("problem", ""):
            break
        thread.join(0.02)
    assert "no model" in inference.ready()["problem"]
    card.write_text(kept)
    thread.join(5)
    assert inference.ready()["ready"] is True


def test_drawing_needs_no_model(science, settings):
    shutil.rmtree(settings.FERRY_MODELS)
    assert inference.depict("CCO").startswith(b"\x89PNG")
    assert science.loads == []
