"""Validity, exact match, BLEU, Levenshtein and similarities of SMILES."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest
from nltk.translate.bleu_score import corpus_bleu as nltk_bleu
from rdkit import Chem, DataStructs, rdBase
from rdkit.Chem import MACCSkeys, rdMolDescriptors

from mlcore.decoding.language import smiles_metrics
from mlcore.decoding.language.molecule_pairs import Comparison, compare
from mlcore.decoding.language.smiles_metrics import SmilesScores, score_smiles
from mlcore.decoding.language.text_metrics import corpus_bleu, ngram_counts

TRUE = ["CCO", "c1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "C[C@H](N)C(=O)O", "CCCC"]
MINE = ["OCC", "c1ccccc1O", "CC(=O)Oc1ccccc1", "C[C@@H](N)C(=O)O", "C(("]


@pytest.fixture(scope="module")
def scores() -> SmilesScores:
    return score_smiles(MINE, TRUE, processes=1)


def figures(scores: SmilesScores, *weights: float) -> dict[str, float]:
    once = np.array([weights]) if weights else np.ones((1, len(scores.valid)))
    return {name: float(value[0]) for name, value in scores.figures(once).items()}


def levenshtein(first: str, second: str) -> int:
    """The textbook's table."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        previous, row = row, [i]
        for j, b in enumerate(second, start=1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (a != b)))
    return row[-1]


def test_a_worked_example(scores):
    """Ethanol is written backwards, phenol is equal, aspirin lost its acid, alanine its hand, butane its form."""
    found = figures(scores)
    assert found["validity"] == 4 / 5
    assert found["exact"] == 2 / 5
    assert found["levenshtein"] == np.mean([2, 0, 6, 1, 3])
    assert scores.details() == {"exact_string": 1 / 5, "exact_canonical": 2 / 5, "compared": 4, "failed": 0}
    assert list(found) == ["validity", "exact", "bleu", "levenshtein", "maccs", "rdk", "morgan"]


def test_similarities_are_rdkits_over_the_valid_pairs_alone(scores):
    pairs = [(Chem.MolFromSmiles(a), Chem.MolFromSmiles(b)) for a, b in zip(MINE[:4], TRUE[:4], strict=True)]
    tanimoto = DataStructs.TanimotoSimilarity

    def mean(fingerprint):
        return np.mean([tanimoto(fingerprint(a), fingerprint(b)) for a, b in pairs])

    found = figures(scores)
    assert found["maccs"] == pytest.approx(mean(MACCSkeys.GenMACCSKeys))
    assert found["rdk"] == pytest.approx(mean(Chem.RDKFingerprint))
    with rdBase.BlockLogs():  # the call of the published code, which RDKit calls old
        assert found["morgan"] == pytest.approx(
            mean(lambda mol: rdMolDescriptors.GetMorganFingerprint(mol, 2))
        )


def test_bleu_is_nltks_over_characters(scores):
    wanted = nltk_bleu([[list(true)] for true in TRUE], [list(mine) for mine in MINE])
    assert figures(scores)["bleu"] == pytest.approx(wanted, abs=1e-12)


def test_levenshtein_is_the_textbooks():
    rng = random.Random(0)
    pairs = [["".join(rng.choices("CNO=()1é", k=rng.randrange(9))) for _ in range(2)] for _ in range(100)]
    found = score_smiles([a for a, _ in pairs], [b for _, b in pairs], processes=1)
    assert found.distance.tolist() == [levenshtein(a, b) for a, b in pairs]


def test_a_perfect_prediction():
    found = figures(score_smiles(TRUE[1:], TRUE[1:], processes=1))
    assert found.pop("levenshtein") == 0
    assert all(value == pytest.approx(1, abs=1e-12) for value in found.values()), found


def test_three_characters_hold_no_four_gram():
    """nltk counts one all the same, which is not found: a perfect ``CCO`` costs a little BLEU, as published."""
    sums = ngram_counts("CCO", "CCO") + ngram_counts("CCCCO", "CCCCO")
    assert corpus_bleu(sums) == pytest.approx((2 / 3) ** 0.25)


def test_a_weight_is_a_repetition_and_the_order_does_not_matter(scores):
    rows = [4, 2, 2, 0]
    written = figures(score_smiles([MINE[i] for i in rows], [TRUE[i] for i in rows], processes=1))
    assert figures(scores, 1, 0, 2, 0, 1) == pytest.approx(written, abs=1e-12)


def test_similarities_are_0_where_nothing_is_valid(scores):
    found = figures(scores, 0, 0, 0, 0, 1)
    assert found["validity"] == found["exact"] == found["maccs"] == found["rdk"] == found["morgan"] == 0


@pytest.mark.parametrize(
    "predicted",
    [
        "",
        " ",
        "C((",
        "c1ccc",
        "CCO is ethanol",
        "CCO\n",
        " CCO",
        "CCé",
        "C\x00C",
        "N(C)(C)(C)(C)C",
        "C" + "(" * 3000,
        "[Xx]",
    ],
)
def test_what_is_not_one_smiles_is_not_valid(predicted):
    assert compare(predicted, "CCO") == Comparison(valid=False, known=True, exact=False, canonical=False)


def test_a_truth_that_rdkit_refuses_leaves_the_prediction_valid():
    assert compare("CCO", "C((") == Comparison(valid=True, known=False, exact=False, canonical=False)
    found = score_smiles(["CCO", "CC"], ["C((", "CC"], processes=1)
    assert figures(found)["validity"] == 1
    assert figures(found)["maccs"] == 1
    assert found.details()["compared"] == 1


@pytest.mark.parametrize(
    ("first", "second", "exact", "canonical"),
    [
        ("OC=C", "C=CO", True, True),
        ("CC(=O)NC", "CC(O)=NC", True, False),  # tautomers share a standard InChI
        ("C[N+](=O)[O-]", "CN(=O)=O", True, True),
        ("[H]OC", "CO", True, True),
        ("[2H]C", "C", False, False),
        ("C/C=C/C", "C/C=C\\C", False, False),
        ("C[C@H](F)Cl", "CC(F)Cl", False, False),
        ("CC(=O)[O-]", "CC(=O)O", False, False),
        ("[Na+].[Cl-]", "[Cl-].[Na+]", True, True),
        ("*CC", "*CCC", False, False),  # InChI has no answer: an empty one is not equal to an empty one
        ("*CC", "*CO", False, False),
        ("*CC", "C(*)C", True, True),
    ],
)
def test_exact_means_the_same_inchi(first, second, exact, canonical):
    found = compare(first, second)
    assert (found.exact, found.canonical) == (exact, canonical)
    assert compare(second, first) == found


def test_a_lone_atom_has_no_paths():
    found = compare("[Na+]", "[Na+]")
    assert (found.exact, found.maccs, found.rdk, found.morgan) == (True, 1, 0, 1)


def dies(predicted: str, true: str) -> Comparison:
    if predicted == "CCCC":
        os._exit(1)
    return compare(predicted, true)


def test_a_pair_that_kills_rdkit_costs_that_pair(monkeypatch):
    monkeypatch.setattr(smiles_metrics, "compare", dies)
    found = score_smiles(["CC", "CCCC", "CO"], ["CC", "CCCC", "CO"], processes=1)
    assert found.valid.tolist() == found.exact.tolist() == [1, 0, 1]
    assert found.details()["failed"] == 1


def test_huge_predictions():
    found = score_smiles(["C" * 2_000, "C1" * 20_000, "C(" * 20_000], ["CCO"] * 3, processes=1)
    assert found.distance.tolist() == [1_998, 39_998, 39_998]
    assert found.valid.tolist() == [1, 0, 0]
    assert found.exact.sum() == 0


def test_nothing_to_score_is_refused():
    with pytest.raises(ValueError, match="0 predictions"):
        score_smiles([], [])
