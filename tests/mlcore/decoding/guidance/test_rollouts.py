"""Rollouts: their exact law, their ends, shared random numbers, and the cache against no cache on a real network."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from mlcore.decoding.guidance.reader import Reader
from mlcore.decoding.guidance.rollouts import PlainRoller, Rollout, SampledRoller, inverse
from mlcore.decoding.guidance.samplers import plain, through_spectr
from mlcore.decoding.networks.llama import LlamaDecoder
from mlcore.decoding.randomness import Seeded, Source
from mlcore.decoding.sampling import Sampling, Warper
from mlcore.decoding.speculation import Drafting
from tests.mlcore.decoding.alignment import PROMPT, Toy, answer_text
from tests.mlcore.decoding.toys import (
    Context,
    TableModel,
    distance,
    enumerate_law,
    random_table,
    sequence_law,
)

ENDS = frozenset({2})
TABLE = random_table(31, 3)


def reader(ids: Sequence[int] = PROMPT, sampling: Sampling | None = None, table: object = TABLE) -> Reader:
    model = TableModel(table, 3, ends=ENDS)  # type: ignore[arg-type]
    made = Reader(model, Warper(sampling or Sampling(), 3), list(ids), 12)
    made.law()
    return made


def test_rollouts_have_the_law_of_the_model() -> None:
    """Every branch of one batch, with two candidates or with two rollouts of one: independent of each other."""
    laws = [sequence_law(TABLE, (*PROMPT, token), 2, ENDS) for token in (0, 1)]
    for rollouts, numbers in ((1, (0, 1)), (2, (0, 0))):

        def run(
            source: Source, rollouts: int = rollouts, numbers: tuple[int, int] = numbers
        ) -> tuple[Context, ...]:
            candidates = [(number,) for number in sorted(set(numbers))]
            found = PlainRoller(rollouts=rollouts).roll(reader(), candidates, 2, source)
            assert tuple(each.candidate for each in found) == numbers
            assert all(each.finished and each.share == 1 / rollouts for each in found)
            return tuple(each.tokens for each in found)

        first, second = (laws[number] for number in numbers)
        exact = {(a, c): first[a] * second[c] for a in first for c in second}
        assert distance(enumerate_law(run), exact) < 1e-14


@pytest.mark.parametrize("token", [0, 1])
def test_the_mean_of_many_rollouts_is_the_value(token: int) -> None:
    """1e5 rollouts to the end, reward there only: within four standard errors of the enumerated value."""
    toy = Toy(1, ends=ENDS)
    here = Reader(toy.aligned, Warper(Sampling(), 3), list(PROMPT), 8)
    here.law()
    found = PlainRoller(rollouts=100_000, rows=100_000).roll(here, [(token,)], 2, Seeded(5))
    counts = Counter(each.tokens for each in found)
    values = {tokens: toy.r.function(answer_text((token, *tokens), ENDS)) for tokens in counts}
    mean = sum(count * values[tokens] for tokens, count in counts.items()) / 100_000
    square = sum(count * values[tokens] ** 2 for tokens, count in counts.items()) / 100_000
    error = math.sqrt((square - mean**2) / 100_000)
    assert abs(mean - toy.value(toy.aligned_law, (token,))) < 4 * error


def test_rows_that_ended_get_no_more_tokens_and_leave_the_batch() -> None:
    def table(context: Context) -> torch.Tensor:
        """Ends after the third token, if the candidate was 0; never otherwise."""
        short = context[1:2] == (0,) and len(context) >= 3
        return torch.tensor([0.0, 0.0, 1.0] if short else [0.5, 0.5, 0.0])

    here = reader(table=table)
    model = here.model
    assert isinstance(model, TableModel)
    model.calls.clear()
    found = PlainRoller(rollouts=3).roll(here, [(0,), (1,)], 6, Seeded(0))
    assert [len(each.tokens) for each in found] == [2, 2, 2, 6, 6, 6]
    assert all(each.tokens[-1] == 2 for each in found[:3])
    assert all(2 not in each.tokens for each in found[3:])
    assert model.calls == [(2, 1), (6, 1), (3, 1), (3, 1), (3, 1), (3, 1)]
    assert here.tokens == 1 + 2 + 6 + 4 * 3  # the state's own call among them


def test_a_horizon_cuts_and_says_so() -> None:
    found = PlainRoller(rollouts=50, horizon=2).roll(reader(), [(0,)], 5, Seeded(0))
    assert {len(each.tokens) for each in found} <= {1, 2}
    assert {each.finished for each in found} == {True, False}
    assert all(each.finished == (each.tokens[-1] == 2) for each in found)
    full = PlainRoller(rollouts=20, horizon=2).roll(reader(), [(0,)], 2, Seeded(0))
    assert all(each.finished for each in full)  # the answer has no more room


def test_greedy_rollouts_and_longer_candidates() -> None:
    (found,) = PlainRoller(greedy=True).roll(reader(), [(0, 1)], 3, Seeded(0))
    answer: Context = ()
    while len(answer) < 3 and 2 not in answer:
        answer = (*answer, int(TABLE((*PROMPT, 0, 1, *answer)).argmax()))
    assert found == Rollout(0, answer, True, 1.0)


def test_penalties_see_the_candidate_and_the_rollout() -> None:
    sampling = Sampling(frequency_penalty=1.5, presence_penalty=0.5)

    def run(source: Source) -> Context:
        found = PlainRoller().roll(reader((0, 1), sampling), [(1,)], 2, source)
        return found[0].tokens

    def table(context: Context) -> torch.Tensor:
        warper = Warper(sampling, 3)
        return warper(TABLE(context).log(), warper.counts(list(context)).double())

    assert distance(enumerate_law(run), sequence_law(table, (0, 1, 1), 2, ENDS)) < 1e-7


def test_the_likelihood_of_a_continuation_is_that_of_the_laws_it_is_drawn_from() -> None:
    for sampling in (Sampling(), Sampling(frequency_penalty=1.5, temperature=0.7)):
        here = reader((0, 1), sampling)
        law = here.warper(TABLE((0, 1)).log(), here.said())
        found = here.log_likelihoods([(1, 0, 1), (0,), (2, 2)], law, rows=2)

        def table(context: Context, warper: Warper = here.warper) -> torch.Tensor:
            return warper(TABLE(context).log(), warper.counts(list(context)).double())

        for row, sequence in enumerate([(1, 0, 1), (0,), (2, 2)]):
            for place in range(3):
                wanted = 0.0
                if place < len(sequence):
                    wanted = float(table((0, 1, *sequence[:place]))[sequence[place]].log())
                assert found[row, place].item() == pytest.approx(wanted, abs=1e-7)


# -- common random numbers


def test_common_random_numbers_are_those_of_the_model_and_the_same_for_all_candidates() -> None:
    # a law that does not depend on the candidate: rollout j of each candidate is then the same text
    def table(context: Context) -> torch.Tensor:
        return random_table(3, 3)(context[2:])

    roller = PlainRoller(rollouts=400, common=True, rows=300)
    found = roller.roll(reader(table=table), [(0,), (1,)], 3, Seeded(1))
    texts = [[each.tokens for each in found if each.candidate == number] for number in (0, 1)]
    assert texts[0] == texts[1]
    assert len(set(texts[0])) > 5
    law = sequence_law(table, (*PROMPT, 0), 3, ENDS)
    counts = Counter(texts[0])
    chi = sum((counts[answer] - 400 * p) ** 2 / (400 * p) for answer, p in law.items())
    assert chi < 45  # 14 degrees of freedom: 4e-5 by chance


def test_common_random_numbers_steady_the_difference_of_two_candidates() -> None:
    near = random_table(3, 3)

    def table(context: Context) -> torch.Tensor:
        mix = 0.9 * near(context[2:]) + 0.1 * TABLE(context)
        return mix / mix.sum()

    def spread(common: bool) -> float:
        differences = []
        for seed in range(200):
            found = PlainRoller(rollouts=1, common=common).roll(
                reader(table=table), [(0,), (1,)], 3, Seeded(seed)
            )
            first, second = (sum(each.tokens) + 2.0 * len(each.tokens) for each in found)
            differences.append(first - second)
        return float(torch.tensor(differences).var())

    assert spread(True) < 0.5 * spread(False)


def test_inverse_takes_every_token_on_its_share() -> None:
    law = torch.tensor([[0.25, 0.0, 0.5, 0.25]], dtype=torch.float64)
    quantiles = torch.tensor([0.0, 0.2499, 0.25, 0.7499, 0.75, 0.999999], dtype=torch.float64)
    assert inverse(law.expand(6, -1), quantiles) == [0, 0, 2, 2, 3, 3]


# -- another sampler


@pytest.mark.parametrize("name", ["plain", "spectr"])
def test_any_lossless_sampler_can_roll(name: str) -> None:
    model, draft = TableModel(TABLE, 3, ends=ENDS), TableModel(random_table(4, 3), 3, ends=ENDS)
    sampler = plain(model, Sampling())
    if name == "spectr":
        sampler = through_spectr(model, draft, Sampling(), Drafting(drafts=2, length=1))

    def run(source: Source) -> Context:
        here = Reader(model, Warper(Sampling(), 3), list(PROMPT), 12)
        found = SampledRoller(sampler, rollouts=1).roll(here, [(0,)], 2, source)
        assert all(each.finished for each in found)
        assert here.calls > 0
        return found[0].tokens

    assert distance(enumerate_law(run), sequence_law(TABLE, (*PROMPT, 0), 2, ENDS)) < 1e-12


def test_rows_of_a_sampler_go_to_their_own_candidates() -> None:
    """The candidate decides the text here; drafts are rows of one batch for all of them."""

    def table(context: Context) -> torch.Tensor:
        return torch.eye(3, dtype=torch.float64)[context[1]] if len(context) > 1 else torch.ones(3) / 3

    model, draft = TableModel(table, 3), TableModel(random_table(4, 3), 3)
    sampler = through_spectr(model, draft, Sampling(), Drafting(drafts=2, length=2))
    here = Reader(model, Warper(Sampling(), 3), list(PROMPT), 12)
    found = SampledRoller(sampler, rollouts=3, horizon=2).roll(here, [(2,), (0,)], 4, Seeded(0))
    assert [(each.candidate, each.tokens) for each in found] == [(0, (2, 2))] * 3 + [(1, (0, 0))] * 3
    assert not any(each.finished for each in found)


# -- a real network: the cache against no cache


@pytest.fixture(scope="module")
def network() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.3,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


@torch.no_grad()
def uncached(network: LlamaForCausalLM, ids: Sequence[int]) -> torch.Tensor:
    return network(torch.tensor([list(ids)]), use_cache=False).logits[0].double()


def test_greedy_rollouts_of_a_network_are_those_without_a_cache(network: LlamaForCausalLM) -> None:
    here = Reader(LlamaDecoder(network, frozenset({7})), Warper(Sampling(), 40), [3, 5, 8], 40)
    here.law()
    candidates = [(number,) for number in range(10, 16)]
    for rows in (1, 4, 256):
        found = PlainRoller(greedy=True, rows=rows).roll(here, candidates, 8, Seeded(0))
        for candidate, each in zip(candidates, found, strict=True):
            ids = [3, 5, 8, *candidate]
            while len(ids) < 12 and ids[-1] != 7:
                ids.append(int(uncached(network, ids)[-1].argmax()))
            assert each.tokens == tuple(ids[4:])


def test_likelihoods_of_a_network_are_those_without_a_cache(network: LlamaForCausalLM) -> None:
    here = Reader(LlamaDecoder(network, frozenset({7})), Warper(Sampling(), 40), [3, 5, 8], 40)
    law = here.law()
    sampled = PlainRoller(rollouts=4, horizon=6).roll(here, [(11,), (12,)], 20, Seeded(0))
    sequences = [((11,), (12,))[each.candidate] + each.tokens for each in sampled]
    found = here.log_likelihoods(sequences, law, rows=3)
    for row, sequence in enumerate(sequences):
        logits = uncached(network, [3, 5, 8, *sequence]).log_softmax(-1)
        for place, token in enumerate(sequence):
            assert found[row, place].item() == pytest.approx(logits[2 + place, token].item(), abs=1e-4)
