"""The text encoder's vocabulary: a pretrained WordPiece vocabulary, pruned, with the domain's words added whole.

Pieces that neither the corpus nor everyday English needs are dropped; frequent words of the corpus that WordPiece
would cut ("monocarboxylic") become one token whose embedding starts as the mean of its pieces. Descriptions come
out about a quarter shorter.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor

#: pieces of the original vocabulary up to this number are kept: BERT orders them by frequency
EVERYDAY = 9000


def adapt(tokenizer_json: str, embeddings: Tensor, texts: Iterable[str], words: int) -> tuple[str, Tensor]:
    """Prune and extend a WordPiece tokenizer and its embedding table.

    Args:
        tokenizer_json: a ``tokenizer.json`` with a WordPiece model and a BERT normaliser.
        embeddings: (pieces, width) the table that goes with it.
        texts: the corpus.
        words: how many whole words may be added at the most.

    Returns:
        The new ``tokenizer.json`` and its table (new pieces, width).
    """
    base = Tokenizer.from_str(tokenizer_json)
    base.no_truncation()
    base.no_padding()
    old = base.get_vocab()
    texts = list(texts)
    counts: Counter[str] = Counter()
    for text in texts:
        pieces = base.pre_tokenizer.pre_tokenize_str(base.normalizer.normalize_str(text))
        counts.update(word for word, _ in pieces)
    used = {piece for encoding in base.encode_batch(texts) for piece in encoding.ids}
    kept = [
        piece
        for piece, number in sorted(old.items(), key=lambda item: item[1])
        if number < EVERYDAY or number in used
    ]
    added = [
        word
        for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if word not in old
    ]
    added = [word for word in added[:words] if counts[word] >= 4 and len(word) <= 40]
    rows = [embeddings[old[piece]] for piece in kept]
    rows += [embeddings[base.encode(word, add_special_tokens=False).ids].mean(0) for word in added]
    described = json.loads(tokenizer_json)
    described["model"]["vocab"] = {piece: number for number, piece in enumerate(kept + added)}
    described["truncation"] = described["padding"] = None
    for token in described["added_tokens"]:
        token["id"] = described["model"]["vocab"][token["content"]]
    special = described["post_processor"]
    for name, entry in special.get("special_tokens", {}).items():
        entry["ids"] = [described["model"]["vocab"][name]]
    if special["type"] == "BertProcessing":
        special["sep"][1] = described["model"]["vocab"]["[SEP]"]
        special["cls"][1] = described["model"]["vocab"]["[CLS]"]
    return json.dumps(described, ensure_ascii=False), torch.stack(rows)


def from_texts(texts: Iterable[str], size: int) -> str:
    """A WordPiece ``tokenizer.json`` from ``texts`` alone, for a start from nothing.

    Its pieces are the special ones, all characters (at the start and inside of words) and the most frequent whole
    words, ``size`` in all at the most; other words come out as characters. Ties are broken by the alphabet.
    """
    normaliser, splitter = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word for word, _ in splitter.pre_tokenize_str(normaliser.normalize_str(text)))
    letters = sorted({letter for word in counts for letter in word})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    words = [
        word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if len(word) > 1
    ]
    pieces += words[: max(size - len(pieces), 0)]
    unknown = pieces[1]
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token=unknown))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normaliser, splitter
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.add_special_tokens(pieces[:5])
    return tokenizer.to_str()
