"""Ways to draw whole continuations from one law, for methods that need many: plain sampling, or SpecTr."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from mlcore.decoding import autoregressive, spectr
from mlcore.decoding.events import Event
from mlcore.decoding.networks.causal import CausalModel
from mlcore.decoding.randomness import Source
from mlcore.decoding.sampling import Sampling, Warper
from mlcore.decoding.speculation import Drafting

#: ``(prompts, max_tokens, source)`` to events that end in a Done for each prompt
Sampler = Callable[[Sequence[Sequence[int]], int, Source], Iterator[Event]]


def plain(
    model: CausalModel, sampling: Sampling, warper: Warper | None = None, alternatives: int = 0
) -> Sampler:
    """One call of ``model`` a token."""

    def sample(prompts: Sequence[Sequence[int]], max_tokens: int, source: Source) -> Iterator[Event]:
        wanted = replace(sampling, max_tokens=max_tokens)
        return autoregressive.generate(
            model, prompts, wanted, source, warper=warper, alternatives=alternatives
        )

    return sample


def through_spectr(
    model: CausalModel,
    draft: CausalModel,
    sampling: Sampling,
    drafting: Drafting,
    warper: Warper | None = None,
) -> Sampler:
    """The same law with fewer calls of ``model``, by drafts. Several prompts need the layout ``batch``."""

    def sample(prompts: Sequence[Sequence[int]], max_tokens: int, source: Source) -> Iterator[Event]:
        wanted = replace(sampling, max_tokens=max_tokens)
        return spectr.generate(model, draft, prompts, wanted, drafting, source, warper=warper)

    return sample
