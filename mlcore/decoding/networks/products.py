"""Matrices laid out for the few rows that decoding multiplies at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_PACKED_FOR = 64  # rows that oneDNN packs for; good from two rows on


class Product:
    """``x -> x @ weight.T`` for a fixed ``weight`` (out, in).

    One row is bound by how fast the weight is read, and takes it transposed. On CPUs with oneDNN two rows or more take
    a packed copy, so that scoring a block of drafts costs hardly more than scoring a token; MKL's general product needs
    about twice as long there.
    """

    def __init__(self, weight: Tensor, scale: Tensor | None = None) -> None:
        scaled = (weight if scale is None else weight * scale).detach()
        self._transposed = scaled.t().contiguous()
        self._packed = packed(scaled.contiguous())

    def __call__(self, x: Tensor) -> Tensor:
        if self._packed is None or x.numel() == x.shape[-1]:
            return x @ self._transposed
        return self._packed(x)


def packed(weight: Tensor) -> Callable[[Tensor], Tensor] | None:
    """``x @ weight.T`` from a copy in oneDNN's own layout; None where there is no such thing for this weight."""
    if (
        weight.device.type != "cpu"
        or weight.dtype != torch.float32
        or not torch.backends.mkldnn.is_available()
    ):
        return None
    try:
        linear = torch.ops.mkldnn._linear_pointwise
        held = torch.ops.mkldnn._reorder_linear_weight(weight, _PACKED_FOR)
        linear(weight.new_zeros(2, weight.shape[1]), held, None, "none", [], "")
    except (AttributeError, RuntimeError):
        return None
    return lambda x: linear(x, held, None, "none", [], "")
