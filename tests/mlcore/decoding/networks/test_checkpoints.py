"""Language models by path or id: what is loaded, what is refused and why, and that nothing is fetched unasked."""

from __future__ import annotations

import json
import socket
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM

from mlcore.decoding.language import model as language_model
from mlcore.decoding.language.presets import Shape
from mlcore.decoding.networks import checkpoints
from mlcore.decoding.networks.hub import HubDecoder
from mlcore.decoding.networks.llama import LlamaDecoder
from mlcore.runtime.errors import ModelError
from tests.mlcore.decoding import molecule_texts
from tests.mlcore.decoding.architectures import VOCABULARY, llama, network, reference, tokenizer


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Whoever opens a connection fails the test."""

    def refuse(*_, **__):
        pytest.fail("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def foreign(tmp_path):
    """Saves a network as the hub has them."""

    def save(model, end="t1"):
        folder = tmp_path / "checkpoint"
        model.save_pretrained(folder)
        tokenizer(end=end).save_pretrained(folder)
        return folder

    return save


@pytest.fixture
def own(tmp_path):
    """A folder of ours, and its untouched network."""
    torch.manual_seed(0)
    learned = molecule_texts.tokenizer()
    model = language_model.build(Shape(width=64, layers=1, heads=2, inner=96), learned, 64)
    language_model.save(tmp_path / "own", model, learned, {"what": "a test"})
    return tmp_path / "own", model


@pytest.mark.parametrize("family", ["GPT-2", "GPT-NeoX", "Qwen2", "Mistral without a window", "OPT"])
def test_a_hugging_face_folder_by_its_path(foreign, family):
    model = network(family)
    found = checkpoints.load(foreign(model))
    assert isinstance(found.decoder, HubDecoder)
    ids = torch.arange(10).view(1, -1)
    read = found.decoder.forward(ids, found.decoder.cache(1, 10))
    torch.testing.assert_close(read, reference(model, ids), rtol=1e-4, atol=1e-5)
    assert len(found.hash) == 64


def test_and_its_tokenizer(foreign):
    assert checkpoints.load(foreign(network("GPT-2"))).tokenizer("t5 t9")["input_ids"] == [5, 9]


def test_its_hash_is_that_of_its_weights(foreign):
    first = checkpoints.load(foreign(llama(seed=1)))
    assert isinstance(first.decoder, LlamaDecoder)
    assert checkpoints.load(foreign(llama(seed=1))).hash == first.hash
    assert checkpoints.load(foreign(llama(seed=2))).hash != first.hash


def test_in_the_precision_that_is_asked_for(foreign):
    folder = foreign(network("GPT-2"))
    assert checkpoints.load(folder).network.dtype == torch.float32
    assert checkpoints.load(folder, dtype=torch.bfloat16).network.dtype == torch.bfloat16


def test_half_precision_leaves_the_angles_of_our_models_whole(own):
    """An angle grows with the position: rounded to three digits, it is off by a radian at the end of a context."""
    folder, model = own
    found = checkpoints.load(folder, dtype=torch.bfloat16)
    assert found.network.dtype == torch.bfloat16
    assert torch.equal(found.network.model.rotary_emb.inv_freq, model.model.rotary_emb.inv_freq)


def test_a_folder_of_ours(own):
    folder, model = own
    found = checkpoints.load(folder)
    assert (found.name, found.hash) == ("own", json.loads((folder / "card.json").read_text())["sha256"])
    assert isinstance(found.decoder, LlamaDecoder)
    assert found.decoder.ends == {found.tokenizer.eos_token_id}
    assert found.decoder.context == 64
    ids = torch.arange(20).view(1, -1)
    wanted = reference(model.eval(), ids)
    error = (found.decoder.forward(ids, found.decoder.cache(1, 20)) - wanted).square().mean().sqrt()
    assert error < 0.02 * wanted.square().mean().sqrt(), "int8 with a scale a row"


@pytest.mark.parametrize("file", ["tokenizer.json", "config.json", "model.safetensors"])
@pytest.mark.parametrize("how", ["gone", "cut", "other"])
def test_a_damaged_folder_of_ours_is_no_model(own, file, how):
    folder, _ = own
    content = (folder / file).read_bytes()
    if how == "gone":
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content[: len(content) // 2] if how == "cut" else b'{"model": [1]}')
    with pytest.raises(ModelError, match="own"):
        checkpoints.load(folder)


def test_a_tokenizer_with_more_words_than_the_model_is_not_its_own(own):
    folder, _ = own
    molecule_texts.tokenizer(420).save_pretrained(folder)
    with pytest.raises(ModelError, match="do not fit"):
        checkpoints.load(folder)


@pytest.mark.parametrize("file", ["tokenizer.json", "config.json", "model.safetensors"])
@pytest.mark.parametrize("how", ["gone", "cut"])
def test_a_damaged_foreign_folder_is_told(foreign, file, how):
    folder = foreign(network("GPT-2"))
    content = (folder / file).read_bytes()
    (folder / file).unlink() if how == "gone" else (folder / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="cannot be loaded"):
        checkpoints.load(folder)


@pytest.mark.parametrize("place", ["gpt2", "meta-llama/Llama-2-7b-hf", "nowhere/at/all", "../x", ""])
def test_an_id_that_is_not_here_is_an_error_and_no_download(place):
    with pytest.raises(ModelError, match=r"cannot be loaded: .*allow the download"):
        checkpoints.load(place)


def test_pickled_weights_are_never_opened(foreign, monkeypatch):
    folder = foreign(network("GPT-2"))
    weights = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a pickle was opened"))
    with pytest.raises(ModelError, match="safetensors"):
        checkpoints.load(folder)


def test_code_in_a_checkpoint_is_never_run(foreign, tmp_path):
    folder = foreign(network("GPT-2"))
    (folder / "modeling_evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    facts = json.loads((folder / "config.json").read_text())
    facts |= {
        "model_type": "evil",
        "auto_map": {"AutoConfig": "modeling_evil.C", "AutoModelForCausalLM": "modeling_evil.M"},
    }
    (folder / "config.json").write_text(json.dumps(facts))
    with pytest.raises(ModelError, match="cannot be loaded"):
        checkpoints.load(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("given", "end", "wanted"),
    [
        (7, "t1", {7, 1}),
        ([7, 9], "t1", {7, 9, 1}),
        ([7, VOCABULARY], "t1", {7, 1}),
        (VOCABULARY + 5, None, set()),
        (-1, None, set()),
        (None, None, set()),
    ],
)
def test_all_ends_that_the_model_and_its_tokenizer_name_and_could_say(given, end, wanted):
    model = llama(eos_token_id=None)
    model.generation_config.eos_token_id = given
    assert checkpoints.wrap(model, tokenizer(end=end)).decoder.ends == wanted


def test_the_configuration_names_the_end_where_nothing_else_does():
    model = llama(eos_token_id=[4, 5])
    model.generation_config.eos_token_id = None
    assert checkpoints.wrap(model, tokenizer(end=None)).decoder.ends == {4, 5}


def test_a_pair_speaks_one_vocabulary():
    target, draft = (checkpoints.wrap(llama(), tokenizer(), name) for name in ("large", "little"))
    checkpoints.check_pair(target, draft)
    padded = checkpoints.wrap(llama(vocab_size=VOCABULARY + 3), tokenizer(), "padded")
    checkpoints.check_pair(target, padded)
    other = replace(draft, tokenizer=tokenizer(VOCABULARY - 2))
    with pytest.raises(
        ModelError,
        match=r"'little' has another vocabulary than the target 'large': 61 .* and 59, and 2 .*'t59'",
    ):
        checkpoints.check_pair(target, other)


def test_the_same_words_under_other_numbers_are_another_vocabulary():
    target, draft = (checkpoints.wrap(llama(), tokenizer(), name) for name in ("large", "little"))
    words = json.loads(draft.tokenizer.backend_tokenizer.to_str())
    vocabulary = words["model"]["vocab"]
    vocabulary["t8"], vocabulary["t9"] = vocabulary["t9"], vocabulary["t8"]
    swapped = type(draft.tokenizer)(
        tokenizer_object=type(draft.tokenizer.backend_tokenizer).from_str(json.dumps(words))
    )
    with pytest.raises(ModelError, match="2 that do not agree, such as 't8'"):
        checkpoints.check_pair(target, replace(draft, tokenizer=swapped))


def test_a_draft_of_another_target_is_said_and_still_taken():
    target, draft = (checkpoints.wrap(llama(), tokenizer(), name, name * 4) for name in ("large", "little"))
    assert checkpoints.pairing(target, draft) == "", "a draft that names no target"
    assert checkpoints.pairing(target, replace(draft, teacher=target.hash)) == ""
    said = checkpoints.pairing(target, replace(draft, teacher="e" * 64))
    assert "another target (eeeeeeeeeeee)" in said
    assert "still exact" in said
    checkpoints.check_pair(target, replace(draft, teacher="e" * 64))
