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
from mlcore.retrieval.encoding import MoleculeEncoding, RerankScores, TextEncoding
from mlcore.retrieval.grains import MoleculeSide, TextSide
from mlcore.retrieval.graphs import MoleculeFeatures, PackedMolecules, featurise
from mlcore.retrieval.molecules import GraphBatch
from mlcore.retrieval.orma import Orma, OrmaConfig
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

        Each text runs alone: in int8 the activations' scale would otherwise depend on its neighbours.
        """
        return join_texts([self._encode_text(text) for text in texts])

    def _encode_text(self, text: str) -> TextEncoding:
        batch, spans = self.tokenizer([text])
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

    @torch.inference_mode()
    def rerank(self, text: TextEncoding, row: int, molecules: MoleculeEncoding) -> RerankScores:
        """The multi-grained score of text ``row`` against every molecule, each pair from its own two members."""
        side = text_side(text, row)
        sentence = torch.from_numpy(molecules.vectors @ text.sentence[row])
        phrase, token = torch.zeros(len(molecules)), torch.zeros(len(molecules))
        sizes = np.diff(molecules.atom_offsets)
        groups = min(len(molecules) // 8, side.tokens.shape[1] * len(molecules) // _BLOCK)
        for rows in np.array_split(np.argsort(sizes, kind="stable"), max(1, groups)):
            found = self.network.fine_scores(side, molecule_side(molecules, rows))
            phrase[rows], token[rows] = found[0][0], found[1][0]
        total = self.network.combine(sentence, phrase, token)
        return RerankScores(total.numpy(), sentence.numpy(), phrase.numpy(), token.numpy())


def text_side(text: TextEncoding, row: int) -> TextSide:
    """One text as a block of one."""
    size = int(text.mask[row].sum())
    tokens, token_shares = split_shares(torch.from_numpy(text.tokens[row : row + 1, :size]))
    phrases, phrase_shares = split_shares(torch.from_numpy(text.phrases[row : row + 1, :size]))
    return TextSide(tokens, phrases, token_shares, phrase_shares, torch.ones(1, size, dtype=torch.bool))


def molecule_side(molecules: MoleculeEncoding, rows: np.ndarray) -> MoleculeSide:
    """The chosen molecules as a padded block."""

    def padded(values: np.ndarray, offsets: np.ndarray) -> tuple[Tensor, Tensor]:
        starts, lengths = offsets[rows], np.diff(offsets)[rows]
        slots = np.arange(max(int(lengths.max()), 1))
        mask = slots < lengths[:, None]
        index = np.where(mask, starts[:, None] + slots, 0)
        return torch.from_numpy(values[index] * mask[:, :, None]), torch.from_numpy(mask)

    atoms, atom_mask = padded(molecules.atoms, molecules.atom_offsets)
    motifs, shares = split_shares(padded(molecules.motifs, molecules.motif_offsets)[0])
    return MoleculeSide(atoms=atoms, atom_mask=atom_mask, motifs=motifs, motif_shares=shares)


def split_shares(weighted: Tensor) -> tuple[Tensor, Tensor]:
    """Directions (unit) and shares (summing to one along the rows) of weighted points (n, rows, fine)."""
    lengths = weighted.norm(dim=-1)
    return weighted / lengths.clamp(min=1e-12).unsqueeze(-1), lengths / lengths.sum(1, keepdim=True)


def join_texts(parts: Sequence[TextEncoding]) -> TextEncoding:
    """Encodings one after the other, padded to the longest; at least one."""
    longest = max(part.mask.shape[1] for part in parts)

    def padded(name: str) -> np.ndarray:
        arrays = [getattr(part, name) for part in parts]
        return np.concatenate(
            [np.pad(a, [(0, 0), (0, longest - a.shape[1]), *[(0, 0)] * (a.ndim - 2)]) for a in arrays]
        )

    return TextEncoding(
        sentence=np.concatenate([part.sentence for part in parts]),
        tokens=padded("tokens"),
        phrases=padded("phrases"),
        mask=padded("mask"),
        spans=[span for part in parts for span in part.spans],
        wording=np.concatenate([part.wordings for part in parts]),
    )


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
