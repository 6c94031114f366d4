"""The text encoder: a pretrained transformer with sentence, phrase and token representations, and hashed n-grams.

As in ORMA (§III-A) each grain reads its own depth: tokens two layers below the top, phrases one below, the sentence
from the top. The sentence adds the bag of n-grams.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertConfig, BertModel

from mlcore.retrieval import ngrams

#: texts that go through the transformer together
_CHUNK = 16


@dataclass(frozen=True)
class TextBatch:
    """Texts as tensors."""

    pieces: Tensor  # (n, tokens) int64
    mask: Tensor  # (n, tokens) bool, True = real
    grams: Tensor  # (all grams,) int64
    gram_starts: Tensor  # (n,) int64

    def to(self, device: torch.device | str) -> TextBatch:
        return TextBatch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class TextStates:
    """What the encoder makes of a batch."""

    sentence: Tensor  # (n, dim) unit length
    phrases: Tensor  # (n, tokens, fine) unit length
    tokens: Tensor  # (n, tokens, fine) unit length
    phrase_weights: (
        Tensor  # (n, tokens) share of each token in the phrase grain, sums to one over real tokens
    )
    token_weights: Tensor  # (n, tokens) the same for the token grain
    mask: Tensor  # (n, tokens) bool
    wording: Tensor  # (n, width) unit length: the mean of the top layer, for comparing texts with texts


class TextEncoder(nn.Module):
    """Maps a :class:`TextBatch` to :class:`TextStates`."""

    def __init__(
        self,
        bert: BertConfig,
        dim: int,
        fine: int,
        buckets: int,
        bag_width: int,
        use_transformer: bool = True,
        use_ngrams: bool = True,
    ) -> None:
        super().__init__()
        self.use_transformer, self.use_ngrams = use_transformer, use_ngrams
        self.bert = BertModel(bert, add_pooling_layer=False)
        self.bag = nn.EmbeddingBag(buckets, bag_width, mode="sum", sparse=True)
        nn.init.normal_(self.bag.weight, std=0.3)
        self.register_buffer("gram_weights", torch.ones(buckets))
        self.bag_linear = nn.Linear(bag_width, dim)
        self.bag_mlp = nn.Sequential(nn.GELU(), nn.Linear(bag_width, dim))
        self.to_sentence = nn.Linear(bert.hidden_size, dim)
        self.to_phrases = nn.Linear(bert.hidden_size, fine)
        self.to_tokens = nn.Linear(bert.hidden_size, fine)
        self.phrase_gate = nn.Linear(bert.hidden_size, 1)
        self.token_gate = nn.Linear(bert.hidden_size, 1)

    def forward(
        self, batch: TextBatch, transformer: Callable[[Tensor, Tensor], Sequence[Tensor]] | None = None
    ) -> TextStates:
        """Encode ``batch``; ``transformer`` (pieces, mask -> the last three hidden states) replaces the own one."""
        mask = batch.mask
        sentence = self.bag_vectors(batch) if self.use_ngrams else 0.0
        if not self.use_transformer:
            empty = self.to_tokens.weight.new_zeros(*mask.shape, self.to_tokens.out_features)
            share = mask / mask.sum(1, keepdim=True)
            sentence = F.normalize(sentence, dim=-1)  # type: ignore[arg-type]
            return TextStates(sentence, empty, empty, share, share, mask, sentence)
        lower, middle, top = transformer(batch.pieces, mask) if transformer else self._hidden(batch)
        real = mask.unsqueeze(-1)
        mean = (top * real).sum(1) / real.sum(1)
        sentence = sentence + self.to_sentence(mean).float()
        return TextStates(
            sentence=F.normalize(sentence, dim=-1),
            phrases=F.normalize(self.to_phrases(middle).float(), dim=-1),
            tokens=F.normalize(self.to_tokens(lower).float(), dim=-1),
            phrase_weights=_shares(self.phrase_gate(middle), mask),
            token_weights=_shares(self.token_gate(lower), mask),
            mask=mask,
            wording=F.normalize(mean.float(), dim=-1),
        )

    def _hidden(self, batch: TextBatch) -> tuple[Tensor, Tensor, Tensor]:
        """The last three layers, (n, tokens, width) each; long batches run in chunks of like length."""
        pieces, mask = batch.pieces, batch.mask
        if len(pieces) < 2 * _CHUNK:
            return self.bert(input_ids=pieces, attention_mask=mask, output_hidden_states=True).hidden_states[
                -3:
            ]
        lengths = mask.sum(1)
        order = torch.argsort(lengths)
        runs = []
        for rows in order.split(_CHUNK):
            longest = int(lengths[rows].max())
            cut_pieces, cut_mask = pieces[rows, :longest], mask[rows, :longest]
            states = self.bert(
                input_ids=cut_pieces, attention_mask=cut_mask, output_hidden_states=True
            ).hidden_states
            runs.append([F.pad(state, (0, 0, 0, pieces.shape[1] - longest)) for state in states[-3:]])
        back = torch.argsort(order)
        lower, middle, top = (torch.cat(layer)[back] for layer in zip(*runs, strict=True))
        return lower, middle, top

    def bag_vectors(self, batch: TextBatch) -> Tensor:
        """(n, dim) the sentence's share from the n-grams; idf-weighted, unit length before the two heads."""
        weights = self.gram_weights[batch.grams]  # type: ignore[index]
        counts = torch.diff(batch.gram_starts, append=batch.gram_starts.new_tensor([len(batch.grams)]))
        owner = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
        norms = weights.new_zeros(len(counts)).index_add(0, owner, weights * weights).sqrt().clamp(min=1e-6)
        bag = self.bag(batch.grams, batch.gram_starts, per_sample_weights=weights / norms[owner])
        return (self.bag_linear(bag) + self.bag_mlp(bag)).float()


def _shares(logits: Tensor, mask: Tensor) -> Tensor:
    return torch.softmax(logits.float().squeeze(-1).masked_fill(~mask, -torch.inf), dim=1)


class TextTokenizer:
    """Texts to :class:`TextBatch`, and the characters that each token covers."""

    def __init__(self, described: str, limit: int, buckets: int) -> None:
        self.described, self.limit, self.buckets = described, limit, buckets
        self._tokenizer = Tokenizer.from_str(described)
        self._tokenizer.enable_truncation(limit)
        self._tokenizer.enable_padding()

    def __call__(self, texts: Sequence[str]) -> tuple[TextBatch, list[list[tuple[int, int]]]]:
        encoded = self._tokenizer.encode_batch(list(texts))
        found, starts = ngrams.bags(texts, self.buckets)
        batch = TextBatch(
            pieces=torch.tensor([each.ids for each in encoded]),
            mask=torch.tensor([each.attention_mask for each in encoded]).bool(),
            grams=torch.from_numpy(found),
            gram_starts=torch.from_numpy(starts),
        )
        spans = [
            [span for span, real in zip(each.offsets, each.attention_mask, strict=True) if real]
            for each in encoded
        ]
        return batch, spans
