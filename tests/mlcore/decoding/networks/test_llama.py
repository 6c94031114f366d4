"""Our forward of Llama-style weights gives the numbers of ``transformers``, however the rows are read."""

from __future__ import annotations

import pytest
import torch

from mlcore.decoding.networks import llama as ours
from mlcore.decoding.networks.checkpoints import wrap
from mlcore.decoding.networks.hub import HubDecoder
from tests.mlcore.decoding.architectures import VOCABULARY, llama, made, network, reference, tokenizer
from tests.mlcore.decoding.reading import rows, ways

SHAPES = {
    "one head a pair of key and value": {"num_key_value_heads": 4},
    "grouped queries": {"num_key_value_heads": 2},
    "one key for all queries": {"num_key_value_heads": 1},
    "tied embeddings": {"tie_word_embeddings": True},
    "own output matrix": {"tie_word_embeddings": False},
    "wide heads": {"head_dim": 24},
    "one layer": {"num_hidden_layers": 1},
    "another base of the angles": {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}},
    "another epsilon": {"rms_norm_eps": 1e-2},
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_numbers_of_transformers(shape, dtype):
    model = llama(dtype, **SHAPES[shape])
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.uniform_(0.5, 1.5)
    assert ours.fits(model)
    decoder = ours.LlamaDecoder(model, frozenset())
    ids = rows(VOCABULARY)
    wanted = reference(model, ids)
    tolerance = 2e-6 if dtype == torch.float64 else 2e-5
    for way, found, right in ways(decoder, ids, wanted):
        torch.testing.assert_close(
            found.float(),
            right,
            rtol=tolerance,
            atol=tolerance * float(wanted.abs().max()),
            msg=f"{shape}, {way}",
        )


def test_one_row_alone_is_that_row_of_a_batch():
    decoder = ours.LlamaDecoder(llama(), frozenset())
    ids = rows(VOCABULARY)
    together = decoder.forward(ids, decoder.cache(3, 14))
    for row in range(3):
        alone = decoder.forward(ids[row : row + 1], decoder.cache(1, 14))
        torch.testing.assert_close(alone[0], together[row], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"attention_bias": True},
        {"mlp_bias": True},
        {"hidden_act": "gelu"},
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 2.0}},
        {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 2.0}},
        {
            "rope_parameters": {
                "rope_type": "llama3", "rope_theta": 10_000.0, "factor": 4.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 16,
            }
        },
    ],
)  # fmt: skip
def test_what_it_leaves_out_goes_the_other_way(changes):
    model = llama(**changes)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.uniform_(-0.5, 0.5)
    assert not ours.fits(model)
    decoder = wrap(model, tokenizer()).decoder
    assert isinstance(decoder, HubDecoder)
    ids = rows(VOCABULARY)
    for way, found, right in ways(decoder, ids, reference(model, ids)):
        torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-4, msg=way)


def test_plain_llamas_take_our_way_and_others_do_not():
    assert isinstance(wrap(llama(), tokenizer()).decoder, ours.LlamaDecoder)
    assert not ours.fits(network("Qwen2"))
    assert not ours.fits(made("mistral", torch.float32, 0, hidden_size=32, num_attention_heads=4))


def test_half_precision_is_near():
    model = llama(torch.bfloat16)
    decoder = ours.LlamaDecoder(model, frozenset())
    ids = rows(VOCABULARY)
    wanted = reference(model, ids)
    found = decoder.forward(ids, decoder.cache(3, 14))
    assert float((found - wanted).square().mean().sqrt() / wanted.square().mean().sqrt()) < 0.05
