"""Candidate lists: the few entries of every column that can matter, with a certificate for all the others.

Plans with a quadratic regulariser use a handful of the entries of a column, those with the largest ``alpha_i - c_ij``.
Each column keeps its best ``length`` entries under a reference potential, and the best score among the rest; since no
score can have risen by more than ``max_i (alpha_i - reference_i)``, a column whose cut lies above that bound has lost
nothing. Only the columns that fail are listed again. One evaluation so reads ``m * length`` entries instead of ``m n``.
"""

from __future__ import annotations

import torch
from torch import Tensor

_PIECE = 1 << 17  # entries that are ranked at a time


class Candidates:
    """Lists of a batch of problems, columns first: costs are (batch, m, n), infinite where no mass may go.

    ``bonus`` (batch, m, length) is added to the scores (the proximal term); an entry with a bonus is never dropped.
    """

    def __init__(self, cost: Tensor, alpha: Tensor, rows: Tensor, length: int) -> None:
        self.full = cost
        self.source = torch.arange(len(cost), device=cost.device)  # where a problem lies in ``full``
        self.rows = rows  # (batch, n) bool: rows with mass
        self.length = min(length, cost.shape[2])
        self.complete = self.length == cost.shape[2]  # nothing is off the lists
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
        for problem, column in self._chunks(columns):
            self._list(alpha, problem, column)
        self._flatten()

    def check(self, alpha: Tensor, columns: Tensor, level: Tensor) -> Tensor:
        """Which of the ``columns`` (batch, m) bool have an entry off their list that scores more than ``level``.

        One pass over those columns: a fraction of what listing them takes. A problem whose columns are all checked
        takes ``alpha`` as its reference.
        """
        lost = torch.zeros_like(columns)
        whole = columns.all(1)
        self.reference = torch.where(whole.unsqueeze(1), alpha, self.reference)
        for numbers in whole.nonzero().squeeze(1).split(len(whole) if columns.is_cuda else 1):
            scores = alpha[numbers].unsqueeze(1) - self.full[self.source[numbers]]
            self.rest[numbers] = scores.scatter_(2, self.index[numbers], -torch.inf).amax(2)
            lost[numbers] = self.rest[numbers] > level[numbers]
        for problem, column in self._chunks(columns & ~whole.unsqueeze(1)):
            scores = alpha[problem].sub_(self.full[self.source[problem], column])
            others = scores.scatter_(1, self.index[problem, column], -torch.inf).amax(1)
            lost[problem, column] = others > level[problem, column]
        return lost

    def _chunks(self, columns: Tensor) -> list[tuple[Tensor, Tensor]]:
        # on a CPU, pieces that stay in the cache
        problem, column = columns.nonzero(as_tuple=True)
        if columns.is_cuda:
            return [(problem, column)]
        size = max(1, _PIECE // self.full.shape[2])
        return list(zip(problem.split(size), column.split(size), strict=True))

    def _list(self, alpha: Tensor, problem: Tensor, column: Tensor) -> None:
        costs = self.full[self.source[problem], column]
        scores = alpha[problem].sub_(costs)
        bonus = self.bonus[problem, column]
        extra = None
        if bool(bonus.any()):
            extra = torch.zeros_like(scores).scatter_add_(1, self.index[problem, column], bonus)
            scores.masked_fill_(extra > 0, torch.inf)
        index = scores.topk(self.length, dim=1, sorted=False).indices
        self.index[problem, column] = index
        self.cost[problem, column] = costs.gather(1, index)
        if extra is not None:
            self.bonus[problem, column] = extra.gather(1, index)
        if self.length < scores.shape[1]:
            # under the reference, not under alpha: one drift then serves all columns of the problem
            others = self.reference[problem].sub_(costs).scatter_(1, index, -torch.inf)
            self.rest[problem, column] = others.amax(1)
        else:
            self.rest[problem, column] = -torch.inf

    @classmethod
    def fixed(cls, cost: Tensor, rows: Tensor, index: Tensor) -> Candidates:
        """Lists that are all there is: mass may go to ``index`` (batch, m, length) alone, which must not repeat."""
        lists = object.__new__(cls)
        lists.full, lists.rows, lists.length, lists.complete = cost, rows, index.shape[2], True
        lists.source = torch.arange(len(cost), device=cost.device)
        lists.index, lists.cost = index, cost.gather(2, index)
        lists.reference = torch.zeros_like(cost[:, 0])
        lists.bonus = torch.zeros_like(lists.cost)
        lists.rest = torch.full_like(lists.cost[..., 0], -torch.inf)
        lists._flatten()
        return lists

    def grown(self, alpha: Tensor) -> Candidates:
        """Lists of twice the length."""
        other = self.select(torch.arange(len(alpha), device=alpha.device))
        other.length = min(2 * self.length, self.full.shape[2])
        other.complete = other.length == self.full.shape[2]
        shape = (*self.index.shape[:2], other.length - self.length)
        other.index = torch.cat([self.index, self.index.new_zeros(shape)], 2)
        other.bonus = torch.cat([self.bonus, self.bonus.new_zeros(shape)], 2)
        other.cost = torch.zeros_like(other.bonus)
        other.refresh(alpha, torch.ones_like(self.rest, dtype=torch.bool))
        return other

    def select(self, problems: Tensor) -> Candidates:
        """The lists of some problems (indices); a copy, but for the costs."""
        other = object.__new__(Candidates)
        other.length, other.full, other.complete = self.length, self.full, self.complete
        for name in ("source", "rows", "reference", "index", "cost", "bonus", "rest"):
            setattr(other, name, getattr(self, name)[problems])
        other._flatten()
        return other

    def _flatten(self) -> None:
        first = torch.arange(len(self.index), device=self.index.device) * self.rows.shape[1]
        self.flat = self.index + first.view(-1, 1, 1)
