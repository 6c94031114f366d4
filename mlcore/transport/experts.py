"""A mixture-of-experts layer whose router is one of :mod:`.routing`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mlcore.transport.routing import Routing

Router = Callable[[Tensor], Routing]


class MixtureOfExperts(nn.Module):
    """Experts of two linear layers; every item passes through those that its router gives it to.

    An expert computes on its own items only, so that the work follows the routing. What no expert takes comes out as
    zero: put a residual connection around the layer.
    """

    def __init__(self, width: int, hidden: int, experts: int, router: Router) -> None:
        super().__init__()
        self.router = router
        self.gate = nn.Linear(width, experts, bias=False)
        self.up = nn.Parameter(torch.randn(experts, width, hidden) / width**0.5)
        self.down = nn.Parameter(torch.randn(experts, hidden, width) / hidden**0.5)

    def forward(self, items: Tensor) -> tuple[Tensor, Routing]:
        """``items`` (items, width) to the experts' combined outputs (items, width), and the routing."""
        routing = self.router(self.gate(items))
        out = torch.zeros_like(items)
        for expert in range(len(self.up)):
            rows = routing.chosen[:, expert].nonzero().squeeze(1)
            made = torch.relu(items[rows] @ self.up[expert]) @ self.down[expert]
            out = out.index_add(0, rows, made * routing.gates[rows, expert].unsqueeze(1))
        return out, routing
