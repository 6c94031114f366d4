"""Parts of a batch at the same time: the same answers in the same order, and the threads as they were."""

from __future__ import annotations

import threading
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from mlcore.transport.ksparse.spread import spread
from mlcore.transport.sparse import sparse_transport


class Pair(NamedTuple):
    """Two results."""

    total: Tensor
    first: Tensor


def threads_here_and_in_a_new_thread() -> list[int]:
    """How many threads torch takes: each thread has its own number, and a new one begins with that of the process."""
    found = [torch.get_num_threads()]
    other = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    other.start()
    other.join()
    return found


@pytest.fixture
def two_threads():
    """Two threads for torch, whatever the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_parts_are_put_together_in_order(two_threads):
    seen = []

    def solve(x: Tensor, y: Tensor) -> Pair:
        seen.append((threading.get_ident(), torch.get_num_threads(), torch.is_grad_enabled()))
        return Pair((x + y).sum(1), x[:, 0])

    x, y = torch.rand(5, 3), torch.rand(5, 3)
    found = spread(solve, x, y)
    assert torch.equal(found.total, (x + y).sum(1))
    assert torch.equal(found.first, x[:, 0])
    assert len(seen) == 2
    assert all(entry[1:] == (1, False) for entry in seen)
    assert threads_here_and_in_a_new_thread() == [2, 2]


def test_one_problem_stays_where_it_is(two_threads):
    seen = []
    spread(lambda x: seen.append(threading.get_ident()) or Pair(x.sum(1), x[:, 0]), torch.rand(1, 3))
    assert seen == [threading.get_ident()]


def test_a_fault_comes_out_and_the_threads_are_as_they_were(two_threads):
    def fail(x: Tensor) -> Pair:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        spread(fail, torch.rand(4, 3))
    assert threads_here_and_in_a_new_thread() == [2, 2]


def test_plans_do_not_depend_on_how_the_batch_was_cut(two_threads):
    draw = torch.Generator().manual_seed(0)
    cost = torch.rand(5, 12, 9, generator=draw, dtype=torch.float64)
    a, b = torch.full((5, 12), 1 / 12, dtype=torch.float64), torch.full((5, 9), 1 / 9, dtype=torch.float64)
    together = sparse_transport(cost, a, b, 2.0, 3)
    alone = [sparse_transport(cost[i], a[i], b[i], 2.0, 3) for i in range(5)]
    assert torch.allclose(together.dual, torch.stack([each.dual for each in alone]), atol=1e-9)
    assert torch.equal(together.feasible, torch.stack([each.feasible for each in alone]))
