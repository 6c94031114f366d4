"""Many questions answered together get what each gets alone: texts, scores, rankings."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from mlcore.retrieval.allowed import Allowed
from mlcore.retrieval.candidates import order
from mlcore.retrieval.encoding import joined
from mlcore.retrieval.model import _HELD, _blocks
from mlcore.retrieval.prose import Question
from tests.mlcore.retrieval import small

TEXTS = (
    "an aromatic acid against pain",
    "alcohol",
    "a sweet smell of roses and of a long alkyl chain that ends in an ester, which plants make in their leaves",
    "a salt",
    "an aromatic acid against pain",
)
SMILES = ("CC(=O)Oc1ccccc1C(=O)O", "O", "CCO", "CCCCCCCCCCCCCCCCCCCCCC(=O)O", "c1ccccc1", "CC(C)CCO")


def test_a_texts_arrays_do_not_depend_on_its_neighbours(small_model) -> None:
    together = small_model.encode_texts(TEXTS)
    for row, text in enumerate(TEXTS):
        alone, found = small_model.encode_texts([text]), together.alone(row)
        for name in ("sentence", "tokens", "phrases", "wordings"):
            assert np.allclose(getattr(found, name), getattr(alone, name), atol=2e-6), name
        assert found.mask.shape == alone.mask.shape
        assert found.spans == alone.spans


def test_texts_taken_apart_and_joined_are_the_same(small_model) -> None:
    together = small_model.encode_texts(TEXTS)
    again = joined([together.alone(row) for row in range(len(TEXTS))])
    for name in ("sentence", "tokens", "phrases", "mask", "wordings"):
        real = together.mask if name in ("tokens", "phrases") else slice(None)
        assert np.array_equal(getattr(again, name)[real], getattr(together, name)[real]), name


@pytest.mark.parametrize("sizes", [(6, 6, 6, 6, 6), (1, 6, 3, 2, 5)])
def test_reranking_together_is_reranking_one_by_one(small_model, sizes) -> None:
    text = small_model.encode_texts(TEXTS)
    molecules = [
        small_model.encode_molecules([Chem.MolFromSmiles(s) for s in SMILES[:size]]) for size in sizes
    ]
    rows = (3, 0, 2, 1, 4)
    together = small_model.rerank_many(text, rows, molecules)
    for found, row, own in zip(together, rows, molecules, strict=True):
        for place in range(len(own)):
            pair = small_model.encode_molecules([Chem.MolFromSmiles(SMILES[place])])
            alone = small_model.rerank(text, row, pair)
            for name in ("total", "sentence", "phrase", "token"):
                assert getattr(found, name)[place] == pytest.approx(float(getattr(alone, name)[0]), abs=2e-4)


def test_every_pair_is_in_one_block_and_no_block_is_too_large() -> None:
    rng = np.random.default_rng(0)
    tokens, atoms = rng.choice([7, 9, 12, 80, 150], 900), rng.integers(1, 200, 900)
    blocks = list(_blocks(tokens, atoms))
    assert sorted(np.concatenate(blocks).tolist()) == list(range(900))
    for block in blocks:
        assert len(block) == 1 or tokens[block].max() * atoms[block].max() * len(block) <= 2 * _HELD
        assert tokens[block].max() <= 2 * max(tokens[block].min(), 8)


def test_questions_ranked_together_find_what_each_finds_alone() -> None:
    searcher = small.searcher()
    shelves = list(searcher.shelves.values())
    some = np.zeros(shelves[0].size, bool)
    some[::2] = True
    masks = [None, some, None, None, some]
    questions = [
        Question(text, shelves, [Allowed(mask)] * len(shelves))
        for text, mask in zip(TEXTS, masks, strict=True)
    ]
    together = searcher.rank_many(questions)
    for question, found in zip(questions, together, strict=True):
        (alone,) = searcher.rank_many([question])
        a, b = sorted(alone, key=order), sorted(found, key=order)
        assert [c.row for c in a] == [c.row for c in b]
        assert [c.score for c in a] == pytest.approx([c.score for c in b], abs=1e-6)
