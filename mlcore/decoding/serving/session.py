"""A request carried out: its lanes one after another on one prompt, as events in JSON, with their speeds compared.

``opened``, then for every lane ``drafted`` and ``token`` as they come and ``done``, then ``closed``. Plain sampling
goes first, as a lane or unseen, because the others are measured against it. Only the time inside the methods counts: a
reader who takes events slowly makes no method slower.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from math import isfinite
from typing import Any

from mlcore.decoding.events import FORMULAE, Counts, Done, Drafted, Emitted, Event
from mlcore.decoding.guidance.departures import between
from mlcore.decoding.guidance.lookahead import GuidedCounts
from mlcore.decoding.language import prompts
from mlcore.decoding.randomness import Seeded
from mlcore.decoding.rewards import Reward, guarded
from mlcore.decoding.serving.comparison import compared
from mlcore.decoding.serving.description import exactness
from mlcore.decoding.serving.estimates import check
from mlcore.decoding.serving.methods import METHODS, Setting
from mlcore.decoding.serving.models import Models
from mlcore.decoding.serving.molecule_facts import facts
from mlcore.decoding.serving.requests import Lane, Request, build_reward, placed
from mlcore.decoding.serving.spelling import Pieces, Spelling
from mlcore.runtime.errors import InputError

Json = dict[str, Any]
_WARM_TOKENS = 8
NEXT_RUN = 1_000_003  #: from the seed of one run to that of the next


def run(
    request: Request, models: Models, stopping: Callable[[], bool] = lambda: False, *, compare: bool = True
) -> Iterator[Json]:
    """The events of ``request``; ``stopping`` is asked after every token and ends them there, without ``closed``.

    Without ``compare`` nothing is measured against plain sampling.

    Raises, before the first event: InputError and LimitError where something cannot be decoded; later: RewardError
    where a reward fails on what was generated.
    """
    session = Session(request, models, stopping, compare)
    yield session.opened()
    yield from session.lanes()


def outcome(
    request: Request, models: Models, stopping: Callable[[], bool] = lambda: False, *, compare: bool = True
) -> Json:
    """``{"opened", "lanes": [done], "closed"}`` of a request carried out whole; ``closed`` is None when stopped."""
    found: Json = {"opened": None, "lanes": [], "closed": None}
    for event in run(request, models, stopping, compare=compare):
        if event["event"] == "done":
            found["lanes"].append(event)
        elif event["event"] in ("opened", "closed"):
            found[event["event"]] = event
    found["lanes"].sort(key=lambda event: event["lane"])
    return found


@dataclass
class _Clock:
    """Seconds inside the method."""

    seconds: float = 0.0

    def timed(self, events: Iterator[Event]) -> Iterator[Event]:
        while True:
            begun = time.perf_counter()
            event = next(events, None)
            self.seconds += time.perf_counter() - begun
            if event is None:
                return
            if isinstance(event, Done):
                event.counts.seconds["total"] = self.seconds
            yield event


class Session:
    """A checked request and what it is carried out with. Raises what :func:`run` raises before its first event."""

    def __init__(
        self, request: Request, models: Models, stopping: Callable[[], bool], compare: bool = True
    ) -> None:
        self.request, self.models, self._stopping = request, models, stopping
        self._tokenizer = models.target.tokenizer
        self._prompt = request.tokens(self._tokenizer)
        check(request, models, len(self._prompt))
        self._reward: Reward | None = build_reward(request, models.retrieval)
        self._pieces = Pieces(self._tokenizer)
        self._lanes = list(request.lanes)  # with what is chosen by measuring, once that is done
        plain = [number for number, lane in enumerate(request.lanes) if lane.method.name == "autoregressive"]
        self._baseline = plain[0] if plain else None
        self._compares = compare and len(plain) < len(request.lanes)

    def opened(self) -> Json:
        """The first event."""
        return {
            "event": "opened",
            "lanes": [lane.facts() for lane in self.request.lanes],
            "models": self.models.facts(),
            "prompt": {"tokens": len(self._prompt), "text": self.request.prompt},
            "seed": self.request.seed,
            "exactness": exactness(),
        }

    def lanes(self) -> Iterator[Json]:
        """Every other event."""
        found: dict[int | None, list[Counts]] = {}
        if self._compares:
            self._warm_up()
        if self._compares and self._baseline is None:
            counts = self._unseen(_PLAIN, self.request.seed)
            if counts is None:
                return
            found[None] = [counts]
        numbers = sorted(range(len(self.request.lanes)), key=lambda number: number != self._baseline)
        for number in numbers:
            counts = yield from self._lane(number)
            if counts is None:
                return
            found[number] = [counts]
        if self._compares and not self._again(found):
            return
        yield {"event": "closed", "comparison": self._comparison(found) if self._compares else []}

    def _lane(self, number: int) -> Generator[Json, None, Counts | None]:
        """One lane; its counts, or None when it was stopped."""
        lane = self._lanes[number] = self._settled(self._lanes[number])
        spelling = Spelling(self._tokenizer, self._prompt)
        shown = 0
        with closing(self._events(lane, self.request.seed, number)) as events:
            for event in events:
                if isinstance(event, Drafted):
                    size = sum(map(len, event.drafts))
                    # best-of-N tells all its answers so far with every token: every doubling is shown
                    if lane.method.name != "best_of" or size >= 2 * shown:
                        shown = size
                        yield {"event": "drafted", "lane": number, "drafts": self._drafts(event)}
                elif isinstance(event, Emitted):
                    yield self._token(number, event, spelling)
                else:
                    yield self._done(number, lane, event, spelling)
                    return event.counts
                if self._stopping():
                    return None
        return None

    def _events(self, lane: Lane, seed: int, number: int = 0, max_tokens: int = 0) -> Generator[Event]:
        setting = self._setting(lane, seed)
        if max_tokens:
            wanted = min(max_tokens, setting.sampling.max_tokens)
            setting = replace(setting, sampling=replace(setting.sampling, max_tokens=wanted))
        try:
            yield from _Clock().timed(lane.method.start(setting))
        except InputError as fault:
            raise placed(fault, lane, number) from fault

    def _setting(self, lane: Lane, seed: int) -> Setting:
        return Setting(
            self.models,
            self._prompt,
            self.request.sampling,
            lane.options,
            Seeded(seed),
            lambda ids: prompts.answer(self._tokenizer, ids),
            self._reward,
            self.request.alternatives,
        )

    def _settled(self, lane: Lane) -> Lane:
        """``lane`` with its automatic choices made, on this prompt; measuring for them is not part of its time."""
        if lane.method.settle is None:
            return lane
        return replace(lane, options=lane.method.settle(self._setting(lane, self.request.seed)))

    def _unseen(self, lane: Lane, seed: int, number: int = 0) -> Counts | None:
        """The counts of a run whose tokens nobody sees; None when it was stopped."""
        with closing(self._events(lane, seed, number)) as events:
            for event in events:
                if isinstance(event, Done):
                    return event.counts
                if self._stopping():
                    return None
        return None

    def _warm_up(self) -> None:
        """The first calls of a process are slow; a few tokens of every method that has not run yet take them."""
        for lane in (_PLAIN, *self.request.lanes):
            if lane.method.name not in self.models.warm and lane.method.exact:
                for _ in self._events(lane, 0, max_tokens=_WARM_TOKENS):
                    pass
            self.models.warm.add(lane.method.name)

    def _again(self, found: dict[int | None, list[Counts]]) -> bool:
        """Measure every lane again as often as is asked, in turns; False when it was stopped."""
        for repeat in range(1, self.request.repeats):
            seed = self.request.seed + repeat * NEXT_RUN
            for number, runs in found.items():
                lane = _PLAIN if number is None else self._lanes[number]
                counts = self._unseen(lane, seed, number or 0)
                if counts is None:
                    return False
                runs.append(counts)
        return True

    def _comparison(self, found: Mapping[int | None, list[Counts]]) -> list[Json]:
        return [
            compared(number, found[number], found[self._baseline])
            for number, lane in enumerate(self.request.lanes)
            if lane.method.name != "autoregressive"
        ]

    def _drafts(self, event: Drafted) -> list[list[Json]]:
        return [[{"id": token, "text": self._pieces(token)} for token in draft] for draft in event.drafts]

    def _token(self, number: int, event: Emitted, spelling: Spelling) -> Json:
        others = event.alternatives
        return {
            "event": "token",
            "lane": number,
            "id": event.token,
            "text": spelling.add(event.token),
            "kind": event.kind,
            "alternatives": {
                "target": self._pieces.pairs(others.target),
                "draft": self._pieces.pairs(others.draft),
                "values": self._pieces.pairs(others.values),
            }
            if others
            else None,
        }

    def _done(self, number: int, lane: Lane, event: Done, spelling: Spelling) -> Json:
        counts, text = event.counts, spelling.text
        reward = counts.reward if isinstance(counts, GuidedCounts) else None
        if reward is None and self._reward is not None:
            reward = float(guarded(self._reward)([text.strip()])[0])
        return {
            "event": "done",
            "lane": number,
            "text": text,
            "reason": event.reason,
            "counts": finite(asdict(counts)),
            "rates": {name: getattr(counts, name) for name in FORMULAE},
            "formulae": dict(FORMULAE),
            "parameters": lane.facts()["parameters"],
            "molecule": facts(text, reward) if self.request.task == "molecule" else None,
            "reward": reward,
            "kl": finite(self._kl(lane, event)),
        }

    def _kl(self, lane: Lane, event: Done) -> float | None:
        """What this answer says about the divergence from the target's law, in nats."""
        if lane.method.exact:
            return 0.0
        if isinstance(event.counts, GuidedCounts):
            return (event.counts.from_sft or event.counts.from_reference).divergence
        if self.models.aligned is None:
            return None
        pair = (self.models.aligned.decoder, self.models.target.decoder)
        return between(*pair, self._prompt, event.tokens, self.request.sampling)


def finite(value: Any) -> Any:
    """``value`` as JSON can carry it: numbers that are not finite become None."""
    if isinstance(value, Mapping):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value


_PLAIN = Lane(METHODS["autoregressive"], METHODS["autoregressive"].options)
