"""Two processes against one: gathered rows and their gradient, averaged gradients, peers that die or fall silent."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mlcore.runtime import distributed
from mlcore.runtime.errors import InputError
from tests.mlcore.ranks import launch

COUNTS = (2, 3)
BUCKETS = 20


class Toy(nn.Module):
    """Two encoders that meet in a contrastive loss; one has a sparse table, and a layer that nobody uses."""

    def __init__(self) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(BUCKETS, 4, mode="sum", sparse=True)
        self.text, self.molecule, self.idle = nn.Linear(4, 3), nn.Linear(5, 3), nn.Linear(2, 2)
        self.scale = nn.Parameter(torch.tensor(1.5))


def toy() -> tuple[Toy, list[torch.optim.Optimizer], Tensor, Tensor]:
    """A model, its optimisers, and five pairs: words (5, 3) and molecules (5, 5)."""
    torch.manual_seed(0)
    model = Toy().double()
    dense = [parameter for name, parameter in model.named_parameters() if name != "bag.weight"]
    optimizers = [
        torch.optim.AdamW(dense, lr=0.05, eps=1e-3),
        torch.optim.SparseAdam([model.bag.weight], lr=0.05),
    ]
    return model, optimizers, torch.randint(0, BUCKETS // 2, (5, 3)), torch.randn(5, 5).double()


def train_toy(steps: int = 4) -> dict[str, Tensor]:
    """Train on all five pairs by however many processes there are; the parameters afterwards."""
    model, optimizers, words, molecules = toy()
    own = slice(0, 5)
    counts = [5]
    if distributed.active():
        counts = list(COUNTS)
        first = sum(counts[: distributed.rank()])
        own = slice(first, first + counts[distributed.rank()])
        with torch.no_grad():  # DDP starts all from the first one's values
            model.text.weight.add_(distributed.rank())
    dense = [parameter for name, parameter in model.named_parameters() if name != "bag.weight"]
    forward = distributed.replicated(dense)

    def compute() -> Tensor:
        texts = distributed.gather_with_gradient(model.text(model.bag(words[own])), counts)
        drawn = distributed.gather_with_gradient(model.molecule(molecules[own]), counts)
        return nn.functional.cross_entropy(model.scale * texts @ drawn.T, torch.arange(5))

    for _ in range(steps):
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        forward(compute).backward()
        distributed.average_sparse(model.bag.weight)
        assert model.idle.weight.grad is None
        for optimizer in optimizers:
            optimizer.step()
    return {name: value.detach() for name, value in model.named_parameters()}


def weighted(rank: int, rows: Tensor) -> Tensor:
    """A loss of its own for each process, so that the sum of their gradients tells who contributed."""
    return ((rank + 1) * rows.pow(3) * torch.arange(1, 6).unsqueeze(1)).sum()


def everything(folder: Path) -> None:
    """What a process of two sees."""
    seen: dict[str, Any] = {}
    with distributed.joined("cpu", timeout=60) as device:
        rank = distributed.rank()
        seen |= {"rank": rank, "world": distributed.world(), "main": distributed.main(), "device": device}
        seen["broadcast"] = distributed.broadcast({"from": rank})
        seen["from_main"] = distributed.from_main(lambda: [rank, os.getpid()])
        seen["gathered"] = distributed.gathered(rank * "x")
        seen["means"] = distributed.means({"a": torch.tensor(1.0 + rank), "b": torch.tensor(-4.0)})
        seen["shares"] = [distributed.shares(*of) for of in ((33, 16), (10, 4), (3, 16), (5,))]
        try:
            distributed.agree(rank // 1, "They differ.", "Make them the same.")
        except InputError as fault:
            seen["agree"] = str(fault)
        distributed.agree("same", "They differ.", "Make them the same.")
        rows = (
            torch.arange(10.0, dtype=torch.double).view(5, 2)[:2]
            if not rank
            else torch.arange(4.0, 10.0).view(3, 2).double()
        )
        rows.requires_grad_()
        together = distributed.gather_with_gradient(rows, COUNTS)
        weighted(rank, together).backward()
        seen |= {"together": together.detach(), "gradient": rows.grad}
        table = nn.Parameter(torch.zeros(6, 2))
        touched = torch.tensor([[1, 4, 1]] if not rank else [[4, 5]])
        table.grad = torch.sparse_coo_tensor(touched, torch.ones(touched.shape[1], 2) * (rank + 1), (6, 2))
        distributed.average_sparse(table)
        seen |= {"sparse": table.grad.to_dense(), "rows": table.grad.indices()[0].tolist()}
        seen["trained"] = train_toy()
        distributed.barrier()
    seen["left"] = distributed.active()
    torch.save(seen, folder / f"{rank}.pt")


def dies(folder: Path) -> None:
    """The second process dies in the middle of a step."""
    alone(lambda: os._exit(9))


def falls_silent(folder: Path) -> None:
    """The second process stands still."""
    alone(lambda: (time.sleep(8), os._exit(1)))


def alone(instead: Any) -> None:
    try:
        with distributed.joined("cpu", timeout=2):
            distributed.barrier()
            if not distributed.main():
                instead()
            weight = nn.Parameter(torch.ones(3))
            distributed.replicated([weight])(weight.sum).backward()
    except distributed.PeerError as fault:
        sys.stdout.write(f"PeerError: {fault}\n")
        sys.stdout.flush()
        os._exit(3)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("two")
    ended = launch(everything, folder)
    assert [each.status for each in ended] == [0, 0], "\n".join(each.output for each in ended)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]


def test_each_knows_its_place(two: list[dict[str, Any]]) -> None:
    for rank, seen in enumerate(two):
        assert (seen["rank"], seen["world"], seen["main"], seen["device"]) == (rank, 2, not rank, "cpu")
        assert seen["broadcast"] == {"from": 0}
        assert seen["from_main"] == two[0]["from_main"]
        assert seen["gathered"] == ["", "x"]
        assert seen["means"] == {"a": 1.5, "b": -4.0}
        assert "They differ. (process 1) Make them the same." in seen["agree"]
        assert seen["left"] is False


def test_parts_are_whole_units_and_all_of_it(two: list[dict[str, Any]]) -> None:
    found = [[(part.start, part.stop) for part in parts] for parts in two[0]["shares"]]
    assert found == [[(0, 16), (16, 33)], [(0, 4), (4, 10)], [(0, 0), (0, 3)], [(0, 2), (2, 5)]]


def test_gathered_rows_return_the_sum_of_their_gradients(two: list[dict[str, Any]]) -> None:
    rows = torch.arange(10.0, dtype=torch.double).view(5, 2).requires_grad_()
    (weighted(0, rows) + weighted(1, rows)).backward()
    assert all(torch.equal(seen["together"], rows.detach()) for seen in two)
    assert torch.equal(torch.cat([seen["gradient"] for seen in two]), rows.grad)  # type: ignore[arg-type]


def test_sparse_gradients_are_averaged_over_the_rows_of_all(two: list[dict[str, Any]]) -> None:
    expected = torch.zeros(6, 2)
    expected[1], expected[4], expected[5] = 1.0, 1.5, 1.0  # (1+1)/2, (1+2)/2, 2/2
    for seen in two:
        assert torch.equal(seen["sparse"], expected)
        assert seen["rows"] == [1, 4, 5]


def test_two_train_as_one(two: list[dict[str, Any]]) -> None:
    one = train_toy()
    for name, value in one.items():
        assert torch.equal(two[0]["trained"][name], two[1]["trained"][name]), name
        assert torch.allclose(two[0]["trained"][name], value, rtol=1e-12, atol=1e-13), name
    start = dict(toy()[0].named_parameters())
    assert torch.equal(one["idle.weight"], start["idle.weight"])  # no gradient, hence no decay either
    assert not torch.equal(one["scale"], start["scale"])


@pytest.mark.parametrize("how", [dies, falls_silent])
def test_a_lost_process_ends_the_others_with_a_clear_error(how: Any, tmp_path: Path) -> None:
    first, second = launch(how, tmp_path)
    assert first.status == 3, first.output
    assert "PeerError: Process 0 of 2 lost another one" in first.output
    assert "--resume" in first.output
    assert second.status != 0


def test_a_plain_process_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for given in (None, "1"):
        monkeypatch.delenv("WORLD_SIZE", raising=False)
        if given:
            monkeypatch.setenv("WORLD_SIZE", given)
        with distributed.joined("cuda") as device:
            assert device == "cuda"
            assert not distributed.active()
    assert (distributed.rank(), distributed.world(), distributed.main()) == (0, 1, True)
    rows = torch.randn(3, 2)
    assert distributed.gather_with_gradient(rows, [3]) is rows
    assert distributed.from_main(lambda: 7) == 7
    assert distributed.gathered(1) == [1]
    assert distributed.shares(10, 4) == [slice(0, 10)]
    distributed.agree(1, "", "")
    with pytest.raises(ValueError, match="3 rows where 2"):
        distributed.gather_with_gradient(rows, [2])


def test_what_cannot_be_joined_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "3", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="timeout of 0 s"), distributed.joined("cpu", timeout=0):
        pass
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with (
        pytest.raises(InputError, match="3 processes were started on a machine with 2 GPUs"),
        distributed.joined("cuda"),
    ):
        pass
