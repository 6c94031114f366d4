"""Requests carried out on a tiny pair: the order of events, texts, counts, stops, faults, and times that are honest."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch

from mlcore.decoding import rewards
from mlcore.decoding.guidance.departures import between
from mlcore.decoding.networks import limits
from mlcore.decoding.networks.checkpoints import load
from mlcore.decoding.sampling import Sampling
from mlcore.decoding.serving.description import describe
from mlcore.decoding.serving.estimates import estimate
from mlcore.decoding.serving.frontier import FACTORS, frontier
from mlcore.decoding.serving.models import Models
from mlcore.decoding.serving.requests import Request
from mlcore.decoding.serving.session import outcome, run
from mlcore.runtime.errors import InputError, LimitError
from tests.decoding_models import tiny_pair

EXACT = [
    {"method": "autoregressive"},
    {"method": "speculative", "parameters": {"length": 3}},
    {"method": "speculative", "parameters": {"length": 3, "verification": "token"}},
    {"method": "spectr", "parameters": {"drafts": 2, "length": 3}},
]
GUIDED = [
    {"method": "transfer_q", "parameters": {"candidates": 2, "rollouts": 1, "horizon": 2}},
    {"method": "args", "parameters": {"candidates": 2}},
    {"method": "cd", "parameters": {"candidates": 2, "rollouts": 1, "horizon": 2}},
    {"method": "best_of", "parameters": {"n": 3}},
]
Json = dict[str, Any]


class Letters:
    """The share of capital letters among the characters."""

    name = "letters"

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        shares = [sum("A" <= each <= "Z" for each in text) / max(1, len(text)) for text in texts]
        return torch.tensor(shares, dtype=torch.float64)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    target, draft = tiny_pair(tmp_path_factory.mktemp("models"))
    return Models(load(target), load(draft), load(draft), versions={"target": 3})


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewards, "build", lambda spec, retrieval=None: Letters())


def asked(lanes: list[Json], **more: Any) -> Request:
    sampling = {"max_tokens": 12} | more.pop("sampling", {})
    given = {"prompt": "An alcohol.", "lanes": lanes, "sampling": sampling, "seed": 1}
    return Request.read(given | more)


def of(events: list[Json], name: str, lane: int) -> list[Json]:
    return [event for event in events if event["event"] == name and event["lane"] == lane]


def test_events_come_in_order_and_make_up_the_answer(models: Models) -> None:
    events = list(run(asked(EXACT, alternatives=2), models))
    json.dumps(events, allow_nan=False)
    names = [event["event"] for event in events]
    assert (names[0], names[-1], names.count("opened"), names.count("closed")) == ("opened", "closed", 1, 1)
    assert [event["lane"] for event in events[1:-1]] == sorted(event["lane"] for event in events[1:-1])
    for lane, facts in enumerate(events[0]["lanes"]):
        tokens, (done,) = of(events, "token", lane), of(events, "done", lane)
        assert "".join(token["text"] for token in tokens) == done["text"]
        counts, kinds = done["counts"], Counter(token["kind"] for token in tokens)
        assert counts["emitted"] == len(tokens) == 12
        assert {kind: counts[kind] for kind in ("accepted", "corrected", "bonus")} == {
            kind: kinds[kind] for kind in ("accepted", "corrected", "bonus")
        }
        drafted = [len(draft) for event in of(events, "drafted", lane) for draft in event["drafts"]]
        assert counts["drafted"] == sum(drafted)
        assert bool(drafted) == (facts["method"] != "autoregressive")
        for name, formula in done["formulae"].items():
            assert done["rates"][name] == pytest.approx(evaluated(formula, counts)), name
        assert (done["kl"], done["reward"], done["molecule"]["valid"]) == (0, None, False)
        for token in tokens:
            others = token["alternatives"]
            assert len(others["target"]) == 2
            assert all(0 < chance < 1 for _, chance in others["target"] + others["draft"])
    assert events[0]["models"]["target"] == {
        "name": "lm-target",
        "hash": models.target.hash,
        "note": "",
        "version": 3,
        "parameters": sum(each.numel() for each in models.target.network.parameters()),
    }


def evaluated(formula: str, counts: Json) -> float:
    """The value of a shown formula from the shown counts."""
    names = {**counts, "total": counts["seconds"]["total"]}
    try:
        return float(eval(formula.replace("seconds.", ""), {"__builtins__": {}, "sum": sum}, names))
    except ZeroDivisionError:
        return 0.0


def test_the_likeliest_tokens_are_the_same_by_every_exact_method(models: Models) -> None:
    found = outcome(asked(EXACT, sampling={"temperature": 0, "max_tokens": 30}), models)
    assert len({lane["text"] for lane in found["lanes"]}) == 1


def test_a_seed_gives_the_same_answer_whatever_runs_beside_it(models: Models) -> None:
    alone = outcome(asked(EXACT[3:]), models)["lanes"][0]["text"]
    beside = outcome(asked(EXACT[2:]), models)["lanes"][1]["text"]
    other = outcome(asked(EXACT[3:], seed=2), models)["lanes"][0]["text"]
    assert alone == beside != other


def test_plain_sampling_runs_first_wherever_it_stands_and_is_what_others_are_compared_with(
    models: Models,
) -> None:
    events = list(run(asked([EXACT[1], EXACT[0]]), models))
    assert [event["lane"] for event in events if event["event"] == "done"] == [1, 0]
    (row,) = events[-1]["comparison"]
    speeds = [of(events, "done", lane)[0]["rates"]["tokens_per_second"] for lane in (0, 1)]
    assert (row["lane"], row["interval"]) == (0, None)
    assert row["speedup"] == pytest.approx(speeds[0] / speeds[1])
    assert list(run(asked(EXACT[:1]), models))[-1]["comparison"] == []


def test_repeats_give_an_interval_around_the_speed(models: Models) -> None:
    (row,) = outcome(asked(EXACT[1:2], repeats=3), models)["closed"]["comparison"]
    assert row["n"] == 3
    low, high = row["interval"]
    assert low < row["speedup"] < high


def test_a_reader_who_is_slow_makes_no_method_slower(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    waited = 0
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock) + 1000.0 * waited)
    for event in run(asked(EXACT[:1]), models):
        if event["event"] == "token":
            waited += 1
        if event["event"] == "done":
            seconds = event["counts"]["seconds"]["total"]
    assert waited == 12
    assert 0 < seconds < 1000


@pytest.mark.parametrize("lane", [*EXACT, *GUIDED, {"method": "aligned"}])
@pytest.mark.parametrize("after", [1, 5])
def test_a_stop_ends_within_one_token(models: Models, letters: None, lane: Json, after: int) -> None:
    tokens: list[Json] = []
    request = asked([lane], reward={"name": "qed"})
    for event in run(request, models, lambda: len(tokens) >= after):
        assert event["event"] not in ("done", "closed")
        if event["event"] == "token":
            tokens.append(event)
    assert len(tokens) == after


def test_a_stop_is_heard_while_nothing_is_shown(models: Models) -> None:
    questions = 0

    def stopping() -> bool:
        nonlocal questions
        questions += 1
        return questions == 3

    assert [event["event"] for event in run(asked(EXACT[3:]), models, stopping)] == ["opened"]
    assert questions == 3  # in the unseen run of plain sampling


def test_dropping_the_iterator_ends_the_method(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from mlcore.decoding.serving import methods

    ended = []

    def endless(setting: methods.Setting) -> Iterator[Any]:
        try:
            yield from methods.METHODS["autoregressive"].start(setting)
        finally:
            ended.append(True)

    request = asked([{"method": "aligned"}])
    lane = replace(request.lanes[0], method=replace(request.lanes[0].method, start=endless))
    events = run(replace(request, lanes=(lane,)), models)
    while next(events)["event"] != "token":
        pass
    assert not ended
    events.close()
    assert ended


def test_guided_methods_are_told_with_reward_and_divergence(models: Models, letters: None) -> None:
    request = asked([*GUIDED[:3]], reward={"name": "qed"}, alternatives=2)
    events = list(run(request, models))
    for lane in range(3):
        done, tokens = of(events, "done", lane)[0], of(events, "token", lane)
        assert done["reward"] == pytest.approx(float(Letters()([done["text"].strip()])[0]))
        assert done["molecule"]["reward"] == done["reward"]
        assert done["kl"] >= 0
        assert done["counts"]["rewards"] > 0
        assert {token["kind"] for token in tokens} == {"chosen"}
        assert all(len(token["alternatives"]["values"]) == 2 for token in tokens)


def test_best_of_n_shows_its_answers_at_every_doubling(models: Models, letters: None) -> None:
    events = list(run(asked(GUIDED[3:], reward={"name": "qed"}), models))
    sizes = [sum(map(len, event["drafts"])) for event in of(events, "drafted", 0)]
    assert all(later >= 2 * earlier for earlier, later in itertools.pairwise(sizes))
    done = of(events, "done", 0)[0]
    assert done["counts"]["rollouts"] == 24
    assert done["kl"] == pytest.approx(torch.tensor(3.0).log().item() - 2 / 3)


def test_the_divergence_of_the_aligned_model_is_that_of_its_laws(models: Models) -> None:
    prompt, answer = [1, 2, 3], [4, 5]
    target, aligned = models.target, models.aligned
    assert aligned is not None
    expected = 0.0
    with torch.inference_mode():
        ids = torch.tensor([[*prompt, *answer]])
        mine, other = (
            (each.network(ids).logits[0].double() / 2).log_softmax(-1) for each in (aligned, target)
        )
    for place in (2, 3):
        expected += float((mine[place].exp() * (mine[place] - other[place])).sum())
    sampling = Sampling(temperature=2.0)
    found = between(aligned.decoder, target.decoder, prompt, answer, sampling)
    assert found == pytest.approx(expected, rel=1e-4)
    assert between(target.decoder, target.decoder, prompt, answer, sampling) == 0
    penalised = Sampling(repetition_penalty=1.5)
    assert between(target.decoder, target.decoder, prompt, answer, penalised) == 0


def test_a_missing_model_is_named_before_anything_is_decoded(models: Models) -> None:
    alone = Models(models.target, faults={"draft": "There is no draft model on this server."})
    with pytest.raises(InputError, match="needs the model 'draft'") as fault:
        next(run(asked(EXACT[:2]), alone))
    assert (fault.value.field, fault.value.remedy) == (
        "lanes.1.method",
        "There is no draft model on this server.",
    )
    with pytest.raises(InputError, match="'aligned'"):
        next(run(asked([{"method": "aligned"}]), alone))


def test_what_is_too_large_is_refused_before_anything_is_decoded(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LimitError, match="prompt has") as fault:
        next(run(asked(EXACT[:1], prompt="alcohol " * 1500), models))
    assert fault.value.field == "prompt"
    needed = estimate(asked(EXACT[3:]), models)["memory_bytes"]
    monkeypatch.setattr(limits, "CACHE_BYTES", needed // 2)
    next(run(asked(EXACT[:1]), models))
    with pytest.raises(LimitError, match="MiB") as fault:
        next(run(asked(EXACT[3:]), models))
    assert fault.value.field == "lanes.0.parameters.drafts"


def test_work_without_end_is_refused_before_anything_is_decoded(models: Models) -> None:
    lane = {"method": "cd", "parameters": {"candidates": 0, "rollouts": 1024}}
    with pytest.raises(LimitError) as fault:
        next(run(asked([lane], reward={"name": "qed"}, sampling={"max_tokens": 500}), models))
    assert fault.value.field == "lanes.0.parameters.candidates"
    with pytest.raises(InputError) as excluded:
        next(run(asked([GUIDED[2]], reward={"name": "qed"}, sampling={"temperature": 0}), models))
    assert excluded.value.field == "sampling.temperature"


def test_a_reward_that_raises_is_a_fault_with_its_name(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Letters):
        name = "broken"

        def __call__(self, texts: Sequence[str]) -> torch.Tensor:
            return super().__call__(texts) * float("nan")

    monkeypatch.setattr(rewards, "build", lambda spec, retrieval=None: Broken())
    for lane in (EXACT[0], GUIDED[1]):
        with pytest.raises(InputError, match="'broken' returned nan"):
            list(run(asked([lane], reward={"name": "qed"}), models))


def test_automatic_drafts_are_told_when_they_are_chosen(models: Models) -> None:
    (done,) = outcome(asked([{"method": "spectr", "parameters": {"auto": True}}]), models)["lanes"]
    chosen = done["parameters"]
    assert chosen["drafts"] in (1, 2, 4)
    assert 1 <= chosen["length"] <= 10
    assert len(done["counts"]["reached"]) <= chosen["length"]


def test_an_estimate_adds_up_and_grows_with_the_work(models: Models) -> None:
    def needed(**parameters: int) -> Json:
        return estimate(asked([{"method": "spectr", "parameters": parameters}]), models)

    small, wide = needed(drafts=1, length=2), needed(drafts=8, length=2)
    assert wide["memory_bytes"] == 8 * small["memory_bytes"]
    assert small["seconds"] < small["seconds_at_most"]
    both = estimate(asked([*EXACT]), models)
    assert both["seconds_at_most"] == pytest.approx(sum(lane["seconds_at_most"] for lane in both["lanes"]))
    assert (both["prompt_tokens"], both["answer_tokens"]) == (7, 12)


def test_the_frontier_trades_reward_for_divergence_at_equal_tokens(models: Models, letters: None) -> None:
    lane = {"method": "args", "parameters": {"alpha": 0.05, "candidates": 0}}
    found = frontier(asked([lane], reward={"name": "qed"}, sampling={"max_tokens": 6}, repeats=4), models)
    guided = [row for row in found["rows"] if row["method"] == "args"]
    assert [row["alpha"] for row in guided] == pytest.approx([0.05 * factor for factor in FACTORS])
    assert guided[0]["kl"] < guided[-1]["kl"]
    assert guided[0]["reward"] < guided[-1]["reward"]
    assert {row["answers"] for row in found["rows"]} == {4}
    assert [row["n"] for row in found["rows"] if row["method"] == "best_of"] == [1]
    assert found["sentence"]
    looking = {"method": "cd", "parameters": {"candidates": 2, "rollouts": 1, "horizon": 2}}
    found = frontier(asked([looking], reward={"name": "qed"}, sampling={"max_tokens": 6}), models)
    mean = sum(row["tokens"] for row in found["rows"] if row["method"] == "cd") / len(FACTORS)
    matched = next(row for row in found["rows"] if row.get("n") == found["matched"])
    assert abs(matched["tokens"] - mean) <= 6  # one answer more or less


def test_the_frontier_needs_a_reward_and_stops(models: Models, letters: None) -> None:
    with pytest.raises(InputError) as fault:
        frontier(asked(EXACT[:1]), models)
    assert fault.value.field == "reward"
    assert frontier(asked(GUIDED[1:2], reward={"name": "qed"}), models, lambda: True)["rows"] == []


def test_what_is_described_is_json_without_a_model() -> None:
    said = describe()
    json.dumps(said, allow_nan=False)
    assert "at most 1% in all" in said["exactness"]
    assert {method["name"] for method in said["methods"] if method["exact"]} == {
        "autoregressive", "speculative", "spectr"
    }  # fmt: skip
