"""Loading a language model by path or id: a folder of ours, or any checkpoint that ``transformers`` loads."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from mlcore.decoding.language import model as language_model
from mlcore.decoding.networks import llama, selfcheck
from mlcore.decoding.networks.causal import CausalModel
from mlcore.decoding.networks.hub import HubDecoder
from mlcore.runtime.card import read as read_card
from mlcore.runtime.errors import ModelError


@dataclass(frozen=True)
class Loaded:
    """A model ready to decode, its tokenizer, the network itself, and a hash that names its weights.

    ``teacher`` is the hash of the target that a draft of ours was distilled from; empty for all others.
    """

    name: str
    decoder: CausalModel
    tokenizer: PreTrainedTokenizerBase
    network: PreTrainedModel
    hash: str
    teacher: str = ""


def load(
    place: str | Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32, download: bool = False
) -> Loaded:
    """The model in the folder ``place``, or with the hub id ``place``.

    Nothing is fetched from the hub unless ``download`` is true, and no code of a checkpoint is ever run.

    Raises:
        ModelError: there is no such checkpoint here, it is damaged, or it cannot be decoded with (see
            :class:`mlcore.decoding.networks.hub.HubDecoder`).
    """
    folder = Path(place)
    if (folder / "card.json").exists():
        network, tokenizer = language_model.load(folder)
        network.to(device)
        for weight in network.parameters():  # and no buffer: rotary angles need all their digits
            weight.data = weight.data.to(dtype)
        card = read_card(folder)
        return wrap(network, tokenizer, folder.name, card["sha256"], card.get("target", ""))
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(place), local_files_only=not download)
        found = AutoModelForCausalLM.from_pretrained(
            str(place),
            local_files_only=not download,
            dtype=dtype,
            trust_remote_code=False,
            use_safetensors=True,
        )
    except Exception as fault:
        first = str(fault).strip().splitlines()[0] if str(fault).strip() else type(fault).__name__
        remedy = "" if download else " Give the path of a folder, or allow the download."
        raise ModelError(f"The language model '{place}' cannot be loaded: {first}{remedy}") from fault
    return wrap(found.to(device), tokenizer, str(place), _file_hash(folder))


def wrap(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    name: str = "",
    digest: str = "",
    teacher: str = "",
) -> Loaded:
    """A loaded ``network`` as a decoder: our own forward for plain Llamas, the network's for all others.

    Raises:
        ModelError: the network cannot be decoded with (see :mod:`mlcore.decoding.networks.selfcheck`).
    """
    ends = _ends(network, tokenizer)
    network.eval()
    fast = isinstance(network, LlamaForCausalLM) and llama.fits(network)
    decoder: CausalModel = llama.LlamaDecoder(network, ends) if fast else HubDecoder(network, ends)
    selfcheck.check(decoder, network)
    return Loaded(name or network.config.model_type, decoder, tokenizer, network, digest, teacher)


def check_pair(target: Loaded, draft: Loaded) -> None:
    """Raise ModelError unless the two models speak one vocabulary; padded embeddings may differ in size."""
    first, second = target.tokenizer.get_vocab(), draft.tokenizer.get_vocab()
    if first == second:
        return
    differing = sorted((token for token in first | second if first.get(token) != second.get(token)), key=str)
    raise ModelError(
        f"The draft '{draft.name}' has another vocabulary than the target '{target.name}': {len(first):,} tokens and "
        f"{len(second):,}, and {len(differing):,} that do not agree, such as {differing[0]!r}. Choose a draft that was "
        "trained with the target's tokenizer."
    )


def pairing(target: Loaded, draft: Loaded) -> str:
    """What is to be said of this pair: empty, or that the draft was distilled from another target."""
    if not draft.teacher or draft.teacher == target.hash:
        return ""
    return (
        f"The draft '{draft.name}' was distilled from another target ({draft.teacher[:12]}) than '{target.name}' "
        f"({target.hash[:12]}): what comes out is still exact, perhaps slower."
    )


def _ends(network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The tokens that end a text, by the network's own account and its tokenizer's, as far as there are such tokens."""
    given: Any = getattr(network.generation_config, "eos_token_id", None)
    if given is None:
        given = getattr(network.config.get_text_config(), "eos_token_id", None)
    several = given if isinstance(given, list) else [given]
    known = range(int(network.get_input_embeddings().weight.shape[0]))
    return frozenset(
        int(end) for end in [*several, tokenizer.eos_token_id] if end is not None and end in known
    )


def _file_hash(folder: Path) -> str:
    """sha256 over the weight files of a local folder; empty for a hub id."""
    digest = hashlib.sha256()
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest() if files else ""
