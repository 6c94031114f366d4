"""Sums of a function of the coordinate differences over all pairs, without a tensor of all differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Elementwise = Callable[[Tensor], Tensor]

TILE = {"cpu": 1 << 16, "cuda": 1 << 24}  # pairs at a time: what a core's cache holds; few kernels on a GPU


def sum_over_coordinates(x: Tensor, y: Tensor, function: Elementwise, slope: Elementwise) -> Tensor:
    """``sum_k function(x_ik - y_jk)``: (..., n, m) from ``x`` (..., n, d) and ``y`` (..., m, d).

    One coordinate and one tile of rows at a time, forwards and backwards, so memory is that of the result; ``slope`` is
    the derivative of ``function``. Differentiable once.
    """
    result: Tensor = _SumOverCoordinates.apply(x, y, function, slope)
    return result


class _SumOverCoordinates(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, function: Elementwise, slope: Elementwise) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.slope = slope
        tiles = []
        for rows in x.split(_tile(x, y), -2):
            total = function(_difference(rows, y, 0))
            for k in range(1, x.shape[-1]):
                total += function(_difference(rows, y, k))
            tiles.append(total)
        return torch.cat(tiles, -2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, y = ctx.saved_tensors
        size = _tile(x, y)
        of_rows, of_columns = [], torch.zeros_like(y)
        for rows, weight in zip(x.split(size, -2), upstream[0].split(size, -2), strict=True):
            sums = []
            for k in range(x.shape[-1]):
                slopes = weight * ctx.slope(_difference(rows, y, k))
                sums.append((slopes.sum(-1), slopes.sum(-2)))
            along_rows, along_columns = (torch.stack(each, -1) for each in zip(*sums, strict=True))
            of_rows.append(along_rows.sum_to_size(rows.shape))
            of_columns -= along_columns.sum_to_size(y.shape)
        return torch.cat(of_rows, -2), of_columns, None, None


def _difference(x: Tensor, y: Tensor, k: int) -> Tensor:
    return x[..., :, None, k] - y[..., None, :, k]


def _tile(x: Tensor, y: Tensor) -> int:
    per_row = max(1, y.shape[-2] * max(x.shape[:-2].numel(), y.shape[:-2].numel()))
    return max(1, TILE.get(x.device.type, TILE["cpu"]) // per_row)
