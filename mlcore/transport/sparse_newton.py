"""Semismooth Newton steps on a regularised semi-dual, solved by conjugate gradients, for batches of problems.

The semi-dual ``S(alpha) = <alpha, a> - sum_j phi_j(alpha - c_j)`` is concave and once differentiable when its columns
are plain quadratics or smoothed (:mod:`mlcore.transport.sparse_columns`); its gradient ``a - sum_j t_j`` is piecewise
linear. The Hessian is a weighted graph Laplacian over the rows with as many entries as the plan has non-zeros, so a
product costs what the plan is small, and few products are needed: nothing of size n x n is ever formed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mlcore.transport.sparse_columns import Columns
from mlcore.transport.sparse_lists import Candidates

ColumnMap = Callable[[Tensor, Tensor, int], Columns]  # scores, b, entries to look at

_LOOKED_AT = 16  # best entries of a column that are looked at first
_MANY = 0.3  # share of lost columns from which a problem is listed anew
_SHRINK = 0.25
_TRIALS = 8
_SUFFICIENT = 1e-4


class State(NamedTuple):
    """The semi-dual at ``alpha``."""

    alpha: Tensor  # (batch, n)
    value: Tensor  # (batch,)
    gradient: Tensor  # (batch, n): a - row sums
    columns: Columns
    rows: Tensor  # (batch, m, R): batch * n + row of every entry


class Ascent(NamedTuple):
    """Where Newton's method ended."""

    state: State
    lists: Candidates
    steps: Tensor  # (batch,)
    stalled: Tensor  # (batch,) bool


def evaluate(lists: Candidates, alpha: Tensor, a: Tensor, b: Tensor, columns: ColumnMap) -> tuple[State, Candidates]:
    """The exact semi-dual at ``alpha``; lists that are too short or too old are renewed on the way.

    The constant ``mu / 2 |t0|^2`` of a smoothed semi-dual is left out.
    """
    size = min(lists.length, _LOOKED_AT)
    attempt = 0
    while True:
        found = columns(lists.scores(alpha), b, size)
        if bool(found.short.any()) and size < lists.length:
            size = min(2 * size, lists.length)
            continue
        if lists.length == lists.full.shape[2]:
            break
        lost = ((lists.bound(alpha) > found.level) | found.short) & (b > 0)
        if not bool(lost.any()):
            break
        if attempt == 0:
            many = lost.float().mean(1, keepdim=True) > _MANY
            lists.refresh(alpha, lost | many)
        elif attempt == 1:
            lists.refresh(alpha, lost.any(1, keepdim=True).expand_as(lost))
        else:
            lists = lists.grown(alpha)
        attempt += 1
    rows = lists.flat.gather(2, found.place)
    sums = torch.zeros_like(alpha).view(-1).index_add_(0, rows.view(-1), found.plan.view(-1)).view_as(alpha)
    value = (alpha * a).sum(1) - found.value.sum(1)
    return State(alpha, value, a - sums, found, rows), lists


def newton(
    lists: Candidates,
    alpha: Tensor,
    a: Tensor,
    b: Tensor,
    columns: ColumnMap,
    goal: Tensor,
    iterations: int,
    gamma: float,
    forcing: float = 0.05,
) -> Ascent:
    """Climb until the L1 norm of the gradient is at most ``goal`` (batch,)."""
    state, lists = evaluate(lists, alpha, a, b, columns)
    steps = torch.zeros_like(goal, dtype=torch.long)
    stalled = torch.zeros_like(goal, dtype=torch.bool)
    for _ in range(iterations):
        going = (state.gradient.abs().sum(1) > goal) & ~stalled
        if not bool(going.any()):
            break
        steps += going
        direction = _direction(state, going, a, gamma, forcing)
        state, lists, moved = _search(lists, state, direction, going, a, b, columns)
        stalled |= going & ~moved
    return Ascent(state, lists, steps, stalled)


def _search(
    lists: Candidates, state: State, direction: Tensor, going: Tensor, a: Tensor, b: Tensor, columns: ColumnMap
) -> tuple[State, Candidates, Tensor]:
    """Shorten each problem's step until its value rises enough; who cannot rise stays."""
    slope = (state.gradient * direction).sum(1)
    noise = 8 * torch.finfo(a.dtype).eps * (state.value.abs() + (state.alpha * a).abs().sum(1))
    length = going.to(a.dtype)
    for trial in range(_TRIALS + 1):
        found, lists = evaluate(lists, state.alpha + length.unsqueeze(1) * direction, a, b, columns)
        good = found.value >= state.value + _SUFFICIENT * length * slope - noise
        if bool(good.all()) or trial == _TRIALS:
            break
        last = trial == _TRIALS - 1
        length = torch.where(good, length, 0 if last else length * _SHRINK)
    return found, lists, length > 0


def _direction(state: State, going: Tensor, a: Tensor, gamma: float, forcing: float) -> Tensor:
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
    shift = 1e-7 if a.dtype == torch.float64 else 1e-5
    has_ties = bool(tied.any())

    def product(vector: Tensor) -> Tensor:
        picked = vector.reshape(-1)[rows]
        moved = weight * picked
        if has_ties:
            moved = moved - tied * (coupling * per_column(tied * picked))[column]
        moved = moved - response * (inverse * per_column(response * picked))[column]
        return per_row(moved) + shift * diagonal * vector

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
        if bool((residual.norm(dim=1) <= forcing * norm).all()):
            break
        scaled = residual / diagonal
        next_power = (residual * scaled).sum(1)
        ratio = torch.where(power > 0, next_power / power.clamp(min=torch.finfo(a.dtype).tiny), 0)
        search, power = scaled + ratio.unsqueeze(1) * search, next_power
    return torch.where(a > 0, solution, 0)
