"""How a model in training does on the tuning slice."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from mlcore.retrieval.data import Molecules
from mlcore.retrieval.molecules import GraphBatch
from mlcore.retrieval.orma import Orma
from mlcore.retrieval.pairs import Pairs
from mlcore.retrieval.ranking import ranks, summary
from mlcore.retrieval.text import TextTokenizer

_BATCH = 64
#: texts ranked at once: the scores of all of them together would be gigabytes for a large table
_RANKED = 256


@torch.no_grad()
def first_stage(
    model: Orma,
    tokenizer: TextTokenizer,
    tuning: Pairs,
    molecules: Molecules,
    others: Tensor,
    *,
    with_text: bool,
    with_graph: bool,
) -> dict[str, float]:
    """First-stage ranks of ``tuning`` among its own molecules and ``others`` (m, dim), each molecule once.

    ``with_text`` reads sentences with the whole text encoder, otherwise their n-grams alone; ``with_graph`` passes
    messages, otherwise only fingerprints speak for a molecule. Empty where there is no tuning slice.
    """
    if not len(tuning):
        return {}
    model.eval()
    device = model.log_scales.device
    sentences, vectors = [], []
    for first in range(0, len(tuning), _BATCH):
        part = tuning.take(np.arange(first, min(first + _BATCH, len(tuning))))
        batch = tokenizer(part.texts)[0].to(device)
        if with_text:
            sentences.append(model.encode_texts(batch).sentence.cpu())
        else:
            sentences.append(nn.functional.normalize(model.text.bag_vectors(batch), dim=-1).cpu())
        graph = GraphBatch.build(molecules.packed.take(part.molecules), device)
        if with_graph:
            vectors.append(model.encode_molecules(graph).vectors.cpu())
        else:
            alone = model.molecule.fingerprint_vectors(graph)
            vectors.append(nn.functional.normalize(alone, dim=-1).cpu())
    # a twin of oneself is no rival
    _, distinct, places = np.unique(molecules.keys[tuning.molecules], return_index=True, return_inverse=True)
    pool = torch.cat([torch.cat(vectors)[distinct], others])
    wanted = torch.cat(sentences).split(_RANKED)
    truth = np.split(places, np.cumsum([len(part) for part in wanted])[:-1])
    found = np.concatenate(
        [ranks((part @ pool.T).numpy(), own) for part, own in zip(wanted, truth, strict=True)]
    )
    measured = summary(found, len(pool))
    return {name: measured[name] for name in ("hits@1", "hits@10", "mrr")}
