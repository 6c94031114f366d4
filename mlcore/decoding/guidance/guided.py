"""Two older ways to steer a model by a reward, as special cases of the machine of Transfer Q*."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from mlcore.decoding.events import Event
from mlcore.decoding.guidance.options import TransferQ
from mlcore.decoding.guidance.scoring import Decode
from mlcore.decoding.guidance.transfer_q import generate
from mlcore.decoding.networks.causal import CausalModel
from mlcore.decoding.randomness import Source
from mlcore.decoding.rewards import Reward
from mlcore.decoding.sampling import Sampling


def args(
    model: CausalModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    transfer: TransferQ,
    reward: Reward,
    decode: Decode,
    source: Source,
    **rest: Any,
) -> Iterator[Event]:
    """ARGS (Khanov et al., ICLR 2024, arXiv 2402.01694): the reward of the unfinished text instead of a value.

    log π(z|s) = log p(z|s) + r([s, z]) / α; the weight w of the paper is 1/α, and its rule is ``mode`` greedy. Of
    ``transfer`` the fields that describe rollouts are not used. Parameters, events and errors are those of
    :func:`mlcore.decoding.guidance.transfer_q.generate`.
    """
    plain = replace(
        transfer, horizon=0, rollouts=1, rollout="sampled", estimator="mean", reference="aligned", block=1
    )
    return generate(model, prompts, sampling, plain, reward, decode, source, **rest)


def controlled(
    sft: CausalModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    transfer: TransferQ,
    reward: Reward,
    decode: Decode,
    source: Source,
    **rest: Any,
) -> Iterator[Event]:
    """Controlled decoding (Mudgal et al., arXiv 2310.17022) with exact look-ahead: the value under the SFT model.

    π(z|s) ∝ π_sft(z|s) exp(Q^sft(s, z) / α), by rollouts instead of a trained prefix scorer; ``block`` above 1 is its
    block-wise form, a softmax in place of the best block. Otherwise as :func:`args`.
    """
    plain = replace(transfer, estimator="mean", reference="aligned")
    return generate(sft, prompts, sampling, plain, reward, decode, source, **rest)
