"""How far one model's answer departs from another model's law."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mlcore.decoding.guidance.kl import divergence
from mlcore.decoding.networks.causal import CausalModel
from mlcore.decoding.sampling import Sampling, Warper


def between(
    policy: CausalModel, other: CausalModel, prompt: Sequence[int], answer: Sequence[int], sampling: Sampling
) -> float:
    """Σ_t KL(policy(·|s_t) ‖ other(·|s_t)) in nats along ``answer``, both laws warped by ``sampling``.

    Over answers of the policy its expectation is the KL divergence of whole answers. Infinite where the policy can say
    what the other never would.
    """
    first, second = (_laws(model, prompt, answer, sampling).double().cpu() for model in (policy, other))
    return sum(divergence(mine, theirs.log()) for mine, theirs in zip(first, second, strict=True))


def _laws(model: CausalModel, prompt: Sequence[int], answer: Sequence[int], sampling: Sampling) -> Tensor:
    """The laws (T, V) that each of T tokens of ``answer`` was drawn from."""
    warper = Warper(sampling, model.vocabulary)
    ids = torch.tensor([[*prompt, *answer[:-1]]], device=model.device)
    logits = model.forward(ids, model.cache(1, ids.shape[1]))[0, len(prompt) - 1 :]
    if not sampling.penalised:
        return warper(logits)
    said = [warper.counts([*prompt, *answer[:place]], model.device) for place in range(len(answer))]
    return warper(logits, torch.stack(said))
