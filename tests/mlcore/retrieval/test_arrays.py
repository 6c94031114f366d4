"""The quantised ragged arrays of a library folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlcore.retrieval.arrays import ArrayWriter, RaggedArray, RaggedWriter, dequantise, quantise
from mlcore.runtime.errors import LibraryError

FLOATS = st.floats(-4, 4, width=32)


@settings(max_examples=100, deadline=None)
@given(values=arrays(np.float32, st.tuples(st.integers(0, 12), st.integers(1, 9)), elements=FLOATS))
def test_quantised_rows_come_back_within_half_a_step(values: np.ndarray) -> None:
    whole, scale = quantise(values)
    assert whole.dtype == np.int8
    assert scale.dtype == np.float16
    error = np.abs(dequantise(whole, scale) - values)
    assert (error <= scale.astype(np.float32)[:, None] * 0.5 + 1e-6).all()
    largest = np.abs(values).max(axis=1, initial=0)
    assert (scale.astype(np.float32) <= largest / 127 * 1.002 + 6e-8).all()


@settings(max_examples=25, deadline=None)
@given(lengths=st.lists(st.integers(0, 5), min_size=1, max_size=12), cut=st.integers(0, 12), data=st.data())
def test_ragged_groups_come_back_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], cut: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("ragged")
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    values = np.random.default_rng(0).normal(size=(offsets[-1], 4)).astype(np.float32)
    cut = min(cut, len(lengths))
    writer = RaggedWriter(folder, "motif", 4)
    writer.append(values[: offsets[cut]], offsets[: cut + 1])
    rows = writer.rows
    writer.append(values, offsets)  # never committed: the next writer takes it back
    for part in writer.parts():
        part.sync()
        part.abandon()
    writer = RaggedWriter(folder, "motif", 4, groups=cut, rows=rows)
    writer.append(values[offsets[cut] :], offsets[cut:] - offsets[cut])
    for part in writer.parts():
        part.close()
    chosen = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=6))
    found, bounds = RaggedArray.open(folder, "motif").take(np.array(chosen, dtype=np.int64))
    expected = [values[offsets[i] : offsets[i + 1]] for i in chosen]
    assert np.diff(bounds).tolist() == [len(group) for group in expected]
    if len(found):
        assert np.abs(found - np.concatenate(expected)).max() < 0.02


def test_an_array_shorter_than_recorded_is_refused(tmp_path: Path) -> None:
    writer = ArrayWriter(tmp_path / "a.npy", "float32", 2)
    writer.append(np.ones((3, 2), np.float32))
    writer.close()
    assert np.load(tmp_path / "a.npy").shape == (3, 2)
    with pytest.raises(LibraryError, match="shorter than the 9 rows"):
        ArrayWriter(tmp_path / "a.npy", "float32", 2, rows=9)
