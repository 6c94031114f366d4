"""Who goes to which expert: routers for a mixture of experts, from top-k to sparsity-constrained transport.

Items are the rows, experts the columns; every router returns a :class:`Routing`. The transport routers solve a problem
in which each item has mass one and each expert an equal share of all of it, so that no expert is idle: entropic
(:func:`sinkhorn_routing`, after S-BASE) or sparsity-constrained (:func:`sparse_routing`; Liu, Puigcerver and Blondel,
ICLR 2023, section 6), whose plan has at most ``k`` entries an expert (experts choose items) or an item (items choose
experts). As there, the plan only decides; outputs are combined by the softmax gates, so gradients need no solver.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mlcore.transport.sinkhorn import sinkhorn
from mlcore.transport.sparse import sparse_transport


@dataclass(frozen=True, eq=False)
class Routing:
    """Which items each expert works on, with what weight."""

    chosen: Tensor  # (items, experts) bool
    gates: Tensor  # (items, experts) softmax gates where chosen, zero elsewhere; they carry the gradient
    wanted: Tensor  # (items, experts) bool, before the capacity of the experts cut it

    @property
    def load(self) -> Tensor:
        """(experts,) items that each expert works on."""
        return self.chosen.sum(0)

    @property
    def dropped(self) -> Tensor:
        """() share of items that no expert works on."""
        return (~self.chosen.any(1)).float().mean()

    @property
    def imbalance(self) -> Tensor:
        """() coefficient of variation of the experts' load before the cut: 0 is even."""
        load = self.wanted.sum(0).float()
        return load.std(unbiased=False) / load.mean().clamp(min=1e-9)


def capacity_of(items: int, experts: int, per_item: int, factor: float) -> int:
    """Items that one expert may take: ``ceil(items per_item factor / experts)``."""
    return min(items, math.ceil(items * per_item * factor / experts))


def softmax_routing(logits: Tensor, k: int, capacity: int) -> Routing:
    """Every item goes to its ``k`` best experts (Shazeer et al., ICLR 2017); full experts drop the weakest gates."""
    _check(logits, k, capacity)
    wanted = _top(logits.detach(), k, 1)
    return _routing(logits, wanted, logits.detach(), capacity)


def sinkhorn_routing(logits: Tensor, k: int, capacity: int, *, epsilon: float = 1.0) -> Routing:
    """The ``k`` largest entries an item of the entropic plan between items and experts at cost ``-logits``."""
    _check(logits, k, capacity)
    with torch.no_grad():
        plan = sinkhorn(-logits.detach().float(), epsilon=epsilon, tolerance=1e-2, max_iterations=100).plan
    return _routing(logits, _top(plan, k, 1), plan, capacity)


def sparse_routing(
    logits: Tensor,
    k: int,
    capacity: int,
    *,
    side: str = "experts",
    gamma: float = 1.0,
    iterations: int = 20,
) -> Routing:
    """The plan of sparsity-constrained transport at cost ``-softmax(logits)``, from a few steps of Adam.

    ``side`` says who chooses: ``"experts"`` take at most ``capacity`` items each, ``"items"`` at most ``k`` experts.
    """
    _check(logits, k, capacity)
    items, experts = logits.shape
    with torch.no_grad():
        cost = -torch.softmax(logits.detach().float(), 1)
        plan = sparse_transport(
            cost,
            cost.new_ones(items),
            cost.new_full((experts,), items / experts),
            gamma,
            capacity if side == "experts" else k,
            side="columns" if side == "experts" else "rows",
            method="adam",
            max_iterations=iterations,
            repair=False,
        ).plan
    return _routing(logits, plan > 0, plan, capacity)


def _check(logits: Tensor, k: int, capacity: int) -> None:
    if logits.dim() != 2 or not 1 <= k <= logits.shape[1] or capacity < 1:
        raise ValueError(
            f"routing needs logits (items, experts), 1 <= k <= experts and a capacity of at least 1; "
            f"got {tuple(logits.shape)}, k={k}, capacity={capacity}"
        )


def _top(values: Tensor, k: int, axis: int) -> Tensor:
    best = values.topk(k, dim=axis).indices
    return torch.zeros_like(values, dtype=torch.bool).scatter_(axis, best, True)


def _routing(logits: Tensor, wanted: Tensor, priority: Tensor, capacity: int) -> Routing:
    """Cut what every expert would take to its capacity, the lowest priorities first."""
    ranked = priority.masked_fill(~wanted, -torch.inf)
    chosen = wanted & _top(ranked, min(capacity, len(logits)), 0)
    gates = torch.softmax(logits, 1) * chosen
    return Routing(chosen=chosen, gates=gates, wanted=wanted)
