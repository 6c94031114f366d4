"""What the tests do with a generator of events: read it to the end, or its first block, or enumerate it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mlcore.decoding.events import Done, Emitted, Event
from mlcore.decoding.randomness import Source
from tests.mlcore.decoding.toys import Context, enumerate_law

Method = Callable[[Source], Iterator[Event]]


def answers(events: Iterable[Event]) -> list[Context]:
    """The tokens of every prompt's answer, in the order of the prompts."""
    done = sorted((event for event in events if isinstance(event, Done)), key=lambda event: event.row)
    return [event.tokens for event in done]


def first_block(events: Iterable[Event]) -> Context:
    """The tokens of the first block of a single prompt; the generator is left there."""
    tokens = []
    for event in events:
        if isinstance(event, Emitted):
            tokens.append(event.token)
            if event.kind in ("corrected", "bonus"):
                break
        elif isinstance(event, Done):
            break
    return tuple(tokens)


def law_of_blocks(method: Method) -> dict[Context, float]:
    """The exact law of the first block."""
    return enumerate_law(lambda source: first_block(method(source)))


def law_of_answers(method: Method) -> dict[Context, float]:
    """The exact law of the whole answer to a single prompt."""
    return enumerate_law(lambda source: answers(method(source))[0])
