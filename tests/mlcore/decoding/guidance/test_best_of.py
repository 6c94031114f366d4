"""Best of N: its exact law, its counts, its bound on the divergence, and a client that leaves."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import product

import pytest

from mlcore.decoding.events import Done, Drafted, Emitted
from mlcore.decoding.guidance import best_of
from mlcore.decoding.guidance.best_of import BestOf
from mlcore.decoding.guidance.kl import best_of_bound
from mlcore.decoding.guidance.lookahead import GuidedCounts
from mlcore.decoding.guidance.samplers import through_spectr
from mlcore.decoding.randomness import Seeded, Source
from mlcore.decoding.sampling import Sampling
from mlcore.decoding.speculation import Drafting
from mlcore.runtime.errors import InputError
from tests.mlcore.decoding.alignment import PROMPT, Toy, answer_text, answered, decode
from tests.mlcore.decoding.toys import Context, distance, enumerate_law, sequence_law

ENDS = frozenset({2})
SHORT = Sampling(max_tokens=2)


def oracle(toy: Toy, law: dict[Context, float], samples: int) -> dict[Context, float]:
    found: defaultdict[Context, float] = defaultdict(float)
    for answers in product(law, repeat=samples):
        best = max(answers, key=lambda answer: toy.r.function(answer_text(answer, ENDS)))
        found[best] += math.prod(law[answer] for answer in answers)
    return dict(found)


@pytest.mark.parametrize("rows", [1, 256])
def test_the_law_is_that_of_the_best_of_independent_answers(rows: int) -> None:
    toy = Toy(0, ends=ENDS)
    law = sequence_law(toy.aligned.table, PROMPT, 2, ENDS)

    def run(source: Source) -> Context:
        many = BestOf(samples=3, rows=rows)
        return answered(best_of.generate(toy.aligned, [PROMPT], SHORT, many, toy.r, decode, source))

    found = enumerate_law(run)
    assert distance(found, oracle(toy, law, 3)) < 1e-12
    gap = math.fsum(p * math.log(p / law[answer]) for answer, p in found.items())
    assert gap <= best_of_bound(3)


def test_events_counts_and_the_best_value() -> None:
    toy = Toy(1, ends=ENDS)
    events = list(
        best_of.generate(
            toy.aligned, [PROMPT, (0,)], SHORT, BestOf(5), toy.r, decode, Seeded(2), alternatives=2
        )
    )
    for row in (0, 1):
        drafts = [event.drafts for event in events if isinstance(event, Drafted) and event.row == row]
        emitted = [event for event in events if isinstance(event, Emitted) and event.row == row]
        (done,) = [event for event in events if isinstance(event, Done) and event.row == row]
        assert done.tokens == tuple(event.token for event in emitted)
        assert {event.kind for event in emitted} == {"chosen"}
        assert all(event.alternatives and len(event.alternatives.target) == 2 for event in emitted)
        assert done.tokens in drafts[-1] or len(done.tokens) == 2
        assert isinstance(done.counts, GuidedCounts)
        assert done.counts.emitted == len(done.tokens)
        assert done.counts.reward == toy.r.function(answer_text(done.tokens, ENDS))
        assert done.counts.emitted + done.counts.rollouts == done.counts.target_tokens
        assert done.counts.rewards <= 5


def test_a_client_that_leaves_stops_the_sampling() -> None:
    toy = Toy(2)
    events = best_of.generate(
        toy.aligned, [PROMPT], Sampling(max_tokens=30), BestOf(4), toy.r, decode, Seeded(0)
    )
    assert isinstance(next(events), Drafted)
    calls = len(toy.aligned.calls)
    events.close()  # type: ignore[attr-defined]
    assert len(toy.aligned.calls) == calls
    assert toy.r.seen == []


def test_the_answers_may_come_through_spectr() -> None:
    toy = Toy(3, ends=ENDS)
    word = Sampling(max_tokens=1)
    law = sequence_law(toy.aligned.table, PROMPT, 1, ENDS)
    sampler = through_spectr(toy.aligned, toy.sft, word, Drafting(drafts=2, length=1))

    def run(source: Source) -> Context:
        two = best_of.generate(
            toy.aligned, [PROMPT], word, BestOf(2, rows=1), toy.r, decode, source, sampler=sampler
        )
        return answered(two)

    assert distance(enumerate_law(run), oracle(toy, law, 2)) < 1e-12


def test_at_least_one_answer() -> None:
    toy = Toy(0)
    with pytest.raises(InputError) as fault:
        next(best_of.generate(toy.aligned, [PROMPT], SHORT, BestOf(0), toy.r, decode, Seeded(0)))
    assert fault.value.field == "samples"
