"""Any network through our cache gives its own logits, or is refused before it decodes a token."""

from __future__ import annotations

import pytest
import torch

from mlcore.decoding.networks.checkpoints import wrap
from mlcore.decoding.networks.hub import HubDecoder
from mlcore.decoding.networks.selfcheck import check
from mlcore.runtime.errors import LimitError, ModelError
from tests.mlcore.decoding.architectures import RIGHT, VOCABULARY, WRONG, llama, network, reference, tokenizer
from tests.mlcore.decoding.reading import rows, ways


@pytest.mark.parametrize("family", RIGHT)
def test_what_is_read_in_parts_is_what_the_network_reads_at_once(family):
    model = network(family)
    decoder = HubDecoder(model, frozenset())
    check(decoder, model)
    ids = rows(VOCABULARY)
    wanted = reference(model, ids)
    for way, found, right in ways(decoder, ids, wanted):
        torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()), msg=way)


@pytest.mark.parametrize("family", WRONG)
def test_what_would_give_other_numbers_is_refused_in_words(family):
    with pytest.raises(ModelError, match=r"Choose a (decoder-only )?checkpoint with"):
        wrap(network(family), tokenizer())


def test_a_fault_far_below_what_changes_an_answer_is_found():
    """A decoder whose positions are off by one after the cache is cropped unevenly, in a trained-looking network."""

    class Late(HubDecoder):
        def forward(self, ids, cache, tree=None):
            if min(cache.lengths) != max(cache.lengths):
                cache.lengths[1] -= 1
                try:
                    return super().forward(ids, cache, tree)
                finally:
                    cache.lengths[1] += 1
            return super().forward(ids, cache, tree)

    model = network("GPT-2")
    with pytest.raises(ModelError, match="unequal length"):
        check(Late(model, frozenset()), model)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_check_knows_what_precision_can_give(dtype):
    for family in ("GPT-2", "Qwen2", "OPT"):
        model = network(family, dtype)
        check(HubDecoder(model, frozenset()), model)


def test_a_context_too_short_for_the_check_is_said():
    with pytest.raises(ModelError, match="context of this gpt2 is 8"):
        wrap(network("GPT-2", n_positions=8), tokenizer())


@pytest.mark.parametrize("family", ["GPT-2", "GPT-NeoX", "Falcon"])
def test_what_it_says_of_itself(family):
    decoder = HubDecoder(network(family), frozenset({3}))
    assert decoder.vocabulary == VOCABULARY
    assert decoder.context == 64
    assert decoder.ends == {3}
    assert (decoder.memory.layers, decoder.memory.dim) == (2, 8)


def test_longrope_is_read_as_far_as_its_angles_stay():
    angles = {
        "rope_type": "longrope", "rope_theta": 10_000.0, "original_max_position_embeddings": 32,
        "short_factor": [1.0] * 4, "long_factor": [4.0] * 4,
    }  # fmt: skip
    model = network("Phi-3", rope_parameters=angles, original_max_position_embeddings=32)
    assert HubDecoder(model, frozenset()).context == 32


def test_a_window_that_is_switched_off_is_no_window():
    model = network("Qwen2", sliding_window=8, use_sliding_window=False)
    check(HubDecoder(model, frozenset()), model)
    with pytest.raises(ModelError, match="window"):
        HubDecoder(
            network("Qwen2", sliding_window=8, use_sliding_window=True, max_window_layers=0), frozenset()
        )


def test_a_cache_beyond_the_memory_is_refused():
    decoder = HubDecoder(llama(), frozenset())
    with pytest.raises(LimitError, match="MiB"):
        decoder.cache(10**6, 10**4)


def test_out_of_memory_is_not_blamed_on_the_network(monkeypatch):
    model = network("GPT-2")
    decoder = HubDecoder(model, frozenset())

    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(decoder, "forward", full)
    with pytest.raises(torch.OutOfMemoryError):
        check(decoder, model)
