"""Requests from JSON: what is right is read as it is meant, and every fault has the path of its field."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcore.decoding.networks.checkpoints import Loaded, load
from mlcore.decoding.sampling import Sampling
from mlcore.decoding.serving.description import describe
from mlcore.decoding.serving.methods import METHODS
from mlcore.decoding.serving.requests import Request, build_reward
from mlcore.runtime.errors import InputError, LimitError
from tests.decoding_models import tiny_model

GOOD: dict[str, Any] = {
    "task": "molecule",
    "prompt": "An alcohol.",
    "lanes": [{"method": "spectr", "parameters": {"drafts": 2, "length": 3}}, {"method": "autoregressive"}],
    "sampling": {"max_tokens": 20, "temperature": 0.5},
    "reward": None,
    "seed": 5,
    "alternatives": 3,
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return load(tiny_model(tmp_path_factory.mktemp("models") / "lm-target"))


def test_a_request_is_read_as_it_is_meant() -> None:
    request = Request.read(GOOD)
    assert [lane.facts() for lane in request.lanes] == [
        {
            "method": "spectr",
            "title": "SpecTr",
            "parameters": {"auto": False, "drafts": 2, "length": 3, "layout": "batch", "rule": "kseq"},
        },
        {"method": "autoregressive", "title": "Autoregressive", "parameters": {}},
    ]
    assert request.sampling == Sampling(max_tokens=20, temperature=0.5)
    assert (request.seed, request.alternatives, request.repeats) == (5, 3, 1)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"task": "poem"}, "task"),
        ({"task": 3}, "task"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": "half \ud800"}, "prompt"),
        ({"prompt": "a" * 20_001}, "prompt"),
        ({"lanes": []}, "lanes"),
        ({"lanes": [{"method": "autoregressive"}] * 5}, "lanes"),
        ({"lanes": {"method": "spectr"}}, "lanes"),
        ({"lanes": ["spectr"]}, "lanes.0"),
        ({"lanes": [{"method": "autoregressive"}, {"method": "magic"}]}, "lanes.1.method"),
        ({"lanes": [{"method": ["spectr"]}]}, "lanes.0.method"),
        ({"lanes": [{"method": "spectr", "more": 1}]}, "lanes.0.more"),
        ({"lanes": [{"method": "spectr", "parameters": [1]}]}, "lanes.0.parameters"),
        ({"lanes": [{"method": "spectr", "parameters": {"draughts": 2}}]}, "lanes.0.parameters.draughts"),
        ({"lanes": [{"method": "spectr", "parameters": {"drafts": 0}}]}, "lanes.0.parameters.drafts"),
        ({"lanes": [{"method": "spectr", "parameters": {"drafts": True}}]}, "lanes.0.parameters.drafts"),
        ({"lanes": [{"method": "spectr", "parameters": {"drafts": 2.5}}]}, "lanes.0.parameters.drafts"),
        ({"lanes": [{"method": "spectr", "parameters": {"auto": 1}}]}, "lanes.0.parameters.auto"),
        ({"lanes": [{"method": "spectr", "parameters": {"layout": "ring"}}]}, "lanes.0.parameters.layout"),
        ({"lanes": [{"method": "args"}]}, "reward"),
        ({"lanes": [{"method": "args", "parameters": {"rollouts": 2}}], "reward": {"name": "qed"}},
         "lanes.0.parameters.rollouts"),
        ({"sampling": []}, "sampling"),
        ({"sampling": {"heat": 1}}, "sampling.heat"),
        ({"sampling": {"temperature": -1}}, "sampling.temperature"),
        ({"sampling": {"temperature": float("nan")}}, "sampling.temperature"),
        ({"sampling": {"top_p": 0}}, "sampling.top_p"),
        ({"sampling": {"max_tokens": None}}, "sampling.max_tokens"),
        ({"reward": "qed"}, "reward"),
        ({"reward": {"name": "qed"}, "task": "description"}, "reward"),
        ({"seed": -1}, "seed"),
        ({"seed": "one"}, "seed"),
        ({"alternatives": 11}, "alternatives"),
        ({"repeats": 0}, "repeats"),
        ({"colour": "red"}, "colour"),
    ],
)  # fmt: skip
def test_a_fault_has_the_path_of_its_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as fault:
        Request.read(GOOD | change)
    assert fault.value.field == field


@pytest.mark.parametrize("given", [None, [], "text", 3, {"prompt": "a"}])
def test_what_is_no_request_is_refused(given: object) -> None:
    with pytest.raises(InputError):
        Request.read(given)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(GOOD)), json_values)
def test_no_value_of_a_field_is_anything_but_read_or_refused(name: str, value: object) -> None:
    with contextlib.suppress(InputError):
        assert isinstance(Request.read(GOOD | {name: value}), Request)


def test_every_default_that_is_described_can_be_asked() -> None:
    said = describe()
    assert [each["name"] for each in said["methods"]] == list(METHODS)
    for method in said["methods"]:
        parameters = {each["name"]: each["default"] for each in method["parameters"]}
        asked = GOOD | {
            "lanes": [{"method": method["name"], "parameters": parameters}],
            "sampling": {each["name"]: each["default"] for each in said["sampling"]},
            "reward": {"name": "validity"},
        }
        assert Request.read(asked).lanes[0].facts()["parameters"] == parameters
    assert Request.read(said["defaults"]).lanes


def test_the_prompt_of_each_task(loaded: Loaded) -> None:
    tokenizer = loaded.tokenizer

    def asked(task: str, prompt: str) -> str:
        return str(tokenizer.decode(Request.read(GOOD | {"task": task, "prompt": prompt}).tokens(tokenizer)))

    assert asked("molecule", " An alcohol. ") == "<bos><text>An alcohol.<smiles>"
    assert (
        asked("description", "C(C)O") == "<bos><smiles>CCO<text>"
    )  # as RDKit writes it, and the model has learnt
    assert asked("continue", "A <eos> b") == "<bos>A <eos> b"
    assert tokenizer.eos_token_id not in Request.read(GOOD | {"task": "continue", "prompt": "<eos>"}).tokens(
        tokenizer
    )


def test_a_molecule_that_cannot_be_read_is_refused(loaded: Loaded) -> None:
    with pytest.raises(InputError) as fault:
        Request.read(GOOD | {"task": "description", "prompt": "C(("}).tokens(loaded.tokenizer)
    assert fault.value.field == "prompt"


def test_a_model_that_knows_no_molecules_is_asked_in_plain_text(tmp_path: Path) -> None:
    from tests.mlcore.decoding.serving.test_spelling import metaspace

    tokenizer = metaspace(tmp_path)
    assert Request.read(GOOD | {"task": "continue", "prompt": "an apple"}).tokens(tokenizer) == (0, 1)
    with pytest.raises(InputError, match="not trained on molecules") as fault:
        Request.read(GOOD).tokens(tokenizer)
    assert fault.value.field == "task"


def test_a_long_prompt_is_a_matter_of_size() -> None:
    with pytest.raises(LimitError):
        Request.read(GOOD | {"prompt": "a" * 20_001})


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"name": "beauty"}, "reward.name"),
        ({"name": "logp", "low": 90}, "reward.low"),
        ({"name": "sum", "parts": [{"reward": {"name": "logp", "low": "x"}}]}, "reward.parts.0.reward.low"),
        ({"name": "retrieval", "text": "an alcohol"}, "reward.name"),
    ],
)
def test_a_reward_that_cannot_be_built_names_its_field(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as fault:
        build_reward(Request.read(GOOD | {"reward": spec}))
    assert fault.value.field == field


def test_the_retrieval_model_is_loaded_only_for_a_reward_that_asks_it() -> None:
    def never() -> None:
        raise AssertionError("loaded")

    reward = build_reward(Request.read(GOOD | {"reward": {"name": "qed"}}), never)
    assert reward is not None
    nested = {"name": "sum", "parts": [{"reward": {"name": "retrieval", "text": "an alcohol"}}]}
    with pytest.raises(AssertionError, match="loaded"):
        build_reward(Request.read(GOOD | {"reward": nested}), never)
