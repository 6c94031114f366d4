"""Parameters of Transfer Q* and of the methods that are special cases of it, and what is refused before any work."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from mlcore.runtime.errors import InputError, LimitError
from mlcore.runtime.options import checked, described, option

if TYPE_CHECKING:
    from mlcore.decoding.sampling import Sampling

Estimator = Literal["mean", "snis", "soft", "released"]
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)
Mode = Literal["sample", "greedy"]
MODES: tuple[Mode, ...] = get_args(Mode)

#: tokens generated ahead and texts scored for one answer, at most
MOST_TOKENS, MOST_TEXTS = 20_000_000, 2_000_000


@dataclass(frozen=True)
class TransferQ:
    """How Transfer Q* looks ahead and chooses. Rewards, α and β are in one unit: standardise the reward first.

    Policy improvement is proved for ``mode`` sample, ``rollout`` sampled to the end, and all tokens as candidates;
    fewer candidates are a limit on what can be said, and a horizon rewards unfinished texts.
    """

    alpha: float = option(1.0, "reward that must be gained for one nat away from the reference", minimum=1e-9)
    candidates: int = option(10, "likeliest tokens (or sampled blocks) that are valued; 0 for all", minimum=0)
    rollouts: int = option(4, "continuations of each candidate", minimum=1, maximum=1024)
    horizon: int = option(
        -1, "tokens of a continuation; -1 until it ends, 0 rewards the text as it stands", minimum=-1
    )
    rollout: str = option(
        "sampled", "continuations are sampled, or the likeliest one", choices=("sampled", "greedy")
    )
    common: bool = option(False, "the same random numbers for every candidate: steadier differences")
    estimator: Estimator = option(  # noqa: RUF009
        "mean",
        "mean: direct transfer. snis, soft: indirect, from a reward other than that of the aligned model; "
        "released: the score of the authors' code, which changes when a constant is added to the reward",
        choices=ESTIMATORS,
    )
    beta: float = option(
        2.0, "KL weight that the model was aligned with, in units of the reward", minimum=1e-9
    )
    cap: float = option(
        0.0, "largest weight of a continuation, in multiples of the mean; 0 for no limit", minimum=0.0
    )
    reference: str = option("aligned", "the model to stay near", choices=("aligned", "sft"))
    mode: Mode = option(  # noqa: RUF009
        "sample", "sample from the policy, or take its likeliest candidate (no guarantee)", choices=MODES
    )
    block: int = option(
        1, "tokens chosen at once; above 1, candidates are samples of the reference", minimum=1
    )
    rows: int = option(256, "continuations that are computed together", minimum=1, maximum=4096)


def candidate_count(transfer: TransferQ, vocabulary: int) -> int:
    """How many candidates there are at a state; of single tokens no more than there are tokens."""
    if transfer.block > 1:
        return transfer.candidates
    return min(transfer.candidates or vocabulary, vocabulary)


def check_guidance(
    transfer: TransferQ, sampling: Sampling, sft: bool, baseline: bool, vocabulary: int
) -> None:
    """Refuse what cannot work or would take too long.

    ``sft`` and ``baseline`` say whether the SFT model and the baseline's reward are given.

    Raises:
        InputError: a parameter out of its limits, parameters that exclude each other, something missing.
        LimitError: beyond :data:`MOST_TOKENS` or :data:`MOST_TEXTS` for one answer.
    """
    for parameter in described(transfer):
        checked(parameter, parameter.default)
    if not sampling.temperature:
        raise InputError(
            "At temperature 0 there is only one candidate to choose.",
            field="temperature",
            remedy="Take a temperature above 0 and the mode 'greedy'.",
        )
    if transfer.reference == "sft" and not sft:
        raise InputError(
            "To stay near the SFT model, it must be given.",
            field="reference",
            remedy="Give the model, or take the reference 'aligned'.",
        )
    if transfer.block > 1 and not transfer.candidates:
        raise InputError(
            "Blocks cannot all be candidates.", field="candidates", remedy="Say how many are to be sampled."
        )
    if transfer.rollout == "greedy" and transfer.rollouts > 1:
        raise InputError(
            "Greedy continuations of a candidate are all the same.", field="rollouts", remedy="Take 1."
        )
    _check_weights(transfer, sft, baseline)
    _check_work(
        transfer, sampling.max_tokens, vocabulary, 2 if baseline and transfer.estimator != "mean" else 1
    )


def _check_weights(transfer: TransferQ, sft: bool, baseline: bool) -> None:
    if transfer.estimator == "mean":
        return
    if not baseline and (not sft or transfer.estimator == "released"):
        raise InputError(
            f"The estimator '{transfer.estimator}' needs to know what the model was aligned to.",
            field="estimator",
            remedy="Give the reward that it was aligned to"
            + ("." if transfer.estimator == "released" else ", or the SFT model that it was made from."),
        )
    if not baseline and transfer.rollout == "greedy":
        raise InputError(
            "A greedy continuation has no likelihood to weigh it by.",
            field="rollout",
            remedy="Sample the continuations, or give the reward that the model was aligned to.",
        )
    if transfer.estimator == "snis" and transfer.rollouts == 1:
        raise InputError(
            "The self-normalised weight of a single continuation is always 1.",
            field="rollouts",
            remedy="Take many more than 1, or the estimator 'mean'.",
        )


def _check_work(transfer: TransferQ, max_tokens: int, vocabulary: int, rewards: int) -> None:
    states = math.ceil(max_tokens / transfer.block)
    rows = candidate_count(transfer, vocabulary) * transfer.rollouts
    whole = transfer.horizon < 0
    ahead = max_tokens // 2 if whole else min(transfer.horizon, max_tokens)
    tokens, texts = states * rows * ahead, states * rows * rewards
    if tokens > MOST_TOKENS or texts > MOST_TEXTS:
        raise LimitError(
            f"An answer of {max_tokens:,} tokens looks ahead by up to {tokens:,} tokens, in {rows:,} rows at each of "
            f"{states:,} states, and scores up to {texts:,} texts. Allowed are {MOST_TOKENS:,} and {MOST_TEXTS:,}.",
            field="candidates",
            remedy="Take fewer candidates or rollouts, a horizon, blocks, or a shorter answer.",
        )
