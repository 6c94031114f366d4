"""The optimal rule: its coupling is the optimum, its law the target's, and its limit a clear refusal."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mlcore.decoding import optimal
from mlcore.decoding.optimal import coupling, optimal_transport, set_masses
from mlcore.decoding.verification import k_seq
from mlcore.runtime.errors import InputError
from mlcore.transport.membership import optimal_acceptance
from tests.mlcore.decoding.rules import drawn_laws, law, one_position


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    tokens=st.integers(1, 7),
    k=st.integers(1, 4),
    zeros=st.sampled_from([0.0, 0.4]),
)
def test_the_acceptance_is_the_optimum_in_closed_form(seed: int, tokens: int, k: int, zeros: float) -> None:
    p, q = drawn_laws(seed, tokens, zeros)
    assert coupling(p, q, k).acceptance == pytest.approx(float(optimal_acceptance(p, q, k)), abs=1e-9)


@pytest.mark.parametrize(("tokens", "k"), [(10, 8), (30, 3), (120, 2), (2000, 1)])
def test_the_acceptance_is_the_optimum_near_the_limit(tokens: int, k: int) -> None:
    p, q = drawn_laws(tokens, tokens, 0.0)
    assert coupling(p, q, k).acceptance == pytest.approx(float(optimal_acceptance(p, q, k)), abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    tokens=st.integers(1, 4),
    k=st.integers(1, 3),
    zeros=st.sampled_from([0.0, 0.4]),
)
def test_every_tuple_of_drafts_sums_to_the_target(seed: int, tokens: int, k: int, zeros: float) -> None:
    p, q = drawn_laws(seed, tokens, zeros)
    plan = coupling(p, q, k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimal, "coupling", lambda *_: plan)  # once is enough
        output, accepted, _ = one_position(optimal_transport, p, q, k)
    assert (output - q).abs().max() < 1e-12
    assert accepted == pytest.approx(float(optimal_acceptance(p, q, k)), abs=1e-9)


@pytest.mark.parametrize(
    ("p", "q", "k", "optimum"),
    [
        ((0.5, 0.3, 0.2), (0.2, 0.3, 0.5), 2, 0.86),
        ((0.5, 0.3, 0.2), (0.2, 0.3, 0.5), 3, 0.988),
        ((0.7, 0.2, 0.1), (0.1, 0.6, 0.3), 2, 0.61),
        ((0.7, 0.2, 0.1), (0.1, 0.6, 0.3), 4, 0.8599),
        ((0.5, 0.5), (1.0, 0.0), 5, 1 - 2**-5),
        ((1.0, 0.0), (0.5, 0.5), 3, 0.5),
        ((1.0, 0.0), (0.0, 1.0), 3, 0.0),
        ((0.4, 0.6), (0.4, 0.6), 2, 1.0),
    ],
)
def test_known_optima_through_the_rule(p: tuple, q: tuple, k: int, optimum: float) -> None:
    output, accepted, coincident = one_position(optimal_transport, law(*p), law(*q), k)
    assert accepted == pytest.approx(optimum, abs=1e-9)
    assert (output - law(*q)).abs().max() < 1e-12
    assert coincident == 0  # a correction that is one of the drafts would be acceptance thrown away


def test_it_accepts_more_than_k_sequential_selection() -> None:
    p, q = law(0.5, 0.3, 0.2), law(0.2, 0.3, 0.5)
    assert one_position(optimal_transport, p, q, 2)[1] > one_position(k_seq, p, q, 2)[1] + 0.06


def test_a_coupling_that_is_not_the_optimum_stays_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """The solver may be sloppy and the law still be the target's: flows are cut back, the residual makes up."""
    p, q = drawn_laws(3, 4, 0.0)

    class Sloppy:
        message = ""

        def __init__(self, x: object) -> None:
            self.x = x

    solve = optimal.linprog
    monkeypatch.setattr(optimal, "linprog", lambda *a, **o: Sloppy(1.3 * solve(*a, **o).x - 1e-3))
    plan = coupling(p, q, 2)
    monkeypatch.setattr(optimal, "coupling", lambda *_: plan)
    output, accepted, _ = one_position(optimal_transport, p, q, 2)
    assert (output - q).abs().max() < 1e-12
    assert accepted < float(optimal_acceptance(p, q, 2)) - 1e-6


def test_masses_of_sets_are_those_of_all_tuples() -> None:
    weights, elsewhere, k = {2: 0.5, 3: 0.2, 7: 0.1}, 0.2, 3
    masses = dict.fromkeys(set_masses(weights, elsewhere, k), 0.0)
    chances = {**weights, -1: elsewhere}
    for drawn in itertools.product(chances, repeat=k):
        masses[tuple(sorted({token for token in drawn if token >= 0}))] += math.prod(
            chances[token] for token in drawn
        )
    assert set_masses(weights, elsewhere, k) == pytest.approx(masses, abs=1e-15)
    assert math.fsum(masses.values()) == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_single_precision_laws_are_taken(dtype: torch.dtype) -> None:
    p, q = (each.to(dtype) for each in drawn_laws(11, 6, 0.2))
    assert coupling(p, q, 3).acceptance == pytest.approx(float(optimal_acceptance(p, q, 3)), abs=1e-6)


def test_beyond_its_size_it_refuses_with_the_remedy() -> None:
    def even(size: int) -> Tensor:
        return torch.full((size,), 1 / size, dtype=torch.float64)

    with pytest.raises(InputError, match=r"top_k.*fewer drafts"):
        coupling(even(300), even(300), 3)
    # what the target never says does not count
    narrow = torch.zeros(300, dtype=torch.float64)
    narrow[:4] = 0.25
    assert coupling(even(300), narrow, 3).acceptance == pytest.approx(
        float(optimal_acceptance(even(300), narrow, 3)), abs=1e-9
    )
