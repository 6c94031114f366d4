"""The cache alone: what is written where, cropped by position, shared, and chosen."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mlcore.decoding.networks.cache import Cache, Memory, Tree
from mlcore.decoding.networks.limits import CACHE_BYTES, check_memory
from mlcore.runtime.errors import LimitError

MEMORY = Memory(layers=2, heads=1, dim=1)


def empty(rows: int, capacity: int = 10) -> Cache:
    return Cache(MEMORY, rows, capacity, torch.float64, "cpu")


def write(cache: Cache, tokens: list[list[int]], tree: Tree | None = None) -> Tensor:
    """Write one number per token; returns the mask of the call (T, extent), with causality spelled out."""
    step = cache.step(len(tokens[0]), tree)
    numbers = torch.tensor(tokens, dtype=torch.float64)[:, None, :, None]
    for layer in range(MEMORY.layers):
        keys, values = cache.write(layer, numbers + 100 * layer, -numbers, step)
        assert keys.shape[2] == values.shape[2] == step.extent
    if step.mask is not None:
        return step.mask
    width = len(tokens[0])
    full = torch.ones(width, step.extent, dtype=torch.bool)
    return full.tril(step.extent - width) if step.causal else full


def held(cache: Cache, row: int) -> list[int]:
    return cache.held[0, 0, row, 0, : cache.lengths[row], 0].int().tolist()


def test_rows_of_one_length_are_written_side_by_side() -> None:
    cache = empty(2)
    assert torch.equal(write(cache, [[1, 2, 3], [4, 5, 6]]), torch.ones(3, 3, dtype=torch.bool).tril())
    cache.advance(3)
    mask = write(cache, [[7, 8], [9, 10]])
    assert mask.reshape(2, 5).tolist() == [[True] * 4 + [False], [True] * 5]
    cache.advance(2)
    assert [held(cache, row) for row in range(2)] == [[1, 2, 3, 7, 8], [4, 5, 6, 9, 10]]
    assert cache.held[0, 1, 0, 0, :5, 0].tolist() == [101, 102, 103, 107, 108]
    assert cache.held[1, 0, 1, 0, :5, 0].tolist() == [-4, -5, -6, -9, -10]


def test_cropping_is_by_position_and_what_was_cropped_is_overwritten() -> None:
    cache = empty(2)
    write(cache, [[1, 2, 3, 4], [5, 6, 7, 8]])
    cache.advance(4)
    cache.crop(3)
    cache.crop(1, row=1)
    mask = write(cache, [[20, 21], [22, 23]]).expand(2, 1, 2, 5)[:, 0]
    cache.advance(2)
    assert [held(cache, row) for row in range(2)] == [[1, 2, 3, 20, 21], [5, 22, 23]]
    # the row that was cropped more sees its own tokens only, not what lies beyond
    assert mask[0].tolist() == [[True] * 4 + [False], [True] * 5]
    assert mask[1].tolist() == [[True, True, False, False, False], [True] * 3 + [False] * 2]


def test_cropping_to_more_than_there_is_is_refused() -> None:
    cache = empty(1)
    write(cache, [[1]])
    cache.advance(1)
    with pytest.raises(ValueError, match="holds 1 tokens, not 2"):
        cache.crop(2)


def test_rows_take_over_the_winner() -> None:
    cache = empty(4)
    write(cache, [[1, 2, 3], [1, 4, 5], [1, 6, 7], [8, 9, 9]])
    cache.advance(3)
    cache.share(1, 1, slice(0, 3), 2)
    assert [held(cache, row) for row in range(4)] == [[1, 4], [1, 4], [1, 4], [8, 9, 9]]


@pytest.mark.parametrize("path", [[0], [0, 1], [0, 2], [0, 2, 4], [0, 1, 3]])
def test_of_a_tree_only_the_path_stays(path: list[int]) -> None:
    cache = empty(1)
    write(cache, [[50, 51]])
    cache.advance(2)
    tree = Tree.build([-1, 0, 0, 1, 2])
    mask = write(cache, [[10, 11, 12, 13, 14]], tree)
    assert mask[4].tolist() == [True, True, True, False, True, False, True]
    assert tree.depth.tolist() == [0, 1, 1, 2, 2]
    cache.keep(path, 2)
    assert held(cache, 0) == [50, 51, *(10 + node for node in path)]


def test_a_tree_needs_rows_of_one_length() -> None:
    cache = empty(2)
    cache.lengths = [1, 2]
    with pytest.raises(ValueError, match="equal length"):
        cache.step(2, Tree.build([-1, 0]))


def test_chosen_rows_are_copies() -> None:
    cache = empty(3)
    write(cache, [[1, 2], [3, 4], [5, 6]])
    cache.advance(2)
    cache.crop(1, row=1)
    new = cache.chosen([2, 1, 1], capacity=20)
    assert (new.capacity, new.lengths) == (20, [2, 1, 1])
    assert [held(new, row) for row in range(3)] == [[5, 6], [3], [3]]
    new.crop(1)
    write(new, [[9]] * 3)
    new.advance(1)
    assert [held(new, row) for row in range(3)] == [[5, 9], [3, 9], [3, 9]]
    assert held(cache, 2) == [5, 6]


def test_a_full_cache_says_so() -> None:
    cache = empty(1, capacity=3)
    with pytest.raises(LimitError, match="do not fit into 3"):
        cache.step(4)
    cache.lengths = [2]
    assert cache.step(1).extent == 3
    with pytest.raises(LimitError, match="2 tokens and 2 more"):
        cache.step(2)


def test_memory_is_counted_and_refused_beyond_the_limit() -> None:
    memory = Memory(layers=4, heads=8, dim=64)
    assert memory.bytes(3, 100, torch.float32) == Cache(memory, 3, 100, torch.float32, "cpu").held.nbytes
    rows = CACHE_BYTES // memory.bytes(1, 1000, torch.float32)
    check_memory(memory, rows, 1000, torch.float32, "cpu")
    with pytest.raises(LimitError, match="fewer or shorter drafts"):
        check_memory(memory, rows + 1, 1000, torch.float32, "cpu")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_sequence_of_writes_and_crops_holds_what_lists_would(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 3))
    cache, lists, number = empty(rows, 12), [list[int]() for _ in range(rows)], 0
    for _ in range(data.draw(st.integers(1, 8))):
        width = data.draw(st.integers(1, 3))
        if max(cache.lengths) + width > cache.capacity:
            break
        tokens = [[number + width * row + at for at in range(width)] for row in range(rows)]
        number += width * rows
        write(cache, tokens)
        cache.advance(width)
        for row, new in enumerate(tokens):
            lists[row] += new
            left = data.draw(st.integers(0, len(lists[row])))
            cache.crop(left, row)
            del lists[row][left:]
        if data.draw(st.booleans()):
            chosen = data.draw(st.lists(st.integers(0, rows - 1), min_size=rows, max_size=rows))
            cache, lists = cache.chosen(chosen), [list(lists[row]) for row in chosen]
        assert [held(cache, row) for row in range(rows)] == lists
