"""Routers keep their limits, and the layer computes what its routing says."""

from __future__ import annotations

import pytest
import torch

from mlcore.transport.experts import MixtureOfExperts
from mlcore.transport.routing import (
    Routing,
    capacity_of,
    sinkhorn_routing,
    softmax_routing,
    sparse_routing,
)

ITEMS, EXPERTS = 64, 8


def skewed() -> torch.Tensor:
    """Logits that all prefer the first experts."""
    rng = torch.Generator().manual_seed(0)
    return torch.randn(ITEMS, EXPERTS, generator=rng) - torch.arange(EXPERTS) / 2


def routings(capacity: int) -> dict[str, Routing]:
    logits = skewed()
    return {
        "softmax": softmax_routing(logits, 2, capacity),
        "sinkhorn": sinkhorn_routing(logits, 2, capacity),
        "experts": sparse_routing(logits, 2, capacity),
        "items": sparse_routing(logits, 2, capacity, side="items"),
    }


def test_nobody_exceeds_a_limit() -> None:
    capacity = capacity_of(ITEMS, EXPERTS, 2, 1.0)
    assert capacity == 16
    for name, routing in routings(capacity).items():
        assert int(routing.load.max()) <= capacity, name
        assert bool((routing.gates[~routing.chosen] == 0).all())
        if name != "experts":
            assert int(routing.chosen.sum(1).max()) <= 2, name


def test_transport_evens_out_what_experts_are_asked_for() -> None:
    found = routings(ITEMS)
    for name in ("sinkhorn", "experts", "items"):
        assert float(found[name].imbalance) < 0.6 * float(found["softmax"].imbalance), name


@pytest.mark.parametrize("factor", [1.0, 1.25])
def test_experts_that_choose_are_all_busy_and_none_beyond_its_capacity(factor: float) -> None:
    capacity = capacity_of(ITEMS, EXPERTS, 1, factor)
    routing = sparse_routing(skewed(), 1, capacity, iterations=400)
    assert int(routing.load.max()) <= capacity
    assert torch.equal(routing.chosen, routing.wanted)  # the plan keeps to it by itself
    assert int(routing.load.min()) >= 0.5 * ITEMS / EXPERTS
    assert float(routing.dropped) < 0.25 * float(softmax_routing(skewed(), 1, capacity).dropped)


def test_items_that_choose_one_expert_fill_all_experts_alike() -> None:
    """With one entry an item the plan is a partition: the load is the mass, items / experts but for ties."""
    routing = sparse_routing(skewed(), 1, ITEMS, side="items", iterations=800)
    assert bool((routing.wanted.sum(1) == 1).all())
    share = ITEMS / EXPERTS
    assert int((routing.load - share).abs().max()) <= 2
    assert int((softmax_routing(skewed(), 1, ITEMS).load - share).abs().max()) >= 8  # which had to be mended


@pytest.mark.parametrize("side", ["experts", "items"])
def test_transport_routes_by_likeness_not_only_by_balance(side: str) -> None:
    """Where every expert has its own items already, the routing is theirs."""
    mine = torch.arange(ITEMS) % EXPERTS
    logits = 4 * torch.nn.functional.one_hot(mine, EXPERTS).float()
    routing = sparse_routing(logits, 1, ITEMS // EXPERTS, side=side)
    assert torch.equal(routing.chosen, torch.nn.functional.one_hot(mine, EXPERTS).bool())
    assert torch.equal(sinkhorn_routing(logits, 1, ITEMS // EXPERTS).chosen, routing.chosen)
    assert float(routing.imbalance) == float(routing.dropped) == 0


def test_top_k_takes_the_best_and_full_experts_the_strongest() -> None:
    logits = torch.tensor([[3.0, 0.0], [2.0, 0.0], [1.0, 0.0]])
    routing = softmax_routing(logits, 1, 2)
    assert routing.chosen.tolist() == [[True, False], [True, False], [False, False]]
    assert float(routing.dropped) == pytest.approx(1 / 3)


def test_the_layer_is_the_gated_sum_of_its_experts() -> None:
    torch.manual_seed(0)
    layer = MixtureOfExperts(5, 7, EXPERTS, lambda logits: softmax_routing(logits, 2, ITEMS))
    items = torch.randn(ITEMS, 5, requires_grad=True)
    out, routing = layer(items)
    expected = torch.zeros_like(items)
    for expert in range(EXPERTS):
        made = torch.relu(items @ layer.up[expert]) @ layer.down[expert]
        expected = expected + routing.gates[:, expert : expert + 1] * made
    assert torch.allclose(out, expected, atol=1e-5)
    out.square().sum().backward()
    assert layer.gate.weight.grad is not None
    assert float(layer.gate.weight.grad.abs().sum()) > 0


def test_bad_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="1 <= k <= experts"):
        softmax_routing(skewed(), 9, 4)
    with pytest.raises(ValueError, match="capacity"):
        sparse_routing(skewed(), 2, 0)
