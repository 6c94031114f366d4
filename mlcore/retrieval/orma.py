"""ORMA: two encoders and a score in three grains (Min et al., BIBM 2024, arXiv 2411.11875), in its corrected form."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mlcore.retrieval import grains
from mlcore.retrieval.config import OrmaConfig
from mlcore.retrieval.grains import MoleculeSide, TextSide
from mlcore.retrieval.molecules import GraphBatch, MoleculeEncoder, MoleculeStates
from mlcore.retrieval.text import TextBatch, TextEncoder, TextStates


class Orma(nn.Module):
    """The network. Scores are cosines in each grain; :meth:`combine` adds them with learned positive weights."""

    def __init__(self, config: OrmaConfig) -> None:
        super().__init__()
        self.config = config
        self.text = TextEncoder(
            config.bert(), config.dim, config.fine, config.buckets, config.bag_width,
            use_transformer=config.use_transformer, use_ngrams=config.use_ngrams,
        )  # fmt: skip
        self.molecule = MoleculeEncoder(
            config.dim, config.fine, config.graph_width, config.graph_layers, config.hidden, config.dropout,
            use_graph=config.use_graph, use_fingerprints=config.use_fingerprints,
        )  # fmt: skip
        #: log inverse temperatures of the sentence, phrase and token grain, and of the token grain's pooling
        self.log_scales = nn.Parameter(torch.tensor([20.0, 40.0, 40.0]).log())
        self.log_sharpness = nn.Parameter(torch.tensor(8.0).log())
        #: log weights of the three grains in the combined score
        self.log_weights = nn.Parameter(torch.tensor([20.0, 20.0, 20.0]).log())

    def scale(self, grain: int) -> Tensor:
        """Inverse temperature of a grain's own contrastive loss, at most 100."""
        return self.log_scales[grain].clamp(max=4.605).exp()

    def encode_texts(self, batch: TextBatch) -> TextStates:
        return self.text(batch)

    def encode_molecules(self, batch: GraphBatch) -> MoleculeStates:
        return self.molecule(batch)

    def fine_scores(self, text: TextSide, molecule: MoleculeSide) -> tuple[Tensor, Tensor]:
        """Phrase and token scores of all pairs of a block, (a, b) each; zeros for a grain that is switched off."""
        zero = text.tokens.new_zeros(len(text.tokens), molecule.atoms.shape[-3])
        phrase, token = zero, zero
        if self.config.use_motifs and self.config.use_transport:
            plan = self.align(text, molecule)
            phrase = grains.multitoken_motif(text, molecule, plan)
        elif self.config.use_motifs:
            phrase = grains.mean_motif(text, molecule)
        if self.config.use_tokens:
            token = grains.token_atom(text, molecule, self.log_sharpness.exp())
        return phrase, token

    def align(self, text: TextSide, molecule: MoleculeSide) -> Tensor:
        """Plans (a, b, tokens, motifs) of all pairs of a block, without gradient."""
        config = self.config
        if config.motifs_per_token:
            return grains.sparse_transport(
                text, molecule, k=config.motifs_per_token, gamma=config.transport_gamma
            )
        return grains.transport(text, molecule, steps=config.transport_steps)

    def combine(self, sentence: Tensor, phrase: Tensor, token: Tensor) -> Tensor:
        """The multi-grained score: a positive combination of the three grains, same shape as each."""
        weights = self.log_weights.exp()
        return weights[0] * sentence + weights[1] * phrase + weights[2] * token


def text_side(states: TextStates, rows: Tensor | slice = slice(None)) -> TextSide:
    """The chosen texts of a batch, cut to their longest."""
    mask = states.mask[rows]
    longest = int(mask.sum(1).max())
    return TextSide(
        tokens=states.tokens[rows][:, :longest],
        phrases=states.phrases[rows][:, :longest],
        token_shares=states.token_weights[rows][:, :longest],
        phrase_shares=states.phrase_weights[rows][:, :longest],
        mask=mask[:, :longest],
    )


def molecule_side(states: MoleculeStates, batch: GraphBatch, first: int, last: int) -> MoleculeSide:
    """Molecules ``first:last`` of a batch, padded."""
    atom_offsets = batch.atom_offsets[first : last + 1]
    motif_offsets = batch.motif_offsets[first : last + 1]
    atoms, atom_mask = grains.pad(states.atoms, atom_offsets)
    motifs, motif_mask = grains.pad(states.motifs, motif_offsets)
    logits, _ = grains.pad(states.motif_weights, motif_offsets)
    shares = torch.softmax(logits.masked_fill(~motif_mask, -torch.inf), dim=1)
    return MoleculeSide(atoms=atoms, atom_mask=atom_mask, motifs=motifs, motif_shares=shares)
