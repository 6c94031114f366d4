"""Estimators of action values and the tilted policy: closed forms, enumeration, invariances, hard numbers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mlcore.decoding.guidance.options import ESTIMATORS, Estimator
from mlcore.decoding.guidance.values import (
    effective,
    estimate,
    log_weights,
    log_weights_of_laws,
    tilted,
)
from mlcore.runtime.errors import InputError
from tests.mlcore.decoding.alignment import Toy, answer_text
from tests.mlcore.decoding.toys import Context

PREFIXES: list[Context] = [(), (0,), (2,), (1, 0), (2, 2)]


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def even(count: int) -> Tensor:
    return torch.full((1, count), -math.log(count), dtype=torch.float64)


def enumerated(toy: Toy, prefix: Context) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For candidates after ``prefix``, (3, n): r, r_BL, log ρ_BL and log ρ_sft of what follows."""
    rows: list[list[Context]] = [
        [answer for answer in toy.aligned_law if answer[: len(prefix) + 1] == (*prefix, token)]
        for token in range(3)
    ]

    def table(function: object) -> Tensor:
        return torch.tensor([[function(answer) for answer in row] for row in rows], dtype=torch.float64)  # type: ignore[operator]

    mass = {
        name: [math.fsum(law[answer] for answer in row) for row in rows]
        for name, law in (("sft", toy.sft_law), ("aligned", toy.aligned_law))
    }
    token = len(prefix)
    return (
        table(lambda answer: toy.r.function(answer_text(answer))),
        table(lambda answer: toy.baseline.function(answer_text(answer))),
        table(lambda answer: math.log(toy.aligned_law[answer] / mass["aligned"][answer[token]])),
        table(lambda answer: math.log(toy.sft_law[answer] / mass["sft"][answer[token]])),
    )


# -- indirect transfer, by enumeration


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("prefix", PREFIXES)
def test_self_normalised_is_the_value_of_the_policy_aligned_to_the_other_reward(
    seed: int, prefix: Context
) -> None:
    toy = Toy(seed)
    rewards, baseline, shares, _ = enumerated(toy, prefix)
    found = estimate("snis", rewards, shares, log_weights(rewards, baseline, toy.beta)).values
    for token in range(3):
        assert found[token].item() == pytest.approx(toy.value(toy.wanted_law, (*prefix, token)), abs=1e-12)


def test_one_constant_for_all_candidates_is_wrong() -> None:
    toy = Toy(0, beta=0.1)
    rewards, baseline, shares, _ = enumerated(toy, ())
    weights = log_weights(rewards, baseline, toy.beta)
    total = math.exp(toy_log_mean(toy))
    wrong = (shares.exp() * weights.exp() * rewards).sum(1) / total
    right = estimate("snis", rewards, shares, weights).values
    assert (wrong - right).abs().max() > 0.2


def toy_log_mean(toy: Toy) -> float:
    """log E[w] at the prompt: the constant C_r / C_BL."""
    return math.log(
        math.fsum(
            chance
            * math.exp((toy.r.function(answer_text(a)) - toy.baseline.function(answer_text(a))) / toy.beta)
            for a, chance in toy.aligned_law.items()
        )
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("prefix", PREFIXES)
def test_likelihoods_give_the_weights_of_the_baseline_reward(seed: int, prefix: Context) -> None:
    toy = Toy(seed)
    rewards, baseline, shares, sft = enumerated(toy, prefix)
    first = log_weights(rewards, baseline, toy.beta)
    second = log_weights_of_laws(rewards, sft, shares, toy.beta)
    apart = first - second
    assert (apart - apart[:, :1]).abs().max() < 1e-12  # a constant of the candidate
    assert torch.allclose(
        estimate("snis", rewards, shares, first).values,
        estimate("snis", rewards, shares, second).values,
        atol=1e-12,
        rtol=0,
    )


def test_a_reward_that_is_the_baseline_is_direct_transfer() -> None:
    rewards, _, shares, _ = enumerated(Toy(3), (1,))
    weights = log_weights(rewards, rewards, 0.5)
    assert torch.equal(weights, torch.zeros_like(weights))
    direct, indirect = estimate("mean", rewards, shares), estimate("snis", rewards, shares, weights)
    assert torch.allclose(direct.values, indirect.values, atol=1e-15, rtol=0)
    assert torch.allclose(direct.effective, indirect.effective)


def test_soft_value_is_the_log_mean_weight() -> None:
    toy = Toy(1)
    rewards, baseline, shares, _ = enumerated(toy, ())
    found = estimate("soft", rewards, shares, log_weights(rewards, baseline, toy.beta), beta=toy.beta).values
    ratio = [
        math.fsum(toy.wanted_law[a] for a in toy.wanted_law if a[0] == z)
        / math.fsum(toy.aligned_law[a] for a in toy.aligned_law if a[0] == z)
        for z in range(3)
    ]
    expected = [toy.beta * (math.log(each) + toy_log_mean(toy)) for each in ratio]
    assert found.tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_shift_of_the_reward_changes_no_policy_but_that_of_the_released_score(estimator: Estimator) -> None:
    toy = Toy(2, beta=2.0)
    rewards, baseline, shares, _ = enumerated(toy, ())

    def policy(shift: float) -> Tensor:
        shifted = rewards + shift
        weights = log_weights(shifted, baseline, toy.beta)
        found = estimate(
            estimator, shifted, shares, weights, beta=toy.beta, cap=1.5 * (estimator != "released")
        )
        return tilted(numbers(0.2, 0.3, 0.5).log(), found.values, 0.5)

    change = (policy(5.0) - policy(0.0)).abs().max().item()
    assert change > 0.3 if estimator == "released" else change < 1e-12


def test_the_released_score_is_that_of_the_code() -> None:
    rewards, baseline = numbers(0.7).view(1, 1), numbers(0.2).view(1, 1)
    found = estimate("released", rewards, even(1), log_weights(rewards, baseline, 2.0))
    assert found.values.item() == pytest.approx(math.exp(0.5 * 0.5) * 0.7)


# -- weights that explode


def test_huge_weights_stay_finite_and_confess_their_effective_size() -> None:
    rewards = numbers(0.0, 900.0, 901.0, 5000.0).view(1, 4)
    weights = log_weights(rewards, torch.zeros(1, 4), 0.01)
    for estimator in ESTIMATORS:
        found = estimate(estimator, rewards, even(4), weights, beta=0.01)
        assert found.values.isfinite().all()
    found = estimate("snis", rewards, even(4), weights)
    assert found.values.item() == 5000
    assert found.effective.item() == 1


def test_effective_sample_size() -> None:
    assert effective(even(7) + 300).item() == pytest.approx(7)
    assert effective(numbers(3.0, 1.0).log().view(1, 2)).item() == pytest.approx(16 / 10)
    assert effective(numbers(0.0, 0.0).log().view(1, 2)).item() == 0
    assert effective(numbers(2.0, 0.0).log().view(1, 2)).item() == 1


def test_the_cap_cuts_at_a_multiple_of_the_mean() -> None:
    weights = numbers(1.0, 1.0, 1.0, 97.0).log().view(1, 4)  # mean 25
    rewards = numbers(0.0, 0.0, 0.0, 1.0).view(1, 4)
    assert estimate("snis", rewards, even(4), weights).values.item() == pytest.approx(0.97)
    assert estimate("snis", rewards, even(4), weights, cap=2).values.item() == pytest.approx(50 / 53)
    assert estimate("snis", rewards, even(4), weights, cap=4).values.item() == pytest.approx(0.97)
    soft = estimate("soft", rewards, even(4), weights, beta=0.5, cap=2).values.item()
    assert soft == pytest.approx(0.5 * math.log(53 / 4))


def test_no_weight_above_zero_falls_back_to_the_mean_and_says_so() -> None:
    rewards = numbers(0.0, 1.0).view(1, 2)
    nothing = torch.full((1, 2), -torch.inf, dtype=torch.float64)
    found = estimate("snis", rewards, even(2), nothing, cap=3.0)
    assert (found.values.item(), found.effective.item()) == (0.5, 0)
    assert estimate("soft", rewards, even(2), nothing).values.item() == -math.inf


def test_a_single_weight_is_always_one() -> None:
    for weight in (-50.0, 0.0, 50.0):
        found = estimate("snis", numbers(0.3).view(1, 1), even(1), numbers(weight).view(1, 1))
        assert found.values.item() == pytest.approx(0.3)


def test_absent_rollouts_do_not_count() -> None:
    shares = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64).log()
    rewards = torch.tensor([[1.0, 3.0, 0.0], [5.0, 0.0, 0.0]], dtype=torch.float64)
    for estimator in ("mean", "snis"):
        found = estimate(estimator, rewards, shares, torch.zeros(2, 3, dtype=torch.float64))  # type: ignore[arg-type]
        assert found.values.tolist() == pytest.approx([2, 5])
        assert found.effective.tolist() == pytest.approx([2, 1])


def test_weights_that_are_missing_are_a_fault_of_the_program() -> None:
    with pytest.raises(ValueError, match="needs weights"):
        estimate("snis", torch.zeros(1, 2), even(2))


# -- the policy


def test_one_step_bandit() -> None:
    found = tilted(numbers(0.5, 0.3, 0.2).log(), numbers(0, 1, 2), 1.0)
    assert found.tolist() == pytest.approx([0.179000, 0.291944, 0.529056], abs=1e-6)


def test_greedy_may_take_a_token_below_the_value_of_the_state() -> None:
    """No policy improvement for the greedy variant: μ = (.6, .4), Q = (0, .3), α = 1 picks the worse token."""
    law, values = numbers(0.6, 0.4), numbers(0, 0.3)
    assert tilted(law.log(), values, 1.0, "greedy").tolist() == [1, 0]
    assert tilted(law.log(), values, 0.1, "greedy").tolist() == [0, 1]
    assert (tilted(law.log(), values, 1.0) * values).sum() > (law * values).sum()


@given(
    st.lists(st.tuples(st.floats(0.01, 1), st.floats(-3, 3)), min_size=1, max_size=6),
    st.floats(1e-3, 1e3),
    st.floats(-100, 100),
)
@settings(max_examples=50, deadline=None)
def test_the_tilt_raises_the_value_and_ignores_shifts(
    pairs: list[tuple[float, float]], alpha: float, shift: float
) -> None:
    law = numbers(*[first for first, _ in pairs])
    law, values = law / law.sum(), numbers(*[second for _, second in pairs])
    policy = tilted(law.log(), values, alpha)
    assert policy.sum().item() == pytest.approx(1)
    assert (policy * values).sum() >= (law * values).sum() - 1e-9
    assert torch.allclose(tilted(law.log(), values + shift, alpha), policy, atol=1e-9)


def test_impossible_candidates_are_not_chosen_and_all_impossible_means_the_reference() -> None:
    law = numbers(0.25, 0.75)
    assert tilted(law.log(), numbers(-math.inf, 1), 1.0).tolist() == [0, 1]
    assert tilted(law.log(), numbers(-math.inf, -math.inf), 1.0).tolist() == pytest.approx([0.25, 0.75])


@pytest.mark.parametrize("alpha", [0.0, -1.0, math.nan])
def test_alpha_must_be_above_zero(alpha: float) -> None:
    with pytest.raises(InputError) as fault:
        tilted(numbers(0.5, 0.5).log(), numbers(0, 1), alpha)
    assert fault.value.field == "alpha"
