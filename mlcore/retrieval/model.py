"""The trained retrieval model behind plain calls: texts and molecules in, arrays and scores out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rdkit import Chem
from torch import Tensor
from torch.nn import functional as F

from mlcore.retrieval import grains
from mlcore.retrieval.config import OrmaConfig
from mlcore.retrieval.encoding import MoleculeEncoding, RerankScores, TextEncoding, joined
from mlcore.retrieval.grains import MoleculeSide, TextSide
from mlcore.retrieval.graphs import MoleculeFeatures, PackedMolecules, featurise
from mlcore.retrieval.molecules import GraphBatch
from mlcore.retrieval.orma import Orma
from mlcore.retrieval.quick import QuickTransformer
from mlcore.retrieval.text import TextTokenizer
from mlcore.runtime import weights
from mlcore.runtime.errors import ModelError

_ENCODE_BATCH = 64
#: of what is scored at once, in tokens times atoms: most that may be padding (more blocks start more operations), and
#: most of all (more does not stay in the processor's cache)
_WASTE, _HELD = 40_000, 250_000


class RetrievalModel:
    """A loaded model folder. Calls are thread-safe: nothing is written after loading."""

    def __init__(
        self,
        network: Orma,
        tokenizer: TextTokenizer,
        fingerprint: str,
        config: Mapping[str, Any],
        card: Mapping[str, Any],
    ) -> None:
        self.network = network.eval()
        self._transformer = QuickTransformer(network.text.bert)
        self.tokenizer = tokenizer
        self.fingerprint = fingerprint
        self.config, self.card = config, card
        self.dim, self.fine = network.config.dim, network.config.fine
        self.text_width = network.config.text_width if network.config.use_transformer else network.config.dim

    @classmethod
    def load(cls, folder: str | Path) -> RetrievalModel:
        """Open a model folder.

        Raises:
            ModelError: a file is missing, the hash differs from the card's, or the weights do not fit the
                configuration.
        """
        folder = Path(folder)
        stored, described, card = weights.load_folder(folder)
        config = OrmaConfig.from_dict(described)
        network = Orma(config)
        try:
            network.load_state_dict(stored)
        except RuntimeError as fault:
            raise ModelError(f"The weights in {folder} do not fit its config.json: {fault}") from fault
        tokenizer = TextTokenizer((folder / "tokenizer.json").read_text(), config.tokens, config.buckets)
        return cls(network, tokenizer, str(card["sha256"]), described, card)

    featurise = staticmethod(featurise)

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> TextEncoding:
        """Encode texts of any length; what exceeds the token limit is cut from the token and phrase grains.

        A text's arrays do not depend on its neighbours, but for rounding of the last bits.
        """
        parts = [texts[first : first + _ENCODE_BATCH] for first in range(0, len(texts), _ENCODE_BATCH)]
        encoded = [self._encode_texts(part) for part in parts]
        return encoded[0] if len(encoded) == 1 else joined(encoded)

    def _encode_texts(self, texts: Sequence[str]) -> TextEncoding:
        batch, spans = self.tokenizer(texts)
        states = self.network.text(batch, self._transformer)
        return TextEncoding(
            sentence=states.sentence.numpy(),
            tokens=(states.tokens * states.token_weights.unsqueeze(2)).numpy(),
            phrases=(states.phrases * states.phrase_weights.unsqueeze(2)).numpy(),
            mask=batch.mask.numpy(),
            spans=spans,
            wording=states.wording.numpy(),
        )

    def encode_molecules(self, molecules: Sequence[Chem.Mol]) -> MoleculeEncoding:
        """Encode sanitised molecules of at least one atom, in the order given."""
        return self.encode_features([featurise(mol) for mol in molecules])

    @torch.inference_mode()
    def encode_features(self, features: Sequence[MoleculeFeatures]) -> MoleculeEncoding:
        """Encode what :func:`featurise` made, for callers that featurise elsewhere."""
        parts = []
        for first in range(0, len(features), _ENCODE_BATCH):
            packed = PackedMolecules.pack(features[first : first + _ENCODE_BATCH])
            parts.append(self.encode_packed(packed))
        if not parts:
            none, start = np.zeros((0, self.fine), dtype=np.float32), np.zeros(1, dtype=np.int64)
            return MoleculeEncoding(np.zeros((0, self.dim), dtype=np.float32), none, start, none, start)
        return concatenate(parts)

    @torch.inference_mode()
    def encode_packed(self, packed: PackedMolecules) -> MoleculeEncoding:
        batch = GraphBatch.build(packed)
        states = self.network.encode_molecules(batch)
        logits, mask = grains.pad(states.motif_weights, batch.motif_offsets)
        shares = torch.softmax(logits.masked_fill(~mask, -torch.inf), dim=1)[mask]
        return MoleculeEncoding(
            vectors=states.vectors.numpy(),
            motifs=(states.motifs * shares.unsqueeze(1)).numpy(),
            motif_offsets=batch.motif_offsets.numpy(),
            atoms=states.atoms.numpy(),
            atom_offsets=batch.atom_offsets.numpy(),
        )

    def rerank(self, text: TextEncoding, row: int, molecules: MoleculeEncoding) -> RerankScores:
        """The multi-grained score of text ``row`` against every molecule, each pair from its own two members."""
        return self.rerank_many(text, [row], [molecules])[0]

    @torch.inference_mode()
    def rerank_many(
        self, text: TextEncoding, rows: Sequence[int], molecules: Sequence[MoleculeEncoding]
    ) -> list[RerankScores]:
        """The same for several texts at once, each of ``rows`` against its own of ``molecules``."""
        everything = molecules[0] if len(molecules) == 1 else concatenate(molecules)
        owner = np.repeat(np.asarray(rows), [len(own) for own in molecules])
        phrase, token = np.zeros((2, len(owner)), np.float32)
        for pairs in _blocks(text.mask.sum(1)[owner], np.diff(everything.atom_offsets)):
            block = self.network.fine_scores(
                text_sides(text, owner[pairs]), molecule_side(everything, pairs).each()
            )
            phrase[pairs], token[pairs] = block[0][:, 0], block[1][:, 0]
        sentence = np.einsum("pd,pd->p", everything.vectors, text.sentence[owner])
        total = self.network.combine(*map(torch.from_numpy, (sentence, phrase, token))).numpy()
        ends = np.cumsum([len(own) for own in molecules])[:-1]
        parts = zip(*(np.split(values, ends) for values in (total, sentence, phrase, token)), strict=True)
        return [RerankScores(*part) for part in parts]


def _blocks(tokens: np.ndarray, atoms: np.ndarray) -> Iterator[np.ndarray]:
    """Pairs (n,) of texts and molecules of such sizes, divided so that little is padded and little is held at once."""
    scale = np.ceil(np.log2(np.maximum(tokens, 8)))
    order = np.lexsort((-atoms, -scale))
    start = 0
    while start < len(order):
        rest = order[start:]
        longest = atoms[rest[0]]
        waste = np.cumsum(tokens[rest] * (longest - atoms[rest]))
        held = np.arange(1, len(rest) + 1) * longest * tokens[rest[0]]
        fits = (scale[rest] == scale[rest[0]]) & (waste <= _WASTE) & (held <= _HELD)
        count = max(1, len(rest) if fits.all() else int(np.argmin(fits)))
        yield rest[:count]
        start += count


def text_side(text: TextEncoding, row: int) -> TextSide:
    """One text as a block of one."""
    return text_sides(text, np.array([row]))


def text_sides(text: TextEncoding, rows: np.ndarray) -> TextSide:
    """The chosen texts as a padded block; one may be chosen more than once."""
    size = int(text.mask[rows].sum(1).max())
    different, place = np.unique(rows, return_inverse=True)
    chosen = torch.from_numpy(place)
    tokens, token_shares = split_shares(torch.from_numpy(text.tokens[different, :size]))
    phrases, phrase_shares = split_shares(torch.from_numpy(text.phrases[different, :size]))
    mask = torch.from_numpy(text.mask[different, :size])
    return TextSide(*(each[chosen] for each in (tokens, phrases, token_shares, phrase_shares, mask)))


def molecule_side(molecules: MoleculeEncoding, rows: np.ndarray) -> MoleculeSide:
    """The chosen molecules as a padded block."""

    def padded(values: np.ndarray, offsets: np.ndarray) -> tuple[Tensor, Tensor]:
        starts, lengths = offsets[rows], offsets[rows + 1] - offsets[rows]
        slots = np.arange(max(int(lengths.max()), 1))
        mask = slots < lengths[:, None]
        index = torch.from_numpy(np.where(mask, starts[:, None] + slots, 0))
        real = torch.from_numpy(mask)
        return F.embedding(index, torch.from_numpy(values)).mul_(real.unsqueeze(2)), real

    atoms, atom_mask = padded(molecules.atoms, molecules.atom_offsets)
    motifs, shares = split_shares(padded(molecules.motifs, molecules.motif_offsets)[0])
    return MoleculeSide(atoms=atoms, atom_mask=atom_mask, motifs=motifs, motif_shares=shares)


def split_shares(weighted: Tensor) -> tuple[Tensor, Tensor]:
    """Directions (unit) and shares (summing to one along the rows) of weighted points (..., rows, fine); zero where
    there are none.
    """
    lengths = weighted.norm(dim=-1)
    shares = lengths / lengths.sum(-1, keepdim=True).clamp(min=1e-12)
    return weighted / lengths.clamp(min=1e-12).unsqueeze(-1), shares


def concatenate(parts: Sequence[MoleculeEncoding]) -> MoleculeEncoding:
    """Encodings one after the other."""

    def offsets(name: str) -> np.ndarray:
        return np.concatenate(
            [[0], np.cumsum(np.concatenate([np.diff(getattr(part, name)) for part in parts]))]
        )

    return MoleculeEncoding(
        vectors=np.concatenate([part.vectors for part in parts]),
        motifs=np.concatenate([part.motifs for part in parts]),
        motif_offsets=offsets("motif_offsets"),
        atoms=np.concatenate([part.atoms for part in parts]),
        atom_offsets=offsets("atom_offsets"),
    )


def save_model(network: Orma, tokenizer: str, folder: Path, card: Mapping[str, Any] | None = None) -> str:
    """Write a model folder; returns its fingerprint."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(tokenizer)
    return weights.save_folder(folder, network.state_dict(), network.config.to_dict(), card or {})
