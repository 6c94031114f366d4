"""Tokens to text while they come: a character may be spelled by several byte tokens, and half of one is never shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from transformers import PreTrainedTokenizerBase

#: tokens before those at hand that are decoded with them, for decoders that look back
_BEFORE = 8
#: tokens after which the ones before are let go, as soon as nothing is held back
_LONGEST = 64
_BROKEN = "\ufffd"  # what decoders write for bytes that are no character (yet)
_MOST_BROKEN = 3  # of them that one unfinished character may be written as


class Spelling:
    """The text of tokens, one after another; their texts make up :attr:`text`, in which special tokens have no place.

    Whole characters come with the token that completes them. Bytes that are no character are the replacement
    character, once the next tokens have shown it. ``given`` are the tokens before the first one.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, given: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._ids = list(given[-_BEFORE:])
        self._told = len(self._decoded())
        self._texts: list[str] = []

    @property
    def text(self) -> str:
        """All that was told so far."""
        return "".join(self._texts)

    def add(self, token: int) -> str:
        """The text that ``token`` adds; empty where it does not complete a character."""
        self._ids.append(token)
        whole = self._decoded()
        held = min(len(whole) - len(whole.rstrip(_BROKEN)), _MOST_BROKEN)
        settled = max(self._told, len(whole) - held)
        new = whole[self._told : settled]
        self._told = settled
        if len(self._ids) > _LONGEST and not held:
            self._ids = self._ids[-_BEFORE:]
            self._told = len(self._decoded())
        self._texts.append(new)
        return new

    def end(self) -> str:
        """What was held back to the end: bytes that never became a character."""
        rest = self._decoded()[self._told :]
        self._told += len(rest)
        self._texts.append(rest)
        return rest

    def _decoded(self) -> str:
        return decoded(self._tokenizer, self._ids)


class Pieces:
    """The text of single tokens, as a list of alternatives shows them: an end or a marker by its name."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._special = frozenset(tokenizer.all_special_ids)
        self._known: dict[int, str] = {}

    def __call__(self, token: int) -> str:
        if token not in self._known:
            self._known[token] = self._spelled(token)
        return self._known[token]

    def pairs(self, alternatives: Iterable[tuple[int, float]]) -> list[list[str | float]]:
        """``[text, number]`` of each."""
        return [[self(token), number] for token, number in alternatives]

    def _spelled(self, token: int) -> str:
        if token in self._special:
            return str(self._tokenizer.convert_ids_to_tokens(token))
        alone = decoded(self._tokenizer, [token])
        twice = decoded(
            self._tokenizer, [token, token]
        )  # some decoders leave out the space before a first word
        return twice[len(alone) :] if twice.startswith(alone) and _BROKEN not in twice else alone


def decoded(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of ``ids`` without special tokens, its spaces as they are."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))
