"""What was drafted for one prompt, and the laws of draft and target along it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from mlcore.decoding.answers import Answer
from mlcore.decoding.networks.cache import Cache
from mlcore.decoding.networks.causal import CausalModel
from mlcore.decoding.randomness import Source
from mlcore.decoding.sampling import Warper


class Drafts:
    """K continuations ``tokens[row][level]`` of an answer, all of one length; laws are warped and have V entries."""

    def __init__(self, answer: Answer, tokens: list[list[int]], laws: list[Tensor], calls: int) -> None:
        self.tokens, self.calls, self.length = tokens, calls, len(tokens[0])
        self.scored = 0  # tokens that the target read for it
        self.nodes: list[list[int]] | None = None  # of every row, the nodes of a tree, from the root on
        self._drawn, self._answer = laws, answer
        self._logits = torch.empty(0)
        self._laws: Tensor | None = None
        self._known: dict[tuple[int, int], Tensor] = {}

    def p(self, row: int, level: int) -> Tensor:
        """The law (V,) that ``tokens[row][level]`` was sampled from."""
        return self._drawn[level][row]

    def q(self, row: int, level: int) -> Tensor:
        """The target's law (V,) in the same place; ``level`` may be ``length``."""
        place = (0, self.nodes[row][level]) if self.nodes else (row, level)
        if self._laws is not None:
            return self._laws[place]
        if place not in self._known:
            counts = self._counts(row, level) if self._warper.sampling.penalised else None
            self._known[place] = self._warper(self._logits[place], counts)
        return self._known[place]

    def take(self, logits: Tensor, warper: Warper, nodes: list[list[int]] | None = None) -> None:
        """The target's logits (K, L + 1, W), or with ``nodes`` those of a tree (1, nodes, W)."""
        self._logits, self._warper, self.nodes = logits, warper, nodes
        self.scored = logits.shape[0] * logits.shape[1]
        self._known = {}
        # sorting for a truncated law costs more than the laws that are never looked at
        self._laws = warper(logits) if warper.plain and not warper.sampling.penalised else None

    def path(self, row: int, accepted: int) -> list[int]:
        """The nodes of a tree that stand when ``accepted`` tokens of ``row`` do: the root and those."""
        return self.nodes[row][: accepted + 1] if self.nodes else []

    def _counts(self, row: int, level: int) -> Tensor:
        ids = torch.tensor(self.tokens[row][:level], dtype=torch.long, device=self._answer.said.device)
        return self._answer.said + torch.bincount(ids, minlength=len(self._answer.said))


def draft_rows(
    model: CausalModel,
    cache: Cache,
    answers: Sequence[Answer],
    width: int,
    length: int,
    warper: Warper,
    source: Source,
) -> list[Drafts]:
    """``width`` independent samples of ``length`` tokens for every answer; rows of one answer lie next to each other.

    The cache holds a prefix of every answer without its last token, or less. A row that drafts an end token goes on,
    but nothing after that token is ever looked at: the round ends where it is emitted.
    """
    if not length:
        return [Drafts(answer, [[] for _ in range(width)], [], 0) for answer in answers]
    repeated = [answer for answer in answers for _ in range(width)]
    unread = max(len(answer.ids) - held for answer, held in zip(repeated, cache.lengths, strict=True))
    cache.lengths = [len(answer.ids) - unread for answer in repeated]
    fed = torch.tensor([answer.ids[-unread:] for answer in repeated], device=model.device)
    fed = fed.clamp(max=model.vocabulary - 1)  # the target may have said what the draft has no embedding for
    said = torch.stack([answer.said for answer in repeated]) if warper.sampling.penalised else None
    tokens: list[list[int]] = []
    laws: list[Tensor] = []
    for level in range(length):
        logits = model.forward(fed, cache)[:, -1]
        cache.advance(fed.shape[1])
        laws.append(warper(logits, said))
        tokens.append(source.sample(laws[-1]))
        if level + 1 < length:
            fed = torch.tensor(tokens[-1], device=model.device).unsqueeze(1)
            if said is not None:
                said = said + functional.one_hot(fed[:, 0], warper.vocabulary)
    blocks = []
    for place, answer in enumerate(answers):
        rows = slice(place * width, (place + 1) * width)
        own = [list(row) for row in zip(*(level[rows] for level in tokens), strict=True)]
        blocks.append(Drafts(answer, own, [law[rows] for law in laws], length))
    return blocks
