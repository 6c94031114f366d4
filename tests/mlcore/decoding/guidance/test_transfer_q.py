"""Transfer Q* as a whole machine: exact laws on toys, limits of α, bounds, special cases, events, bad input."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
import torch

from mlcore.decoding.events import Done, Emitted
from mlcore.decoding.guidance.kl import aligned_bound, policy_bound
from mlcore.decoding.guidance.lookahead import GuidedCounts, Lookahead, State
from mlcore.decoding.guidance.options import TransferQ
from mlcore.decoding.guidance.reader import Reader
from mlcore.decoding.guidance.scoring import Scorer
from mlcore.decoding.guidance.transfer_q import generate
from mlcore.decoding.guidance.values import tilted
from mlcore.decoding.networks import limits
from mlcore.decoding.networks.cache import Cache
from mlcore.decoding.randomness import Seeded, Source
from mlcore.decoding.rewards import RewardError
from mlcore.decoding.sampling import Sampling, Warper
from mlcore.runtime.errors import InputError, LimitError
from tests.mlcore.decoding.alignment import (
    LENGTH,
    PROMPT,
    SAMPLING,
    EnumeratedRoller,
    TextReward,
    Toy,
    answer_text,
    answered,
    decode,
    finished,
    policy_law,
    reward,
)
from tests.mlcore.decoding.toys import (
    Context,
    TableModel,
    distance,
    enumerate_law,
    random_table,
    sequence_law,
    variation,
)

DIRECT = TransferQ(candidates=0, alpha=0.3)
ENDS = frozenset({2})


def law_of_policy(
    step: Callable[[Context], torch.Tensor], ends: frozenset[int] = frozenset()
) -> dict[Context, float]:
    """The law over answers of the policy that ``step`` gives after each prefix."""
    return sequence_law(lambda context: step(context[len(PROMPT) :]), PROMPT, LENGTH, ends)


def doubles(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def expected(toy: Toy, law: dict[Context, float]) -> float:
    return toy.value(law)


def divergence(first: dict[Context, float], second: dict[Context, float]) -> float:
    return math.fsum(p * math.log(p / second[key]) for key, p in first.items() if p)


def written(toy: Toy, transfer: TransferQ, seed: int = 0, **rest: Any) -> Done:
    return finished(generate(toy.aligned, [PROMPT], SAMPLING, transfer, toy.r, decode, Seeded(seed), **rest))


class Tabulated:
    """Values that the real look-ahead gives at every state of a toy, with exact rollouts."""

    def __init__(self, toy: Toy) -> None:
        warper = Warper(SAMPLING, 3)
        lookahead = Lookahead(EnumeratedRoller(), Scorer(toy.r, decode, toy.ends), toy.ends)
        self.toy = toy
        self.values: dict[Context, torch.Tensor] = {}
        for prefix in [(), *[(a,) for a in range(3)], *[(a, b) for a in range(3) for b in range(3)]]:
            reader = Reader(toy.aligned, warper, [*PROMPT, *prefix], LENGTH + 1)
            state = State(prefix, LENGTH - len(prefix), reader, reader.law())
            every = [(token,) for token in range(3)]
            self.values[prefix] = lookahead(state, every, Seeded(0), GuidedCounts()).values

    def policy(self, alpha: float) -> dict[Context, float]:
        table = self.toy.aligned.table
        return law_of_policy(
            lambda prefix: tilted(table((*PROMPT, *prefix)).log(), self.values[prefix], alpha)
        )


# -- exact laws


@pytest.mark.parametrize("ends", [frozenset(), ENDS])
def test_the_policy_is_the_one_of_the_formula(ends: frozenset[int]) -> None:
    toy = Toy(0, ends=ends)

    def step(prefix: Context) -> torch.Tensor:
        law = toy.aligned.table((*PROMPT, *prefix))
        values = doubles([toy.value(toy.aligned_law, (*prefix, token)) for token in range(3)])
        tilt = law * (values / DIRECT.alpha).exp()
        return tilt / tilt.sum()

    assert distance(policy_law(toy, DIRECT), law_of_policy(step, ends)) < 1e-12


@pytest.mark.parametrize("given", ["baseline", "likelihoods"])
def test_indirect_transfer_uses_the_value_of_the_policy_aligned_to_the_reward(given: str) -> None:
    toy = Toy(4, ends=ENDS)
    transfer = replace(DIRECT, estimator="snis", rollouts=2, beta=toy.beta)
    rest = {"baseline_reward": toy.baseline} if given == "baseline" else {"sft": toy.sft}

    def step(prefix: Context) -> torch.Tensor:
        law = toy.aligned.table((*PROMPT, *prefix))
        values = doubles([toy.value(toy.wanted_law, (*prefix, token)) for token in range(3)])
        tilt = law * (values / DIRECT.alpha).exp()
        return tilt / tilt.sum()

    assert distance(policy_law(toy, transfer, **rest), law_of_policy(step, ENDS)) < 1e-12


@pytest.mark.parametrize("ends", [frozenset(), ENDS])
@pytest.mark.parametrize("reference", ["aligned", "sft"])
@pytest.mark.parametrize("given", ["baseline", "likelihoods"])
def test_the_soft_value_with_alpha_beta_is_exactly_the_aligned_policy(
    given: str, reference: str, ends: frozenset[int]
) -> None:
    toy = Toy(5, ends=ends)
    transfer = TransferQ(candidates=0, alpha=toy.beta, beta=toy.beta, estimator="soft", reference=reference)
    rest: dict[str, Any] = {"baseline_reward": toy.baseline} if given == "baseline" else {"sft": toy.sft}
    if reference == "sft":
        rest["sft"] = toy.sft
    if (given, reference) == (
        "baseline",
        "sft",
    ):  # there the rollouts are those of the SFT model, whose r_BL is 0
        toy.aligned, rest["baseline_reward"] = toy.sft, reward(lambda text: 0.0)
    assert distance(policy_law(toy, transfer, **rest), toy.wanted_law) < 1e-12


def test_likelihoods_are_right_weights_for_any_aligned_model() -> None:
    """Unlike r_BL, which must be that of the model with its own β."""
    toy = Toy(6)
    other = Toy(7, beta=0.2)
    toy.aligned, toy.aligned_law = TableModel(random_table(77, 3), 3), other.aligned_law
    transfer = TransferQ(candidates=0, alpha=toy.beta, beta=toy.beta, estimator="soft")
    assert distance(policy_law(toy, transfer, sft=toy.sft), toy.wanted_law) < 1e-12


def test_rewards_and_temperatures_in_other_units_are_the_same_policy() -> None:
    toy = Toy(8)
    transfer = replace(DIRECT, estimator="snis", rollouts=2, beta=0.5)
    scaled = replace(transfer, alpha=10 * transfer.alpha, beta=5.0)
    ten = {"r": reward(lambda text: 10 * toy.r.function(text))}
    first = policy_law(toy, transfer, baseline_reward=toy.baseline)
    second = policy_law(
        toy, scaled, baseline_reward=reward(lambda text: 10 * toy.baseline.function(text)), **ten
    )
    assert distance(first, second) < 1e-12


def test_sampled_lookahead_is_the_mixture_over_its_rollouts() -> None:
    """One rollout a candidate, one token left to look ahead: the law by hand against every branch of the machine."""
    toy = Toy(9)
    short = Sampling(max_tokens=2)
    transfer = TransferQ(candidates=0, alpha=0.3, rollouts=1)

    def run(source: Source) -> Context:
        return answered(generate(toy.aligned, [PROMPT], short, transfer, toy.r, decode, source))

    first = [0.0] * 3
    laws = [toy.aligned.table((*PROMPT, token)) for token in range(3)]
    for a in range(3):
        for b in range(3):
            for c in range(3):
                chance = laws[0][a] * laws[1][b] * laws[2][c]
                values = doubles([toy.r.function(decode(pair)) for pair in ((0, a), (1, b), (2, c))])
                policy = tilted(toy.aligned.table(PROMPT).log(), values, 0.3)
                first = [mass + float(chance * each) for mass, each in zip(first, policy, strict=True)]
    found = enumerate_law(run)
    assert math.fsum(found.values()) == pytest.approx(1, abs=1e-12)
    for token in range(3):
        mass = math.fsum(chance for answer, chance in found.items() if answer[0] == token)
        assert mass == pytest.approx(first[token], abs=1e-12)


# -- limits


def test_large_alpha_is_the_aligned_model_and_small_alpha_the_best_value() -> None:
    toy = Toy(1)
    assert variation(policy_law(toy, replace(DIRECT, alpha=1e6)), toy.aligned_law) < 1e-6
    best = max(range(3), key=lambda token: toy.value(toy.aligned_law, (token,)))
    found = policy_law(toy, replace(DIRECT, alpha=1e-9))
    assert len(found) == 1 or max(found.values()) == pytest.approx(1, abs=1e-12)
    assert max(found, key=lambda answer: found[answer])[0] == best


def test_the_candidates_are_the_likeliest_of_the_reference() -> None:
    toy = Toy(2)
    assert distance(policy_law(toy, replace(DIRECT, candidates=3)), policy_law(toy, DIRECT)) == 0
    assert distance(policy_law(toy, replace(DIRECT, candidates=50)), policy_law(toy, DIRECT)) == 0
    (greedy,) = policy_law(toy, replace(DIRECT, candidates=1))
    prefix: Context = ()
    for _ in range(LENGTH):
        prefix = (*prefix, int(toy.aligned.table((*PROMPT, *prefix)).argmax()))
    assert greedy == prefix
    other = Toy(6)  # where the two models disagree on the second token
    for reference, best in (("aligned", {1, 2}), ("sft", {0, 2})):
        model = other.aligned if reference == "aligned" else other.sft
        assert set(model.table(PROMPT).topk(2).indices.tolist()) == best
        two = policy_law(other, replace(DIRECT, candidates=2, reference=reference), sft=other.sft)
        assert {answer[0] for answer in two} == best
        assert len(two) == 8


def test_greedy_takes_the_likeliest_under_the_policy() -> None:
    toy = Toy(3)
    (found,) = policy_law(toy, replace(DIRECT, mode="greedy"))
    table = Tabulated(toy)
    prefix: Context = ()
    for _ in range(LENGTH):
        scores = toy.aligned.table((*PROMPT, *prefix)).log() + table.values[prefix] / DIRECT.alpha
        prefix = (*prefix, int(scores.argmax()))
    assert found == prefix


# -- guarantees


def test_policy_improvement_and_the_bounds_on_the_divergence() -> None:
    gains = []
    for seed in range(100):
        toy = Toy(seed)
        table, base = Tabulated(toy), expected(toy, toy.aligned_law)
        for alpha in (10, 1, 0.5, 0.1, 0.01):
            policy = table.policy(alpha)
            gains.append(expected(toy, policy) - base)
            assert gains[-1] >= -1e-12
            assert divergence(policy, toy.aligned_law) <= policy_bound(LENGTH, 1, alpha)
            assert divergence(policy, toy.sft_law) <= aligned_bound(LENGTH, 1, alpha, toy.beta)
    assert max(gains) > 0.3


def test_the_table_of_values_is_what_the_machine_uses() -> None:
    toy = Toy(11)
    assert distance(Tabulated(toy).policy(DIRECT.alpha), policy_law(toy, DIRECT)) < 1e-12


@pytest.mark.parametrize("reference", ["aligned", "sft"])
def test_the_reported_divergences_have_the_true_ones_as_their_mean(reference: str) -> None:
    toy = Toy(12)
    transfer = replace(DIRECT, reference=reference)
    totals = {"reference": 0.0, "sft": 0.0, "reference ratio": 0.0, "sft ratio": 0.0}

    def run(source: Source) -> tuple[Context, float, float, float, float]:
        done = finished(
            generate(
                toy.aligned, [PROMPT], SAMPLING, transfer, toy.r, decode, source,
                sft=toy.sft, roller=EnumeratedRoller(),
            )
        )  # fmt: skip
        counts = done.counts
        assert isinstance(counts, GuidedCounts)
        assert counts.from_sft is not None
        first, second = counts.from_reference, counts.from_sft
        return done.tokens, first.divergence, second.divergence, first.log_ratio, second.log_ratio

    law: dict[Context, float] = {}
    for outcome, chance in enumerate_law(run).items():
        law[outcome[0]] = chance
        for name, value in zip(totals, outcome[1:], strict=True):
            totals[name] += chance * value
    near = toy.aligned_law if reference == "aligned" else toy.sft_law
    assert totals["reference"] == pytest.approx(divergence(law, near), abs=1e-12)
    assert totals["reference ratio"] == pytest.approx(divergence(law, near), abs=1e-12)
    assert totals["sft"] == pytest.approx(divergence(law, toy.sft_law), abs=1e-12)
    assert totals["sft ratio"] == pytest.approx(divergence(law, toy.sft_law), abs=1e-12)


# -- blocks


def test_blocks_are_resampled_from_the_reference_by_their_value() -> None:
    """Two blocks of two tokens, then the rest: the law by hand; and it improves the aligned model."""
    toy = Toy(13, ends=ENDS)
    transfer = TransferQ(candidates=2, alpha=0.3, block=2)
    found = policy_law(toy, transfer)
    blocks = sequence_law(toy.aligned.table, PROMPT, 2, ENDS)
    chosen: dict[Context, float] = dict.fromkeys(blocks, 0.0)
    for first, p in blocks.items():
        for second, q in blocks.items():
            values = doubles([toy.value(toy.aligned_law, block) for block in (first, second)])
            shares = (values / 0.3).softmax(0).tolist()
            chosen[first] += p * q * shares[0]
            chosen[second] += p * q * shares[1]
    for block, mass in chosen.items():
        have = math.fsum(chance for answer, chance in found.items() if answer[:2] == block)
        assert have == pytest.approx(mass, abs=1e-12)
    assert expected(toy, found) > expected(toy, toy.aligned_law)


def test_many_blocks_of_one_answer_tend_to_the_tilted_law_and_bound_their_divergence() -> None:
    toy = Toy(14)
    transfer = TransferQ(candidates=200, alpha=0.5, block=LENGTH, rollouts=1)
    counts: dict[Context, int] = {}
    divergences = []
    for seed in range(150):
        done = written(toy, transfer, seed, sft=toy.sft)
        counts[done.tokens] = counts.get(done.tokens, 0) + 1
        assert isinstance(done.counts, GuidedCounts)
        divergences.append(done.counts.from_reference.divergence)
    weights = {a: p * math.exp(toy.r.function(answer_text(a)) / 0.5) for a, p in toy.aligned_law.items()}
    wanted = {answer: weight / math.fsum(weights.values()) for answer, weight in weights.items()}
    chi = sum((counts.get(a, 0) - 150 * p) ** 2 / (150 * p) for a, p in wanted.items())
    assert chi < 60  # 26 degrees of freedom: 1.6e-4 by chance
    assert sum(divergences) / 150 >= divergence(wanted, toy.aligned_law) - 0.02


# -- ends, horizons, texts


def test_nothing_follows_an_end_and_nothing_of_it_reaches_the_reward() -> None:
    toy = Toy(15, ends=ENDS)
    for seed in range(30):
        done = written(toy, replace(DIRECT, alpha=1.0), seed)
        assert 2 not in done.tokens[:-1]
        assert done.reason == ("end" if done.tokens[-1] == 2 else "length")
    texts = {text for batch in toy.r.seen for text in batch}
    assert texts
    assert not any("c" in text for text in texts)
    assert "" in texts  # the answer that ends at once is a candidate like any other


def test_a_horizon_rewards_unfinished_texts_and_counts_them() -> None:
    toy = Toy(16, ends=ENDS)
    whole = written(toy, DIRECT).counts
    cut = written(toy, replace(DIRECT, horizon=1)).counts
    assert isinstance(whole, GuidedCounts)
    assert isinstance(cut, GuidedCounts)
    assert whole.unfinished == 0
    assert 0 < cut.unfinished < cut.followed

    def step(prefix: Context) -> torch.Tensor:
        law = toy.aligned.table((*PROMPT, *prefix))
        values = []
        for token in range(3):
            here = (*prefix, token)
            if token in ENDS or len(here) == LENGTH:
                values.append(toy.r.function(answer_text(here, ENDS)))
                continue
            after = toy.aligned.table((*PROMPT, *here)).tolist()
            values.append(sum(p * toy.r.function(answer_text((*here, z), ENDS)) for z, p in enumerate(after)))
        return tilted(law.log(), doubles(values), DIRECT.alpha)

    def run(source: Source) -> Context:
        found = generate(
            toy.aligned, [PROMPT], SAMPLING, DIRECT, toy.r, decode, source, roller=EnumeratedRoller(1)
        )
        return answered(found)

    assert distance(enumerate_law(run), law_of_policy(step, ENDS)) < 1e-12


def test_greedy_rollouts_are_the_likeliest_continuations() -> None:
    toy = Toy(17)
    transfer = replace(DIRECT, rollout="greedy", rollouts=1)
    found = policy_law(toy, transfer, exact=False)

    def step(prefix: Context) -> torch.Tensor:
        values = []
        for token in range(3):
            here = (*prefix, token)
            while len(here) < LENGTH:
                here = (*here, int(toy.aligned.table((*PROMPT, *here)).argmax()))
            values.append(toy.r.function(decode(here)))
        return tilted(toy.aligned.table((*PROMPT, *prefix)).log(), doubles(values), DIRECT.alpha)

    assert distance(found, law_of_policy(step)) < 1e-12


@pytest.mark.parametrize("common", [False, True])
def test_one_row_at_a_time_gives_the_same_as_all_together(common: bool) -> None:
    toy = Toy(18, ends=ENDS)
    transfer = replace(
        DIRECT, common=common, rollouts=5 if common else 1, rollout="sampled" if common else "greedy"
    )
    together, alone = [], []
    for seed in range(5):
        together.append(list(_chosen(toy, transfer, seed)))
        alone.append(list(_chosen(toy, replace(transfer, rows=1), seed)))
    assert together == alone
    assert any(pair[1] for answer in together for pair in answer)


def _chosen(toy: Toy, transfer: TransferQ, seed: int) -> list[tuple[int, Any]]:
    events = generate(toy.aligned, [PROMPT], SAMPLING, transfer, toy.r, decode, Seeded(seed), alternatives=3)
    return [(e.token, e.alternatives and e.alternatives.values) for e in events if isinstance(e, Emitted)]


# -- what is told and counted


def test_events_and_counts() -> None:
    toy = Toy(19)
    transfer = TransferQ(candidates=2, rollouts=3, alpha=0.3)
    events = list(
        generate(toy.aligned, [PROMPT, (0, 2)], SAMPLING, transfer, toy.r, decode, Seeded(1), alternatives=3)
    )
    for row, prompt in enumerate((PROMPT, (0, 2))):
        emitted = [event for event in events if isinstance(event, Emitted) and event.row == row]
        (done,) = [event for event in events if isinstance(event, Done) and event.row == row]
        assert tuple(event.token for event in emitted) == done.tokens
        assert {event.kind for event in emitted} == {"chosen"}
        for place, event in enumerate(emitted):
            law = toy.aligned.table((*prompt, *done.tokens[:place]))
            assert event.alternatives is not None
            assert dict(event.alternatives.target) == pytest.approx(dict(enumerate(law.tolist())))
            values = event.alternatives.values
            assert {token for token, _ in values} == set(law.topk(2).indices.tolist())
            assert values[0][1] >= values[1][1]
        counts = done.counts
        assert isinstance(counts, GuidedCounts)
        assert counts.emitted == 3
        # two states with three rollouts of two candidates, 2 and 1 tokens long; nothing is left to roll at the last
        assert counts.rollouts == 2 * 3 * (2 + 1)
        assert counts.followed == 2 * 3 * 2 + 2
        assert counts.decisions == 3
        assert (counts.valued, counts.effective, counts.least_effective) == (
            4,
            pytest.approx(12),
            pytest.approx(3),
        )
        # a call a state, and at the first two one for the candidates; one more for the second token of a rollout
        assert counts.target_calls == 3 + 2 + 1
        assert counts.target_tokens == 3 + 2 * 2 + 2 * 3
        assert counts.reward == toy.r.function(decode(done.tokens))
    together = [len(set(batch)) for batch in toy.r.seen]
    assert sum(together) == sum(e.counts.rewards for e in events if isinstance(e, Done))
    assert len(toy.r.seen) <= 2 * LENGTH  # one call a state


def test_effective_sample_sizes_are_reported() -> None:
    toy = Toy(20)
    transfer = TransferQ(candidates=3, rollouts=8, estimator="snis", beta=0.05, alpha=0.3)
    counts = written(toy, transfer, baseline_reward=toy.baseline).counts
    assert isinstance(counts, GuidedCounts)
    assert counts.least_effective is not None
    assert 1 <= counts.least_effective < 8
    assert counts.least_effective <= counts.effective / counts.valued < 8


def test_both_rewards_are_asked() -> None:
    """A baseline that is the reward itself makes all weights one; the other one does not."""
    toy = Toy(21)
    transfer = replace(DIRECT, estimator="snis", rollouts=2, beta=0.1)
    direct = policy_law(toy, DIRECT)
    assert distance(policy_law(toy, transfer, baseline_reward=toy.r), direct) < 1e-12
    assert distance(policy_law(toy, transfer, baseline_reward=toy.baseline), direct) > 0.01


def test_every_parameter_is_used() -> None:
    """None is read and then ignored: each, changed alone, changes what comes out."""
    toy = Toy(22, ends=ENDS)
    base = TransferQ(candidates=3, alpha=0.3, rollouts=3, estimator="snis", beta=0.3)
    changed: dict[str, Any] = {
        "alpha": 3.0, "candidates": 2, "rollouts": 4, "horizon": 1, "common": True, "estimator": "soft", "beta": 3.0,
        "cap": 1.01, "reference": "sft", "mode": "greedy", "block": 2, "rows": 1,
    }  # fmt: skip

    def run(transfer: TransferQ) -> list[Any]:
        toy.aligned.calls.clear()
        found: list[Any] = []
        for seed in range(12):
            events = generate(
                toy.aligned, [PROMPT], SAMPLING, transfer, toy.r, decode, Seeded(seed), sft=toy.sft,
                baseline_reward=toy.baseline, alternatives=3,
            )  # fmt: skip
            found += [(e.token, e.alternatives) for e in events if isinstance(e, Emitted)]
        return [*found, list(toy.aligned.calls)]

    before = run(base)
    for name, value in changed.items():
        assert run(replace(base, **{name: value})) != before, name
    greedy = replace(base, rollouts=1, estimator="mean")
    assert run(greedy) != run(replace(greedy, rollout="greedy"))
    assert {entry.name for entry in fields(TransferQ)} == {*changed, "rollout"}


def test_a_client_that_leaves_stops_all_work() -> None:
    toy = Toy(23)
    caches: list[weakref.ref[Cache]] = []
    plain = toy.aligned.cache

    def noted(rows: int, capacity: int) -> Cache:
        made = plain(rows, capacity)
        caches.append(weakref.ref(made))
        return made

    toy.aligned.cache = noted  # type: ignore[method-assign]
    events = generate(toy.aligned, [PROMPT, PROMPT], SAMPLING, DIRECT, toy.r, decode, Seeded(0))
    next(events)
    calls, texts = len(toy.aligned.calls), len(toy.r.seen)
    events.close()  # type: ignore[attr-defined]
    del events
    gc.collect()
    assert (len(toy.aligned.calls), len(toy.r.seen)) == (calls, texts)
    assert len(caches) == 1  # the second prompt was not begun
    assert caches[0]() is None


def test_a_single_candidate_needs_no_lookahead() -> None:
    toy = Toy(24)
    done = written(toy, replace(DIRECT, candidates=1))
    assert done.counts.rollouts == 0
    assert done.counts.target_calls == LENGTH
    assert done.counts.rewards == 1  # of the answer


def test_warped_models_are_warped_throughout() -> None:
    """Temperature and truncation act on the reference and on the rollouts: the aligned law is the warped one."""
    toy = Toy(25)
    plain = Sampling(max_tokens=2)
    warped = replace(plain, temperature=0.5, top_k=2)
    cold = toy.aligned.table

    def table(context: Context) -> torch.Tensor:
        return Warper(warped, 3)(cold(context).log())

    def run(model: TableModel, sampling: Sampling) -> dict[Context, float]:
        transfer = TransferQ(candidates=0, alpha=0.3, rollouts=1)

        def one(source: Source) -> Context:
            return answered(generate(model, [PROMPT], sampling, transfer, toy.r, decode, source))

        return enumerate_law(one)

    assert distance(run(toy.aligned, warped), run(TableModel(table, 3), plain)) < 1e-12


# -- bad input


BAD: list[tuple[dict[str, Any], str]] = [
    ({"alpha": 0.0}, "alpha"),
    ({"alpha": math.nan}, "alpha"),
    ({"beta": -1.0}, "beta"),
    ({"candidates": -1}, "candidates"),
    ({"rollouts": 0}, "rollouts"),
    ({"horizon": -2}, "horizon"),
    ({"estimator": "median"}, "estimator"),
    ({"mode": "best"}, "mode"),
    ({"reference": "draft"}, "reference"),
    ({"reference": "sft"}, "reference"),
    ({"block": 2, "candidates": 0}, "candidates"),
    ({"rollout": "greedy"}, "rollouts"),
    ({"estimator": "snis"}, "estimator"),
    ({"rows": 0}, "rows"),
]


@pytest.mark.parametrize(("wrong", "field"), BAD)
def test_parameters_that_cannot_work_are_named(wrong: dict[str, Any], field: str) -> None:
    toy = Toy(0)
    with pytest.raises(InputError) as fault:
        written(toy, replace(TransferQ(), **wrong))
    assert fault.value.field == field
    assert toy.aligned.calls == []


def test_weights_that_cannot_be_are_refused() -> None:
    toy = Toy(0)
    for wrong, rest, field in [
        ({"estimator": "snis", "rollouts": 1}, {"baseline_reward": toy.baseline}, "rollouts"),
        ({"estimator": "released"}, {"sft": toy.sft}, "estimator"),
        ({"estimator": "soft", "rollout": "greedy", "rollouts": 1}, {"sft": toy.sft}, "rollout"),
    ]:
        with pytest.raises(InputError) as fault:
            written(toy, replace(TransferQ(), **wrong), **rest)  # type: ignore[arg-type]
        assert fault.value.field == field
    with pytest.raises(InputError, match="mode 'greedy'"):
        list(generate(toy.aligned, [PROMPT], Sampling(temperature=0), TransferQ(), toy.r, decode, Seeded(0)))


def test_too_much_work_is_refused_with_an_estimate() -> None:
    toy = Toy(0)
    huge = TransferQ(candidates=1000, rollouts=1000, block=2)
    with pytest.raises(
        LimitError, match=r"36,000,000 tokens, in 1,000,000 rows at each of 6 states"
    ) as fault:
        list(generate(toy.aligned, [PROMPT], Sampling(max_tokens=12), huge, toy.r, decode, Seeded(0)))
    assert fault.value.field == "candidates"
    assert toy.aligned.calls == []
    list(
        generate(
            toy.aligned, [PROMPT], SAMPLING, replace(huge, block=1, rollouts=2), toy.r, decode, Seeded(0)
        )
    )


def test_copies_beyond_the_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Toy(0)
    monkeypatch.setattr(limits, "CACHE_BYTES", 12 * 4 * 16 - 1)  # rows, tokens, bytes of a token
    with pytest.raises(LimitError, match="12 rows of 4 tokens"):
        written(toy, TransferQ())
    assert len(written(toy, TransferQ(rows=11)).tokens) == LENGTH


def test_prompts_are_held_to_both_models() -> None:
    toy = Toy(0)
    toy.sft.context = 4
    with pytest.raises(LimitError) as fault:
        list(
            generate(
                toy.aligned, [(0, 1, 2, 1)], SAMPLING, TransferQ(), toy.r, decode, Seeded(0), sft=toy.sft
            )
        )
    assert fault.value.field == "prompt"
    done = finished(
        generate(toy.aligned, [(0, 1)], SAMPLING, TransferQ(), toy.r, decode, Seeded(0), sft=toy.sft)
    )
    assert len(done.tokens) == 2  # what the shorter context leaves
    with pytest.raises(InputError):
        list(generate(toy.aligned, [(0, 7)], SAMPLING, TransferQ(), toy.r, decode, Seeded(0)))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_reward_that_is_no_number_is_an_error_with_its_text(value: float) -> None:
    toy = Toy(0)
    toy.r = reward(lambda text: value if text.startswith("b") else 0.0)
    with pytest.raises(RewardError, match="text 'b"):
        written(toy, DIRECT)


def test_a_reward_that_raises_is_an_error_with_its_text() -> None:
    def fault(text: str) -> float:
        raise RuntimeError("no such molecule")

    toy = Toy(0)
    toy.r = TextReward(fault, [])
    with pytest.raises(RewardError, match="no such molecule"):
        written(toy, DIRECT)
