"""A flow that leaves a given support as little as it can, with at most k entries a column, by the network simplex.

A basic solution has at most n + m - 1 entries, two a column on average. Columns that end with more than k are barred
from what lies off their support (those whose rows are too light for them first get heavier ones), and the flow is
found again.
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

_PASSES = 10
_ROOM = 1.5  # how much more than a column its rows together should hold
_BARRED = 100.0
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
    listed = listed.copy()
    for column in np.flatnonzero((listed * a).sum(1) < _ROOM * b):
        listed[column] = _heavier(loss[column], listed[column], a, b[column], k)
    prices = np.where(listed, 0, loss + unit)
    flow, over = prices, np.ones(len(b), dtype=bool)
    for _ in range(_PASSES):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module=r"ot\.")
            flow = ot.emd(b, a, prices, check_marginals=False)
        flow[flow <= _DUST * b.sum()] = 0
        over = (flow > 0).sum(1) > k
        if not over.any():
            break
        prices[over] += ~listed[over] * _BARRED * unit
    return flow, not bool(over.any())


def _heavier(
    loss: Array, listed: NDArray[np.bool_], a: Array, wanted: float, k: int
) -> NDArray[np.bool_]:
    """k rows for a column, the best of those that together hold enough for it."""
    for share in np.linspace(0.25, 2, 8):
        enough = np.flatnonzero(a >= share * wanted / k)
        if len(enough) < k:
            break
        chosen = enough[np.argpartition(loss[enough], k - 1)[:k]]
        if a[chosen].sum() >= _ROOM * wanted:
            break
    else:
        chosen = np.argpartition(-a, k - 1)[:k]
    if len(enough) < k:
        chosen = np.argpartition(-a, k - 1)[:k]
    picked = np.zeros_like(listed)
    picked[chosen] = True
    return picked
