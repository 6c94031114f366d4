"""Sinkhorn iterations in the scaling domain, stabilised by absorption.

With raw potentials ``phi = f + eps log a`` and ``gamma = g + eps log b`` absorbed into the kernel ``K = exp((phi +
gamma - C) / eps)``, the plan is ``diag(u) K diag(v)`` and the scalings stay near one. An iteration is two products of
a matrix with a vector, where the log domain takes two passes of exponentials (Schmitzer, SIAM J. Sci. Comput. 2019).
Once a problem's error falls at a steady rate, its scalings are over-relaxed by the factor which that rate makes optimal
(Lehmann, von Renesse, Sambale and Uschmajew, 2022); a problem whose error then grows goes back to plain iterations.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: scalings are absorbed into the kernel when a logarithm of theirs leaves -_SWING .. _SWING
_SWING = 16.0
#: iterations between two looks at the errors
_LOOK = 8
#: the error must have fallen by this share between two looks for its rate to be believed
_STEADY = 0.999
_LARGEST_RELAXATION = 1.9


@dataclass(eq=False)
class Potentials:
    """Raw potentials of the columns of a batch and how far the iterations have come, all (batch, …)."""

    gamma: Tensor  # (batch, m), -inf where masked
    error: Tensor  # (batch,) L1 error of the columns once the rows are made exact, or a bound of it
    iterations: Tensor  # (batch,) int


def softmin_rows(cost: Tensor, gamma: Tensor, a: Tensor, eps: Tensor) -> Tensor:
    """``eps (log a - LSE_j (gamma_j - C_ij) / eps)`` (batch, n): the ``phi`` that makes the row sums right."""
    scaled = (gamma.unsqueeze(1) - cost).div_(eps.view(-1, 1, 1))
    return torch.where(a > 0, eps.unsqueeze(1) * (a.log() - scaled.logsumexp(2)), -torch.inf)


def scale(
    cost: Tensor,
    a: Tensor,
    b: Tensor,
    eps: Tensor,
    gamma: Tensor,
    goal: Tensor,
    iterations: int,
) -> Potentials:
    """Iterate until every problem's error is below its ``goal`` (batch,), or ``iterations`` are done.

    ``cost`` (batch, n, m) is infinite where masked, ``gamma`` (batch, m) where to begin, ``-inf`` where masked.
    Problems that are done are taken out of the batch.
    """
    phi = softmin_rows(cost, gamma, a, eps)
    found = Potentials(
        gamma.clone(),
        torch.full_like(eps, torch.inf),
        torch.zeros_like(eps, dtype=torch.long),
    )
    rows = torch.arange(len(cost), device=cost.device)
    work = _Work(cost, a, b, eps, phi, gamma)
    for done in range(_LOOK, max(iterations, 1) + _LOOK, _LOOK):
        error = work.run(_LOOK)
        finished = ~(error > goal[rows])  # also those that are not a number
        if bool(finished.any()) or done >= iterations:
            if done >= iterations:
                finished[:] = True
            found.gamma[rows[finished]] = work.potentials()[1][finished]
            found.error[rows[finished]] = error[finished]
            found.iterations[rows[finished]] = done
            rows = rows[~finished]
            if not len(rows):
                break
            work.keep(~finished)
    return found


class _Work:
    """The problems still under way."""

    def __init__(self, cost: Tensor, a: Tensor, b: Tensor, eps: Tensor, phi: Tensor, gamma: Tensor) -> None:
        self.cost, self.a, self.b, self.eps, self.phi, self.gamma = cost, a, b, eps, phi, gamma
        self.tiny = torch.finfo(cost.dtype).tiny
        self.u, self.v = torch.ones_like(a), torch.ones_like(b)
        self.relaxation = torch.ones_like(eps)
        self.last = torch.full_like(eps, torch.inf)
        self.fallen = torch.ones_like(eps)
        self._make_kernel()

    def _make_kernel(self) -> None:
        eps = self.eps.view(-1, 1, 1)
        self.kernel = self.cost.neg().add_(self.phi.unsqueeze(2)).add_(self.gamma.unsqueeze(1)).div_(eps)
        self.kernel = self.kernel.nan_to_num_(nan=-torch.inf).exp_()
        self.transposed = self.kernel.mT.contiguous()  # a row times a matrix is the faster product

    def potentials(self) -> tuple[Tensor, Tensor]:
        """``phi`` and ``gamma`` with the scalings in them."""
        eps = self.eps.unsqueeze(1)
        return self.phi + eps * self.u.log(), self.gamma + eps * self.v.log()

    def keep(self, chosen: Tensor) -> None:
        """Take the other problems out."""
        for name in ("cost", "a", "b", "eps", "phi", "gamma", "u", "v"):
            setattr(self, name, getattr(self, name)[chosen])
        for name in ("relaxation", "last", "fallen", "kernel", "transposed"):
            setattr(self, name, getattr(self, name)[chosen])

    def run(self, count: int) -> Tensor:
        """``count`` iterations; the sum of both marginal errors (batch,) just before the last update."""
        relaxed = bool((self.relaxation > 1).any())
        power = self.relaxation.unsqueeze(1)
        column_sums = torch.empty_like(self.b)
        row_sums = torch.empty_like(self.a)
        for step in range(count):
            reached = torch.bmm(self.v.unsqueeze(1), self.transposed).squeeze(1)
            target = self.a / reached.clamp_(min=self.tiny)
            self.u = self.u * (target / self.u.clamp(min=self.tiny)).pow_(power) if relaxed else target
            back = torch.bmm(self.u.unsqueeze(1), self.kernel).squeeze(1)
            if step == count - 1:
                row_sums, column_sums = self.u * reached, self.v * back
            target = self.b / back.clamp_(min=self.tiny)
            self.v = self.v * (target / self.v.clamp(min=self.tiny)).pow_(power) if relaxed else target
        error = (row_sums - self.a).abs().sum(1) + (column_sums - self.b).abs().sum(1)
        self._adapt(error, count)
        self._absorb()
        return error

    def _adapt(self, error: Tensor, count: int) -> None:
        """Choose the relaxation from the rate at which the error falls."""
        rate = (error / self.last).clamp(0, _STEADY) ** (1 / count)
        steady = (rate / self.fallen - 1).abs() < 0.05
        plain = self.relaxation == 1
        best = (2 / (1 + (1 - rate).sqrt())).clamp(max=_LARGEST_RELAXATION)
        chosen = torch.where(plain & steady, best, self.relaxation)
        self.relaxation = torch.where(~plain & (error > 2 * self.last), torch.ones_like(chosen), chosen)
        self.last, self.fallen = error, rate

    def _absorb(self) -> None:
        """Put the scalings into the kernel before they leave the range of the type."""
        real = ((self.a > 0) | (self.u > 0)), ((self.b > 0) | (self.v > 0))
        swing = max(
            float(torch.where(known & (part > 0), part, 1.0).log().abs().max())
            for known, part in zip(real, (self.u, self.v), strict=True)
        )
        if swing > _SWING:
            self.phi, self.gamma = self.potentials()
            self.u, self.v = torch.ones_like(self.a), torch.ones_like(self.b)
            self._make_kernel()
