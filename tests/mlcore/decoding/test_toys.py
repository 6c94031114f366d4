"""The toys themselves: the table through the real cache equals the table, and enumeration is exact."""

from __future__ import annotations

import math

import pytest
import torch

from mlcore.decoding.networks.cache import Tree
from mlcore.decoding.networks.causal import prefill
from mlcore.decoding.randomness import Source
from tests.mlcore.decoding.toys import TableModel, distance, enumerate_law, random_table, sequence_law

TABLE = random_table(5, 3)


def model() -> TableModel:
    return TableModel(TABLE, 3)


def test_ragged_rows_read_their_own_contexts() -> None:
    toy = model()
    cache = toy.cache(3, 12)
    prefill(toy, cache, [[0, 1, 2, 1], [2], [1, 1]])
    assert cache.lengths == [3, 0, 1]
    logits = toy.forward(torch.tensor([[1, 0], [2, 2], [1, 0]]), cache)
    for row, prompt in enumerate([(0, 1, 2, 1), (2,), (1, 1)]):
        assert torch.equal(logits[row, 0], TABLE(prompt).log())
        assert torch.equal(logits[row, 1], TABLE((*prompt, [0, 2, 0][row])).log())


def test_a_tree_reads_each_branch_alone_and_keeps_one() -> None:
    toy = model()
    cache = toy.cache(2, 12)
    prefill(toy, cache, [[0, 1], [2, 1]])
    tree = Tree.build([-1, 0, 0, 1, 2])
    logits = toy.forward(torch.tensor([[1, 0, 2, 1, 0]] * 2), cache, tree)
    contexts = [(1,), (1, 0), (1, 2), (1, 0, 1), (1, 2, 0)]
    for row, first in enumerate((0, 2)):
        for node, rest in enumerate(contexts):
            assert torch.equal(logits[row, node], TABLE((first, *rest)).log())
    cache.keep([0, 2, 4], 1)
    assert torch.equal(toy.forward(torch.tensor([[2], [2]]), cache)[1, 0], TABLE((2, 1, 2, 0, 2)).log())


def test_chosen_rows_continue_apart_from_their_origin() -> None:
    toy = model()
    cache = toy.cache(1, 8)
    prefill(toy, cache, [[0, 1, 2]])
    copies = cache.chosen([0, 0])
    toy.forward(torch.tensor([[2], [1]]), copies)
    copies.advance(1)
    cache.crop(1)
    assert torch.equal(toy.forward(torch.tensor([[0], [0]]), copies)[1, 0], TABLE((0, 1, 1, 0)).log())
    assert torch.equal(toy.forward(torch.tensor([[0]]), cache)[0, 0], TABLE((0, 0)).log())


def test_sampling_token_by_token_enumerates_to_the_table() -> None:
    def run(source: Source) -> tuple[int, ...]:
        toy = model()
        cache, answer = toy.cache(1, 8), [1]
        while len(answer) < 4 and answer[-1] != 0:
            laws = toy.forward(torch.tensor([answer[-1:]]), cache)[:, 0].softmax(-1)
            cache.advance(1)
            answer += source.sample(laws)
        return tuple(answer[1:])

    law = enumerate_law(run)
    assert math.fsum(law.values()) == pytest.approx(1, abs=1e-14)
    assert distance(law, sequence_law(TABLE, (1,), 3, {0})) < 1e-15


def test_enumeration_weighs_acceptances_and_refuses_what_is_no_law() -> None:
    law = enumerate_law(lambda source: (source.accept(0.25), source.accept(1.5), source.accept(-1)))
    assert law == {(True, True, False): 0.25, (False, True, False): 0.75}
    with pytest.raises(AssertionError):
        enumerate_law(lambda source: source.sample(torch.tensor([[0.5, -0.1]]))[0])
