"""SpecTr: K drafts of L tokens, verified by k-sequential selection (Sun et al., NeurIPS 2023, arXiv 2310.15141)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlcore.decoding import speculation
from mlcore.decoding.events import Event
from mlcore.decoding.networks.causal import CausalModel
from mlcore.decoding.randomness import Source
from mlcore.decoding.sampling import Sampling, Warper
from mlcore.decoding.speculation import Drafting
from mlcore.decoding.verification import Rule, k_seq


def generate(
    target: CausalModel,
    draft: CausalModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    drafting: Drafting,
    source: Source,
    *,
    rule: Rule = k_seq,
    warper: Warper | None = None,
    alternatives: int = 0,
) -> Iterator[Event]:
    """Draft ``drafting.drafts`` continuations in each round, score all in one call of the target, keep a prefix of one.

    ``rule`` selects at every level; :func:`mlcore.decoding.optimal.optimal_transport` is the yardstick for small
    vocabularies. See :func:`mlcore.decoding.speculation.generate` for what is raised.
    """
    return speculation.generate(
        target, draft, prompts, sampling, drafting, rule, source, warper=warper, alternatives=alternatives
    )
