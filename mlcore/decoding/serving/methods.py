"""The methods by name: what they are, what can be chosen about them, what they need, and how each is started."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from mlcore.decoding import autoregressive, spectr, speculative
from mlcore.decoding.events import Event
from mlcore.decoding.guidance import best_of, guided, transfer_q
from mlcore.decoding.guidance.best_of import BestOf
from mlcore.decoding.guidance.options import TransferQ
from mlcore.decoding.guidance.scoring import Decode
from mlcore.decoding.optimal import optimal_transport
from mlcore.decoding.randomness import Source
from mlcore.decoding.rewards import Reward
from mlcore.decoding.sampling import Sampling
from mlcore.decoding.schedule import choose
from mlcore.decoding.serving.models import Models
from mlcore.decoding.speculation import Drafting
from mlcore.decoding.verification import Rule, block_verification, k_seq
from mlcore.runtime.errors import InputError
from mlcore.runtime.options import Option, described, option

#: rules that select among several drafts
SELECTIONS: dict[str, Rule] = {"kseq": k_seq, "optimal": optimal_transport}


@dataclass(frozen=True)
class Plain:
    """Nothing can be chosen."""


@dataclass(frozen=True)
class Speculative:
    """One draft."""

    length: int = option(6, "tokens drafted in each round (L)", minimum=1, maximum=64)
    verification: str = option(
        "block", "the draft is tested token by token, or as a block", choices=("block", "token")
    )


@dataclass(frozen=True)
class SpecTr:
    """Several drafts."""

    auto: bool = option(
        False,
        "K and L are chosen by what the models' calls cost and how many drafts pass; a pilot measures both",
    )
    drafts: int = option(4, "continuations drafted in each round (K)", minimum=1, maximum=64)
    length: int = option(6, "tokens of each (L)", minimum=1, maximum=64)
    layout: str = option(
        "batch", "drafts are rows of a batch, or a tree that merges equal prefixes", choices=("batch", "tree")
    )
    rule: str = option(
        "kseq",
        "K-SEQ, or the optimal transport that it comes near to, for laws of few tokens (small top-k)",
        choices=tuple(SELECTIONS),
    )


@dataclass(frozen=True)
class BestOfN:
    """Whole answers to choose from."""

    n: int = option(8, "answers, of which the one with the highest reward is taken", minimum=1, maximum=512)


@dataclass(frozen=True)
class Setting:
    """What a method is started with. ``prompt`` are token ids, ``options`` an instance of the method's options."""

    models: Models
    prompt: tuple[int, ...]
    sampling: Sampling
    options: Any
    source: Source
    decode: Decode
    reward: Reward | None = None
    alternatives: int = 0


@dataclass(frozen=True)
class Method:
    """``needs`` are slots of :class:`Models`, or ``reward``; ``exact`` says that samples have the target's own law.

    ``hidden`` are options that nobody chooses; ``settle`` gives the options with what is to be chosen by measuring.
    """

    name: str
    title: str
    help: str
    start: Callable[[Setting], Iterator[Event]]
    options: Any = Plain()
    needs: tuple[str, ...] = ()
    exact: bool = False
    hidden: tuple[str, ...] = ()
    settle: Callable[[Setting], Any] | None = None

    def parameters(self) -> list[Option]:
        """What can be chosen."""
        return [each for each in described(self.options) if each.name not in self.hidden]


def _autoregressive(setting: Setting) -> Iterator[Event]:
    return autoregressive.generate(
        setting.models.target.decoder,
        [setting.prompt],
        setting.sampling,
        setting.source,
        alternatives=setting.alternatives,
    )


def _aligned(setting: Setting) -> Iterator[Event]:
    return autoregressive.generate(
        _slot(setting, "aligned"),
        [setting.prompt],
        setting.sampling,
        setting.source,
        alternatives=setting.alternatives,
    )


def _speculative(setting: Setting) -> Iterator[Event]:
    return speculative.generate(
        setting.models.target.decoder,
        _slot(setting, "draft"),
        [setting.prompt],
        setting.sampling,
        setting.options.length,
        setting.source,
        verification=setting.options.verification,
        alternatives=setting.alternatives,
    )


def _spectr(setting: Setting) -> Iterator[Event]:
    options = setting.options
    alone = options.auto and options.drafts == 1  # a single draft is best tested as a block
    return spectr.generate(
        setting.models.target.decoder,
        _slot(setting, "draft"),
        [setting.prompt],
        setting.sampling,
        Drafting(options.drafts, options.length, options.layout),
        setting.source,
        rule=block_verification if alone else SELECTIONS[options.rule],
        alternatives=setting.alternatives,
    )


def _measured(setting: Setting) -> Any:
    """The options of SpecTr with the K and L that emit most tokens a second here, if that is asked for."""
    if not setting.options.auto:
        return setting.options
    found = choose(
        setting.models.target.decoder, _slot(setting, "draft"), setting.prompt, setting.sampling
    ).drafting
    return replace(setting.options, drafts=found.drafts, length=found.length)


def _transfer_q(setting: Setting) -> Iterator[Event]:
    return transfer_q.generate(
        _slot(setting, "aligned"),
        *_guided(setting),
        sft=setting.models.target.decoder,
        alternatives=setting.alternatives,
    )


def _args(setting: Setting) -> Iterator[Event]:
    return guided.args(setting.models.target.decoder, *_guided(setting), alternatives=setting.alternatives)


def _controlled(setting: Setting) -> Iterator[Event]:
    return guided.controlled(
        setting.models.target.decoder, *_guided(setting), alternatives=setting.alternatives
    )


def _best_of(setting: Setting) -> Iterator[Event]:
    prompts, sampling, options, reward, decode, source = _guided(setting)
    return best_of.generate(
        setting.models.target.decoder, prompts, sampling, BestOf(samples=options.n), reward, decode, source
    )


def _guided(setting: Setting) -> tuple[list[tuple[int, ...]], Sampling, Any, Reward, Decode, Source]:
    if setting.reward is None:
        raise InputError(
            "There is no reward to go for.", field="reward", remedy='Give one, as {"name": "qed"}.'
        )
    return (
        [setting.prompt], setting.sampling, setting.options, setting.reward, setting.decode, setting.source
    )  # fmt: skip


def _slot(setting: Setting, slot: str) -> Any:
    model = setting.models.get(slot)
    if model is None:
        raise InputError(
            f"This needs the model '{slot}', and there is none.", field="method", remedy="Load one."
        )
    return model.decoder


def _all_but(*shown: str) -> tuple[str, ...]:
    return tuple(each.name for each in fields(TransferQ) if each.name not in shown)


_ALL = (
    Method(
        "autoregressive", "Autoregressive", "Plain sampling: one call of the model for every token.",
        _autoregressive, exact=True,
    ),
    Method(
        "speculative", "Speculative",
        "A small model drafts a few tokens, the target tests them in one call. The law of the answer does not change.",
        _speculative, Speculative(), needs=("draft",), exact=True,
    ),
    Method(
        "spectr", "SpecTr",
        "Several drafts at once, among which tokens are selected by optimal transport (Sun et al. 2023). The law of "
        "the answer does not change.",
        _spectr, SpecTr(), needs=("draft",), exact=True, settle=_measured,
    ),
    Method(
        "transfer_q", "Transfer Q*",
        "The aligned model looks ahead with every candidate and prefers those that lead to a high reward "
        "(Chakraborty et al. 2024).",
        _transfer_q, TransferQ(), needs=("aligned", "reward"), hidden=("rows",),
    ),
    Method(
        "args", "ARGS",
        "Candidates are weighed by the reward of the unfinished answer (Khanov et al. 2024).",
        _args, TransferQ(), needs=("reward",), hidden=_all_but("alpha", "candidates", "mode"),
    ),
    Method(
        "cd", "Controlled decoding",
        "The target looks ahead with every candidate and prefers those that lead to a high reward "
        "(Mudgal et al. 2023).",
        _controlled, TransferQ(), needs=("reward",),
        hidden=("rows", "estimator", "beta", "cap", "reference"),
    ),
    Method(
        "best_of", "Best of N", "N answers are sampled, and the one with the highest reward is taken.",
        _best_of, BestOfN(), needs=("reward",),
    ),
    Method(
        "aligned", "Aligned model", "Plain sampling of the model that was aligned to a reward beforehand.",
        _aligned, needs=("aligned",),
    ),
)  # fmt: skip

#: every method by its name
METHODS: dict[str, Method] = {method.name: method for method in _ALL}
