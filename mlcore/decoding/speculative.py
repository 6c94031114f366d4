"""Speculative decoding with one draft, tested token by token or as a block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlcore.decoding import speculation
from mlcore.decoding.events import Event
from mlcore.decoding.networks.causal import CausalModel
from mlcore.decoding.randomness import Source
from mlcore.decoding.sampling import Sampling, Warper
from mlcore.decoding.speculation import Drafting
from mlcore.decoding.verification import RULES
from mlcore.runtime.errors import InputError


def generate(
    target: CausalModel,
    draft: CausalModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    length: int,
    source: Source,
    *,
    verification: str = "block",
    warper: Warper | None = None,
    alternatives: int = 0,
) -> Iterator[Event]:
    """Draft ``length`` tokens, keep what ``verification`` (``"token"`` or ``"block"``) lets stand, and go on.

    See :func:`mlcore.decoding.verification.token_verification` and ``block_verification`` for the rules, and
    :func:`mlcore.decoding.speculation.generate` for what is raised.
    """
    if verification not in ("token", "block"):
        raise InputError(
            f"There is no verification '{verification}'.",
            field="verification",
            remedy="Choose token or block.",
        )
    drafting = Drafting(drafts=1, length=length)
    rule = RULES[verification]
    return speculation.generate(
        target, draft, prompts, sampling, drafting, rule, source, warper=warper, alternatives=alternatives
    )
