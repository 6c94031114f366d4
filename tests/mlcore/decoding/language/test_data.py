"""From tables to sequences: which pairs are read, in which direction, in which batch, and what weighs what."""

from __future__ import annotations

import gzip
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlcore.decoding.language import data, prompts
from mlcore.decoding.language.molecule_keys import key_and_canonical
from mlcore.decoding.language.presets import LanguageTraining
from mlcore.decoding.language.tokenizer import EOS
from mlcore.retrieval.data import Row, read_table
from mlcore.runtime.errors import InputError
from tests.mlcore.decoding.molecule_texts import TINY, pairs, tokenizer, write

LEARNED = tokenizer()


def material(rows: list[tuple[str, str, str]], molecules: list[str] | None = None) -> data.Material:
    """(SMILES, canonical, text) as they would have been read."""
    return data.Material(
        [Row(str(number), smiles, text) for number, (smiles, _, text) in enumerate(rows)],
        [canonical for _, canonical, _ in rows],
        np.zeros(len(rows), dtype=bool),
        molecules or [],
    )


def spoken(corpus: data.Corpus, row: int) -> tuple[str, str]:
    """What a sequence asks and what it answers."""
    ids = corpus.tokens[corpus.starts[row] : corpus.starts[row + 1]].tolist()
    asked = int(corpus.prompt[row])
    assert ids[-1] == LEARNED.convert_tokens_to_ids(EOS)
    return LEARNED.decode(ids[:asked], skip_special_tokens=True), prompts.answer(LEARNED, ids[asked:])


def made(count: int = 40, molecules: int = 0) -> data.Corpus:
    """Sequences of made-up pairs."""
    rows = [(smiles, f"[13CH4].{smiles}", text) for smiles, text in pairs()[:count]]
    return data.tokenised(material(rows, ["CC" + "C" * n for n in range(molecules)]), LEARNED, 256)


def test_every_pair_is_read_in_both_directions():
    text = "The molecule is an acid."
    corpus = data.tokenised(material([("OC(C)=O", "CC(=O)O", text)], ["CCCC"]), LEARNED, 128)
    assert corpus.kind.tolist() == [data.MOLECULE, data.DESCRIPTION, data.CANONICAL, data.ALONE]
    assert [spoken(corpus, row) for row in range(4)] == [
        (text, "OC(C)=O"),
        ("OC(C)=O", text),
        ("CC(=O)O", text),
        ("", "CCCC"),
    ]


@pytest.mark.parametrize(
    ("text", "prose"),
    [
        ("benzaldehyde", False),
        ("2-(4-isobutylphenyl)propanoic acid", False),
        ("An acid.", False),
        ("The molecule is an acid.", True),
        ("The molecule is an acid. ", True),
        ("Is this molecule an acid?", True),
        ("The molecule is an acid", False),
        ("", False),
    ],
)
def test_a_name_is_asked_and_never_answered(text, prose):
    assert data.is_prose(text) == prose
    if text:
        corpus = data.tokenised(material([("CCO", "CCO", text)]), LEARNED, 128)
        assert (data.DESCRIPTION in corpus.kind) == prose
        assert data.MOLECULE in corpus.kind


def test_what_is_too_long_is_left_out_and_the_rest_stays():
    rows = [
        ("C" * 300, "C" * 300, "The molecule is a long alkane."),
        ("CCO", "CCO", "The molecule is an alcohol."),
    ]
    limit = len(prompts.pair(LEARNED, "molecule", rows[1][2], "CCO"))
    corpus = data.tokenised(material(rows), LEARNED, limit)
    assert corpus.lengths.tolist() == [limit] * 3
    with pytest.raises(InputError, match=f"fits into {limit - 1} tokens") as caught:
        data.tokenised(material(rows), LEARNED, limit - 1)
    assert caught.value.field == "context"


def test_smiles_as_given_and_as_rdkit_writes_them_take_turns():
    corpus = made()
    epochs = [data.epoch_rows(corpus, TINY, epoch) for epoch in range(4)]
    for rows in epochs:
        kinds = Counter(corpus.kind[rows].tolist())
        assert kinds[data.MOLECULE] == kinds[data.DESCRIPTION] + kinds[data.CANONICAL] == 40
        answered = Counter(spoken(corpus, row)[1] for row in rows if corpus.kind[row] != data.MOLECULE)
        assert set(answered.values()) == {1}, "each text once"
    assert set(epochs[0]) & set(epochs[1]) == set(np.flatnonzero(corpus.kind == data.MOLECULE))
    assert sorted(epochs[0]) == sorted(epochs[2])
    assert epochs[0].tolist() != epochs[2].tolist(), "in another order"


def test_molecules_alone_are_drawn_anew_and_no_more_than_asked_for():
    corpus = made(molecules=30)
    config = replace(TINY, molecules=10)
    drawn = [
        {int(row) for row in data.epoch_rows(corpus, config, epoch) if corpus.kind[row] == data.ALONE}
        for epoch in (0, 1)
    ]
    assert [len(rows) for rows in drawn] == [10, 10]
    assert drawn[0] != drawn[1]
    everything = data.epoch_rows(corpus, replace(TINY, molecules=99), 0)
    assert (corpus.kind[everything] == data.ALONE).sum() == 30
    assert (corpus.kind[data.epoch_rows(corpus, TINY, 0)] != data.ALONE).all()


def test_what_is_held_out_is_in_no_epoch():
    corpus = made()
    held = np.isin(np.arange(len(corpus.kind)), [0, 1, 2, 30, 31, 32])
    corpus = replace(corpus, tuning=held)
    for epoch in (0, 1):
        assert not held[data.epoch_rows(corpus, TINY, epoch)].any()


@given(
    st.lists(st.integers(2, 300), min_size=1, max_size=200),
    st.integers(64, 4000),
    st.integers(0, 5),
)
def test_a_plan_holds_every_row_once_and_no_batch_more_than_its_tokens(lengths, tokens, seed):
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    count = len(lengths)
    corpus = data.Corpus(
        np.zeros(starts[-1], np.int32), starts, np.ones(count, np.int32), np.zeros(count, np.int8),
        np.zeros(count, bool),
    )  # fmt: skip
    rows = np.random.default_rng(seed).permutation(count)
    batches = data.plan(corpus, rows, tokens, np.random.default_rng(seed))
    assert sorted(np.concatenate(batches).tolist()) == list(range(count))
    for one in batches:
        assert len(one) * corpus.lengths[one].max() <= tokens or len(one) == 1
    again = data.plan(corpus, rows, tokens, np.random.default_rng(seed))
    assert [one.tolist() for one in again] == [one.tolist() for one in batches]


def test_batches_hold_little_padding():
    corpus = made(150)
    batches = data.plan(corpus, data.epoch_rows(corpus, TINY, 0), 2048, np.random.default_rng(0))
    padded = sum(len(rows) * corpus.lengths[rows].max() for rows in batches)
    assert padded < 1.1 * sum(corpus.lengths[rows].sum() for rows in batches)


def test_padding_weighs_nothing_the_question_little_the_answer_one():
    corpus = made()
    pad = int(LEARNED.pad_token_id)
    rows = np.array([0, 1, 75])
    found = data.batch(corpus, rows, pad, 0.3)
    assert found.ids.shape[1] == corpus.lengths[rows].max() == found.weights.shape[1] + 1
    for place, row in enumerate(rows):
        length, asked = int(corpus.lengths[row]), int(corpus.prompt[row])
        assert (
            found.ids[place, :length].tolist()
            == corpus.tokens[corpus.starts[row] : corpus.starts[row + 1]].tolist()
        )
        assert (found.ids[place, length:] == pad).all()
        wanted = torch.tensor([0.3] * (asked - 1) + [1.0] * (length - asked))
        torch.testing.assert_close(found.weights[place, : length - 1], wanted)
        assert (found.weights[place, length - 1 :] == 0).all()


def test_tables_become_material(tmp_path):
    rows = [*pairs()[:20], ("OCC", "The molecule is an alcohol."), ("C1CC", "This ring is never closed.")]
    table = write(tmp_path / "t.tsv", [*rows, ("CCCCCC", ""), ("CCCCC", "  ")])
    found = data.read([table], LanguageTraining(tuning_share=0.0), processes=1)
    assert [row.smiles for row in found.pairs] == [smiles for smiles, _ in rows[:-1]]
    assert found.canonical[-1] == "CCO"
    assert found.molecules == ["CCCCCC", "CCCCC"]
    assert not found.tuning.any()


def test_held_out_molecules_share_no_skeleton_with_the_others(tmp_path):
    """Stereoisomers are one skeleton, and two tables may hold the same molecule."""
    mirrored = [
        (f"C[C@{turn}H](O)C{'C' * n}N", f"The {n} of a pair, {turn or 'left'}.")
        for n in range(60)
        for turn in ("", "@")
    ]
    tables = [write(tmp_path / "a.tsv", mirrored), write(tmp_path / "b.tsv", mirrored[:40])]
    found = data.read(tables, LanguageTraining(tuning_share=0.3), processes=1)
    keys = [key_and_canonical(row.smiles) for row in found.pairs]
    sides: dict[str, set[bool]] = {}
    for made_, held in zip(keys, found.tuning.tolist(), strict=True):
        assert made_ is not None
        sides.setdefault(made_[0][:14], set()).add(held)
    assert all(len(side) == 1 for side in sides.values())
    assert {held for side in sides.values() for held in side} == {True, False}


def test_a_limit_takes_some_pairs_in_their_order(tmp_path):
    table = write(tmp_path / "t.tsv")
    found = data.read([table], LanguageTraining(limit=25), processes=1)
    everything = read_table(table)
    assert len(found.pairs) == 25
    places = [everything.index(row) for row in found.pairs]
    assert places == sorted(places)
    assert places != list(range(25))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no column 'SMILES'"),
        (b"id\tmolecule\n1\tC\n", "no column 'SMILES'"),
        (b"id\tSMILES\n1\tC\n", "no pair"),
        (b"id\tSMILES\tdescription\n", "no pair"),
        (b"id\tSMILES\tdescription\n1\tC1CC\tThe molecule is an open ring.\n", "no pair"),
        (b"id\tSMILES\tdescription\n1\t\tThe molecule is a gap.\n", "without SMILES"),
        (b"id\tSMILES\tdescription\n1\tC\t\xff\xfe\n", "cannot be read"),
        (gzip.compress(b"id\tSMILES\n1\tC\n")[:-4], "no column|cannot be read"),
    ],
)
def test_a_bad_table_is_told(tmp_path, content, words):
    path = tmp_path / ("t.tsv.gz" if content[:2] == b"\x1f\x8b" else "t.tsv")
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        data.read([path], LanguageTraining(), processes=1)


def test_a_missing_table_is_told(tmp_path):
    with pytest.raises(InputError, match="no file"):
        data.read([tmp_path / "none.tsv"], LanguageTraining())


def test_a_corpus_comes_back_as_it_was_saved(tmp_path):
    corpus = made(molecules=3)
    corpus.save(tmp_path / "corpus.npz")
    found = data.Corpus.load(tmp_path / "corpus.npz")
    for name in data.Corpus.__dataclass_fields__:
        first, second = getattr(corpus, name), getattr(found, name)
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.npz"]
