"""Which device work runs on."""

from __future__ import annotations

import multiprocessing

import torch


def choose(wanted: str = "auto") -> str:
    """``wanted``, or with ``auto`` *cuda* where there is one and this process may use it, else *cpu*.

    A process that was forked from another must not touch CUDA: its pool has to be threads or solo for a GPU.
    """
    if wanted != "auto":
        return wanted
    forked = multiprocessing.current_process().name != "MainProcess"
    return "cuda" if not forked and torch.cuda.is_available() else "cpu"
