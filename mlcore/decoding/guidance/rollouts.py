"""Continuations of candidates: many at once over copies of one prefix, ended rows dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mlcore.decoding.events import Done
from mlcore.decoding.guidance.reader import Reader
from mlcore.decoding.guidance.samplers import Sampler
from mlcore.decoding.randomness import Source

#: rows of one forward call
MOST_ROWS = 256
#: ended rows are dropped from the cache when they are this share of it: copying costs too
_DROPPED = 0.25
_SEEDS = 2**16


@dataclass(frozen=True)
class Rollout:
    """One continuation of candidate number ``candidate``; its ``tokens`` include the end token, if it came to one.

    ``share`` is its weight in an expectation: 1/n of n samples. ``finished`` is false where it was cut off.
    """

    candidate: int
    tokens: tuple[int, ...]
    finished: bool
    share: float


class Roller(Protocol):
    """Continues candidates under the model that the reader follows."""

    def roll(
        self, reader: Reader, candidates: Sequence[Sequence[int]], room: int, source: Source
    ) -> list[Rollout]:
        """Rollouts after ``reader.ids`` and each of ``candidates``, which have equal lengths and have not ended.

        ``room`` ≥ 1 tokens may follow a candidate until the answer is full. The shares of a candidate sum to 1.
        """


@dataclass(frozen=True)
class PlainRoller:
    """``rollouts`` samples a candidate, token by token, or its greedy continuation.

    ``horizon`` is the most tokens of a rollout (None: until it ends). With ``common``, rollout number j of every
    candidate uses the same random numbers: differences between candidates then vary less.
    """

    rollouts: int = 1
    horizon: int | None = None
    greedy: bool = False
    common: bool = False
    rows: int = MOST_ROWS

    def roll(
        self, reader: Reader, candidates: Sequence[Sequence[int]], room: int, source: Source
    ) -> list[Rollout]:
        steps = room if self.horizon is None else min(self.horizon, room)
        jobs = [(number, which) for number in range(len(candidates)) for which in range(self.rollouts)]
        uniforms = _uniforms(source, self.rollouts, steps) if self.common and not self.greedy else None
        found: list[Rollout] = []
        for start in range(0, len(jobs), self.rows):
            part = jobs[start : start + self.rows]
            batch = _Batch(reader, candidates, [number for number, _ in part], steps)
            shared = uniforms[torch.tensor([which for _, which in part])] if uniforms is not None else None
            for (number, _), tokens in zip(part, batch.run(self._draw(source, shared), steps), strict=True):
                finished = tokens[-1] in reader.model.ends or len(tokens) == room
                found.append(Rollout(number, tuple(tokens), finished, 1 / self.rollouts))
        return found

    def _draw(self, source: Source, uniforms: Tensor | None) -> _Draw:
        if self.greedy:
            return lambda laws, _, __: laws.argmax(-1).tolist()
        if uniforms is not None:
            return lambda laws, jobs, step: inverse(laws, uniforms[jobs, step])
        return lambda laws, _, __: source.sample(laws)


#: laws (R, V) of the jobs with these numbers at this step, to tokens
_Draw = Callable[[Tensor, list[int], int], list[int]]


class _Batch:
    """Rows of one cache that are continued together; row i continues candidate ``numbers[i]``."""

    def __init__(
        self, reader: Reader, candidates: Sequence[Sequence[int]], numbers: list[int], steps: int
    ) -> None:
        self._reader, self._warper = reader, reader.warper
        distinct = sorted(set(numbers))
        ids = torch.tensor([list(candidates[number]) for number in distinct], device=reader.model.device)
        self._cache = reader.copies(len(distinct), ids.shape[1] + max(steps - 1, 0))
        logits = reader.forward(ids, self._cache)[:, -1]
        self._cache.advance(ids.shape[1])
        places = [distinct.index(number) for number in numbers]
        if places != list(range(len(distinct))):
            self._cache, logits = self._cache.chosen(places), logits[places]
        self._logits = logits
        said = reader.said()
        self._said = None
        if said is not None:
            self._said = torch.stack(
                [said + self._warper.counts(list(candidates[n]), said.device) for n in numbers]
            )

    def run(self, draw: _Draw, steps: int) -> list[list[int]]:
        """Up to ``steps`` tokens of every row, fewer where an end token comes."""
        answers: list[list[int]] = [[] for _ in range(self._cache.rows)]
        rows = list(range(self._cache.rows))  # the job of each row of the cache
        alive = rows  # places in ``rows`` of those that go on
        for step in range(steps):
            every = len(alive) == len(rows)
            logits = self._logits if every else self._logits[alive]
            jobs = [rows[place] for place in alive]
            said = None if self._said is None else self._said[jobs]
            tokens = draw(self._warper(logits, said), jobs, step)
            for job, token in zip(jobs, tokens, strict=True):
                answers[job].append(token)
                if self._said is not None:
                    self._said[job, token] += 1
            alive = [
                place
                for place, token in zip(alive, tokens, strict=True)
                if token not in self._reader.model.ends
            ]
            if not alive or step == steps - 1:
                break
            if len(alive) <= (1 - _DROPPED) * len(rows):
                self._cache = self._cache.chosen(alive)
                rows = [rows[place] for place in alive]
                alive = list(range(len(rows)))
            ids = torch.tensor([[answers[job][-1]] for job in rows], device=self._logits.device)
            self._logits = self._reader.forward(ids, self._cache)[:, 0]
            self._cache.advance(1)
        return answers


@dataclass(frozen=True)
class SampledRoller:
    """``rollouts`` samples a candidate through any lossless ``sampler`` of the same law, such as SpecTr.

    It reads the prefix anew for every batch of ``rows`` continuations.
    """

    sampler: Sampler
    rollouts: int = 1
    horizon: int | None = None
    rows: int = MOST_ROWS

    def roll(
        self, reader: Reader, candidates: Sequence[Sequence[int]], room: int, source: Source
    ) -> list[Rollout]:
        steps = room if self.horizon is None else min(self.horizon, room)
        numbers = [number for number in range(len(candidates)) for _ in range(self.rollouts)]
        found: list[Rollout] = []
        for start in range(0, len(numbers), self.rows):
            part = numbers[start : start + self.rows]
            prompts = [[*reader.ids, *candidates[number]] for number in part]
            for event in self.sampler(prompts, steps, source):
                if isinstance(event, Done):
                    finished = event.reason == "end" or len(event.tokens) == room
                    found.append(Rollout(part[event.row], event.tokens, finished, 1 / self.rollouts))
                    reader.calls += event.counts.target_calls
                    reader.tokens += event.counts.target_tokens
        return found


def inverse(laws: Tensor, uniforms: Tensor) -> list[int]:
    """The token of each of ``laws`` (R, V) at the quantile ``uniforms`` (R,) in [0, 1)."""
    sums = laws.cumsum(-1, dtype=torch.float64)
    wanted = uniforms.to(laws.device).unsqueeze(1) * sums[:, -1:]
    found: list[int] = torch.searchsorted(sums, wanted, right=True).squeeze(1).tolist()
    return found


def _uniforms(source: Source, rows: int, steps: int) -> Tensor:
    """(rows, steps) uniform numbers from a seed that ``source`` draws."""
    seed = source.sample(torch.ones(1, _SEEDS))[0]
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(rows, steps, generator=generator, dtype=torch.float64)
