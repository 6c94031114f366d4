"""The pair that ships: its sampled answers follow the target's law under every combination of warpers.

Each combination is drawn by one of the methods in turn, the unwarped law by all of them. See
:mod:`tests.mlcore.decoding.frequencies` for the chance of a false alarm.
"""

from __future__ import annotations

import itertools
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mlcore.decoding.language.prompts import prompt
from mlcore.decoding.networks.checkpoints import Loaded, check_pair, load
from mlcore.decoding.sampling import Sampling
from mlcore.decoding.speculation import Drafting
from tests.mlcore.decoding.frequencies import EXPECTED, LEVEL, Scratch, exact_law, pair_p_value, sampled

MODELS = Path(os.environ.get("FERRY_MODELS") or Path(__file__).resolve().parents[3] / "models")
FOLDERS = MODELS / "lm-target", MODELS / "lm-draft"
pytestmark = pytest.mark.slow

METHODS = ("block", "batch", "token", "tree")
ANSWERS = {"block": 2000, "batch": 1000, "token": 2000, "tree": 300}
PARTS: dict[str, dict[str, Any]] = {
    "temperature": {"temperature": 0.8},
    "top-k": {"top_k": 20},
    "top-p": {"top_p": 0.9},
    "penalties": {"repetition_penalty": 1.2, "presence_penalty": 0.3, "frequency_penalty": 0.2},
}
COMBINATIONS = [names for size in range(len(PARTS) + 1) for names in itertools.combinations(PARTS, size)]
CASES = [(names, METHODS[place % 4]) for place, names in enumerate(COMBINATIONS)]
CASES += [((), method) for method in METHODS[1:]]


@cache
def pair() -> tuple[Loaded, Loaded]:
    target, draft = (load(folder) for folder in FOLDERS)
    check_pair(target, draft)
    return target, draft


@cache
def scratch() -> Scratch:
    return Scratch(pair()[0].network)


def asked() -> list[int]:
    return prompt(pair()[0].tokenizer, "molecule", "The molecule is an aromatic amine with a methyl group.")


@pytest.mark.parametrize(
    ("names", "method"), CASES, ids=[f"{'+'.join(names) or 'as it is'}-{method}" for names, method in CASES]
)
def test_the_first_two_tokens_follow_the_target(names: tuple[str, ...], method: str) -> None:
    target, draft = pair()
    chosen: dict[str, Any] = {}
    for name in names:
        chosen |= PARTS[name]
    sampling = Sampling(max_tokens=3, **chosen)
    number = ANSWERS[method]
    law = exact_law(
        scratch(), asked(), sampling, target.decoder.vocabulary, target.decoder.ends, enough=EXPECTED / number
    )
    pairs, _ = sampled(
        method, target.decoder, draft.decoder, asked(), sampling,
        number=number, seed=len(names), drafting=Drafting(2, 2), rows=200,
    )  # fmt: skip
    assert pair_p_value(pairs, law) > LEVEL
