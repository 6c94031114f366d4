"""Toy alignment: an SFT model, rewards on texts, the models aligned to them exactly, and exact look-ahead."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mlcore.decoding.events import Done, Event
from mlcore.decoding.guidance.options import TransferQ
from mlcore.decoding.guidance.reader import Reader
from mlcore.decoding.guidance.rollouts import Rollout
from mlcore.decoding.guidance.transfer_q import generate
from mlcore.decoding.randomness import Source
from mlcore.decoding.sampling import Sampling
from tests.mlcore.decoding.toys import (
    Context,
    Table,
    TableModel,
    enumerate_law,
    random_table,
    sequence_law,
)

PROMPT = (1,)
LENGTH = 3
SAMPLING = Sampling(max_tokens=LENGTH)


def decode(tokens: Sequence[int]) -> str:
    return "".join("abcdefgh"[token] for token in tokens)


@dataclass(frozen=True)
class TextReward:
    """Any function of one text as a reward; the texts it saw are noted in ``seen``."""

    function: Callable[[str], float]
    seen: list[list[str]]
    name: str = "toy"

    def __call__(self, texts: Sequence[str]) -> Tensor:
        self.seen.append(list(texts))
        return torch.tensor([self.function(text) for text in texts], dtype=torch.float64)


def reward(function: Callable[[str], float]) -> TextReward:
    return TextReward(function, [])


def random_reward(seed: int, scale: float = 1.0, shift: float = 0.0) -> TextReward:
    """Uniform numbers in [0, 1] that depend on the text, times ``scale`` plus ``shift``."""

    def function(text: str) -> float:
        number = seed
        for letter in text:
            number = (number * 1_000_003 + ord(letter)) % (2**61 - 1)
        value = torch.rand(1, generator=torch.Generator().manual_seed(number), dtype=torch.float64).item()
        return scale * value + shift

    known: dict[str, float] = {}
    return reward(lambda text: known[text] if text in known else known.setdefault(text, function(text)))


def answer_text(answer: Context, ends: Iterable[int] = ()) -> str:
    ended = next((place for place, token in enumerate(answer) if token in set(ends)), len(answer))
    return decode(answer[:ended])


def tilted_law(
    law: dict[Context, float], exponent: Callable[[str], float], ends: Iterable[int] = ()
) -> dict[Context, float]:
    """law · exp(exponent), normalised, over whole answers."""
    weights = {
        answer: chance * math.exp(exponent(answer_text(answer, ends))) for answer, chance in law.items()
    }
    total = math.fsum(weights.values())
    return {answer: weight / total for answer, weight in weights.items()}


def conditional(law: dict[Context, float], vocabulary: int, prompt: Context = PROMPT) -> Table:
    """The table of next tokens of a law over whole answers to ``prompt``; uniform where there is none."""
    masses: defaultdict[Context, float] = defaultdict(float)
    for answer, chance in law.items():
        for end in range(len(answer) + 1):
            masses[answer[:end]] += chance

    def table(context: Context) -> Tensor:
        prefix = context[len(prompt) :]
        weights = [masses.get((*prefix, token), 0.0) for token in range(vocabulary)]
        known = context[: len(prompt)] == prompt and sum(weights) > 0
        found = torch.tensor(weights if known else [1.0] * vocabulary, dtype=torch.float64)
        return found / found.sum()

    return table


class Toy:
    """V = 3, T = 3: π_sft, r, r_BL in [0, 1] and ρ_BL ∝ π_sft exp(r_BL / β); ``ends`` may hold an end token."""

    def __init__(self, seed: int, beta: float = 0.5, ends: frozenset[int] = frozenset()) -> None:
        self.beta, self.ends = beta, ends
        self.r, self.baseline = random_reward(1000 + seed), random_reward(5000 + seed)
        self.sft_law = sequence_law(random_table(seed, 3), PROMPT, LENGTH, ends)
        self.aligned_law = tilted_law(self.sft_law, lambda text: self.baseline.function(text) / beta, ends)
        self.wanted_law = tilted_law(self.sft_law, lambda text: self.r.function(text) / beta, ends)
        self.sft = TableModel(conditional(self.sft_law, 3), 3, ends=ends)
        self.aligned = TableModel(conditional(self.aligned_law, 3), 3, ends=ends)

    def value(self, law: dict[Context, float], prefix: Context = ()) -> float:
        """E[r | prefix] under a law over whole answers."""
        inside = {answer: chance for answer, chance in law.items() if answer[: len(prefix)] == prefix}
        total = math.fsum(inside.values())
        return math.fsum(c * self.r.function(answer_text(a, self.ends)) for a, c in inside.items()) / total


class EnumeratedRoller:
    """Every continuation with its exact probability, up to ``horizon`` tokens."""

    def __init__(self, horizon: int | None = None) -> None:
        self.horizon = horizon

    def roll(
        self, reader: Reader, candidates: Sequence[Sequence[int]], room: int, source: Source
    ) -> list[Rollout]:
        model = reader.model
        assert isinstance(model, TableModel)
        steps = room if self.horizon is None else min(room, self.horizon)
        found = []
        for number, candidate in enumerate(candidates):
            law = sequence_law(model.table, (*reader.ids, *candidate), steps, model.ends)
            found += [
                Rollout(number, tokens, tokens[-1] in model.ends or len(tokens) == room, chance)
                for tokens, chance in law.items()
            ]
        return found


def answered(events: Iterable[Event]) -> Context:
    """The tokens of the only answer."""
    (done,) = [event for event in events if isinstance(event, Done)]
    return done.tokens


def finished(events: Iterable[Event]) -> Done:
    (done,) = [event for event in events if isinstance(event, Done)]
    return done


def policy_law(
    toy: Toy, transfer: TransferQ, *, exact: bool = True, r: TextReward | None = None, **rest: object
) -> dict[Context, float]:
    """The exact law of answers that the machine gives; look-ahead is enumerated too where ``exact``."""
    roller = {"roller": EnumeratedRoller()} if exact else {}

    def run(source: Source) -> Context:
        found = generate(
            toy.aligned, [PROMPT], SAMPLING, transfer, r or toy.r, decode, source, **roller, **rest
        )  # type: ignore[arg-type]
        return answered(found)

    return enumerate_law(run, limit=2_000)
