"""Sampled answers of real networks, through the code that serves them, follow the target's law.

Chi-square on the first token and on the first two together. See :mod:`tests.mlcore.decoding.frequencies` for the chance
of a false alarm. The same tests must reject samplers with a known mistake.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from functools import cache

import pytest
import torch
from torch import Tensor

from mlcore.decoding import optimal, verification
from mlcore.decoding.drafts import Drafts
from mlcore.decoding.optimal import optimal_transport
from mlcore.decoding.randomness import Source
from mlcore.decoding.sampling import Sampling
from mlcore.decoding.speculation import Drafting
from mlcore.decoding.verification import Laws, Outcome, Rule, k_seq
from mlcore.transport import membership
from tests.mlcore.decoding.frequencies import (
    LEVEL,
    Law,
    Pairs,
    Scratch,
    exact_law,
    first_p_value,
    pair_p_value,
    sampled,
    two_sample_p_value,
)
from tests.mlcore.decoding.pairs import llama_pair

VOCABULARY, PROMPT = 8, (3, 1, 4)
PAIR = llama_pair(vocabulary=VOCABULARY, noise=0.1)
SAMPLING = Sampling(max_tokens=3, temperature=0.9)
DRAFTING = Drafting(3, 2)
METHODS = ("token", "block", "batch", "tree")


@cache
def law(sampling: Sampling = SAMPLING) -> Law:
    return exact_law(Scratch(copy.deepcopy(PAIR.networks[0]).double()), PROMPT, sampling, VOCABULARY)


def drawn(
    method: str, number: int, seed: int, sampling: Sampling = SAMPLING, rule: Rule = k_seq
) -> tuple[Pairs, int]:
    return sampled(
        method,
        PAIR.target,
        PAIR.draft,
        PROMPT,
        sampling,
        number=number,
        seed=seed,
        drafting=DRAFTING,
        rule=rule,
    )


@pytest.mark.parametrize("method", METHODS)
def test_some_answers_follow_the_target(method: str) -> None:
    pairs, _ = drawn(method, 200 if method == "tree" else 1500, seed=1)
    assert first_p_value(pairs, law()) > LEVEL
    assert pair_p_value(pairs, law()) > LEVEL


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_many_answers_follow_the_target(method: str) -> None:
    """From 200,000 blocks; a tree is scored for one prompt at a time, and gets a tenth of that."""
    least = 20_000 if method == "tree" else 200_000
    pairs, blocks = drawn(method, int(least / 1.3), seed=2)
    assert blocks >= least
    assert first_p_value(pairs, law()) > LEVEL
    assert pair_p_value(pairs, law()) > LEVEL


def test_plain_sampling_and_speculation_are_samples_of_one_law() -> None:
    plain, _ = drawn("plain", 1500, seed=3)
    for method in ("block", "batch"):
        assert two_sample_p_value(plain, drawn(method, 1500, seed=4)[0]) > LEVEL


# --- mistakes --------------------------------------------------------------------------------------------------------


def single_tests(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(membership, "division_factor_of_one", lambda p, q, k: 1.0)


def stale_factor(patch: pytest.MonkeyPatch) -> None:
    real = membership.division_factor_of_one
    patch.setattr(membership, "division_factor_of_one", lambda p, q, k: real(p, q, 2 * DRAFTING.drafts))


def softmaxed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(verification, "_positive", lambda left, _: left.clamp(min=0).softmax(-1).unsqueeze(0))


def raw_draft(patch: pytest.MonkeyPatch) -> None:
    real = Drafts.p

    def raw(self: Drafts, row: int, level: int) -> Tensor:
        given = real(self, row, level).pow(SHARP.temperature)
        return given / given.sum()

    patch.setattr(Drafts, "p", raw)


def first_bonus(patch: pytest.MonkeyPatch) -> None:
    real = verification._bonus

    def first_row(outcome: Outcome, q: Laws, level: int, source: Source) -> Outcome:
        return real(Outcome(outcome.accepted, 0), q, level, source)

    patch.setattr(verification, "_bonus", first_row)


def merging(patch: pytest.MonkeyPatch) -> None:
    real = verification._k_sequential

    def distinct(tokens: Sequence[int], p: Tensor, q: Tensor, source: Source) -> tuple[int, bool]:
        return real(list(dict.fromkeys(tokens)), p, q, source)

    patch.setattr(verification, "_k_sequential", distinct)


SHARP = Sampling(max_tokens=3, temperature=0.5)
COARSE = [single_tests, stale_factor, softmaxed, raw_draft]
FINE = [merging, first_bonus]


@pytest.mark.parametrize("mistake", COARSE)
def test_some_answers_show_a_mistake(
    mistake: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    pairs, _ = drawn("batch", 2000, 5, SHARP)
    assert pair_p_value(pairs, law(SHARP)) < LEVEL


@pytest.mark.slow
@pytest.mark.parametrize("mistake", FINE)
def test_many_answers_show_a_small_mistake(
    mistake: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake(monkeypatch)
    pairs, _ = drawn("batch", 100_000, 6)
    assert pair_p_value(pairs, law()) < LEVEL


# --- acceptance ------------------------------------------------------------------------------------------------------


def sequential_acceptance(p: Tensor, q: Tensor, k: int) -> float:
    return float(membership.acceptance_probability(p, q, k, membership.division_factor(p, q, k)))


@pytest.mark.parametrize(
    ("rule", "module", "name", "analytic"),
    [
        (k_seq, verification, "_k_sequential", sequential_acceptance),
        (
            optimal_transport,
            optimal,
            "_select",
            lambda p, q, k: float(membership.optimal_acceptance(p, q, k)),
        ),
    ],
)
def test_acceptance_is_what_the_laws_allow(
    rule: Rule,
    module: object,
    name: str,
    analytic: Callable[[Tensor, Tensor, int], float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Within 3 standard errors: given all laws, each test of a level is a coin of its analytic probability."""
    real = getattr(module, name)
    found: list[tuple[float, bool]] = []

    def noted(tokens: Sequence[int], p: Tensor, q: Tensor, source: Source) -> tuple[int, bool]:
        token, stands = real(tokens, p, q, source)
        found.append((analytic(p.double(), q.double(), len(tokens)), stands))
        return token, stands

    monkeypatch.setattr(module, name, noted)
    drawn("batch", 500, 7, rule=rule)
    chances, passed = zip(*found, strict=True)
    error = math.sqrt(sum(chance * (1 - chance) for chance in chances))
    assert len(found) > 500
    assert 0.3 < sum(chances) / len(chances) < 0.95
    assert abs(sum(passed) - sum(chances)) < 3 * error


# --- the tests of the statistics themselves --------------------------------------------------------------------------


def test_rare_bins_are_put_together_and_what_has_no_mass_fails() -> None:
    wanted = {(0, 0): 0.5, (0, 1): 0.49, (1, 0): 0.005, (1, 1): 0.005}
    assert pair_p_value(Pairs({(0, 0): 51, (0, 1): 48, (1, 1): 1}), wanted) > 0.5
    assert pair_p_value(Pairs({(0, 0): 510, (0, 1): 290, (1, 1): 200}), wanted) < LEVEL
    assert pair_p_value(Pairs({(0, 0): 51, (0, 1): 48, (2, 1): 1}), wanted) == 0
    assert first_p_value(Pairs({(0, 0): 600, (1, 1): 400}), wanted) < LEVEL
    # what follows a rare first token is one bin
    assert pair_p_value(Pairs({(0, 0): 50, (1, 3): 25, (1, 4): 25}), {(0, 0): 0.5, (1, -1): 0.5}) > 0.9


def test_the_law_of_two_tokens_sums_to_one_and_is_that_of_the_network() -> None:
    assert math.fsum(law().values()) == pytest.approx(1, abs=1e-12)
    assert len(law()) == VOCABULARY**2
    one = torch.tensor([PROMPT])
    with torch.inference_mode():
        first = (PAIR.networks[0](one).logits[0, -1].double() / 0.9).softmax(-1)
    for token, other in itertools.product(range(VOCABULARY), repeat=2):
        assert law()[token, other] < first[token] + 1e-6
    assert sum(law()[2, other] for other in range(VOCABULARY)) == pytest.approx(float(first[2]), abs=1e-6)
