"""Several processes that train one model: started by ``torchrun``, joined by ``torch.distributed``, kept equal by DDP.

In a plain process every function answers for the one process there is and costs nothing, so that training is written
once. Control values travel between the CPUs (gloo), gradients between the GPUs where there are any (nccl).

The processes compute losses ``L_1 .. L_W`` and descend along the gradient of their *mean*: :func:`replicated` and
:func:`average_sparse` average gradients, and :func:`gather_with_gradient` hands back the sum over the processes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mlcore.runtime.errors import InputError

#: seconds without an answer after which another process counts as lost
TIMEOUT = 1800.0
#: what the engines say when a peer is gone or silent
_LOST = (
    "connection closed",
    "connection reset",
    "connection refused",
    "broken pipe",
    "timed out",
    "timeout",
    "nccl",
)

T = TypeVar("T")


class PeerError(RuntimeError):
    """Another process of the same training died, or did not answer in time."""


def active() -> bool:
    """Whether this process is one of several that train together."""
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if active() else 0


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if active() else 1


def main() -> bool:
    """Whether this process is the one that writes files, logs and progress."""
    return rank() == 0


@contextmanager
def joined(device: str = "cpu", timeout: float = TIMEOUT) -> Iterator[str]:
    """Join the processes that ``torchrun`` started, until the end of the block; yields this process's own device.

    Reads the variables that ``torchrun`` sets (``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK``, ``LOCAL_WORLD_SIZE``,
    ``MASTER_ADDR``, ``MASTER_PORT``). Where they name no further process nothing happens.

    Args:
        device: ``"cpu"``, or ``"cuda"`` to take the GPU with this process's local number.
        timeout: seconds that a process waits for the others. Longer than anything that the first one does alone.

    Raises:
        InputError: more processes on this machine than it has GPUs, or a timeout that is not positive.
        PeerError: within the block, another process died or did not answer in time.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield device
        return
    if timeout <= 0:
        raise InputError(
            f"A timeout of {timeout:g} s is too short.", field="--timeout", remedy="Give seconds."
        )
    on_gpu, lost = torch.device(device).type == "cuda", False
    if on_gpu:
        device = _own_gpu()
    try:
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=timedelta(seconds=timeout)
        )
        yield device
    except RuntimeError as fault:
        lost = _lost(fault)
        if lost:
            raise PeerError(
                f"Process {rank()} of {world()} lost another one: it died, or gave no answer for {timeout:g} s. "
                "Look for the first error among the messages of the others, then go on with --resume from the last "
                f"checkpoint. ({str(fault).splitlines()[0]})"
            ) from fault
        raise
    finally:
        if active() and not (
            lost and on_gpu
        ):  # nccl would wait for those who are gone; the process ends anyway
            dist.destroy_process_group()


def _own_gpu() -> str:
    local, here = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    found = torch.cuda.device_count()
    if here > found:
        raise InputError(
            f"{here} processes were started on a machine with {found} GPUs.",
            field="--nproc-per-node",
            remedy="Start one process a GPU, or train with --device cpu.",
        )
    torch.cuda.set_device(local)
    return f"cuda:{local}"


def _lost(fault: RuntimeError) -> bool:
    return isinstance(fault, dist.DistError) or any(word in str(fault).lower() for word in _LOST)


def barrier() -> None:
    """Wait until every process is here."""
    if active():
        broadcast(None)


def broadcast(value: T) -> T:
    """The first process's ``value`` (anything that can be pickled), on every process."""
    if not active():
        return value
    held: list[Any] = [value]
    dist.broadcast_object_list(held, device=torch.device("cpu"))
    return held[0]


def from_main(compute: Callable[[], T]) -> T:
    """What ``compute`` returns on the first process, on every process; the others do not call it."""
    return broadcast(compute() if main() else None)  # type: ignore[return-value]


def gathered(value: T) -> list[T]:
    """The ``value`` of every process, in the order of their numbers."""
    if not active():
        return [value]
    found: list[Any] = [None] * world()
    dist.all_gather_object(found, value)
    return found


def agree(value: Any, message: str, remedy: str) -> None:
    """Make sure that ``value`` is the same on every process.

    Raises:
        InputError: it is not; raised on all of them, with ``message`` and ``remedy``.
    """
    found = gathered(value)
    differing = [number for number, other in enumerate(found) if other != found[0]]
    if differing:
        raise InputError(message, place=f"process {', '.join(map(str, differing))}", remedy=remedy)


def means(values: Mapping[str, Tensor]) -> dict[str, float]:
    """The mean over the processes of each of the scalars ``values``; all processes bring the same names."""
    if not active():
        return {name: value.item() for name, value in values.items()}
    total = torch.stack([value.detach().double().cpu() for value in values.values()])
    dist.all_reduce(total)
    return dict(zip(values, (total / world()).tolist(), strict=True))


def shares(total: int, unit: int = 1) -> list[slice]:
    """Cut ``range(total)`` into one consecutive part a process, at multiples of ``unit``, as evenly as that allows.

    What is left over after the last whole unit goes to the last process; a part is empty where there are fewer units
    than processes.
    """
    units, count = total // unit, world()
    cuts = [unit * (units * number // count) for number in range(count)] + [total]
    return [slice(first, last) for first, last in pairwise(cuts)]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, own: Tensor, counts: Sequence[int]) -> Tensor:
        context.counts = counts
        longest = max(counts)
        padded = own.new_zeros(longest, *own.shape[1:])
        padded[: len(own)] = own
        found = own.new_empty(world() * longest, *own.shape[1:])
        dist.all_gather_into_tensor(found, padded)
        return torch.cat([part[:count] for part, count in zip(found.split(longest), counts, strict=True)])

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        first = sum(context.counts[: rank()])
        return total[first : first + context.counts[rank()]], None


def gather_with_gradient(own: Tensor, counts: Sequence[int]) -> Tensor:
    """The rows of every process one after the other: (sum of counts, ...) from this one's (counts[rank], ...).

    Backward, each process receives the sum over all processes of the gradients of its rows: an all-reduce of which it
    keeps its part. (A reduce-scatter would move half as much, but wants parts of equal size.)
    """
    if len(own) != counts[rank()]:
        raise ValueError(f"{len(own)} rows where {counts[rank()]} were announced")
    return _Gather.apply(own, counts) if active() else own


class _Held(nn.Module):
    """Lets DDP see exactly the parameters it is to keep equal, whatever function uses them."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        super().__init__()
        self.held = nn.ParameterList(parameters)

    def forward(self, compute: Callable[[], Any]) -> Any:
        return compute()


def replicated(parameters: Iterable[nn.Parameter]) -> Callable[[Callable[[], T]], T]:
    """A function that runs a forward pass such that ``backward`` averages the gradients of ``parameters``.

    The processes start from the first one's values (DistributedDataParallel). A parameter that the pass of no process
    used keeps no gradient, as in one process. Every process must use the same parameters in a pass: the collectives of
    :func:`gather_with_gradient` and those of DDP would otherwise meet in different orders.
    """
    if not active():
        return lambda compute: compute()
    return DistributedDataParallel(_Held(parameters), broadcast_buffers=False, find_unused_parameters=True)


def average_sparse(parameter: Tensor) -> None:
    """Average the sparse gradient (COO over rows) of ``parameter`` over the processes, in place.

    Only rows that some process touched travel, as one dense block; nccl cannot reduce sparse tensors itself. Rows that
    another process touched become part of the gradient here, as they would be in one process.
    """
    if not active() or parameter.grad is None:
        return
    own = parameter.grad.coalesce()
    rows = own.indices()[0]
    touched = torch.zeros(len(parameter), dtype=torch.int32, device=parameter.device)
    touched[rows] = 1
    dist.all_reduce(touched, op=dist.ReduceOp.MAX)
    place = touched.cumsum(0) - 1
    union = touched.nonzero()
    values = own.values().new_zeros(len(union), *parameter.shape[1:])
    values[place[rows]] = own.values()
    dist.all_reduce(values)
    parameter.grad = torch.sparse_coo_tensor(
        union.T, values / world(), parameter.shape, is_coalesced=True, check_invariants=False
    )
