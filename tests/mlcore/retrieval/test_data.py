"""Tables read and molecules featurised."""

import multiprocessing

import numpy as np
import pytest

from mlcore.retrieval.data import featurise_all

SMILES = ["CCO", "c1ccccc1O", "not a molecule", "", "CCO", "C[C@H](N)C(=O)O"]


def test_each_molecule_once_and_what_cannot_be_read_is_left_out() -> None:
    found = featurise_all(SMILES)
    assert set(found.numbers) == {"CCO", "c1ccccc1O", "C[C@H](N)C(=O)O"}
    assert found.keys[found.numbers["CCO"]] == "LFQSCWFLJHTTHZ-UHFFFAOYSA-N"
    alone = featurise_all(["c1ccccc1O"])
    one = found.packed.take(np.array([found.numbers["c1ccccc1O"]]))
    for name, values in alone.packed.parts.items():
        assert np.array_equal(one.parts[name], values), name


def test_it_works_inside_a_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's process is one, and may have no children made by ``multiprocessing``."""
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)  # type: ignore[attr-defined]
    assert len(featurise_all(["CCO", "CCN"]).numbers) == 2
