"""Mixed precision: a bfloat16 shadow does the work, float32 weights do the learning."""

from __future__ import annotations

import copy

import torch
from torch import nn


def half_is_fast(device: str) -> bool:
    """Whether the hardware multiplies bfloat16 itself."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported()
    return bool(torch.cpu._is_avx512_bf16_supported())


class Shadow:
    """A bfloat16 copy of ``model`` that computes loss and gradient; ``model`` itself where that would be no faster."""

    def __init__(self, model: nn.Module, device: str) -> None:
        self.model = model
        self.worker = copy.deepcopy(model).bfloat16() if half_is_fast(device) else model
        self.worker.train()

    def refreshed(self) -> nn.Module:
        """The worker with the weights that the model has now."""
        if self.worker is not self.model:
            with torch.no_grad():
                for own, given in zip(self.worker.parameters(), self.model.parameters(), strict=True):
                    own.copy_(given)
        return self.worker

    def hand_back(self) -> None:
        """Move the worker's gradients to the model."""
        if self.worker is self.model:
            return
        for own, given in zip(self.worker.parameters(), self.model.parameters(), strict=True):
            given.grad = None if own.grad is None else own.grad.float()
            own.grad = None
