"""Scoring the drafts of one prompt as a tree: equal prefixes are read once, and keep their number."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mlcore.decoding.answers import Answer
from mlcore.decoding.drafts import Drafts
from mlcore.decoding.networks.cache import Cache, Tree
from mlcore.decoding.networks.causal import CausalModel
from mlcore.decoding.sampling import Warper


def merged(tokens: Sequence[Sequence[int]]) -> tuple[list[int], list[int], list[list[int]]]:
    """Drafts as a tree below a root: the token of every node but the root, its parent, and the nodes of every draft.

    Node 0 is the root (the last token before the drafts). Drafts with a common prefix share its nodes; how many do is
    how often a node occurs in the last list.
    """
    added: list[int] = []
    parents = [-1]
    known: dict[tuple[int, int], int] = {}
    paths = []
    for draft in tokens:
        path = [0]
        for token in draft:
            place = (path[-1], token)
            if place not in known:
                known[place] = len(parents)
                parents.append(path[-1])
                added.append(token)
            path.append(known[place])
        paths.append(path)
    return added, parents, paths


def score_tree(model: CausalModel, cache: Cache, answer: Answer, block: Drafts, warper: Warper) -> None:
    """Give ``block`` the target's laws at every node, from one call of ``model`` on one row of ``cache``."""
    added, parents, paths = merged(block.tokens)
    ids = torch.tensor([[answer.last, *added]], device=model.device)
    block.take(model.forward(ids, cache, Tree.build(parents, model.device)), warper, paths)
