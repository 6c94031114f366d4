"""ARGS and controlled decoding are Transfer Q* with a horizon of nothing and with the SFT model's own value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from mlcore.decoding.events import Emitted
from mlcore.decoding.guidance import guided, transfer_q
from mlcore.decoding.guidance.options import TransferQ
from mlcore.decoding.guidance.values import tilted
from mlcore.decoding.randomness import Seeded, Source
from tests.mlcore.decoding.alignment import (
    LENGTH,
    PROMPT,
    SAMPLING,
    EnumeratedRoller,
    Toy,
    answer_text,
    answered,
    decode,
)
from tests.mlcore.decoding.toys import Context, distance, enumerate_law, sequence_law

ENDS = frozenset({2})
TRANSFER = TransferQ(candidates=0, alpha=0.3)


def law_of(
    method: Callable[..., Any], toy: Toy, model: Any, transfer: TransferQ, **rest: Any
) -> dict[Context, float]:
    def run(source: Source) -> Context:
        return answered(method(model, [PROMPT], SAMPLING, transfer, toy.r, decode, source, **rest))

    return enumerate_law(run)


def test_args_weighs_the_partial_text() -> None:
    toy = Toy(1, ends=ENDS)

    def table(context: Context) -> torch.Tensor:
        prefix = context[len(PROMPT) :]
        values = [toy.r.function(answer_text((*prefix, token), ENDS)) for token in range(3)]
        return tilted(toy.sft.table(context).log(), torch.tensor(values, dtype=torch.float64), 0.3)

    wanted = sequence_law(table, PROMPT, LENGTH, ENDS)
    found = law_of(guided.args, toy, toy.sft, TRANSFER)
    assert distance(found, wanted) < 1e-12
    direct = TransferQ(candidates=0, alpha=0.3, horizon=0, rollouts=1)
    assert distance(law_of(transfer_q.generate, toy, toy.sft, direct), wanted) < 1e-12
    (greedy,) = law_of(guided.args, toy, toy.sft, TransferQ(candidates=0, alpha=0.3, mode="greedy"))
    prefix: Context = ()
    while len(prefix) < LENGTH and 2 not in prefix:
        prefix = (*prefix, int(table((*PROMPT, *prefix)).argmax()))
    assert greedy == prefix


def test_args_looks_at_nothing_to_come() -> None:
    toy = Toy(2)
    events = list(guided.args(toy.sft, [PROMPT], SAMPLING, TRANSFER, toy.r, decode, Seeded(0)))
    assert [event.kind for event in events if isinstance(event, Emitted)] == ["chosen"] * LENGTH
    assert events[-1].counts.rollouts == 0  # type: ignore[union-attr]
    assert events[-1].counts.target_calls == LENGTH  # type: ignore[union-attr]
    assert events[-1].counts.unfinished == 3 + 3  # type: ignore[union-attr] - the last token completes the text


def test_controlled_decoding_is_direct_transfer_from_the_sft_model() -> None:
    toy = Toy(3, ends=ENDS)
    found = law_of(guided.controlled, toy, toy.sft, TRANSFER, roller=EnumeratedRoller())

    def table(context: Context) -> torch.Tensor:
        prefix = context[len(PROMPT) :]
        values = [toy.value(toy.sft_law, (*prefix, token)) for token in range(3)]
        return tilted(toy.sft.table(context).log(), torch.tensor(values, dtype=torch.float64), 0.3)

    assert distance(found, sequence_law(table, PROMPT, LENGTH, ENDS)) < 1e-12
    direct = law_of(transfer_q.generate, toy, toy.sft, TRANSFER, roller=EnumeratedRoller())
    assert found == direct
    for seed in range(3):
        both = [
            answered(method(toy.sft, [PROMPT], SAMPLING, TRANSFER, toy.r, decode, Seeded(seed)))
            for method in (guided.controlled, transfer_q.generate)
        ]
        assert both[0] == both[1]
