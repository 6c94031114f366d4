"""The trained retrieval model behind plain calls: texts and molecules in, arrays and scores out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rdkit import Chem
from torch import Tensor

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
#: tokens times molecules that are scored at once: fewer blocks start fewer operations, more blocks hold less padding
_BLOCK = 1024


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
        """The same for several texts at once, each of ``rows`` against its own of ``molecules`` (one or more)."""
        side = text_sides(text, rows)
        fine = [np.zeros((2, len(own)), np.float32) for own in molecules]
        most = max(len(own) for own in molecules)
        groups = max(1, min(most // 8, side.tokens.shape[1] * most // _BLOCK))
        by_size = [np.argsort(np.diff(own.atom_offsets), kind="stable") for own in molecules]
        for chosen in zip(*(np.array_split(order, groups) for order in by_size), strict=True):
            scores = torch.stack(self.network.fine_scores(side, molecule_sides(molecules, chosen))).numpy()
            for place, numbers in enumerate(chosen):
                fine[place][:, numbers] = scores[:, place, : len(numbers)]
        found = []
        for row, own, (phrase, token) in zip(rows, molecules, fine, strict=True):
            sentence = own.vectors @ text.sentence[row]
            total = self.network.combine(*map(torch.from_numpy, (sentence, phrase, token)))
            found.append(RerankScores(total.numpy(), sentence, phrase, token))
        return found


def text_side(text: TextEncoding, row: int) -> TextSide:
    """One text as a block of one."""
    return text_sides(text, [row])


def text_sides(text: TextEncoding, rows: Sequence[int]) -> TextSide:
    """The chosen texts as a padded block."""
    chosen = list(rows)
    mask = text.mask[chosen]
    size = int(mask.sum(1).max())
    tokens, token_shares = split_shares(torch.from_numpy(text.tokens[chosen, :size]))
    phrases, phrase_shares = split_shares(torch.from_numpy(text.phrases[chosen, :size]))
    return TextSide(tokens, phrases, token_shares, phrase_shares, torch.from_numpy(mask[:, :size]))


def molecule_side(molecules: MoleculeEncoding, rows: np.ndarray) -> MoleculeSide:
    """The chosen molecules as a padded block."""
    side = molecule_sides([molecules], [rows])
    return MoleculeSide(side.atoms[0], side.atom_mask[0], side.motifs[0], side.motif_shares[0])


def molecule_sides(molecules: Sequence[MoleculeEncoding], rows: Sequence[np.ndarray]) -> MoleculeSide:
    """The chosen rows of each encoding as one padded block, each text's own: (encodings, most rows, ...)."""
    most = max(len(numbers) for numbers in rows)

    def padded(values: str, bounds: str) -> tuple[Tensor, Tensor]:
        offsets = [np.asarray(getattr(own, bounds)) for own in molecules]
        sizes = [np.diff(each)[numbers] for each, numbers in zip(offsets, rows, strict=True)]
        longest = max(1, *(int(each.max(initial=0)) for each in sizes))
        slots = np.arange(longest)
        mask = np.zeros((len(molecules), most, longest), bool)
        out = np.zeros((*mask.shape, getattr(molecules[0], values).shape[1]), np.float32)
        for place, (own, starts, lengths, numbers) in enumerate(
            zip(molecules, offsets, sizes, rows, strict=True)
        ):
            real = slots < lengths[:, None]
            mask[place, : len(numbers)] = real
            out[place, : len(numbers)][real] = getattr(own, values)[(starts[numbers, None] + slots)[real]]
        return torch.from_numpy(out), torch.from_numpy(mask)

    atoms, atom_mask = padded("atoms", "atom_offsets")
    motifs, shares = split_shares(padded("motifs", "motif_offsets")[0])
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
