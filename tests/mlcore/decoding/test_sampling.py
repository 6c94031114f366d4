"""Warped laws: those of ``transformers``, and the same after speculation as without, under every combination."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from mlcore.decoding import autoregressive, spectr, speculative
from mlcore.decoding.events import Event
from mlcore.decoding.randomness import Source
from mlcore.decoding.sampling import Sampling, Warper
from mlcore.decoding.speculation import Drafting
from mlcore.runtime.errors import InputError
from tests.mlcore.decoding.runs import Method, law_of_answers
from tests.mlcore.decoding.toys import TableModel, distance, random_table

# --- the law of one token --------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    temperature=st.sampled_from([0.3, 1.0, 1.7]),
    top_k=st.sampled_from([0, 1, 5, 40, 100]),
    top_p=st.sampled_from([0.05, 0.5, 0.9, 1.0]),
    penalty=st.sampled_from([0.8, 1.0, 1.5]),
)
def test_the_laws_are_those_of_transformers(
    seed: int, temperature: float, top_k: int, top_p: float, penalty: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(4, 60, generator=generator, dtype=torch.float64)
    said = torch.randint(0, 60, (4, 12), generator=generator)
    chain = LogitsProcessorList(
        [RepetitionPenaltyLogitsProcessor(penalty), TemperatureLogitsWarper(temperature)]
    )
    if top_k:
        chain.append(TopKLogitsWarper(min(top_k, 60)))
    if top_p < 1:
        chain.append(TopPLogitsWarper(top_p))
    wanted = chain(said, logits.clone()).softmax(-1)
    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, repetition_penalty=penalty)
    warper = Warper(sampling, 60)
    found = warper(logits, torch.stack([warper.counts(row.tolist()) for row in said]))
    assert torch.equal(found > 0, wanted > 0)
    assert (found - wanted).abs().max() < 1e-12


def test_presence_and_frequency_are_taken_from_the_scores() -> None:
    logits = torch.tensor([1.0, 2.0, 0.5, -1.0], dtype=torch.float64)
    sampling = Sampling(presence_penalty=0.5, frequency_penalty=0.25, temperature=2.0)
    warper = Warper(sampling, 4)
    found = warper(logits, warper.counts([1, 1, 1, 3]))
    wanted = (torch.tensor([1.0, 2.0 - 0.5 - 0.75, 0.5, -1.0 - 0.5 - 0.25], dtype=torch.float64) / 2).softmax(
        -1
    )
    assert (found - wanted).abs().max() < 1e-15


def test_a_temperature_of_zero_takes_the_likeliest_after_penalties() -> None:
    warper = Warper(Sampling(temperature=0, repetition_penalty=4.0), 3)
    logits = torch.tensor([1.0, 3.0, 2.0])
    assert warper(logits, warper.counts([])).tolist() == [0, 1, 0]
    assert warper(logits, warper.counts([1])).tolist() == [0, 0, 1]


@pytest.mark.parametrize("width", [3, 4, 6])
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(top_k=2), Sampling(top_p=0.7)])
def test_models_of_other_widths_get_laws_over_the_vocabulary(width: int, sampling: Sampling) -> None:
    logits = torch.randn(2, width, generator=torch.Generator().manual_seed(width))
    law = Warper(sampling, 4)(logits)
    common = min(width, 4)
    assert law.shape == (2, 4)
    assert torch.equal(law[:, :common], Warper(sampling, common)(logits[:, :common]))
    assert (law[:, common:] == 0).all()


def test_forbidden_tokens_have_no_mass() -> None:
    law = Warper(Sampling(top_k=2), 4, forbidden=(1, 2))(torch.tensor([[0.0, 9.0, 8.0, 1.0]]))
    assert law[0, 1] == law[0, 2] == 0
    assert law.sum() == pytest.approx(1)


def test_parameters_out_of_their_limits_are_refused() -> None:
    for wrong in ({"top_p": 0.0}, {"top_p": 1.5}, {"temperature": -1.0}, {"repetition_penalty": 0.0}):
        with pytest.raises(InputError):
            Warper(Sampling(**wrong), 4)
    with pytest.raises(ValueError, match="counts"):
        Warper(Sampling(presence_penalty=1.0), 4)(torch.zeros(4))


# --- the law of an answer --------------------------------------------------------------------------------------------

PARTS: dict[str, dict[str, float]] = {
    "temperature": {"temperature": 0.6},
    "top-k": {"top_k": 2},
    "top-p": {"top_p": 0.75},
    "repetition": {"repetition_penalty": 1.8},
    "presence": {"presence_penalty": 0.9},
    "frequency": {"frequency_penalty": -0.7},
}
ALL = [names for size in range(len(PARTS) + 1) for names in itertools.combinations(PARTS, size)]
QUICK = [
    names
    for names in ALL
    if len(names) <= 1
    or len(names) == len(PARTS)
    or names
    in {("temperature", "top-p"), ("top-k", "top-p"), ("top-p", "repetition"), ("temperature", "frequency")}
]
PROMPT = (1, 0, 1)
TARGET = TableModel(random_table(101, 3, 1.5), 3)
DRAFT = TableModel(random_table(102, 3, 1.5), 3)


def speculated(name: str, sampling: Sampling) -> Method:
    def generate(source: Source) -> Iterator[Event]:
        if name in ("token", "block"):
            return speculative.generate(TARGET, DRAFT, [PROMPT], sampling, 2, source, verification=name)
        return spectr.generate(TARGET, DRAFT, [PROMPT], sampling, Drafting(2, 2, name), source)

    return generate


def plain(sampling: Sampling) -> Method:
    return lambda source: autoregressive.generate(TARGET, [PROMPT], sampling, source)


def missed(names: tuple[str, ...], method: str) -> float:
    chosen: dict[str, float] = {}
    for name in names:
        chosen |= PARTS[name]
    # three tokens are one block when it passes whole, and several rounds otherwise
    sampling = Sampling(max_tokens=3, **chosen)  # type: ignore[arg-type]
    return distance(law_of_answers(speculated(method, sampling)), law_of_answers(plain(sampling)))


@pytest.mark.parametrize("method", ["token", "block"])
@pytest.mark.parametrize("names", QUICK, ids="+".join)
def test_the_law_is_that_of_plain_sampling(names: tuple[str, ...], method: str) -> None:
    assert missed(names, method) < 1e-12


@pytest.mark.parametrize("method", ["batch", "tree"])
@pytest.mark.parametrize("names", [names for names in QUICK if {"top-k", "top-p"} & set(names)], ids="+".join)
def test_the_law_of_several_drafts_is_that_of_plain_sampling(names: tuple[str, ...], method: str) -> None:
    assert missed(names, method) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("method", ["token", "block", "batch", "tree"])
@pytest.mark.parametrize("names", ALL, ids="+".join)
def test_the_law_under_every_combination_is_that_of_plain_sampling(
    names: tuple[str, ...], method: str
) -> None:
    assert missed(names, method) < 1e-12


def test_plain_sampling_itself_has_the_warped_law() -> None:
    """What the others are held against: each token from the warper's law, by hand."""
    sampling = Sampling(max_tokens=2, temperature=0.6, top_p=0.75, frequency_penalty=-0.7)
    warper = Warper(sampling, 3)

    def after(answer: tuple[int, ...]) -> Tensor:
        logits = TARGET.table((*PROMPT, *answer)).log()
        return warper(logits, warper.counts([*PROMPT, *answer]))

    wanted = {
        (first, second): float(after(())[first] * after((first,))[second])
        for first, second in itertools.product(range(3), repeat=2)
    }
    assert distance(law_of_answers(plain(sampling)), wanted) < 1e-12


@pytest.mark.parametrize("method", ["token", "block", "batch", "tree"])
def test_the_most_likely_answer_at_temperature_zero(method: str) -> None:
    sampling = Sampling(max_tokens=4, temperature=0)
    (answer,) = law_of_answers(plain(sampling))
    assert law_of_answers(speculated(method, sampling)) == pytest.approx({answer: 1.0})


@pytest.mark.parametrize("method", ["token", "block", "batch", "tree"])
def test_each_model_has_its_own_nucleus(method: str) -> None:
    """The draft offers what the target cuts off, and the target says what the draft cuts off."""
    laws = torch.tensor([[0.45, 0.4, 0.1, 0.05], [0.5, 0.01, 0.44, 0.05]], dtype=torch.float64)
    target, draft = (TableModel(lambda _, law=law: law, 4) for law in laws)
    sampling = Sampling(max_tokens=2, top_p=0.8)
    warped = Warper(sampling, 4)(laws.log())
    assert ((warped[0] > 0) & (warped[1] == 0)).any()
    assert ((warped[1] > 0) & (warped[0] == 0)).any()

    def generate(source: Source) -> Iterator[Event]:
        if method in ("token", "block"):
            return speculative.generate(target, draft, [(0,)], sampling, 2, source, verification=method)
        return spectr.generate(target, draft, [(0,)], sampling, Drafting(3, 2, method), source)

    law = law_of_answers(generate)
    wanted = {
        pair: float(warped[0, pair[0]] * warped[0, pair[1]]) for pair in itertools.product(range(4), repeat=2)
    }
    assert distance(law, wanted) < 1e-12
    assert all(token in (0, 1) for answer, weight in law.items() if weight for token in answer)
