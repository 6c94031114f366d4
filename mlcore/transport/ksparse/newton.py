"""Semismooth Newton steps on a regularised semi-dual, solved by conjugate gradients, for batches of problems.

The semi-dual ``S(alpha) = <alpha, a> - sum_j phi_j(alpha - c_j)`` is concave and once differentiable when its columns
are plain quadratics or smoothed (:mod:`mlcore.transport.ksparse.columns`); its gradient ``a - sum_j t_j`` is piecewise
linear. The Hessian is a weighted graph Laplacian over the rows with as many entries as the plan has non-zeros, so a
product costs what the plan is small, and few products are needed: nothing of size n x n is ever formed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mlcore.transport.ksparse.columns import ColumnMap, Columns, widened
from mlcore.transport.ksparse.lists import Candidates

_LOOKED_AT = 16  # best entries of a column that are looked at first
_MANY = 0.3  # share of doubtful columns from which all of a problem are checked
_SHORTEST = 1e-5
_FORCING = 0.2  # accuracy of the linear solves
_SUFFICIENT = 1e-4
_DAMPING, _HEAVIEST = 0.1, 100.0  # of the Hessian's diagonal, as a share of the relative error
_KEPT = (
    "alpha",
    "a",
    "b",
    "mu",
    "problem",
    "value",
    "step",
    "length",
    "slope",
    "damping",
    "steps",
    "stalled",
)


class State(NamedTuple):
    """The semi-dual at ``alpha``."""

    alpha: Tensor  # (batch, n)
    value: Tensor  # (batch,)
    gradient: Tensor  # (batch, n): a - row sums
    columns: Columns
    rows: Tensor  # (batch, m, R): batch * n + row of every entry


class Climb:
    """A batch of problems under way, each at its own pace.

    A problem whose step did not raise its value shortens it while the others go on; one that has arrived is told to
    ``arrived``, which may change its proximal term and send it on, or let it go.
    """

    def __init__(
        self,
        lists: Candidates,
        alpha: Tensor,
        a: Tensor,
        b: Tensor,
        mu: Tensor,
        columns: ColumnMap,
        gamma: float,
    ) -> None:
        self.lists, self.columns, self.gamma = lists, columns, gamma
        self.alpha, self.a, self.b, self.mu = alpha, a, b, mu
        self.problem = torch.arange(len(a), device=a.device)  # numbers of those that are left
        self.value = torch.full_like(mu, -torch.inf)
        self.step = torch.zeros_like(alpha)
        self.length = torch.ones_like(mu)
        self.slope = torch.zeros_like(mu)
        self.damping = torch.full_like(mu, _DAMPING)
        self.steps = torch.zeros_like(mu, dtype=torch.long)
        self.stalled = torch.zeros_like(mu, dtype=torch.bool)

    def run(
        self, goal: Callable[[Climb], Tensor], arrived: Callable[[Climb, State, Tensor], Tensor], rounds: int
    ) -> State | None:
        """Climb until every problem was let go, or for ``rounds`` evaluations; then the last state is returned.

        ``goal`` gives the L1 norm (batch,) of the gradient at which a problem has arrived; ``arrived`` takes the state
        and who is there (batch,) bool, and returns who is done.
        """
        for _ in range(rounds):
            trial = self.alpha + self.length.unsqueeze(1) * self.step
            state, self.lists = evaluate(self.lists, trial, self.a, self.b, self.mu, self.columns)
            noise = 16 * torch.finfo(trial.dtype).eps * (state.value.abs() + (trial * self.a).abs().sum(1))
            good = state.value >= self.value + _SUFFICIENT * self.length * self.slope - noise
            self.alpha = torch.where(good.unsqueeze(1), trial, self.alpha)
            self.value = torch.where(good, state.value, self.value)
            self.stalled = ~good & (self.length < _SHORTEST)
            there = (good & (state.gradient.abs().sum(1) <= goal(self))) | self.stalled
            done = arrived(self, state, there) if bool(there.any()) else there
            if bool(done.all()):
                return None
            # curvature was underestimated where a step had to be shortened: damp the next, and trust again later
            change = torch.where(self.length < 0.3, 8.0, torch.where(self.length < 1, 1.0, 0.2))
            self.damping = torch.where(good, (self.damping * change).clamp(_DAMPING, _HEAVIEST), self.damping)
            parabola = self.length * self.slope / (2 * (self.value + self.length * self.slope - state.value))
            shorter = self.length * parabola.nan_to_num(nan=0.0).clamp(0.03, 0.5)
            self.length = torch.where(good, torch.ones_like(self.length), shorter)
            move = good & ~there
            fresh = (
                direction(state, move, self.a, self.gamma, self.damping) if bool(move.any()) else self.step
            )
            self.step = torch.where(move.unsqueeze(1), fresh, self.step)
            self.slope = torch.where(move, (state.gradient * fresh).sum(1), self.slope)
            self.steps += move
            # who was sent on begins anew where it stands
            self.value = torch.where(there, -torch.inf, self.value)
            self.step = torch.where(there.unsqueeze(1), 0, self.step)
            self.slope, self.length = torch.where(there, 0, self.slope), torch.where(there, 1, self.length)
            if bool(done.any()):
                self._keep((~done).nonzero().squeeze(1))

        return evaluate(self.lists, self.alpha, self.a, self.b, self.mu, self.columns)[0]

    def _keep(self, which: Tensor) -> None:
        self.lists = self.lists.select(which)
        for name in _KEPT:
            setattr(self, name, getattr(self, name)[which])


def evaluate(
    lists: Candidates, alpha: Tensor, a: Tensor, b: Tensor, mu: Tensor, columns: ColumnMap
) -> tuple[State, Candidates]:
    """The exact semi-dual at ``alpha``; lists that are too short or too old are renewed on the way.

    The constant ``mu / 2 |t0|^2`` of a smoothed semi-dual is left out.
    """
    attempt = 0
    while True:
        found = widened(columns, lists.scores(alpha), b, mu.unsqueeze(1).expand_as(b), _LOOKED_AT)
        if lists.complete:
            break
        lost = ((lists.bound(alpha) > found.level) | found.short) & (b > 0)
        if not bool(lost.any()):
            break
        many = lost.float().mean(1, keepdim=True) > _MANY
        lost = (lists.check(alpha, lost | many, found.level) | found.short) & (b > 0)
        if not bool(lost.any()):
            break
        if attempt == 0:
            lists.refresh(alpha, lost)
        else:
            lists = lists.grown(alpha)
        attempt += 1
    rows = lists.flat.gather(2, found.place)
    sums = torch.zeros_like(alpha).view(-1).index_add_(0, rows.view(-1), found.plan.view(-1)).view_as(alpha)
    value = (alpha * a).sum(1) - found.value.sum(1)
    return State(alpha, value, a - sums, found, rows), lists


def direction(state: State, going: Tensor, a: Tensor, gamma: float, damping: Tensor) -> Tensor:
    """The Newton direction (batch, n) by preconditioned conjugate gradients; zero where not ``going``."""
    columns, shape = state.columns, state.alpha.shape
    count = columns.beta.numel()
    size = columns.plan.shape[2]
    curvature = columns.curvature.reshape(-1)
    entries = curvature.nonzero().squeeze(1)
    rows, column = state.rows.reshape(-1)[entries], entries // size
    weight, tied = curvature[entries], columns.tied.reshape(-1)[entries]
    coupling = columns.coupling.reshape(-1)

    def per_column(values: Tensor) -> Tensor:
        return values.new_zeros(count).index_add_(0, column, values)

    def per_row(values: Tensor) -> Tensor:
        return values.new_zeros(shape.numel()).index_add_(0, rows, values).view(shape)

    # the column's potential answers to the rows': one more rank is taken out
    response = weight - tied * (coupling * per_column(tied))[column]
    total = per_column(response)
    inverse = torch.where(total > 0, 1 / total.clamp(min=1e-30), 0)
    diagonal = per_row(weight)
    # a row without entries has no curvature: as if it had one entry, it is raised until it has
    diagonal = torch.where(diagonal > 0, diagonal, 1 / gamma)
    # groups of rows that share no column make the Laplacian singular; damped while far from the solution
    error = state.gradient.abs().sum(1, keepdim=True) / a.sum(1, keepdim=True)
    shift = (damping.unsqueeze(1) * error).clamp(min=1e-8 if a.dtype == torch.float64 else 1e-5) * diagonal
    has_ties = bool(tied.any())

    def product(vector: Tensor) -> Tensor:
        picked = vector.reshape(-1)[rows]
        moved = weight * picked
        if has_ties:
            moved = moved - tied * (coupling * per_column(tied * picked))[column]
        moved = moved - response * (inverse * per_column(response * picked))[column]
        return per_row(moved) + shift * vector

    residual = torch.where(going.unsqueeze(1) & (a > 0), state.gradient, 0)
    solution = torch.zeros_like(residual)
    norm = residual.norm(dim=1)
    scaled = residual / diagonal
    search = scaled
    power = (residual * scaled).sum(1)
    for _ in range(2 * shape[1]):
        image = product(search)
        bend = (search * image).sum(1)
        step = torch.where(bend > 0, power / bend.clamp(min=torch.finfo(a.dtype).tiny), 0).unsqueeze(1)
        solution = solution + step * search
        residual = residual - step * image
        if bool((residual.norm(dim=1) <= _FORCING * norm).all()):
            break
        scaled = residual / diagonal
        next_power = (residual * scaled).sum(1)
        ratio = torch.where(power > 0, next_power / power.clamp(min=torch.finfo(a.dtype).tiny), 0)
        search, power = scaled + ratio.unsqueeze(1) * search, next_power
    return torch.where(a > 0, solution, 0)
