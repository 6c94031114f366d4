"""The loop of draft and verify: what it counts, how it ends, what it refuses, and that it leaves nothing behind."""

from __future__ import annotations

import gc
import itertools
import weakref
from collections.abc import Iterator, Sequence

import pytest
import torch

from mlcore.decoding import autoregressive, spectr, speculation, speculative
from mlcore.decoding.events import Done, Drafted, Emitted, Event
from mlcore.decoding.networks.cache import Cache
from mlcore.decoding.networks.llama import LlamaDecoder
from mlcore.decoding.randomness import Seeded
from mlcore.decoding.sampling import Sampling
from mlcore.decoding.speculation import Drafting
from mlcore.decoding.verification import token_verification
from tests.mlcore.decoding.pairs import Pair, llama_pair
from tests.mlcore.decoding.runs import answers
from tests.mlcore.decoding.toys import TableModel

END = 7
PAIR = llama_pair(noise=0.04, ends=frozenset({END}))
WIDE = llama_pair(torch.float64, noise=0.04, ends=frozenset({END}))  # for equality of choices
PROMPTS = [[3, 9, 4, 4, 12], [5], [8, 2, 60, 31, 30, 2, 9, 9], [5, 5], [17, 44, 44, 3, 2, 1, 8, 8, 8, 1]]
METHODS = ("token", "block", "batch", "tree")


def run(
    method: str,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    seed: int = 0,
    *,
    pair: Pair = PAIR,
    drafts: int = 3,
    length: int = 4,
    alternatives: int = 0,
) -> Iterator[Event]:
    source = Seeded(seed)
    if method in ("token", "block"):
        return speculative.generate(
            pair.target, pair.draft, prompts, sampling, length, source,
            verification=method, alternatives=alternatives,
        )  # fmt: skip
    drafting = Drafting(drafts, length, method)
    return spectr.generate(
        pair.target, pair.draft, prompts, sampling, drafting, source, alternatives=alternatives
    )


# --- greedy equality -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_greedy_answers_are_those_of_the_target_alone(method: str, penalty: float) -> None:
    sampling = Sampling(max_tokens=24, temperature=0, repetition_penalty=penalty)
    wanted = answers(autoregressive.generate(WIDE.target, PROMPTS, sampling, Seeded(0)))
    assert len({len(answer) for answer in wanted}) > 1 or penalty == 1
    for prompt, answer in zip(PROMPTS, wanted, strict=True):
        assert answers(run(method, [prompt], sampling, pair=WIDE)) == [answer]


@pytest.mark.parametrize("method", ["token", "block", "batch"])
def test_a_batch_of_prompts_is_the_prompts_one_by_one(method: str) -> None:
    sampling = Sampling(max_tokens=24, temperature=0, repetition_penalty=1.3)
    together = answers(run(method, PROMPTS, sampling, pair=WIDE))
    assert together == [answers(run(method, [prompt], sampling, pair=WIDE))[0] for prompt in PROMPTS]


def test_greedy_answers_are_those_of_transformers() -> None:
    sampling = Sampling(max_tokens=20, temperature=0)
    for prompt, answer in zip(PROMPTS, answers(run("batch", PROMPTS, sampling, pair=WIDE)), strict=True):
        found = WIDE.networks[0].generate(
            torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), max_new_tokens=20,
            do_sample=False, eos_token_id=END, pad_token_id=0,
        )  # fmt: skip
        assert found[0, len(prompt) :].tolist() == list(answer)


# --- counts and events -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_counts_add_up(method: str) -> None:
    for seed in range(6):
        events = list(run(method, PROMPTS[:1], Sampling(max_tokens=23), seed, alternatives=3))
        done = events[-1]
        assert isinstance(done, Done)
        counts = done.counts
        emitted = [event for event in events if isinstance(event, Emitted)]
        drafted = [event for event in events if isinstance(event, Drafted)]
        assert tuple(event.token for event in emitted) == done.tokens
        assert counts.emitted == len(emitted) == counts.accepted + counts.corrected + counts.bonus
        for kind in ("accepted", "corrected", "bonus"):
            assert sum(event.kind == kind for event in emitted) == getattr(counts, kind)
        assert counts.target_calls == len(drafted)
        assert counts.drafted == sum(len(tokens) for event in drafted for tokens in event.drafts)
        assert counts.draft_calls == sum(len(event.drafts[0]) for event in drafted)
        rows = [(len(event.drafts), len(event.drafts[0]) + 1) for event in drafted]
        if method != "tree":
            assert counts.target_tokens == sum(width * length for width, length in rows)
        # blocks end with a token that was not drafted, but for the last, which an end token may cut
        assert counts.corrected + counts.bonus in (counts.target_calls, counts.target_calls - 1)
        assert sum(counts.passed) == counts.accepted
        assert counts.reached[0] == sum(bool(event.drafts[0]) for event in drafted)
        assert all(here >= passed for here, passed in zip(counts.reached, counts.passed, strict=True))
        assert counts.block_efficiency == counts.emitted / counts.target_calls
        assert set(counts.seconds) == {"prompt", "draft", "target", "verify", "total"}
        assert done.reason == ("end" if done.tokens[-1] == END else "length")
        assert END not in done.tokens[:-1]
        assert done.reason == "end" or len(done.tokens) == 23


def test_accepted_tokens_are_those_of_one_draft() -> None:
    events = list(run("batch", PROMPTS[:1], Sampling(max_tokens=40), 3))
    block: list[int] = []
    drafts: tuple[tuple[int, ...], ...] = ()
    for event in events:
        if isinstance(event, Drafted):
            drafts, block = event.drafts, []
        elif isinstance(event, Emitted) and event.kind == "accepted":
            block.append(event.token)
            assert any(list(tokens[: len(block)]) == block for tokens in drafts)


@pytest.mark.parametrize("method", METHODS)
def test_alternatives_are_the_likeliest_of_both_models(method: str) -> None:
    from tests.mlcore.decoding.architectures import reference

    ids = list(PROMPTS[2])
    for event in run(method, [ids], Sampling(max_tokens=12), 5, alternatives=4):
        if not isinstance(event, Emitted):
            continue
        assert event.alternatives is not None
        for network, found in zip(
            PAIR.networks, (event.alternatives.target, event.alternatives.draft), strict=True
        ):
            law = reference(network, torch.tensor([ids]))[0, -1].softmax(-1)
            if event.kind == "bonus" and network is PAIR.networks[1]:
                assert found == ()
                continue
            best = law.topk(4)
            assert [token for token, _ in found] == best.indices.tolist()
            assert [chance for _, chance in found] == pytest.approx(best.values.tolist(), abs=1e-5)
        ids.append(event.token)


def test_what_was_drafted_after_an_end_is_not_counted_as_accepted() -> None:
    """Both models always say the end token, so that whole blocks of it pass; one token of each is of use."""
    table = lambda _: torch.tensor([0.0, 1.0], dtype=torch.float64)  # noqa: E731
    model = TableModel(table, 2, ends={1})
    for verification in ("token", "block"):
        events = list(
            speculative.generate(
                model, model, [[0]], Sampling(max_tokens=9), 4, Seeded(0), verification=verification
            )
        )
        done = events[-1]
        assert isinstance(done, Done)
        assert done.tokens == (1,)
        assert (done.counts.reached, done.counts.passed) == ([1, 0, 0, 0], [1, 0, 0, 0])


def test_a_seed_repeats_an_answer() -> None:
    for method in METHODS:
        first, again, other = (
            answers(run(method, PROMPTS[:1], Sampling(max_tokens=30), seed)) for seed in (4, 4, 5)
        )
        assert first == again != other


# --- endings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("longest", [1, 2, 5])
def test_no_answer_is_longer_than_asked(method: str, longest: int) -> None:
    for seed in range(4):
        (answer,) = answers(run(method, PROMPTS[:1], Sampling(max_tokens=longest), seed))
        assert 1 <= len(answer) <= longest


def test_nothing_is_drafted_that_there_is_no_room_for() -> None:
    drafted = [
        event for event in run("batch", PROMPTS[:1], Sampling(max_tokens=3), 1) if isinstance(event, Drafted)
    ]
    assert {len(tokens) for tokens in drafted[0].drafts} == {2}


def test_a_generator_that_is_closed_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[weakref.ref[Cache]] = []
    real = LlamaDecoder.cache

    def cache(self: LlamaDecoder, rows: int, capacity: int) -> Cache:
        made = real(self, rows, capacity)
        alive.append(weakref.ref(made))
        return made

    monkeypatch.setattr(LlamaDecoder, "cache", cache)
    wanted = answers(run("batch", PROMPTS, Sampling(max_tokens=12), 2))
    for stop in (1, 3, 7):
        events = run("batch", PROMPTS, Sampling(max_tokens=12), 9)
        list(itertools.islice(events, stop))
        events.close()  # type: ignore[attr-defined]
        assert list(events) == []
    del events
    gc.collect()
    assert len(alive) == 8
    assert not any(each() for each in alive)
    assert answers(run("batch", PROMPTS, Sampling(max_tokens=12), 2)) == wanted


def test_an_event_comes_before_the_next_token_is_computed() -> None:
    """A reader that stops after one token has made the target read no more than one block."""
    calls = []
    real = PAIR.target.forward

    class Counting:
        def __getattr__(self, name: str) -> object:
            return getattr(PAIR.target, name)

        def forward(self, *given: object) -> torch.Tensor:
            calls.append(1)
            return real(*given)  # type: ignore[arg-type]

    pair = Pair(Counting(), PAIR.draft, PAIR.networks)  # type: ignore[arg-type]
    events = run("tree", PROMPTS[:1], Sampling(max_tokens=40), pair=pair)
    next(event for event in events if isinstance(event, Emitted))
    assert len(calls) == 2  # the prompt, and one block


def test_one_draft_of_spectr_is_token_verification() -> None:
    sampling = Sampling(max_tokens=40)
    for seed in range(4):
        for layout in ("batch", "tree"):
            one = spectr.generate(
                PAIR.target, PAIR.draft, PROMPTS[:1], sampling, Drafting(1, 4, layout), Seeded(seed)
            )
            other = speculation.generate(
                PAIR.target,
                PAIR.draft,
                PROMPTS[:1],
                sampling,
                Drafting(1, 4),
                token_verification,
                Seeded(seed),
            )
            assert answers(one) == answers(other)
