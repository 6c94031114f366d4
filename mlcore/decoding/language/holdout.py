"""How the language models do on the tuning slice: cross-entropy by direction, and the overlap of draft and target."""

from __future__ import annotations

import numpy as np
import torch
from transformers import LlamaForCausalLM

from mlcore.decoding.language import data, distillation
from mlcore.decoding.language import model as language_model

_TOKENS = 8192
_NAMES = {data.MOLECULE: "molecule", data.DESCRIPTION: "description"}


@torch.no_grad()
def held_out(
    target: LlamaForCausalLM, draft: LlamaForCausalLM, corpus: data.Corpus, pad: int, device: str
) -> dict[str, float]:
    """Over all answer tokens of the held-out pairs: ``target_molecule``, ``draft_molecule`` (cross-entropy, nats a
    token), ``overlap_molecule`` (mean ``sum_x min(p, q)``), and the same for ``description``. Empty without a slice.
    """
    found: dict[str, float] = {}
    for kind, name in _NAMES.items():
        rows = np.flatnonzero(corpus.tuning & (corpus.kind == kind))
        sums, count = np.zeros(3), 0
        for part in data.plan(corpus, rows, _TOKENS, np.random.default_rng(0)) if len(rows) else []:
            given = data.batch(corpus, part, pad, 0.0).to(device)
            counted = given.weights > 0
            wanted, weights = given.ids[:, 1:][counted], given.weights[counted]
            laws = [language_model.logits_at(model, given.ids, counted) for model in (target, draft)]
            losses = [float(distillation.cross_entropy(law, wanted, weights)) for law in laws]
            size = int(counted.sum())
            sums += size * np.array([*losses, float(distillation.overlap(laws[1], laws[0]).mean())])
            count += size
        if count:
            for measure, value in zip(("target", "draft", "overlap"), sums / count, strict=True):
                found[f"{measure}_{name}"] = round(float(value), 5)
    return found
