"""The rules themselves: exact by enumeration, equal to their formulas, and wrong when a known mistake is put back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mlcore.decoding import verification
from mlcore.decoding.optimal import optimal_transport
from mlcore.decoding.randomness import Source
from mlcore.decoding.verification import Laws, Outcome, Rule, block_verification, k_seq, token_verification
from mlcore.transport import membership
from mlcore.transport.membership import (
    acceptance_probability,
    division_factor,
    division_factor_of_one,
    one_try_acceptance,
    optimal_acceptance,
    residual,
)
from tests.mlcore.decoding.rules import drawn_laws, law, one_position

# --- one position ----------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    tokens=st.integers(1, 4),
    k=st.integers(1, 3),
    zeros=st.sampled_from([0.0, 0.4]),
)
def test_every_tuple_of_drafts_sums_to_the_target(seed: int, tokens: int, k: int, zeros: float) -> None:
    p, q = drawn_laws(seed, tokens, zeros)
    output, accepted, coincident = one_position(k_seq, p, q, k)
    assert (output - q).abs().max() < 1e-12
    rho = division_factor(p, q, k)
    assert accepted == pytest.approx(float(acceptance_probability(p, q, k, rho)), abs=1e-12)
    assert coincident < 1e-12  # at rho* a correction never equals a draft


VECTORS = [  # p, q, k, rho*, acceptance, residual
    ((0.5, 0.3, 0.2), (0.2, 0.3, 0.5), 1, 1.0, 0.7, (0, 0, 1)),
    ((0.5, 0.3, 0.2), (0.2, 0.3, 0.5), 2, 1.456776, 0.791355, (0, 0, 1)),
    ((0.5, 0.3, 0.2), (0.2, 0.3, 0.5), 3, 1.792593, 0.858519, (0, 0, 1)),
    ((0.5, 0.3, 0.2), (0.2, 0.3, 0.5), 4, 2.030036, 0.906007, (0, 0, 1)),
    ((0.7, 0.2, 0.1), (0.1, 0.6, 0.3), 2, 1.638987, 0.591696, (0, 2 / 3, 1 / 3)),
    ((0.7, 0.2, 0.1), (0.1, 0.6, 0.3), 4, 2.375506, 0.812652, (0, 2 / 3, 1 / 3)),
    ((0.6, 0.3, 0.1), (0.5, 0.25, 0.25), 2, 1.340512, 0.884051, (0, 0, 1)),
    ((0.6, 0.3, 0.1), (0.5, 0.25, 0.25), 4, 1.875, 0.9375, (0, 0, 1)),
    ((0.5, 0.5), (1, 0), 5, 2 - 2**-4, 1 - 2**-5, (1, 0)),
    ((1, 0), (0.5, 0.5), 2, 1.707107, 0.5, (0, 1)),
]


@pytest.mark.parametrize(("p", "q", "k", "rho", "acceptance", "correction"), VECTORS)
def test_known_values_through_the_rule(
    p: tuple, q: tuple, k: int, rho: float, acceptance: float, correction: tuple
) -> None:
    draft, target = law(*p), law(*q)
    output, accepted, _ = one_position(k_seq, draft, target, k)
    assert accepted == pytest.approx(acceptance, abs=1e-6)
    assert (output - target).abs().max() < 1e-12
    assert division_factor_of_one(draft, target, k) == pytest.approx(rho, abs=1e-6)
    assert residual(draft, target, torch.tensor(rho, dtype=torch.float64)).tolist() == pytest.approx(
        correction, abs=1e-5
    )


RULES: list[tuple[Rule, int]] = [
    (token_verification, 1), (block_verification, 1), (k_seq, 1), (k_seq, 3), (optimal_transport, 3),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "k"), RULES)
def test_equal_disjoint_and_one_hot_laws(rule: Rule, k: int) -> None:
    same = law(0.2, 0.5, 0.3)
    output, accepted, _ = one_position(rule, same, same, k)
    assert (output - same).abs().max() < 1e-12
    assert accepted == pytest.approx(1, abs=1e-12)
    output, accepted, _ = one_position(rule, law(0.4, 0.6, 0, 0), law(0, 0, 0.7, 0.3), k)
    assert (output - law(0, 0, 0.7, 0.3)).abs().max() < 1e-15
    assert accepted == 0
    output, accepted, _ = one_position(rule, law(0.5, 0.25, 0.25), law(0, 1, 0), k)
    assert output.tolist() == pytest.approx([0, 1, 0], abs=1e-15)
    assert accepted == pytest.approx(1 - 0.75**k, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), tokens=st.integers(2, 4), k=st.integers(1, 3))
def test_bounds_of_the_acceptance(seed: int, tokens: int, k: int) -> None:
    p, q = drawn_laws(seed, tokens, 0.2)
    accepted = one_position(k_seq, p, q, k)[1]
    best = float(optimal_acceptance(p, q, k))
    assert (1 - (1 - 1 / k) ** k) * best - 1e-12 <= accepted <= best + 1e-12
    if k > 1:
        assert accepted >= one_position(k_seq, p, q, k - 1)[1] - 1e-12


def with_factor(monkeypatch: pytest.MonkeyPatch, factor: Callable[..., float]) -> None:
    monkeypatch.setattr(membership, "division_factor_of_one", factor)


def test_a_smaller_factor_takes_more_than_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below rho* the residual would have to be negative somewhere; clamping it cannot make the law right."""
    p, q = law(0.5, 0.3, 0.2), law(0.2, 0.3, 0.5)
    with_factor(monkeypatch, lambda p, q, k: 0.9 * division_factor_of_one(p, q, k))
    assert (one_position(k_seq, p, q, 2)[0] - q).abs().max() > 1e-3


# --- mistakes of the card's table, put back into the real rule -------------------------------------------------------

P, Q = law(0.5, 0.3, 0.2), law(0.2, 0.3, 0.5)


def missed(rule: Rule = k_seq, k: int = 2, drawn: Tensor | None = None) -> float:
    return float((one_position(rule, P, Q, k, drawn)[0] - Q).abs().max())


def test_independent_tests_of_single_drafts_miss_by_a_known_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    with_factor(monkeypatch, lambda p, q, k: 1.0)
    assert missed() == pytest.approx(0.150, abs=6e-4)


def test_a_stale_factor_misses_by_a_known_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    with_factor(monkeypatch, lambda p, q, k: division_factor_of_one(p, q, 4))
    assert missed() == pytest.approx(0.117, abs=6e-4)


def test_a_softmax_of_the_residual_misses_by_a_known_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    def softmaxed(difference: Tensor, wanted: Tensor) -> Tensor:
        return difference.clamp(min=0).softmax(-1).unsqueeze(0)

    monkeypatch.setattr(verification, "_positive", softmaxed)
    assert missed() == pytest.approx(0.129, abs=6e-4)


def merging(drafts: Sequence[Sequence[int]], p: Laws, q: Laws, source: Source) -> Outcome:
    rows = [row for row, draft in enumerate(drafts) if draft not in drafts[:row]]
    return k_seq(
        [drafts[row] for row in rows],
        lambda row, level: p(rows[row], level),
        lambda row, level: q(rows[row], level),
        source,
    )


def test_merging_equal_drafts_misses() -> None:
    assert missed(merging) > 5e-3


def test_drafts_that_were_warped_more_than_the_rule_knows_miss_by_a_known_amount() -> None:
    assert missed(drawn=P**2 / (P**2).sum()) == pytest.approx(0.080, abs=6e-4)


def test_greedy_drafts_with_their_full_law_miss() -> None:
    likeliest = torch.zeros_like(P)
    likeliest[P.argmax()] = 1
    assert missed(drawn=likeliest) > 0.05
    assert missed(token_verification, 1, likeliest) > 0.05


# --- the factor of one pair of laws ----------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    tokens=st.integers(1, 60),
    k=st.integers(1, 12),
    zeros=st.sampled_from([0.0, 0.3, 0.8]),
)
def test_one_factor_is_that_of_the_batch(seed: int, tokens: int, k: int, zeros: float) -> None:
    p, q = drawn_laws(seed, tokens, zeros)
    rho, bisected = division_factor_of_one(p, q, k), division_factor(p, q, k)
    alone = torch.tensor(rho, dtype=torch.float64)
    assert 1 <= rho <= k
    beta = one_try_acceptance(p, q, alone)
    assert float(acceptance_probability(p, q, k, alone) - rho * beta) < 1e-12  # valid
    accepted = [float(acceptance_probability(p, q, k, each)) for each in (alone, bisected)]
    assert accepted[0] == pytest.approx(accepted[1], abs=1e-11)  # and the best
    if 1e-3 < beta < 1 - 1e-3:  # elsewhere the root is flat, or every factor will do
        assert rho == pytest.approx(float(bisected), abs=1e-9)


HOSTILE = {
    "equal": (law(1, 2, 3), law(1, 2, 3)),
    "disjoint": (law(1, 1, 0, 0), law(0, 0, 1, 3)),
    "draft one-hot": (law(0, 1, 0), law(1, 1, 1)),
    "target one-hot": (law(1, 1, 1), law(0, 1, 0)),
    "both one-hot": (law(0, 1, 0), law(0, 1, 0)),
    "tiny overlap": (law(1, 1e-12, 0), law(0, 1e-12, 1)),
    "nearly equal": (law(1, 2, 3), law(1, 2 + 1e-9, 3)),
    "one token": (law(1), law(1)),
    "subnormal": (law(1, 1e-310, 1), law(1e-310, 1, 1)),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [1, 2, 3, 8, 64])
@pytest.mark.parametrize("name", HOSTILE)
def test_one_factor_of_hostile_laws(name: str, k: int, dtype: torch.dtype) -> None:
    p, q = (each.to(dtype) for each in HOSTILE[name])
    rho = division_factor_of_one(p, q, k)
    assert 1 <= rho <= k
    exact = torch.tensor(rho, dtype=torch.float64)
    taken = membership.output_law(p.double(), q.double(), k, exact)
    slack = 1e-12 if dtype == torch.float64 else 1e-6
    assert (taken - q.double()).abs().max() < slack
    best = division_factor(p.double(), q.double(), k)
    accepted = float(acceptance_probability(p.double(), q.double(), k, exact))
    assert accepted == pytest.approx(
        float(acceptance_probability(p.double(), q.double(), k, best)), abs=slack
    )


def test_one_factor_in_single_precision_over_a_large_vocabulary() -> None:
    generator = torch.Generator().manual_seed(4)
    for k in (2, 4, 8):
        logits = 3 * torch.randn(2000, generator=generator)
        p, q = logits.softmax(-1), (logits + torch.randn(2000, generator=generator)).softmax(-1)
        assert division_factor_of_one(p, q, k) == pytest.approx(
            float(division_factor(p.double(), q.double(), k)), abs=1e-5
        )
