"""Decoding behind the door: the verbs over a real tiny pair, one set of models a process, a bound on how many run."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.decoding_models import DRAFT, tiny_model, tiny_pair
from workers import decoding, inference, language_models, registry, remote
from workers.models import Event, ModelVersion

pytestmark = pytest.mark.django_db(transaction=True)
REQUEST = {
    "prompt": "An alcohol.",
    "lanes": [{"method": "spectr", "parameters": {"drafts": 2, "length": 2}}],
    "sampling": {"max_tokens": 8},
    "reward": None,
    "seed": 3,
}
ENDLESS = {**REQUEST, "sampling": {"max_tokens": 500}}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_pair(folder)
    return folder


@pytest.fixture
def shelf(pair: Path, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of shipped models with a target and a draft."""
    settings.FERRY_MODELS = tmp_path / "shelf"
    settings.FERRY_DEVICE = "cpu"
    shutil.copytree(pair, settings.FERRY_MODELS)
    monkeypatch.setattr(language_models, "LOOK_SECONDS", 0.0)
    language_models.forget()
    yield settings.FERRY_MODELS
    language_models.forget()


def promote(slot: str, folder: Path) -> ModelVersion:
    version = registry.register("lm", slot, folder)
    registry.promote(version, "ada", "A test.", unmeasured=True)
    return version


def test_the_verbs_answer_in_json(shelf: Path) -> None:
    known = inference.decoding_models()
    assert known["target"]["name"] == "lm-target"
    assert (known["draft"]["version"], known["aligned"]) == (0, None)
    assert known["faults"] == {"aligned": "There is no aligned model on this server."}
    said = inference.decoding_describe()
    estimate = inference.decoding_estimate(REQUEST)
    found = inference.decoding_generate(REQUEST)
    assert found["opened"]["models"]["target"]["hash"] == known["target"]["hash"]
    assert [lane["counts"]["emitted"] for lane in found["lanes"]] == [8]
    assert found["closed"]["comparison"][0]["speedup"] > 0
    events = list(inference.decoding_watch(REQUEST))
    assert "".join(each["text"] for each in events if each["event"] == "token") == found["lanes"][0]["text"]
    guided = {
        **REQUEST,
        "lanes": [{"method": "args", "parameters": {"candidates": 2}}],
        "reward": {"name": "qed"},
    }
    assert inference.decoding_frontier(guided)["rows"]
    json.dumps([known, said, estimate, found, events], allow_nan=False)


def test_what_can_be_asked_is_told_without_a_model(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr(language_models, "_load", never)
    assert inference.decoding_describe()["methods"]
    assert inference.decoding_models()["target"]


def test_without_a_target_there_is_nothing_to_ask(shelf: Path) -> None:
    shutil.rmtree(shelf / "lm-target")
    for verb in (inference.decoding_generate, inference.decoding_estimate, inference.decoding_frontier):
        with pytest.raises(inference.NotFound, match="no language model"):
            verb(REQUEST)
    with pytest.raises(inference.NotFound):
        inference.decoding_models()
    with pytest.raises(inference.NotFound):
        next(inference.decoding_watch(REQUEST))


def test_without_a_draft_other_methods_answer(shelf: Path) -> None:
    shutil.rmtree(shelf / "lm-draft")
    with pytest.raises(inference.BadInput, match="SpecTr needs the model 'draft'") as fault:
        inference.decoding_generate(REQUEST)
    assert fault.value.field == "lanes.0.method"
    plain = {**REQUEST, "lanes": [{"method": "autoregressive"}]}
    assert inference.decoding_generate(plain)["lanes"][0]["counts"]["emitted"] == 8


def test_a_draft_with_another_vocabulary_is_left_out_and_named(shelf: Path) -> None:
    shutil.rmtree(shelf / "lm-draft")
    tiny_model(shelf / "lm-draft", DRAFT, texts=("Other words, other merges, another vocabulary.",) * 3)
    with pytest.raises(inference.BadInput, match="needs the model 'draft'") as fault:
        inference.decoding_generate(REQUEST)
    assert "another vocabulary" in str(fault.value.remedy)
    known = inference.decoding_models()
    assert known["draft"] is None
    assert "another vocabulary" in known["faults"]["draft"]


def test_a_promoted_model_answers_from_then_on_and_the_rest_stays(shelf: Path, tmp_path: Path) -> None:
    before = language_models.shared().models()
    assert language_models.shared().models() is before
    version = promote("target", tiny_model(tmp_path / "better", seed=9))
    opened = inference.decoding_generate(REQUEST)["opened"]
    assert opened["models"]["target"]["hash"] == version.hash != before.target.hash
    assert opened["models"]["target"]["version"] == 1
    after = language_models.shared().models()
    assert after.draft is before.draft
    registry.retire("lm", "target", "ada", "Back.")
    assert inference.decoding_generate(REQUEST)["opened"]["models"]["target"]["hash"] == before.target.hash


def test_a_promoted_model_that_cannot_be_loaded_changes_nothing(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = inference.decoding_generate(REQUEST)["opened"]["models"]["target"]
    broken = tiny_model(tmp_path / "broken", seed=9)
    promote("target", broken)
    (broken / "model.safetensors").write_bytes(b"no weights")
    tries = 0
    load = language_models._load

    def counted(*arguments: Any) -> Any:
        nonlocal tries
        tries += 1
        return load(*arguments)

    monkeypatch.setattr(language_models, "_load", counted)
    for _ in range(3):
        assert inference.decoding_generate(REQUEST)["opened"]["models"]["target"] == before
    assert tries == 1
    monkeypatch.setattr(language_models, "AGAIN_SECONDS", 0.0)
    inference.decoding_generate(REQUEST)
    assert tries == 2


def test_no_more_run_at_once_than_may(shelf: Path) -> None:
    running = [inference.decoding_watch(ENDLESS) for _ in range(decoding.DECODINGS)]
    for each in running:
        next(each)
    with pytest.raises(inference.Busy) as busy:
        inference.decoding_generate(REQUEST)
    assert busy.value.retry_after == decoding.RETRY_SECONDS
    with pytest.raises(inference.BadInput):  # what cannot be done at all is said at once
        inference.decoding_generate({**REQUEST, "seed": -1})
    for each in running:
        each.close()
    assert inference.decoding_generate(REQUEST)["lanes"]
    with pytest.raises(inference.BadInput):  # a fault gives its turn back
        inference.decoding_generate({**REQUEST, "lanes": [{"method": "aligned"}]})
    assert inference.decoding_generate(REQUEST)["lanes"]


def test_what_would_take_minutes_is_refused_with_a_remedy(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "MOST_SECONDS", 1e-6)
    guided = {**REQUEST, "lanes": [{"method": "cd"}], "reward": {"name": "qed"}}
    with pytest.raises(inference.BadInput, match="are allowed here") as fault:
        next(inference.decoding_watch(guided))
    assert "python -m mlcore generate" in str(fault.value.remedy)
    assert inference.decoding_generate(REQUEST)["lanes"]  # nothing is looked ahead


def test_a_stop_ends_within_a_token(shelf: Path) -> None:
    asked: list[bool] = []

    def stopping() -> bool:
        asked.append(True)
        return len(asked) >= 40

    events = [
        event["event"]
        for event in inference.decoding_watch({**ENDLESS, "lanes": [{"method": "autoregressive"}]}, stopping)
    ]
    assert events == ["opened", *["token"] * 40]


def test_the_retrieval_reward_asks_the_model_that_searches(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workers import engine

    def busy(self: engine.Engine) -> None:
        raise inference.Busy("The model is being loaded.")

    monkeypatch.setattr(engine.Engine, "loaded", busy)
    with pytest.raises(inference.Busy, match="being loaded"):
        inference.decoding_generate({**REQUEST, "reward": {"name": "retrieval", "text": "an alcohol"}})


@pytest.fixture
def worker(shelf: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> threading.Event:
    """The thread that would ask a worker is the worker."""
    settings.FERRY_INFERENCE = "queue"
    ended = threading.Event()

    def ask(verb: str, arguments: dict[str, Any], wait: float) -> Any:
        assert wait == decoding.LONGEST
        try:
            return getattr(decoding, f"do_{verb}")(**json.loads(json.dumps(arguments)))
        finally:
            ended.set()

    monkeypatch.setattr(remote, "ask", ask)
    return ended


def test_another_process_may_decode(worker: threading.Event) -> None:
    events = list(inference.decoding_watch(REQUEST))
    assert [events[0]["event"], events[-1]["event"]] == ["opened", "closed"]
    found = inference.decoding_generate(REQUEST)
    assert "".join(each["text"] for each in events if each["event"] == "token") == found["lanes"][0]["text"]
    with pytest.raises(inference.BadInput) as fault:
        next(inference.decoding_watch({**REQUEST, "seed": -1}))
    assert fault.value.field == "seed"


def test_a_reader_who_leaves_stops_another_process(worker: threading.Event) -> None:
    events = inference.decoding_watch(ENDLESS)
    next(events)
    events.close()
    assert worker.wait(20)
    until = time.monotonic() + 5
    while Event.objects.filter(stream__startswith="film:").exists():
        assert time.monotonic() < until, "the streams are left behind"
        time.sleep(0.05)
