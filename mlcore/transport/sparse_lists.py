"""Candidate lists: the few entries of every column that can matter, with a certificate for all the others.

Plans with a quadratic regulariser use a handful of the entries of a column, those with the largest ``alpha_i - c_ij``.
Each column keeps its best ``length`` entries under a reference potential, and the best score among the rest; since no
score can have risen by more than ``max_i (alpha_i - reference_i)``, a column whose cut lies above that bound has lost
nothing. Only the columns that fail are listed again. One evaluation so reads ``m * length`` entries instead of ``m n``.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Candidates:
    """Lists of a batch of problems, columns first: costs are (batch, m, n), infinite where no mass may go.

    ``bonus`` (batch, m, length) is added to the scores (the proximal term); an entry with a bonus is never dropped.
    """

    def __init__(self, cost: Tensor, alpha: Tensor, rows: Tensor, length: int) -> None:
        self.full = cost
        self.rows = rows  # (batch, n) bool: rows with mass
        self.length = min(length, cost.shape[2])
        self.reference = alpha.clone()
        shape = (*cost.shape[:2], self.length)
        self.index = torch.zeros(shape, dtype=torch.long, device=cost.device)
        self.cost = cost.new_zeros(shape)
        self.bonus = cost.new_zeros(shape)
        self.rest = cost.new_zeros(shape[:2])
        self.flat = self.index
        self.refresh(alpha, torch.ones(shape[:2], dtype=torch.bool, device=cost.device))

    def scores(self, alpha: Tensor) -> Tensor:
        """``alpha_i - c_ij`` plus bonus of the listed entries: (batch, m, length)."""
        picked = alpha.reshape(-1).index_select(0, self.flat.reshape(-1)).view_as(self.cost)
        return picked.sub_(self.cost).add_(self.bonus)

    def bound(self, alpha: Tensor) -> Tensor:
        """(batch, m): no entry off the list scores more."""
        drift = torch.where(self.rows, alpha - self.reference, -torch.inf).amax(1, keepdim=True)
        return self.rest + drift

    def refresh(self, alpha: Tensor, columns: Tensor) -> None:
        """List the ``columns`` (batch, m) bool again, under ``alpha`` (batch, n).

        A problem whose columns are all listed again takes ``alpha`` as its reference.
        """
        self.reference = torch.where(columns.all(1, keepdim=True), alpha, self.reference)
        problem, column = columns.nonzero(as_tuple=True)
        scores = alpha[problem] - self.full[problem, column]
        bonus = torch.zeros_like(scores)
        bonus.scatter_(1, self.index[problem, column], self.bonus[problem, column])
        key = torch.where(bonus > 0, torch.inf, scores)
        index = key.topk(self.length, dim=1, sorted=False).indices
        if self.length < scores.shape[1]:
            # under the reference, not under alpha: one drift then serves all columns of the problem
            others = self.reference[problem] - self.full[problem, column]
            rest = others.scatter_(1, index, -torch.inf).amax(1)
        else:
            rest = torch.full_like(scores[:, 0], -torch.inf)
        self.index[problem, column] = index
        self.cost[problem, column] = self.full[problem, column].gather(1, index)
        self.bonus[problem, column] = bonus.gather(1, index)
        self.rest[problem, column] = rest
        offsets = torch.arange(len(alpha), device=alpha.device).view(-1, 1, 1) * alpha.shape[1]
        self.flat = self.index + offsets

    def set_bonus(self, dense: Tensor) -> None:
        """Take the bonus of the listed entries from ``dense`` (batch, m, n)."""
        self.bonus = dense.gather(2, self.index)

    def grown(self, alpha: Tensor) -> Candidates:
        """Lists of twice the length."""
        other = Candidates(self.full, alpha, self.rows, 2 * self.length)
        dense = torch.zeros_like(self.full).scatter_(2, self.index, self.bonus)
        if bool((dense > 0).any()):
            other.bonus = torch.zeros_like(other.cost)
            other.set_bonus(dense)
        return other

    def select(self, problems: Tensor) -> Candidates:
        """The lists of some problems (indices), sharing nothing with these."""
        other = object.__new__(Candidates)
        other.length = self.length
        for name in ("full", "rows", "reference", "index", "cost", "bonus", "rest"):
            setattr(other, name, getattr(self, name)[problems])
        offsets = torch.arange(len(problems), device=problems.device).view(-1, 1, 1) * self.rows.shape[1]
        other.flat = other.index + offsets
        return other
