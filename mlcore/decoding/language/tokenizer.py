"""One byte-pair tokenizer over prose and SMILES, in the standard format of ``transformers``.

Every bracket atom of the training data is one token that nothing splits (an unseen one is spelled by its pieces), what
lies between bracket atoms is merged freely, and every byte has a token: whatever goes in comes out again. The markers
of :data:`MARKERS` are never read out of a text; :mod:`mlcore.decoding.language.prompts` puts them in by number.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

BOS, EOS, PAD, TEXT, SMILES = MARKERS = ("<bos>", "<eos>", "<pad>", "<text>", "<smiles>")

#: ASCII alone: the letters by which bytes are written in tokens must not occur in a whole one
_BRACKET = re.compile(r"(\[[!-Z\\^-~]{1,24}\])")
#: a word with the space before it; any other run up to closing punctuation; what is left
_PIECES = r" ?[A-Za-z]+(?=[\s.,;:]|$)| ?[^\s]+?(?=[.,;:]?(?:\s|$))|\s+|[.,;:]"
#: charges, isotopes and stereo of these are tokens even where the training data lack them
_USUAL = (
    "[H]",
    "[H+]",
    "[2H]",
    "[3H]",
    "[13C]",
    "[14C]",
    "[13CH3]",
    "[15N]",
    "[18F]",
    "[123I]",
    "[125I]",
    "[131I]",
)


def train_tokenizer(
    texts: Iterable[str], smiles: Iterable[str], size: int, longest: int = 16
) -> PreTrainedTokenizerFast:
    """A tokenizer of at most ``size`` tokens from ``texts`` and ``smiles``, merged to at most ``longest`` letters.

    A quarter of the room at the most goes to bracket atoms, the most frequent first.

    Raises:
        ValueError: ``size`` has no room for the bytes and the markers.
    """
    floor = 256 + len(MARKERS)
    if size <= floor:
        raise ValueError(f"a vocabulary needs more than {floor} tokens, got {size}")
    written = list(smiles)
    counts = Counter(_USUAL)
    for one in written:
        counts.update(_BRACKET.findall(one))
    brackets = [token for token, _ in counts.most_common(min(size // 4, size - floor))]
    tokenizer = _blank(models.BPE(vocab={}, merges=[]))
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(brackets) - len(MARKERS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=longest,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_fragments(texts, written), trainer)
    return wrapped(tokenizer, brackets)


def wrapped(tokenizer: Tokenizer, brackets: Iterable[str]) -> PreTrainedTokenizerFast:
    """``tokenizer`` with its markers and whole bracket atoms, as ``transformers`` knows tokenizers."""
    tokenizer.add_special_tokens([AddedToken(marker, normalized=False, special=True) for marker in MARKERS])
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in sorted(brackets)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def _blank(model: models.Model) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _fragments(texts: Iterable[str], smiles: Iterable[str]) -> Iterator[str]:
    yield from texts
    for one in smiles:
        yield from (piece for piece in _BRACKET.split(one) if piece and not piece.startswith("["))
