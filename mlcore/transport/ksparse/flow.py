"""A flow that leaves a given support as little as it can, with at most k entries a column, by the network simplex.

A basic solution has at most n + m - 1 entries, two a column on average. Columns that end with more than k are filled
by hand, before all others, with the best rows that together hold enough; the flow of the others is found again.
"""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import ot
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]

_PASSES = 40
_ROOM = 2.0  # how much more than a column its rows together should hold
_FEW = 0.5
_DUST = 1e-13  # share of the mass below which a flow is rounding


def sparse_flows(scores: Tensor, support: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Flows (batch, m, n) for ``support`` (batch, m, k) and whether each keeps to k entries a column (batch,).

    ``scores`` (batch, m, n) rank what lies off the support; ``-inf`` where no mass may go.
    """

    def solve(number: int) -> tuple[Array, bool]:
        return _problem(scores[number], support[number], a[number], b[number])

    numbers = range(len(scores))
    with ThreadPoolExecutor(max(1, min(torch.get_num_threads(), len(scores)))) as pool:
        found = list(pool.map(solve, numbers))
    flows = torch.from_numpy(np.stack([flow for flow, _ in found])).to(scores)
    return flows, torch.tensor([kept for _, kept in found], device=scores.device)


def _problem(scores: Tensor, support: Tensor, a: Tensor, b: Tensor) -> tuple[Array, bool]:
    rows, columns = (np.flatnonzero(each.cpu().numpy()) for each in (a, b))
    listed = np.zeros(tuple(scores.shape), dtype=bool)
    np.put_along_axis(listed, support.cpu().numpy(), values=True, axis=1)
    real = np.ix_(columns, rows)
    values = scores.double().cpu().numpy()[real]
    masses, wanted = a.double().cpu().numpy()[rows], b.double().cpu().numpy()[columns]
    masses = masses * (wanted.sum() / masses.sum())
    flow, kept = _flow(values, listed[real], masses, wanted, min(support.shape[1], len(rows)))
    full = np.zeros(tuple(scores.shape))
    full[real] = flow
    return full, kept


def _flow(values: Array, listed: NDArray[np.bool_], a: Array, b: Array, k: int) -> tuple[Array, bool]:
    loss = values.max(1, keepdims=True) - values
    unit = float(np.where(listed, loss, 0).max(1).mean()) or 1.0
    prices = np.where(listed, 0, loss + unit)
    # where a few columns are too heavy for their rows, no flow on the support meets them
    held = (listed * a).sum(1)
    fixed = held < _ROOM * b
    if fixed.mean() > _FEW:
        fixed = held < b * (1 - 1e-9)
    flow = np.zeros_like(prices)
    order: list[int] = []  # columns filled by hand, the heaviest first
    lefts = [a]  # what every one of them leaves of the rows
    for _ in range(_PASSES):
        wanted = sorted(np.flatnonzero(fixed).tolist(), key=lambda each: -b[each])
        # those before the first new one are filled as they were
        pairs = enumerate(zip(order, wanted, strict=False))
        same = next((number for number, (old, new) in pairs if old != new), len(order))
        del lefts[same + 1 :]
        again = np.ones(len(b), dtype=bool)
        again[order[:same]] = False
        flow[again] = 0
        order = wanted
        for column in wanted[same:]:
            flow[column] = _fill(prices[column], lefts[-1], b[column], k)
            if flow[column].sum() < b[column] * (1 - 1e-9):
                return flow, False  # the heaviest columns use up what there is
            lefts.append(np.maximum(lefts[-1] - flow[column], 0))
        left = lefts[-1]
        free, open_ = np.flatnonzero(~fixed), np.flatnonzero(left > _DUST * a.sum())
        if len(free) == 0 or len(open_) == 0:
            break
        rest = b[free] * (left[open_].sum() / b[free].sum())
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module=r"ot\.")
            flow[np.ix_(free, open_)] = ot.emd(
                rest, left[open_], np.ascontiguousarray(prices[np.ix_(free, open_)]), check_marginals=False
            )
        flow[flow <= _DUST * b.sum()] = 0
        over = (flow > 0).sum(1) > k
        if not over.any():
            return flow, True
        fixed |= over
    return flow, False


def _fill(price: Array, left: Array, wanted: float, k: int) -> Array:
    """``wanted`` from at most ``k`` of the rows ``left``, the cheapest first that still let it be met."""
    flow, open_ = np.zeros_like(left), left > 0
    for more in range(k - 1, -1, -1):
        held = np.where(open_, left, 0)
        largest = np.sort(held)[::-1][: more + 1]
        others = np.where(held >= largest[-1], largest.sum() - held, largest[:more].sum())
        fits = open_ & (np.minimum(held, wanted) + others >= wanted * (1 - 1e-12))
        if not fits.any():
            break
        row = int(np.where(fits, price, np.inf).argmin())
        flow[row] = min(left[row], wanted)
        open_[row] = False
        wanted -= flow[row]
        if wanted <= 0:
            break
    return flow
