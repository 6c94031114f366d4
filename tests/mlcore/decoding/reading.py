"""A decoder reads the same rows in every way that decoding methods read; each way gives logits to compare."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mlcore.decoding.networks.cache import Tree
from mlcore.decoding.networks.causal import CausalModel, prefill

WIDTH = 14


def rows(vocabulary: int, count: int = 3, seed: int = 0) -> Tensor:
    return torch.randint(vocabulary, (count, WIDTH), generator=torch.Generator().manual_seed(seed))


def ways(decoder: CausalModel, ids: Tensor, wanted: Tensor) -> Iterator[tuple[str, Tensor, Tensor]]:
    """(name, found logits, those of ``wanted`` they should be); ``wanted`` (R, T, V) is of ``ids`` (R, T)."""
    count = len(ids)
    yield "whole", decoder.forward(ids, decoder.cache(count, WIDTH)), wanted
    cache = decoder.cache(count, WIDTH + 3)
    parts = []
    for part in ids.split([5, 1, 4, 1, 3], dim=1):
        parts.append(decoder.forward(part, cache))
        cache.advance(part.shape[1])
    yield "in blocks and steps", torch.cat(parts, 1), wanted
    cache.crop(6)
    decoder.forward(ids[:, :4].flip(1), cache)  # a draft that is thrown away
    yield "after a crop", decoder.forward(ids[:, 6:11], cache), wanted[:, 6:11]
    lengths = [3, 8, 5][:count]
    cache = decoder.cache(count, WIDTH)
    prefill(decoder, cache, [row[: length + 1].tolist() for row, length in zip(ids, lengths, strict=True)])
    places = torch.tensor(lengths).unsqueeze(1) + torch.arange(4)
    each = torch.arange(count).unsqueeze(1)
    yield "in rows of unequal length", decoder.forward(ids[each, places], cache), wanted[each, places]
    yield "in a tree", *_tree(decoder, ids, wanted)


def _tree(decoder: CausalModel, ids: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Two ways on below a root and nodes beside them; then one way is kept and read on from."""
    cache = decoder.cache(len(ids), WIDTH)
    decoder.forward(ids[:, :6], cache)
    cache.advance(6)
    beside = ids.roll(1, 0)
    nodes = torch.stack([ids[:, 6], beside[:, 7], ids[:, 7], beside[:, 8], ids[:, 8]], 1)
    tree = decoder.forward(nodes, cache, Tree.build([-1, 0, 0, 1, 2], decoder.device))
    cache.keep([0, 2, 4], 6)
    after = decoder.forward(ids[:, 9:], cache)
    return torch.cat([tree[:, [0, 2, 4]], after], 1), wanted[:, 6:]
