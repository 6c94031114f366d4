"""Rules that decide which drafted tokens stand, each leaving the law of the output exactly the target's.

A rule looks at the drafts of one prompt, ``drafts[row][level]``, at the draft law ``p(row, level)`` that the token
there was sampled from and the target law ``q(row, level)`` in the same place (``level`` runs to L, one beyond the
drafts); both are warped laws (V,). It returns an :class:`Outcome`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from mlcore.decoding.events import Kind
from mlcore.decoding.randomness import Source
from mlcore.transport import membership

Laws = Callable[[int, int], Tensor]
#: of the drafted tokens, ``p`` and ``q`` (V,) of one place: the token that stands there, and whether it was drafted
Selection = Callable[[Sequence[int], Tensor, Tensor, Source], tuple[int, bool]]


@dataclass
class Outcome:
    """``accepted`` tokens lie on the draft ``row``; ``final`` follows them, drawn as ``kind`` says."""

    accepted: list[int] = field(default_factory=list)
    row: int = 0
    final: int = -1
    kind: Kind = "corrected"


class Rule(Protocol):
    """Decides about the drafts of one prompt."""

    def __call__(self, drafts: Sequence[Sequence[int]], p: Laws, q: Laws, source: Source) -> Outcome: ...


def token_verification(drafts: Sequence[Sequence[int]], p: Laws, q: Laws, source: Source) -> Outcome:
    """One draft, tested token by token (Leviathan et al., arXiv 2211.17192; Chen et al., arXiv 2302.01318).

    Token x passes with probability ``min(1, q(x) / p(x))``; the first that fails is replaced by a sample of
    ``max(q - p, 0)``, normalised.
    """
    outcome = Outcome()
    for level, token in enumerate(drafts[0]):
        drafted, wanted = p(0, level), q(0, level)
        if not source.accept(ratio(float(drafted[token]), float(wanted[token]))):
            outcome.final = source.sample(_positive(wanted - drafted, wanted))[0]
            return outcome
        outcome.accepted.append(token)
    return _bonus(outcome, q, len(drafts[0]), source)


def block_verification(drafts: Sequence[Sequence[int]], p: Laws, q: Laws, source: Source) -> Outcome:
    """One draft, tested as a whole: never worse than token by token (Sun et al., arXiv 2403.10444, Algorithm 2).

    With ``P_0 = 1``, ``P_i = min(1, P_{i-1} q(X_i) / p(X_i))`` and ``s_i = sum_x max(P_i q(x|X^i) - p(x|X^i), 0)``,
    length ``i`` passes with probability ``s_i / (s_i + 1 - P_i)``, the whole block with ``P_L``. The longest that
    passes stands, and is followed by a sample of ``max(P_i q - p, 0)``, normalised.
    """
    tokens = drafts[0]
    ahead, standing, share = 1.0, 0, 1.0
    for level, token in enumerate(tokens, start=1):
        ahead = min(1.0, ahead * _quotient(float(p(0, level - 1)[token]), float(q(0, level - 1)[token])))
        if level == len(tokens):
            passes = ahead
        else:
            more = float((ahead * q(0, level) - p(0, level)).clamp(min=0).sum())
            passes = more / (more + 1 - ahead) if more + 1 - ahead > 0 else 0.0
        if source.accept(passes):
            standing, share = level, ahead
    outcome = Outcome(list(tokens[:standing]))
    if standing == len(tokens):
        return _bonus(outcome, q, standing, source)
    wanted = q(0, standing)
    outcome.final = source.sample(_positive(share * wanted - p(0, standing), wanted))[0]
    return outcome


def k_seq(drafts: Sequence[Sequence[int]], p: Laws, q: Laws, source: Source) -> Outcome:
    """K independent drafts, tried in turn at every level (SpecTr, arXiv 2310.15141, Algorithm 2, rho* of Theorem 1).

    ``rho*`` is computed again wherever fewer drafts survive.
    """
    return level_by_level(drafts, p, q, source, _k_sequential)


def level_by_level(
    drafts: Sequence[Sequence[int]], p: Laws, q: Laws, source: Source, select: Selection
) -> Outcome:
    """Let ``select`` choose at every level among the drafts that agree with what stands, equal ones counted apart."""
    outcome, alive = Outcome(), list(range(len(drafts)))
    for level in range(len(drafts[0])):
        outcome.row = alive[0]
        tried = [drafts[row][level] for row in alive]
        token, stands = select(tried, p(outcome.row, level), q(outcome.row, level), source)
        if not stands:
            outcome.final = token
            return outcome
        outcome.accepted.append(token)
        alive = [row for row in alive if drafts[row][level] == token]
    outcome.row = alive[0]
    return _bonus(outcome, q, len(drafts[0]), source)


def _k_sequential(tokens: Sequence[int], p: Tensor, q: Tensor, source: Source) -> tuple[int, bool]:
    rho = 1.0 if len(tokens) == 1 else membership.division_factor_of_one(p, q, len(tokens))
    for token in tokens:
        if source.accept(ratio(rho * float(p[token]), float(q[token]))):
            return token, True
    return source.sample(_positive(q - rho * p, q))[0], False


def ratio(p: float, q: float) -> float:
    """``min(1, q / p)``; zero where the target never says the token."""
    return 1.0 if 0 < q >= p else (q / p if p > 0 else 0.0)


def _quotient(p: float, q: float) -> float:
    return q / p if p > 0 else 0.0


def _positive(difference: Tensor, wanted: Tensor) -> Tensor:
    """The residual law (1, V): what ``difference`` has above zero, or ``wanted`` where rounding left nothing."""
    left = difference.clamp(min=0)
    return (left if float(left.sum()) > membership.EMPTY else wanted).unsqueeze(0)


def _bonus(outcome: Outcome, q: Laws, level: int, source: Source) -> Outcome:
    outcome.final = source.sample(q(outcome.row, level).unsqueeze(0))[0]
    outcome.kind = "bonus"
    return outcome


RULES: dict[str, Rule] = {"token": token_verification, "block": block_verification, "kseq": k_seq}
