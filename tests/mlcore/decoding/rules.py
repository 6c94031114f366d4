"""Laws for the tests of verification rules, and the exact law of what a rule makes of them."""

from __future__ import annotations

import torch
from torch import Tensor

from mlcore.decoding.randomness import Source
from mlcore.decoding.verification import Rule
from tests.mlcore.decoding.toys import Context, Table, enumerate_law


def law(*weights: float) -> Tensor:
    weight = torch.tensor(weights, dtype=torch.float64)
    return weight / weight.sum()


def drawn_laws(seed: int, tokens: int, zeros: float = 0.0) -> tuple[Tensor, Tensor]:
    """Two random laws (tokens,), uneven, each token without mass with chance ``zeros``."""
    generator = torch.Generator().manual_seed(seed)
    laws = torch.rand(2, tokens, generator=generator, dtype=torch.float64).pow(3)
    laws *= torch.rand(2, tokens, generator=generator, dtype=torch.float64) >= zeros
    laws[:, 0] += 1e-3
    laws /= laws.sum(-1, keepdim=True)
    return laws[0], laws[1]


def one_position(
    rule: Rule, p: Tensor, q: Tensor, k: int, drawn: Tensor | None = None
) -> tuple[Tensor, float, float]:
    """The law (V,) of the token that ``rule`` gives after ``k`` drafts of one token, summed over all tuples of drafts.

    And the probability that a draft is accepted, and that a correction equals a draft. ``drawn``, if given, is what
    the drafts are sampled from while the rule is told ``p``.
    """
    nothing = torch.zeros_like(q)
    nothing[0] = 1.0  # the bonus token is not of interest

    def run(source: Source) -> tuple[int, bool, bool]:
        drafts = [[token] for token in source.sample((p if drawn is None else drawn).expand(k, -1))]
        outcome = rule(drafts, lambda _row, _level: p, lambda _row, level: nothing if level else q, source)
        accepted = bool(outcome.accepted)
        token = outcome.accepted[0] if accepted else outcome.final
        return token, accepted, not accepted and [token] in drafts

    output, passed, coincident = torch.zeros_like(q), 0.0, 0.0
    for (token, accepted, equal), weight in enumerate_law(run).items():
        output[token] += weight
        passed += weight * accepted
        coincident += weight * equal
    return output, passed, coincident


def block(rule: Rule, draft: Table, target: Table, k: int, length: int) -> dict[Context, float]:
    """The exact law of the tokens of one block, of 1 to ``length + 1``, without any model between."""

    def run(source: Source) -> Context:
        drafts: list[list[int]] = [[] for _ in range(k)]
        for _ in range(length):
            laws = torch.stack([draft(tuple(tokens)) for tokens in drafts])
            for tokens, token in zip(drafts, source.sample(laws), strict=True):
                tokens.append(token)
        outcome = rule(
            drafts,
            lambda row, level: draft(tuple(drafts[row][:level])),
            lambda row, level: target(tuple(drafts[row][:level])),
            source,
        )
        return (*outcome.accepted, outcome.final)

    return enumerate_law(run)


def completed(
    blocks: dict[Context, float],
    target: Table,
    length: int,
    prompt: Context = (),
    ends: frozenset[int] = frozenset(),
) -> dict[Context, float]:
    """The law of the first ``length`` tokens when the target goes on after each block; nothing follows an end."""
    complete: dict[Context, float] = {}

    def walk(answer: Context, weight: float) -> None:
        if len(answer) >= length or (answer and answer[-1] in ends):
            complete[answer[:length]] = complete.get(answer[:length], 0.0) + weight
            return
        for token, chance in enumerate(target(prompt + answer).tolist()):
            if chance:
                walk((*answer, token), weight * chance)

    for answer, weight in blocks.items():
        walk(answer, weight)
    return complete


def mean_length(blocks: dict[Context, float]) -> float:
    """Expected tokens of a block."""
    return sum(len(answer) * weight for answer, weight in blocks.items())
