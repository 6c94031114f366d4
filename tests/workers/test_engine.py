"""The engine: one model, the libraries that are on the disk now, a bounded number of searches."""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from workers import calls, engine, inference, registry
from workers.batching import Gone, Limits
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


# -- promotion


def promoted(settings, write_library, letter: str = "c", number: str = "1"):
    """Another model, promoted."""
    newer = settings.FERRY_DATA / "jobs" / number / "model"
    newer.mkdir(parents=True)
    (newer / "card.json").write_text('{"sha256": "' + letter * 64 + '"}')
    write_library(newer / "catalogue", model=letter * 64)
    version = registry.register("retrieval", "", newer)
    registry.promote(version, "anna", "newer", unmeasured=True)
    return newer


def until(condition, seconds: float = 5.0):
    """Wait for ``condition`` to hold."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_promoted_model_answers_and_taking_it_back_works_as_well(
    science, settings, write_library, monkeypatch
):
    monkeypatch.setattr(engine, "MODEL_CHECK_SECONDS", 0.0)
    engine.shared().warm()
    promoted(settings, write_library)
    until(lambda: inference.search("x") and inference.ready()["model"] == "c" * 64)
    assert [folder.name for folder in science.loads] == ["retrieval", "model"]
    registry.retire("retrieval", "", "anna", "not better")
    until(lambda: inference.search("x") and inference.ready()["model"] == "a" * 64)
    assert science.loads[-1].name == "retrieval"


def test_the_model_before_answers_until_the_promoted_one_is_ready(
    science, settings, write_library, monkeypatch
):
    monkeypatch.setattr(engine, "MODEL_CHECK_SECONDS", 0.0)
    engine.shared().warm()
    load, release = science.load_model, threading.Event()

    def slow(folder):
        assert release.wait(10)
        return load(folder)

    monkeypatch.setattr(science, "load_model", slow)
    promoted(settings, write_library)
    waits, hashes = [], set()
    for number in range(50):
        started = time.monotonic()
        assert inference.search(f"q{number}")["text"] == f"q{number}"
        waits.append(time.monotonic() - started)
        hashes.add(inference.ready()["model"])
    assert max(waits) < 2.0, "nobody waits for the loading"
    assert hashes == {"a" * 64}
    assert threading.active_count() < 20, "one thread loads"
    release.set()
    until(lambda: inference.ready()["model"] == "c" * 64)
    assert inference.search("x")["text"] == "x"
    assert science.rehearsed == 2, "the promoted one is rehearsed before it answers"


def test_an_answer_under_way_keeps_the_model_it_began_with(science, settings, write_library, monkeypatch):
    monkeypatch.setattr(engine, "MODEL_CHECK_SECONDS", 0.0)
    engine.shared().warm()
    seen = []
    search = science.do_search

    def noted(loaded, **options):
        out = search(loaded, **options)
        seen.append(loaded.model.fingerprint[0])
        return out

    monkeypatch.setattr(science, "do_search", noted)
    science.hold = threading.Event()
    early = threading.Thread(target=inference.search, args=("early",), kwargs={"libraries": ["catalogue"]})
    early.start()
    assert science.entered.acquire(timeout=5)
    hold, science.hold = science.hold, None
    promoted(settings, write_library)
    until(lambda: inference.search("x", libraries=["catalogue"]) and seen[-1] == "c")
    hold.set()
    early.join(5)
    assert seen[-1] == "a"


def test_a_promoted_model_that_cannot_be_loaded_changes_nothing_but_what_ready_says(
    science, settings, write_library, monkeypatch
):
    monkeypatch.setattr(engine, "MODEL_CHECK_SECONDS", 0.0)
    engine.shared().warm()
    load = science.load_model

    def torn(folder):
        if folder.name == "model":
            raise inference.Busy("The weights are torn.")
        return load(folder)

    monkeypatch.setattr(science, "load_model", torn)
    promoted(settings, write_library)
    until(lambda: inference.search("x") and "model" in inference.ready()["faults"])
    state = inference.ready()
    assert state["ready"] is True
    assert state["model"] == "a" * 64
    assert "torn" in state["faults"]["model"]
    monkeypatch.setattr(science, "load_model", load)
    monkeypatch.setattr(engine, "PROMOTE_AGAIN_SECONDS", 0.0)
    until(lambda: inference.search("x") and inference.ready()["model"] == "c" * 64)
    assert inference.ready()["faults"] == {}


def test_taking_back_a_promotion_that_failed_clears_the_fault(science, settings, write_library, monkeypatch):
    monkeypatch.setattr(engine, "MODEL_CHECK_SECONDS", 0.0)
    engine.shared().warm()
    newer = promoted(settings, write_library)
    (newer / "card.json").unlink()
    until(lambda: inference.search("x") and "model" in inference.ready()["faults"])
    registry.retire("retrieval", "", "anna", "back")
    inference.search("x")
    assert inference.ready()["faults"] == {}


def test_a_library_of_the_model_before_is_stale_after_the_swap(science, settings, write_library, monkeypatch):
    monkeypatch.setattr(engine, "MODEL_CHECK_SECONDS", 0.0)
    write_library(settings.FERRY_DATA / "libraries" / "mine")
    engine.shared().warm()
    assert inference.search("x", libraries=["mine"])["libraries"] == ("mine",)
    promoted(settings, write_library)
    until(lambda: inference.search("x") and inference.ready()["model"] == "c" * 64)
    assert inference.stale() == {"mine"}
    with pytest.raises(inference.NotFound, match="another model"):
        inference.search("x", libraries=["mine"])


# -- batches and calls


class Ranker:
    """A searcher that ranks by turning letters round; keeps the batches."""

    def __init__(self):
        self.batches = []

    def rank_many(self, questions):
        self.batches.append(len(questions))
        time.sleep(0.01)
        return [question.text[::-1] for question in questions]


@pytest.fixture
def batched(science, monkeypatch):
    """An engine with batches whose searches call the searcher's ``rank``."""
    searcher = Ranker()
    monkeypatch.setattr(science, "make_searcher", lambda *_: searcher)

    def search(loaded, *, text, libraries, **options):
        return loaded.searcher.rank(SimpleNamespace(text=text, cost=3))

    monkeypatch.setattr(science, "do_search", search)
    engine.use(engine.Engine(science, searches=2, wait=5.0, batches=Limits(items=8)))
    return searcher


def test_many_searches_at_once_are_ranked_in_batches_and_nobody_gets_anothers(batched):
    inference.search("x", libraries=["catalogue"])
    texts = [f"q{number:02}" for number in range(40)]
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda text: inference.search(text, libraries=["catalogue"]), texts))
    assert found == [text[::-1] for text in texts]
    assert max(batched.batches) > 2, "more than have a turn at once"
    assert max(batched.batches) <= 8


def test_what_nobody_waits_for_is_not_begun(science):
    inference.search("x", libraries=["catalogue"])
    with calls.answering(calls.Call(gone=True)), pytest.raises(Gone):
        inference.search("x", libraries=["catalogue"])


def test_a_deadline_ends_the_wait_for_a_turn(science):
    inference.search("x")
    science.hold = threading.Event()
    others = [
        threading.Thread(target=inference.search, args=("x",), kwargs={"libraries": ["catalogue"]})
        for _ in range(2)
    ]
    for thread in others:
        thread.start()
    assert all(science.entered.acquire(timeout=5) for _ in others)
    started = time.monotonic()
    call = calls.Call(time.monotonic() + 0.05)
    with calls.answering(call), pytest.raises(inference.Busy):
        inference.search("third", libraries=["catalogue"])
    assert time.monotonic() - started < 0.25, "the engine's own limit is 0.3 s"
    science.hold.set()
    for thread in others:
        thread.join()
