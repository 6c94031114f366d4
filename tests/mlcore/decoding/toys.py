"""Language models small enough to enumerate, and a source of randomness that explores every branch of a method.

``TableModel`` gives any law of the next token, in float64, through the real cache; ``enumerate_law`` turns a method
into the exact law of what it returns.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from mlcore.decoding.networks.cache import Cache, Memory, Tree
from mlcore.decoding.randomness import Source

Context = tuple[int, ...]
Table = Callable[[Context], Tensor]
Outcome = TypeVar("Outcome", bound=Hashable)


class TableModel:
    """:class:`mlcore.decoding.networks.causal.CausalModel` whose law (V,) after a context is ``table(context)``.

    The cache is a real one: its keys hold the tokens and its values their positions, so a method that crops, shares or
    masks wrongly reads another context, or one whose positions have a gap (AssertionError). ``calls`` holds the shape
    of every forward call.
    """

    memory = Memory(layers=1, heads=1, dim=1)

    def __init__(
        self, table: Table, vocabulary: int, context: int = 64, ends: frozenset[int] | set[int] = frozenset()
    ) -> None:
        self.table, self.vocabulary, self.context, self.ends = table, vocabulary, context, frozenset(ends)
        self.device = torch.device("cpu")
        self.calls: list[tuple[int, int]] = []
        self._logits: dict[Context, Tensor] = {}

    def cache(self, rows: int, capacity: int) -> Cache:
        return Cache(self.memory, rows, capacity, torch.float64, self.device)

    def forward(self, ids: Tensor, cache: Cache, tree: Tree | None = None) -> Tensor:
        """Logits (R, T, V) float64: the logarithm of the table."""
        rows, width = ids.shape
        self.calls.append((rows, width))
        step = cache.step(width, tree)
        positions = step.positions.expand(rows, width)
        keys, values = cache.write(0, _column(ids), _column(positions), step)
        tokens, places = keys[:, 0, :, 0].long().tolist(), values[:, 0, :, 0].long().tolist()
        if step.mask is None:
            seen = torch.ones(width, step.extent, dtype=torch.bool)
            if step.causal:
                seen = seen.tril(step.extent - width)
        else:
            seen = step.mask.reshape(-1, width, step.extent)
        seen = seen.expand(rows, width, step.extent).tolist()
        contexts = [
            _context(tokens[row], places[row], seen[row][at]) for row in range(rows) for at in range(width)
        ]
        distinct = {context: number for number, context in enumerate(dict.fromkeys(contexts))}
        found = torch.stack([self.logits(context) for context in distinct])
        return found[[distinct[context] for context in contexts]].view(rows, width, self.vocabulary)

    def logits(self, context: Context) -> Tensor:
        if context not in self._logits:
            law = self.table(context).double()
            assert law.shape == (self.vocabulary,)
            self._logits[context] = law.log()
        return self._logits[context]


def _context(tokens: Sequence[int], places: Sequence[int], seen: Sequence[bool]) -> Context:
    """The visible tokens in the order of their positions."""
    visible = sorted(
        (place, token) for place, token, shown in zip(places, tokens, seen, strict=True) if shown
    )
    assert [place for place, _ in visible] == list(range(len(visible))), "a gap or a doublet in the positions"
    return tuple(token for _, token in visible)


def _column(numbers: Tensor) -> Tensor:
    """(R, T) as the keys of one head of width one: (R, 1, T, 1)."""
    return numbers.double().unsqueeze(1).unsqueeze(-1)


def random_table(seed: int, vocabulary: int, sharpness: float = 1.0, zeros: float = 0.0) -> Table:
    """Softmax of ``sharpness`` times normal numbers that depend on the whole context; each token has probability 0
    with chance ``zeros``, though never all."""

    def table(context: Context) -> Tensor:
        number = seed
        for token in context:
            number = (number * 1_000_003 + token + 1) % (2**61 - 1)
        generator = torch.Generator().manual_seed(number)
        law = (sharpness * torch.randn(vocabulary, generator=generator, dtype=torch.float64)).softmax(-1)
        gone = torch.rand(vocabulary, generator=generator) < zeros
        gone[law.argmax()] = False
        law = law.masked_fill(gone, 0)
        return law / law.sum()

    return table


def mixed(first: Table, second: Table, share: float) -> Table:
    """``share`` of the first law and the rest of the second: a draft that is near its target."""
    return lambda context: share * first(context) + (1 - share) * second(context)


def sequence_law(
    table: Table, prompt: Context, length: int, ends: frozenset[int] | set[int] = frozenset()
) -> dict[Context, float]:
    """The exact law of the answer to ``prompt``: ``length`` tokens, or fewer up to one of ``ends``."""
    law: dict[Context, float] = {}

    def walk(answer: Context, weight: float) -> None:
        if len(answer) == length or (answer and answer[-1] in ends):
            law[answer] = weight
            return
        for token, chance in enumerate(table(prompt + answer).double().tolist()):
            if chance:
                walk((*answer, token), weight * chance)

    walk((), 1.0)
    return law


class Branch:
    """A source that follows ``path`` and then takes the first open branch each time; notes what else there was."""

    def __init__(self, path: Sequence[int]) -> None:
        self._path = path
        self.taken: list[int] = []  # which of the branches with positive probability
        self.widths: list[int] = []  # how many of them there were
        self.weight = 1.0

    def sample(self, laws: Tensor) -> list[int]:
        found = []
        for law in laws.double().tolist():
            total = math.fsum(law)
            assert total > 0, f"{law} has no mass"
            assert min(law) >= 0, f"{law} is not a law"
            found.append(self._take([(token, weight / total) for token, weight in enumerate(law) if weight]))
        return found

    def accept(self, chance: float) -> bool:
        assert chance == chance, "a chance that is not a number"
        chance = min(1.0, max(0.0, float(chance)))
        return bool(self._take([(said, weight) for said, weight in ((1, chance), (0, 1 - chance)) if weight]))

    def _take(self, branches: list[tuple[int, float]]) -> int:
        at = len(self.taken)
        which = self._path[at] if at < len(self._path) else 0
        self.taken.append(which)
        self.widths.append(len(branches))
        value, weight = branches[which]
        self.weight *= weight
        return value


def enumerate_law(function: Callable[[Source], Outcome], limit: int = 1_000_000) -> dict[Outcome, float]:
    """The exact law of ``function(source)``: it is run once for every branch of its random decisions.

    ``function`` must be the same in every run but for the source. AssertionError beyond ``limit`` runs.
    """
    parts: defaultdict[Outcome, list[float]] = defaultdict(list)
    path: list[int] | None = []
    runs = 0
    while path is not None:
        runs += 1
        assert runs <= limit, f"more than {limit} branches"
        branch = Branch(path)
        parts[function(branch)].append(branch.weight)
        path = _following(branch)
    return {outcome: math.fsum(weights) for outcome, weights in parts.items()}


def _following(branch: Branch) -> list[int] | None:
    """The next path in depth-first order; None after the last."""
    path = list(branch.taken)
    while path and path[-1] + 1 == branch.widths[len(path) - 1]:
        path.pop()
    if not path:
        return None
    path[-1] += 1
    return path


def distance(first: dict[Context, float], second: dict[Context, float]) -> float:
    """The largest difference of two laws at any outcome."""
    return max(
        abs(first.get(outcome, 0.0) - second.get(outcome, 0.0)) for outcome in first.keys() | second.keys()
    )


def variation(first: dict[Context, float], second: dict[Context, float]) -> float:
    """Total variation of two laws."""
    return 0.5 * math.fsum(
        abs(first.get(key, 0.0) - second.get(key, 0.0)) for key in first.keys() | second.keys()
    )
