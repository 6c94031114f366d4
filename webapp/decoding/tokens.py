"""Tokens as HTML: the kind as a class, what else was likely as data for the card, and drafts that were refused."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from webapp.decoding.wording import KINDS

#: special tokens, which are no part of the text
MARKS = {"<eos>", "<bos>", "<pad>", "</s>", "<s>", "<|endoftext|>"}


def token(event: Mapping[str, Any], *, titled: bool = False) -> SafeString:
    """One token; ``titled`` writes what is known about it into a title, for pages that no script completes."""
    text, kind = str(event["text"]), str(event["kind"])
    others = event.get("alternatives") or {}
    card = json.dumps({"text": text, "kind": kind, **others}, ensure_ascii=False, separators=(",", ":"))
    title = format_html(' title="{}"', words(event)) if titled else ""
    silent = text in MARKS or not text  # an end mark, or a part of a letter
    return format_html(
        '<span class="token {}{}" data-card="{}"{}>{}</span>',
        kind if kind in KINDS else "sampled",
        " mark" if silent else "",
        card,
        title,
        "" if silent else text,
    )


def words(event: Mapping[str, Any]) -> str:
    """What is known about a token, as a sentence."""
    said = [KINDS.get(str(event["kind"]), ("", str(event["kind"])))[0]]
    for name, pairs in (event.get("alternatives") or {}).items():
        if pairs:
            said.append(f"{name}: " + ", ".join(f"“{text}” {value:.3g}" for text, value in pairs))
    return "; ".join(said)


class Refusals:
    """Follows one lane: which drafted tokens of a block have not become part of the answer."""

    def __init__(self) -> None:
        self._drafts: Sequence[Sequence[Mapping[str, Any]]] = ()
        self._stood: list[Any] = []

    def drafted(self, event: Mapping[str, Any]) -> SafeString:
        """A new block; what was refused of the one before, if that has not been told."""
        before = self.flush()
        self._drafts, self._stood = event["drafts"], []
        return before

    def emitted(self, event: Mapping[str, Any]) -> SafeString:
        """A token of the answer; before one that is no draft's, what was refused."""
        if event["kind"] == "accepted":
            self._stood.append(event["id"])
            return mark_safe("")
        return self.flush()

    def flush(self) -> SafeString:
        """The refused rest of every draft of the block, as HTML; nothing where all stood."""
        drafts, self._drafts = self._drafts, ()
        return refused(_spelled(draft[_same(draft, self._stood) :]) for draft in drafts)


class Rivals(Refusals):
    """The same where whole answers are drafted, growing with every event, and one of them is chosen at the end."""

    def drafted(self, event: Mapping[str, Any]) -> SafeString:
        """The answers so far; they stand in the place of those told before."""
        self._drafts = event["drafts"]
        return mark_safe("")

    def emitted(self, event: Mapping[str, Any]) -> SafeString:
        """A token of the one that was chosen."""
        self._stood.append(event["id"])
        return mark_safe("")

    def flush(self) -> SafeString:
        """The answers that were not chosen."""
        drafts, self._drafts = self._drafts, ()
        return refused(_spelled(draft) for draft in drafts if [each["id"] for each in draft] != self._stood)


def refused(texts: Iterable[str]) -> SafeString:
    """Texts that were proposed and not taken, each once."""
    kept = dict.fromkeys(text for text in texts if text)
    if not kept:
        return mark_safe("")
    shown = format_html_join("", "<del>{}</del>", ((text,) for text in kept))
    return format_html('<span class="refused" title="proposed, not taken">{}</span>', shown)


def _same(draft: Sequence[Mapping[str, Any]], stood: Sequence[Any]) -> int:
    """How many tokens at the beginning of a draft stood."""
    same = 0
    while same < min(len(draft), len(stood)) and draft[same]["id"] == stood[same]:
        same += 1
    return same


def _spelled(draft: Sequence[Mapping[str, Any]]) -> str:
    return "".join("" if str(each["text"]) in MARKS else str(each["text"]) for each in draft)
