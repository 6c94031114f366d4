"""Rewards from JSON: every name can be built, and every error names the place and what to do."""

from __future__ import annotations

import json

import pytest
import torch

from mlcore.decoding import rewards
from mlcore.decoding.rewards.registry import DEEPEST, MOST_PARTS
from mlcore.retrieval.model import RetrievalModel
from mlcore.runtime.errors import InputError
from tests.mlcore.retrieval.networks import save_small

MOLECULES = ["CC(=O)Oc1ccccc1C(=O)O", "CCO", "CCCCCCCC", "no molecule"]
QED = {"name": "qed"}


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> RetrievalModel:
    """A real network with random weights."""
    return save_small(tmp_path_factory.mktemp("model"))


def test_every_name_can_be_built_from_json(small_model: RetrievalModel) -> None:
    specs = {
        "validity": {},
        "qed": {},
        "synthetic_accessibility": {},
        "logp": {"low": 0, "high": 2.5, "margin": "0.5"},
        "similarity": {"target": "OCC", "chirality": True},
        "retrieval": {"text": "an alcohol"},
        "sum": {"parts": [{"reward": QED, "weight": 2}, {"reward": {"name": "validity"}}]},
        "standardised": {"reward": QED, "mean": 0.4, "std": 0.2},
    }
    assert set(specs) == set(rewards.REWARDS)
    for name, parameters in specs.items():
        reward = rewards.build(json.loads(json.dumps({"name": name, **parameters})), retrieval=small_model)
        values = reward(MOLECULES)
        assert values.shape == (4,)
        assert values.dtype == torch.float64
        limits = rewards.REWARDS[name].range
        if limits:
            assert reward.name == name
            assert values[3].item() == rewards.FLOOR
            assert ((values >= limits[0]) & (values <= limits[1])).all()


def test_what_is_built_is_what_was_asked_for() -> None:
    assert rewards.build({"name": "logp"}) == rewards.LogPWindow()
    assert rewards.build({"name": "logp", "low": "2", "high": 4}) == rewards.LogPWindow(2.0, 4.0)
    similar = rewards.build({"name": "similarity", "target": "C[C@H](N)C(=O)O", "chirality": True})
    assert similar == rewards.Similarity("C[C@H](N)C(=O)O", chirality=True)
    spec = {
        "name": "sum",
        "parts": [
            {"reward": {"name": "standardised", "reward": QED, "mean": 0.4, "std": 0.2}, "weight": 0.5},
            {"reward": {"name": "sum", "parts": [{"reward": {"name": "validity"}, "weight": 3}]}},
        ],
    }
    reward = rewards.build(spec)
    expected = 0.5 * (rewards.QED()(MOLECULES) - 0.4) / 0.2 + 3 * rewards.Validity()(MOLECULES)
    assert torch.allclose(reward(MOLECULES), expected, atol=1e-12)
    assert reward.name == "0.5 × standardised qed + 1 × (3 × validity)"


def test_forms_are_json_and_explain_every_parameter() -> None:
    described = json.loads(json.dumps(rewards.forms()))
    assert [form["name"] for form in described] == list(rewards.REWARDS)
    for form in described:
        assert form["title"]
        assert form["help"].endswith(".")
        assert all(parameter["help"] for parameter in form["parameters"])
    logp = next(form for form in described if form["name"] == "logp")
    assert [parameter["name"] for parameter in logp["parameters"]] == ["low", "high", "margin"]
    assert logp["parameters"][0] == {
        "name": "low", "type": "float", "default": 1.0, "help": "lowest logP with full reward", "minimum": -20,
        "maximum": 20, "required": False,
    }  # fmt: skip
    similarity = next(form for form in described if form["name"] == "similarity")
    assert [parameter["required"] for parameter in similarity["parameters"]] == [True, False]


def nested(depth: int) -> dict[str, object]:
    """A reward ``depth`` deep."""
    spec: dict[str, object] = QED
    for _ in range(depth - 1):
        spec = {"name": "sum", "parts": [{"reward": spec}]}
    return spec


WRONG = [
    (None, None, "not NoneType"),
    ("qed", None, "not str"),
    ([QED], None, "not list"),
    ({}, "name", "has no name"),
    ({"name": 7}, "name", "no reward '7'"),
    ({"name": ["qed"]}, "name", "no reward"),
    ({"name": "QED"}, "name", "no reward 'QED'"),
    ({"name": "x" * 500}, "name", "no reward 'x{60}'"),
    ({"name": "qed", "low": 1}, "low", "no parameter 'low'"),
    ({"name": "logp", "lowest": 1}, "lowest", "no parameter 'lowest'"),
    ({"name": "logp", "low": "much"}, "low", "'much' is not a value"),
    ({"name": "logp", "low": None}, "low", "not a value"),
    ({"name": "logp", "low": True}, "low", "not a value"),
    ({"name": "logp", "low": [1]}, "low", "not a value"),
    ({"name": "logp", "low": float("nan")}, "low", "not a value"),
    ({"name": "logp", "high": 1e400}, "high", "not a value"),
    ({"name": "logp", "low": -21}, "low", "at least -20"),
    ({"name": "logp", "high": 21}, "high", "at most 20"),
    ({"name": "logp", "margin": 0}, "margin", "at least 0.01"),
    ({"name": "logp", "low": 3, "high": 1}, "low", "begins at 3 and ends at 1"),
    ({"name": "similarity"}, "target", "needs 'target'"),
    ({"name": "similarity", "target": 5}, "target", "is text, not int"),
    ({"name": "similarity", "target": " "}, "target", "no target"),
    ({"name": "similarity", "target": "C1CC"}, "target", "a ring is opened"),
    ({"name": "similarity", "target": "C" * 1001}, "target", "1,001 characters"),
    ({"name": "similarity", "target": "C", "chirality": "perhaps"}, "chirality", "not a value"),
    ({"name": "retrieval"}, "text", "needs 'text'"),
    ({"name": "retrieval", "text": "an acid"}, "name", "needs a retrieval model"),
    ({"name": "sum"}, "parts", "needs 'parts'"),
    ({"name": "sum", "parts": []}, "parts", "1 to 16 parts"),
    ({"name": "sum", "parts": {"reward": QED}}, "parts", "1 to 16 parts"),
    ({"name": "sum", "parts": [{"reward": QED}] * (MOST_PARTS + 1)}, "parts", "1 to 16 parts"),
    ({"name": "sum", "parts": [QED]}, "parts.0", "a reward, a weight and nothing else"),
    ({"name": "sum", "parts": [{"weight": 1}]}, "parts.0", "a reward, a weight"),
    ({"name": "sum", "parts": ["qed"]}, "parts.0", "a reward, a weight"),
    ({"name": "sum", "parts": [{"reward": QED, "weight": 2000}]}, "parts.0.weight", "at most 1000"),
    ({"name": "sum", "parts": [{"reward": QED, "weight": "nan"}]}, "parts.0.weight", "not a value"),
    (
        {"name": "sum", "parts": [{"reward": QED}, {"reward": {"name": "logp", "low": 99}}]},
        "parts.1.reward.low", "at most 20",
    ),
    (
        {"name": "sum", "parts": [{"reward": {"name": "logp", "low": 9}}]},
        "parts.0.reward.low", "begins at 9",
    ),
    ({"name": "sum", "parts": [{"reward": {"name": "nothing"}}]}, "parts.0.reward.name", "no reward 'nothing'"),
    ({"name": "sum", "parts": [{"reward": 3}]}, "parts.0.reward", "not int"),
    ({"name": "standardised", "reward": QED, "mean": 0}, "std", "needs 'std'"),
    ({"name": "standardised", "mean": 0, "std": 1}, "reward", "needs 'reward'"),
    ({"name": "standardised", "reward": QED, "mean": 0, "std": 0}, "std", "at least 0.001"),
    ({"name": "standardised", "reward": {"name": "x"}, "mean": 0, "std": 1}, "reward.name", "no reward 'x'"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "field", "message"), WRONG)
def test_a_wrong_spec_names_the_field_and_the_remedy(spec: object, field: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message) as fault:
        rewards.build(spec)
    assert fault.value.field == field
    assert fault.value.remedy
    assert len(str(fault.value)) < 400


def test_rewards_stand_only_so_deep_in_each_other() -> None:
    assert rewards.build(nested(DEEPEST))(["CCO"]).item() == rewards.QED()(["CCO"]).item()
    for depth in (DEEPEST + 1, 400):
        with pytest.raises(InputError, match="deep in each other"):
            rewards.build(nested(depth))


@pytest.mark.parametrize(
    ("text", "message"), [("  ", "no text"), ("a" * 10_001, "10,001 characters"), (3, "is text")]
)
def test_a_text_that_cannot_be_matched(text: object, message: str, small_model: RetrievalModel) -> None:
    with pytest.raises(InputError, match=message) as fault:
        rewards.build({"name": "retrieval", "text": text}, retrieval=small_model)
    assert fault.value.field == "text"
