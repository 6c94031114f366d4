"""A batch of problems over the threads of the processor, each thread with a part of the batch and one core.

Newton's method on candidate lists is made of many operations on small tensors. Torch's own threads gain nothing on
those; whole problems side by side do.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

#: a tuple of tensors whose first dimension is the batch
Parts = TypeVar("Parts", bound=tuple[Tensor, ...])


def spread(solve: Callable[..., Parts], *given: Tensor) -> Parts:
    """``solve(*given)``, for parts of the batch (the first dimension of all tensors) at the same time.

    On a GPU, with one thread, or with one problem, it is called once, as it is.
    """
    threads = torch.get_num_threads()
    parts = min(threads, given[0].shape[0])
    if given[0].device.type != "cpu" or parts < 2:
        return solve(*given)
    cut = zip(*(tensor.tensor_split(parts) for tensor in given), strict=True)
    try:
        with ThreadPoolExecutor(parts, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            found = list(pool.map(lambda part: _quiet(solve, part), cut))
    finally:
        torch.set_num_threads(threads)  # the number is that of the process as well as of each thread
    return type(found[0])(*(torch.cat(each) for each in zip(*found, strict=True)))


def _quiet(solve: Callable[..., Parts], part: tuple[Tensor, ...]) -> Parts:
    with torch.no_grad():  # a thread does not inherit this
        return solve(*part)
