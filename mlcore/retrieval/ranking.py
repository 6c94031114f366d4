"""Ranks and what is reported of them. Ties count against us."""

from __future__ import annotations

import numpy as np


def ranks(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Rank of ``truth[i]`` in row ``i``: the number of candidates that score at least as high, (n,) int64."""
    own = scores[np.arange(len(scores)), truth]
    return (scores >= own[:, None]).sum(1)


def summary(found: np.ndarray, pool: int) -> dict[str, float]:
    """Hits@k, mean reciprocal rank, mean and median rank of the ranks ``found`` in a pool of that many candidates."""
    hits = {f"hits@{k}": float((found <= k).mean()) for k in (1, 5, 10, 20)}
    return {
        **hits,
        "mrr": float((1.0 / found).mean()),
        "mean_rank": float(found.mean()),
        "median_rank": float(np.median(found)),
        "queries": len(found),
        "pool": pool,
    }
