"""Whether a network decodes from our cache as it reads a whole text: what no architecture is trusted with unseen.

Networks place tokens by what their own cache would hold, ignore the positions or the mask that they are given, or keep
more than keys and values. Such a network would run, and draw from another law than its own.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel

from mlcore.decoding.networks.cache import Tree
from mlcore.decoding.networks.causal import CausalModel
from mlcore.runtime.errors import ModelError

_WIDTH = 9
_SPLIT = 4
#: what a network says that was given a cache, a mask or positions that it cannot use
_FAULTS = (RuntimeError, ValueError, TypeError, AttributeError, IndexError, KeyError, NotImplementedError)


def check(decoder: CausalModel, network: PreTrainedModel) -> None:
    """Compare ``decoder`` with the ``network`` without a cache: in blocks, in rows of unequal length, in a tree.

    They agree when the root mean square of the difference is below the square root of the unit roundoff of the
    network's precision (3e-4 in float32), relative to that of the logits.

    Raises:
        ModelError: they do not agree, or the network cannot be read so.
    """
    what = network.config.model_type
    known = min(decoder.vocabulary, int(network.get_input_embeddings().weight.shape[0]))
    if decoder.context < _WIDTH:
        raise ModelError(f"The context of this {what} is {decoder.context} tokens; {_WIDTH} are the least.")
    random = torch.Generator().manual_seed(0)
    ids = torch.randint(known, (2, _WIDTH), generator=random).to(decoder.device)
    try:
        with torch.inference_mode():
            wanted = network(input_ids=ids, use_cache=False).logits.float()
        found = {
            "in blocks": _blocks(decoder, ids, wanted),
            "in rows of unequal length": _ragged(decoder, ids, wanted),
            "in a tree": _tree(decoder, ids, wanted),
        }
    except torch.OutOfMemoryError:
        raise
    except _FAULTS as fault:
        first = (str(fault).strip().splitlines() or [type(fault).__name__])[0]
        raise ModelError(
            f"{what} cannot be decoded here: it does not take keys and values from another cache ({first[:160]}). "
            "Choose a decoder-only checkpoint with plain attention, such as Llama, Qwen, Mistral or GPT-2."
        ) from fault
    allowed = torch.finfo(network.dtype).eps ** 0.5
    wrong = [way for way, error in found.items() if not error <= allowed]
    if wrong:
        raise ModelError(
            f"{what} cannot be decoded here: read {' and '.join(wrong)}, it gives other probabilities than on the "
            "whole text, because it does not follow the positions or the mask that it is given. Choose a decoder-only "
            "checkpoint with plain attention, such as Llama, Qwen, Mistral or GPT-2."
        )


def _blocks(decoder: CausalModel, ids: Tensor, wanted: Tensor) -> float:
    cache = decoder.cache(2, _WIDTH)
    found = []
    for part in ids.split(_SPLIT, dim=1):
        found.append(decoder.forward(part, cache))
        cache.advance(part.shape[1])
    return _error(torch.cat(found, 1), wanted)


def _ragged(decoder: CausalModel, ids: Tensor, wanted: Tensor) -> float:
    """The second row goes on two tokens after the first."""
    cache = decoder.cache(2, _WIDTH)
    decoder.forward(ids[:, : _SPLIT + 2], cache)
    cache.lengths = [_SPLIT, _SPLIT + 2]
    places = torch.tensor([[_SPLIT, _SPLIT + 1, _SPLIT + 2], [_SPLIT + 2, _SPLIT + 3, _SPLIT + 4]])
    rows = torch.arange(2).unsqueeze(1)
    return _error(decoder.forward(ids[rows, places], cache), wanted[rows, places])


def _tree(decoder: CausalModel, ids: Tensor, wanted: Tensor) -> float:
    """Both rows' next tokens below the beginning of the first, with that of the second row beside the path."""
    cache = decoder.cache(1, _WIDTH)
    decoder.forward(ids[:1, :_SPLIT], cache)
    cache.advance(_SPLIT)
    nodes = torch.cat(
        [ids[0, _SPLIT : _SPLIT + 1], ids[1, _SPLIT + 1 : _SPLIT + 2], ids[0, _SPLIT + 1 : _SPLIT + 3]]
    )
    found = decoder.forward(nodes.unsqueeze(0), cache, Tree.build([-1, 0, 0, 2], decoder.device))
    return _error(found[:, [0, 2, 3]], wanted[:1, _SPLIT : _SPLIT + 3])


def _error(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).square().mean().sqrt() / wanted.square().mean().sqrt())
