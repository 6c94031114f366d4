"""How much memory a decoding may take, and the refusal that says so."""

from __future__ import annotations

import torch

from mlcore.decoding.networks.cache import Memory
from mlcore.runtime.errors import LimitError

CACHE_BYTES = 2 << 30  # for the keys and values of one cache on the CPU
_CUDA_SHARE = 0.8  # of what is free there


def check_memory(
    memory: Memory, rows: int, capacity: int, dtype: torch.dtype, device: torch.device | str
) -> None:
    """Raise LimitError when a cache of ``rows`` x ``capacity`` tokens would not fit."""
    needed = memory.bytes(rows, capacity, dtype)
    allowed = CACHE_BYTES
    if torch.device(device).type == "cuda":
        allowed = int(_CUDA_SHARE * torch.cuda.mem_get_info(device)[0])
    if needed > allowed:
        raise LimitError(
            f"{rows} rows of {capacity} tokens need {needed / 2**20:,.0f} MiB, and {allowed / 2**20:,.0f} are allowed.",
            field="drafts",
            remedy="Ask for fewer or shorter drafts, candidates or rollouts.",
        )
