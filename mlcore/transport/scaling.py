"""Sinkhorn iterations in the scaling domain, stabilised by absorption.

The kernel ``K`` is the plan of the columns' potentials with exact rows, and the next plans are ``diag(u) K diag(v)``,
with scalings that stay near one. An iteration is two products of a matrix with a vector, where the log domain takes two
passes of exponentials (Schmitzer, SIAM J. Sci. Comput. 2019). Once a problem's error falls at a steady rate, its
scalings are over-relaxed by the factor which that rate makes optimal (Lehmann, von Renesse, Sambale and Uschmajew,
2022); a problem whose error then grows goes back to plain iterations.

Here and in :mod:`.newton`, costs come as ``-C`` with the columns first, (batch, m, n): sums and maxima over the columns
are then sums of whole rows in memory.
"""

from __future__ import annotations

import math
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


def floor_of(dtype: torch.dtype) -> float:
    """The smallest exponent worth computing: below, ``exp`` leaves the normal numbers and takes ten times as long."""
    return math.log(torch.finfo(dtype).tiny) + 8


def softmax_columns(minus: Tensor, gamma: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``w = exp((gamma_j - C_ij) / eps - top_i)`` (batch, m, n), ``top`` and the sums of ``w`` over the columns."""
    weights = torch.add(minus, gamma.unsqueeze(2)).div_(eps.view(-1, 1, 1))
    top = weights.amax(1)
    weights = weights.sub_(top.unsqueeze(1)).clamp_(min=floor_of(minus.dtype)).exp_()
    return weights, top, weights.sum(1)


def scale(
    minus: Tensor,
    a: Tensor,
    b: Tensor,
    eps: Tensor,
    gamma: Tensor,
    goal: Tensor,
    iterations: int,
) -> Potentials:
    """Iterate until every problem's error is below its ``goal`` (batch,), or ``iterations`` are done.

    ``minus`` (batch, m, n) holds finite ``-C``, ``gamma`` (batch, m) says where to begin, ``-inf`` where masked.
    Problems that are done are taken out of the batch.
    """
    found = Potentials(
        gamma.clone(),
        torch.full_like(eps, torch.inf),
        torch.zeros_like(eps, dtype=torch.long),
    )
    rows = torch.arange(len(minus), device=minus.device)
    work = _Work(minus, a, b, eps, gamma)
    for done in range(_LOOK, max(iterations, 1) + _LOOK, _LOOK):
        error = work.run(_LOOK)
        finished = ~(error > goal[rows])  # also those that are not a number
        if done >= iterations:
            finished[:] = True
        if bool(finished.any()):
            found.gamma[rows[finished]] = work.potentials()[finished]
            found.error[rows[finished]] = error[finished]
            found.iterations[rows[finished]] = done
            rows = rows[~finished]
            if not len(rows):
                break
            work.keep(~finished)
    return found


class _Work:
    """The problems still under way."""

    def __init__(self, minus: Tensor, a: Tensor, b: Tensor, eps: Tensor, gamma: Tensor) -> None:
        self.minus, self.a, self.b, self.eps, self.gamma = minus, a, b, eps, gamma
        self.tiny = torch.finfo(minus.dtype).tiny
        self.relaxation = torch.ones_like(eps)
        self.last = torch.full_like(eps, torch.inf)
        self.fallen = torch.ones_like(eps)
        self._make_kernel()

    def _make_kernel(self) -> None:
        weights, _, total = softmax_columns(self.minus, self.gamma, self.eps)
        self.kernel = weights.mul_((self.a / total).unsqueeze(1))
        self.transposed = self.kernel.mT.contiguous()  # a row times a matrix is the faster product
        self.u, self.v = (self.a > 0).to(self.a.dtype), (self.b > 0).to(self.b.dtype)

    def potentials(self) -> Tensor:
        """``gamma`` with the scalings in it, (batch, m)."""
        return self.gamma + self.eps.unsqueeze(1) * self.v.log()

    def keep(self, chosen: Tensor) -> None:
        """Take the other problems out."""
        for name in ("minus", "a", "b", "eps", "gamma", "u", "v"):
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
            reached = torch.bmm(self.v.unsqueeze(1), self.kernel).squeeze(1)
            target = self.a / reached.clamp_(min=self.tiny)
            self.u = self.u * (target / self.u.clamp(min=self.tiny)).pow_(power) if relaxed else target
            back = torch.bmm(self.u.unsqueeze(1), self.transposed).squeeze(1)
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
        swing = max(float(torch.where(part > 0, part, 1.0).log_().abs_().max()) for part in (self.u, self.v))
        if swing > _SWING or not bool(((self.v > 0) == (self.b > 0)).all()):
            self.gamma = self.potentials()
            self._make_kernel()
