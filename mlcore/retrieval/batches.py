"""Which pairs meet in a batch: groups of near neighbours, so that every batch holds hard negatives."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def neighbour_groups(texts: Tensor, molecules: Tensor, size: int, rng: np.random.Generator) -> np.ndarray:
    """An order of ``n`` pairs in which consecutive runs of about ``size`` are near neighbours.

    Args:
        texts, molecules: (n, dim) unit vectors of the pairs' two members.
        size: pairs in a group.
        rng: decides the seeds of the groups and their order.

    A pair's neighbours are those whose molecule is close to its text and to its molecule.
    """
    count, reach = len(texts), min(len(texts), 3 * size)
    query = texts + molecules
    near = torch.cat(
        [(query[i : i + 1024] @ molecules.T).topk(reach).indices for i in range(0, count, 1024)]
    ).numpy()
    taken = np.zeros(count, dtype=bool)
    groups: list[list[int]] = []
    for seed in rng.permutation(count):
        if taken[seed]:
            continue
        taken[seed] = True
        group = [int(seed)]
        for other in near[seed]:
            if len(group) == size:
                break
            if not taken[other]:
                taken[other] = True
                group.append(int(other))
        groups.append(group)
    return np.concatenate([groups[i] for i in rng.permutation(len(groups))])


def drop_sentences(text: str, share: float, rng: np.random.Generator) -> str:
    """Leave out each sentence after the first with probability ``share``: texts of all lengths are seen."""
    head, *rest = text.split(". ")
    return ". ".join([head, *(sentence for sentence in rest if rng.random() >= share)])
