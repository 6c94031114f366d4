"""Rewards: RDKit's own values, corners, invariances, composition in closed form, and what happens to bad ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem, DataStructs
from rdkit.Chem import AllChem, Crippen, Descriptors
from torch import Tensor

from mlcore.decoding import rewards
from mlcore.decoding.rewards import synthetic, texts
from mlcore.decoding.rewards.base import MoleculeReward
from mlcore.decoding.rewards.composition import LEAST_STD
from mlcore.retrieval.model import RetrievalModel
from mlcore.runtime.errors import InputError, ModelError
from tests.mlcore.retrieval import shipped

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
MOLECULES = [
    ASPIRIN, "CCO", "CC(O)CC(N)F", "C[C@H](N)C(=O)O", "CN1C=NC2=C1C(=O)N(C)C(=O)N2C", "[Na+].[Cl-]", "F/C=C/F",
    "C1CC2CCC1C2", "*CC", "[H][H]",
]  # fmt: skip
#: what is no molecule: broken in several ways, empty, followed by something, too long, with too many rings, not text
INVALID = [
    "C1CC", "c1cccc1", "C(C)(C)(C)(C)C", "", "   ", "CCO ethanol", "C C", "CCO |$a;b;c$|", "not a molecule", "C>>C",
    "C\0C", "C\nC", "Ж", "\ud800", "C" * (texts.LONGEST + 1), "C1CC1" * (texts.MOST_RINGS + 1),
]  # fmt: skip


@dataclass(frozen=True)
class Given:
    """A reward that is any function of the texts."""

    function: Callable[[Sequence[str]], object]
    name: str = "mine"

    def __call__(self, texts: Sequence[str]) -> Tensor:
        return self.function(texts)  # type: ignore[return-value]


@pytest.fixture(scope="module")
def model() -> RetrievalModel:
    return RetrievalModel.load(shipped.MODEL)


@pytest.fixture(scope="module")
def everything(model: RetrievalModel) -> list[MoleculeReward]:
    return [
        rewards.Validity(),
        rewards.QED(),
        rewards.SyntheticAccessibility(),
        rewards.LogPWindow(0.5, 1.5, 2.0),
        rewards.Similarity(ASPIRIN),
        rewards.Similarity("C[C@@H](N)C(=O)O", chirality=True),
        rewards.TextMatch("The molecule is a benzoic acid, the acetate of salicylic acid.", model),
    ]


# -- one molecule


def test_qed_and_logp_are_those_of_rdkit() -> None:
    mols = [Chem.MolFromSmiles(text) for text in MOLECULES]
    assert rewards.QED()(MOLECULES).tolist() == [Descriptors.qed(mol) for mol in mols]
    assert rewards.QED()([ASPIRIN]).item() == pytest.approx(0.5501, abs=1e-4)
    narrow = rewards.LogPWindow(-20, -20, 40)  # reward = 1 - (logP + 20) / 40, so logP can be read off
    read_off = 20 - 40 * narrow(MOLECULES)
    assert read_off.tolist() == pytest.approx([Crippen.MolLogP(mol) for mol in mols], abs=1e-9)
    assert 20 - 40 * narrow([ASPIRIN]).item() == pytest.approx(1.3101, abs=1e-4)


def test_synthetic_accessibility_is_rdkits_score_turned_round() -> None:
    """Known scores: aspirin 1.580, ethanol 1.980; the worst, 10, is 0 and the best, 1, is 1."""
    found = 10 - 9 * rewards.SyntheticAccessibility()([ASPIRIN, "CCO", "C" * 400, "CNC(=O)c1ccccc1"])
    assert found.tolist()[:3] == pytest.approx([1.5800, 1.9803, 10], abs=1e-4)
    assert 1 <= found[3].item() < 1.2


@pytest.mark.parametrize(
    ("logp", "reward"),
    [(-1.5, 0), (-1.0, 0), (0.0, 0.5), (1.0, 1), (2.0, 1), (3.0, 1), (4.0, 0.5), (5.0, 0), (50.0, 0)],
)
def test_corners_of_the_window(logp: float, reward: float) -> None:
    assert rewards.LogPWindow(1, 3, 2).at(logp) == reward


@given(
    low=st.floats(-19, 19), width=st.floats(0, 5), margin=st.floats(0.01, 20), logp=st.floats(-100, 100),
    step=st.floats(0, 1),
)  # fmt: skip
def test_window_lies_in_0_1_and_is_as_steep_as_its_margin(
    low: float, width: float, margin: float, logp: float, step: float
) -> None:
    window = rewards.LogPWindow(low, low + width, margin)
    here, there = window.at(logp), window.at(logp + step)
    assert 0 <= here <= 1
    assert abs(there - here) <= step / margin + 1e-9


def test_similarity_is_tanimoto_of_rdkits_fingerprints() -> None:
    def bits(text: str, chirality: bool) -> DataStructs.ExplicitBitVect:
        generator = AllChem.GetMorganGenerator(radius=2, fpSize=2048, includeChirality=chirality)
        return generator.GetFingerprint(Chem.MolFromSmiles(text))

    for chirality in (False, True):
        for target in MOLECULES[:5]:
            similar = rewards.Similarity(target, chirality=chirality)
            wanted = [
                DataStructs.TanimotoSimilarity(bits(target, chirality), bits(text, chirality))
                for text in MOLECULES
            ]
            assert similar(MOLECULES).tolist() == pytest.approx(wanted, abs=1e-6)
            assert similar([target]).item() == 1.0


def test_similarity_is_symmetric_and_tells_stereo_apart_only_when_asked() -> None:
    right, left = "C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"
    for one, other in ((ASPIRIN, "OC(=O)c1ccccc1O"), ("CCO", "CCN"), (right, left)):
        for chirality in (False, True):
            there = rewards.Similarity(one, chirality)([other]).item()
            assert there == rewards.Similarity(other, chirality)([one]).item()
            assert there > 0
    assert rewards.Similarity(right)([left]).item() == 1.0
    assert rewards.Similarity(right, chirality=True)([left]).item() < 1.0


# -- all of them


def test_another_spelling_of_a_molecule_has_the_same_reward(everything: list[MoleculeReward]) -> None:
    for reward in everything:
        for text in MOLECULES[:5]:
            mol = Chem.MolFromSmiles(text)
            spelled = [Chem.MolToSmiles(mol, doRandom=True) for _ in range(4)]
            spelled += [f" {text}\n", Chem.MolToSmiles(mol, kekuleSmiles=True)]
            expected = [reward([text]).item()] * len(spelled)
            assert reward(spelled).tolist() == pytest.approx(expected, abs=1e-4)


def test_a_batch_is_its_texts_one_by_one(everything: list[MoleculeReward]) -> None:
    mixed = [*MOLECULES, *INVALID, *MOLECULES[:3]]
    for reward in everything:
        together = reward(mixed)
        assert together.shape == (len(mixed),)
        assert together.dtype == torch.float64
        assert ((together >= 0) & (together <= 1)).all()
        assert together.tolist() == pytest.approx([reward([text]).item() for text in mixed], abs=1e-4)
        assert reward([]).shape == (0,)


def test_what_is_no_molecule_gets_the_floor(everything: list[MoleculeReward], capfd) -> None:
    """And nothing is said on the terminal, of odd molecules neither."""
    odd = [*MOLECULES, "[H]", "[2H]C", "[U]", "[He]"]
    for reward in everything:
        assert reward(INVALID).tolist() == [rewards.FLOOR] * len(INVALID)
        assert (reward(odd) > rewards.FLOOR).any()
    assert rewards.Validity()(odd).tolist() == [1.0] * len(odd)
    assert capfd.readouterr() == ("", "")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet="CNOcn()[]=#123%+-@H/\\ .*\0é", max_size=24), max_size=4))
def test_no_text_makes_a_reward_raise(found: list[str]) -> None:
    for reward in (rewards.Validity(), rewards.QED(), rewards.SyntheticAccessibility(), rewards.LogPWindow()):
        values = reward(found)
        assert values.shape == (len(found),)
        assert values.isfinite().all()


def test_a_molecule_on_which_the_computation_fails_gets_the_floor() -> None:
    class Fails(MoleculeReward):
        def value(self, mol: Chem.Mol) -> float:
            if mol.GetNumAtoms() == 2:
                raise RuntimeError("Pre-condition Violation")
            return math.nan if mol.GetNumAtoms() == 3 else 0.7

    assert Fails()(["C", "CC", "CCC", "CCCC"]).tolist() == [0.7, rewards.FLOOR, rewards.FLOOR, 0.7]


def test_one_text_instead_of_a_list_is_refused() -> None:
    with pytest.raises(TypeError, match="sequence of texts"):
        rewards.Validity()("CCO")


def test_missing_accessibility_score_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"without .*SA_Score/sascorer.py"):
        synthetic.scorer(str(tmp_path))
    folder = tmp_path / "SA_Score"
    folder.mkdir()
    (folder / "sascorer.py").write_text("def readFragmentScores():\n    raise OSError('no table')\n")
    with pytest.raises(ModelError, match="no table"):
        synthetic.scorer(str(tmp_path))


# -- the retrieval model


def test_the_right_molecule_scores_above_wrong_ones(model: RetrievalModel) -> None:
    pairs = {
        "The molecule is the acetate of salicylic acid, a benzoic acid.": ASPIRIN,
        "The molecule is a primary alcohol with two carbon atoms.": "CCO",
        "The molecule is a straight-chain saturated fatty acid with 18 carbon atoms.": "CCCCCCCCCCCCCCCCCC(=O)O",
    }
    for text, right in pairs.items():
        scores = dict(zip(pairs.values(), rewards.TextMatch(text, model)(list(pairs.values())), strict=True))
        assert max(scores, key=lambda smiles: scores[smiles]) == right
        assert all(scores[right] > score + 0.02 for smiles, score in scores.items() if smiles != right)


def test_text_match_is_the_models_combined_score(model: RetrievalModel) -> None:
    text = "an aromatic carboxylic acid"
    drawn = model.encode_molecules([Chem.MolFromSmiles(smiles) for smiles in MOLECULES])
    total = torch.from_numpy(model.rerank(model.encode_texts([text]), 0, drawn).total).double()
    weights = model.network.log_weights.detach().exp().sum().item()
    found = rewards.TextMatch(text, model)(MOLECULES)
    assert ((2 * found - 1) * weights).tolist() == pytest.approx(total.tolist(), abs=5e-3)


def test_a_molecule_that_the_model_cannot_draw_gets_the_floor(
    model: RetrievalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def featurise(mol: Chem.Mol) -> object:
        if mol.GetNumAtoms() == 2:
            raise OverflowError("too odd")
        return RetrievalModel.featurise(mol)

    reward = rewards.TextMatch("ethanol", model)
    whole = reward(["CCO", "CCN"]).tolist()
    monkeypatch.setattr(model, "featurise", featurise)
    values = reward(["CC", "CCO", "CC", "CCN"]).tolist()
    assert values[::2] == [rewards.FLOOR] * 2
    assert values[1::2] == pytest.approx(whole, abs=1e-4)
    assert reward(["CC"]).tolist() == [rewards.FLOOR]


# -- composition


def test_a_sum_is_linear_and_its_parts_do_not_touch_each_other(everything: list[MoleculeReward]) -> None:
    """In either order: no part leaves a mark on a molecule that the next would read."""
    mixed = [*MOLECULES, *INVALID]
    apart = [reward(mixed) for reward in everything]
    weights = [0.5, -1.0, 2.0, 0.0, 1.5, 3.0, 1.0]
    expected = sum(weight * values for weight, values in zip(weights, apart, strict=True))
    parts = list(zip(everything, weights, strict=True))
    for ordered in (parts, parts[::-1]):
        assert torch.allclose(rewards.combine(ordered)(mixed), expected, atol=1e-9)
    nested = rewards.combine([(rewards.combine(parts[:3]), 1.0), (rewards.combine(parts[3:]), 1.0)])
    assert torch.allclose(nested(mixed), expected, atol=1e-9)
    assert torch.allclose(rewards.combine([(rewards.combine(parts), -2.0)])(mixed), -2 * expected, atol=1e-9)


def test_every_text_is_read_once_for_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def counted(text: str) -> Chem.Mol | None:
        seen.append(text)
        return Chem.MolFromSmiles(text)

    monkeypatch.setattr(texts, "read", counted)
    inner = rewards.combine([(rewards.QED(), 1.0), (rewards.LogPWindow(), 1.0)])
    whole = rewards.combine([(rewards.standardise(inner, ["C", "CO"]), 1.0), (rewards.Validity(), 1.0)])
    seen.clear()
    assert len(whole(["CCO", "CCN", "CCO", "CCO"])) == 4
    assert sorted(seen) == ["CCN", "CCO"]


def test_a_standardised_reward_has_mean_0_and_deviation_1_on_its_reference() -> None:
    mixed = [*MOLECULES, "no molecule"]
    plain = rewards.combine([(rewards.QED(), 1.0), (rewards.LogPWindow(), 0.3)])
    scaled = rewards.standardise(plain, mixed)
    values = scaled(mixed)
    assert values.mean().item() == pytest.approx(0, abs=1e-12)
    assert values.std(correction=0).item() == pytest.approx(1, abs=1e-12)
    assert torch.allclose(values * scaled.std + scaled.mean, plain(mixed))
    assert f"mean {scaled.mean:.4g}" in str(scaled)
    assert "qed" in str(scaled)


def test_references_that_agree_are_divided_by_the_least_deviation() -> None:
    scaled = rewards.standardise(rewards.Validity(), ["CC", "CCC"])
    assert (scaled.mean, scaled.std) == (1.0, LEAST_STD)
    assert scaled(["CCO", "C("]).tolist() == [0.0, -1 / LEAST_STD]


@pytest.mark.parametrize("reference", [[], ["CC"]])
def test_standardising_needs_two_references(reference: list[str]) -> None:
    with pytest.raises(InputError, match=f"{len(reference)} reference") as fault:
        rewards.standardise(rewards.QED(), reference)
    assert fault.value.field == "reference"


def test_impossible_compositions_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one part"):
        rewards.combine([])
    with pytest.raises(ValueError, match="finite"):
        rewards.combine([(rewards.QED(), math.inf)])
    for mean, std in ((0.0, 0.0), (math.nan, 1.0), (0.0, -1.0), (0.0, math.inf)):
        with pytest.raises(ValueError, match="above 0"):
            rewards.Standardised(rewards.QED(), mean, std)


# -- the guard


def raising(found: Sequence[str]) -> Tensor:
    if "CCN" in found:
        raise KeyError("nitrogen")
    return torch.zeros(len(found))


def only_in_company(found: Sequence[str]) -> Tensor:
    if len(found) > 1:
        raise MemoryError("too many")
    return torch.zeros(len(found))


def filled(value: float) -> Callable[[Sequence[str]], Tensor]:
    return lambda found: torch.tensor([value if text == "CCN" else 1.0 for text in found])


BAD = [
    (raising, "failed with KeyError: 'nitrogen'", "'CCN'"),
    (only_in_company, "failed with MemoryError", "none of them alone"),
    (filled(math.nan), "returned nan", "'CCN'"),
    (filled(math.inf), "returned inf", "'CCN'"),
    (filled(-math.inf), "returned -inf", "'CCN'"),
    (lambda found: torch.zeros(len(found), 1), r"returned torch.float32 \(3, 1\) for 3 texts", ""),
    (lambda found: torch.zeros(()), r"returned torch.float32 \(\) for 3 texts", ""),
    (lambda found: torch.zeros(2), r"\(2,\) for 3 texts", ""),
    (lambda found: torch.zeros(len(found), dtype=torch.complex64), "complex64", ""),
    (lambda found: [0.0] * len(found), "returned list", ""),
    (lambda found: None, "returned NoneType", ""),
]


@pytest.mark.parametrize(("function", "message", "place"), BAD)
def test_a_bad_reward_is_named_with_the_text_at_fault(function, message: str, place: str) -> None:
    mine = Given(function)
    found = ["CCO", "CCN", "CCC"]
    for reward in (
        rewards.guarded(mine),
        rewards.combine([(rewards.QED(), 1.0), (mine, 1.0)]),
        rewards.Standardised(mine, 0.0, 1.0),
        rewards.guarded(rewards.combine([(rewards.Standardised(mine, 0.0, 1.0), 1.0)])),
    ):
        with pytest.raises(rewards.RewardError, match=message) as fault:
            reward(found)
        assert isinstance(fault.value, InputError)
        assert "'mine'" in fault.value.message
        assert place in (fault.value.place or "")
        assert fault.value.remedy
    with pytest.raises(rewards.RewardError, match=message):
        rewards.standardise(mine, found)


def test_several_bad_values_are_counted_and_long_texts_cut() -> None:
    mine = Given(lambda found: torch.full((len(found),), math.nan))
    with pytest.raises(rewards.RewardError) as fault:
        rewards.guarded(mine)(["C" * 500, "CC", "CCC"])
    assert fault.value.place is not None
    assert "and 2 more" in fault.value.place
    assert len(fault.value.place) < 120


def test_the_guard_leaves_good_rewards_alone() -> None:
    whole = Given(lambda found: torch.tensor([len(text) for text in found]))
    safe = rewards.guarded(whole)
    assert safe.name == "mine"
    assert rewards.guarded(safe) is safe
    assert safe(["C", "CCC"]).tolist() == [1.0, 3.0]
    assert safe(["C", "CCC"]).dtype == torch.float64
    tracked = Given(lambda found: torch.ones(len(found), requires_grad=True))
    assert not rewards.guarded(tracked)(["C"]).requires_grad


def test_stopping_is_not_a_fault_of_the_reward() -> None:
    def stopped(found: Sequence[str]) -> Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rewards.guarded(Given(stopped))(["C"])
