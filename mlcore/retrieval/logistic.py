"""The logistic function, regression with it, and constants read from a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np


def logistic(values: np.ndarray | float) -> np.ndarray:
    """``1 / (1 + exp(-values))``, without overflow."""
    return 1.0 / (1.0 + np.exp(-np.clip(np.asarray(values, np.float64), -60.0, 60.0)))


def numbers_of(cls: type, config: Mapping[str, Any]) -> dict[str, Any]:
    """What ``config`` says of the dataclass ``cls``'s plain numbers."""
    names = {f.name for f in fields(cls)}
    return {
        key: float(value) for key, value in config.items() if key in names and isinstance(value, (int, float))
    }


def regression(features: np.ndarray, right: np.ndarray, *, steps: int = 50) -> np.ndarray:
    """Weights (k + 1,), the constant last, of a logistic regression of ``right`` (n,) bool on ``features`` (n, k).

    Newton's method with a little shrinkage. Raises ``ValueError`` where all are right or none is.
    """
    x = np.column_stack([np.asarray(features, np.float64), np.ones(len(features))])
    y = np.asarray(right, np.float64)
    if len(set(y.tolist())) < 2:
        raise ValueError("a calibration needs queries with right and with wrong best answers")
    weights = np.zeros(x.shape[1])
    for _ in range(steps):
        p = logistic(x @ weights)
        gradient = x.T @ (p - y) + 1e-3 * weights
        curvature = (x * (p * (1 - p))[:, None]).T @ x + 1e-3 * np.eye(len(weights))
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if np.abs(step).max() < 1e-9:
            break
    return weights
