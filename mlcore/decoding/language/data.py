"""What the language models read: pairs of texts and molecules in both directions, as token sequences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from mlcore.decoding.language import prompts
from mlcore.decoding.language.presets import LanguageTraining
from mlcore.runtime.errors import InputError

if TYPE_CHECKING:
    from mlcore.retrieval.data import Row

#: kinds of sequences: text to SMILES; SMILES to text, with SMILES as given and as RDKit writes it; SMILES alone
MOLECULE, DESCRIPTION, CANONICAL, ALONE = range(4)
_CHUNK = 256
_POOL = 64  # batches that are sorted by length together
_SENTENCE_WORDS = 4


@dataclass(frozen=True)
class Material:
    """Tables as they were read: pairs, and SMILES without text. ``tuning`` marks the held-out pairs, (n,) bool."""

    pairs: list[Row]
    canonical: list[str]  # of each pair
    tuning: np.ndarray
    molecules: list[str]


@dataclass(frozen=True)
class Corpus:
    """Sequences in one row: ``tokens`` (t,) int32, ``starts`` (n + 1,), ``prompt`` (n,) tokens that ask, ``kind`` (n,),
    ``tuning`` (n,) bool."""

    tokens: np.ndarray
    starts: np.ndarray
    prompt: np.ndarray
    kind: np.ndarray
    tuning: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.starts)

    def save(self, path: Path) -> None:
        part = path.with_name(f"{path.stem}.part.npz")
        np.savez(part, **{name: getattr(self, name) for name in self.__dataclass_fields__})
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Corpus:
        with np.load(path) as stored:
            return cls(**{name: stored[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Batch:
    """``ids`` (b, t) int64, padded on the right; ``weights`` (b, t - 1) of the predictions of ``ids[:, 1:]``."""

    ids: Tensor
    weights: Tensor

    def to(self, device: str) -> Batch:
        return Batch(self.ids.to(device), self.weights.to(device))


def read(paths: Sequence[Path], config: LanguageTraining, processes: int = 2) -> Material:
    """Read tables; rows whose SMILES RDKit refuses are left out.

    Raises:
        InputError: a table cannot be read, or no pair is left.
    """
    from mlcore.decoding.language.molecule_keys import key_and_canonical
    from mlcore.retrieval.data import read_table, tuning_slice
    from mlcore.retrieval.pool import Failure, WorkerPool

    rows = [row for path in paths for row in read_table(path)]
    pairs, molecules = (
        [row for row in rows if row.description.strip()],
        [row.smiles for row in rows if not row.description.strip()],
    )
    if config.limit and len(pairs) > config.limit:
        chosen = np.random.default_rng(config.seed).permutation(len(pairs))[: config.limit]
        pairs = [pairs[number] for number in np.sort(chosen)]
    chunks = (
        (first, [(row.smiles,) for row in pairs[first : first + _CHUNK]])
        for first in range(0, len(pairs), _CHUNK)
    )
    with WorkerPool(key_and_canonical, workers=processes) as pool:
        found = [made for _, answers in pool.map(chunks, ahead=2 * processes) for made in answers]
    kept = [
        (row, made)
        for row, made in zip(pairs, found, strict=True)
        if made is not None and not isinstance(made, Failure)
    ]
    if not kept:
        raise InputError(
            "There is no pair of a molecule and a description to learn from.",
            field="data",
            remedy="Give a table with the columns SMILES and description.",
        )
    keys = np.array([made[0] for _, made in kept])
    return Material(
        [row for row, _ in kept],
        [made[1] for _, made in kept],
        tuning_slice(keys, config.tuning_share, config.seed),
        molecules,
    )


def is_prose(text: str) -> bool:
    """Whether ``text`` describes; a bare name is only ever read as the question, never as the answer."""
    return text.rstrip().endswith((".", "!", "?")) and len(text.split()) >= _SENTENCE_WORDS


def tokenised(material: Material, tokenizer: PreTrainedTokenizerBase, context: int) -> Corpus:
    """Every pair in both directions, and molecules alone; sequences longer than ``context`` are left out."""
    sequences: list[tuple[list[int], int, int, bool]] = []

    def add(kind: int, asked: list[int], whole: list[int], held: bool) -> None:
        if len(whole) <= context:
            sequences.append((whole, len(asked), kind, held))

    for row, canonical, held in zip(
        material.pairs, material.canonical, material.tuning.tolist(), strict=True
    ):
        text, smiles = row.description, row.smiles
        add(
            MOLECULE,
            prompts.prompt(tokenizer, "molecule", text),
            prompts.pair(tokenizer, "molecule", text, smiles),
            held,
        )
        if not is_prose(text):
            continue
        for kind, written in ((DESCRIPTION, smiles), (CANONICAL, canonical)):
            add(
                kind,
                prompts.prompt(tokenizer, "description", written),
                prompts.pair(tokenizer, "description", written, text),
                held,
            )
    marker = tokenizer.convert_tokens_to_ids(prompts.SMILES)
    for smiles in material.molecules:
        asked = [tokenizer.bos_token_id, marker]
        add(ALONE, asked, [*asked, *prompts.plain_tokens(tokenizer, smiles), tokenizer.eos_token_id], False)
    if not sequences:
        raise InputError(
            f"No pair fits into {context} tokens.",
            field="context",
            remedy="Raise the context, or give shorter pairs.",
        )
    tokens, questions, kinds, held_out = zip(*sequences, strict=True)
    return Corpus(
        np.concatenate([np.array(one, dtype=np.int32) for one in tokens]),
        np.concatenate([[0], np.cumsum([len(one) for one in tokens])]).astype(np.int64),
        np.array(questions, dtype=np.int32),
        np.array(kinds, dtype=np.int8),
        np.array(held_out, dtype=bool),
    )


def epoch_rows(corpus: Corpus, config: LanguageTraining, epoch: int) -> np.ndarray:
    """The sequences of one epoch, in random order: each pair once in each direction.

    SMILES to text alternates between the SMILES as given and RDKit's; of molecules alone, ``config.molecules`` are
    drawn.
    """
    random = np.random.default_rng([config.seed, epoch])
    numbers = np.arange(len(corpus.kind))
    training = ~corpus.tuning
    pair = np.cumsum(corpus.kind == MOLECULE)  # the sequences of a pair follow each other, this kind first
    backward = np.where((pair + epoch) % 2 == 0, DESCRIPTION, CANONICAL)
    alone = numbers[corpus.kind == ALONE]
    drawn = random.choice(alone, min(config.molecules, len(alone)), replace=False)
    chosen = numbers[training & ((corpus.kind == MOLECULE) | (corpus.kind == backward))]
    return random.permutation(np.concatenate([chosen, drawn]))


def plan(corpus: Corpus, rows: np.ndarray, tokens: int, random: np.random.Generator) -> list[np.ndarray]:
    """``rows`` in batches of at most ``tokens`` tokens, padding included, of sequences of about one length each."""
    lengths = corpus.lengths[rows]
    pool = max(1, int(_POOL * tokens / max(1.0, float(lengths.mean()))))
    batches: list[np.ndarray] = []
    for first in range(0, len(rows), pool):
        part = rows[first : first + pool]
        part = part[np.argsort(corpus.lengths[part], kind="stable")]
        batches += list(_filled(part, corpus.lengths[part], tokens))
    return [batches[number] for number in random.permutation(len(batches))]


def _filled(rows: np.ndarray, lengths: np.ndarray, tokens: int) -> Iterator[np.ndarray]:
    first = 0
    for last in range(1, len(rows) + 1):
        if last == len(rows) or (last + 1 - first) * lengths[last] > tokens:
            yield rows[first:last]
            first = last


def batch(corpus: Corpus, rows: np.ndarray, pad: int, prompt_weight: float) -> Batch:
    """The sequences ``rows``; predictions of the prompt weigh ``prompt_weight``, of the answer one, of padding none."""
    width = int(corpus.lengths[rows].max())
    ids = np.full((len(rows), width), pad, dtype=np.int64)
    weights = np.zeros((len(rows), width - 1), dtype=np.float32)
    for place, row in enumerate(rows):
        sequence = corpus.tokens[corpus.starts[row] : corpus.starts[row + 1]]
        ids[place, : len(sequence)] = sequence
        weights[place, : len(sequence) - 1] = 1.0
        weights[place, : corpus.prompt[row] - 1] = prompt_weight
    return Batch(torch.from_numpy(ids), torch.from_numpy(weights))
