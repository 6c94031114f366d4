"""The loop that all draft-and-verify methods share: draft K continuations, score them in one call, keep what stands.

Between two rounds the target's cache holds all but the last token, and so does the draft's, or all but the last two
(after a block that passed whole). All K rows of a prompt hold the same prefix.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from mlcore.decoding.answers import Answer
from mlcore.decoding.drafts import Drafts, draft_rows
from mlcore.decoding.events import Drafted, Event, Kind
from mlcore.decoding.networks.causal import CausalModel, check_prompts, prefill
from mlcore.decoding.prefix_tree import score_tree
from mlcore.decoding.randomness import Source
from mlcore.decoding.sampling import Sampling, Warper
from mlcore.decoding.verification import Outcome, Rule
from mlcore.runtime.errors import InputError
from mlcore.runtime.options import option


@dataclass(frozen=True)
class Drafting:
    """How much is drafted in a round, and how the drafts are laid out for the target."""

    drafts: int = option(1, "continuations drafted in each round (K)", minimum=1, maximum=64)
    length: int = option(6, "tokens of each (L)", minimum=1, maximum=64)
    layout: str = option(
        "batch", "rows of a batch, or a tree that merges equal prefixes", choices=("batch", "tree")
    )


def generate(
    target: CausalModel,
    draft: CausalModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    drafting: Drafting,
    rule: Rule,
    source: Source,
    *,
    warper: Warper | None = None,
    alternatives: int = 0,
) -> Iterator[Event]:
    """Continue every one of ``prompts`` (token ids), in the law of the target's warped samples.

    Raises:
        InputError: an empty prompt, unknown tokens, impossible parameters; a tree for several prompts.
        LimitError: a prompt beyond the context of either model, or drafts beyond the memory.
    """
    if drafting.drafts < 1 or drafting.length < 1:
        raise InputError("At least one draft of one token is needed.", field="drafts")
    if drafting.layout == "tree" and len(prompts) > 1:
        raise InputError(
            "A tree of drafts is scored for one prompt at a time.",
            field="layout",
            remedy="Choose the layout 'batch' for several prompts.",
        )
    warper = warper or Warper(sampling, target.vocabulary)
    spare = drafting.drafts * drafting.length + 1 if drafting.layout == "tree" else drafting.length + 1
    check_prompts(prompts, target.vocabulary, min(target.context, draft.context), sampling.max_tokens)
    # the answer goes on, without drafts, where only the draft's context is full
    capacity = check_prompts(prompts, target.vocabulary, target.context, sampling.max_tokens) + spare
    answers = [Answer(row, prompt, sampling.max_tokens, target, warper) for row, prompt in enumerate(prompts)]
    started = time.perf_counter()
    rounds = Rounds(target, draft, drafting, warper, prompts, capacity)
    read = time.perf_counter() - started
    for answer in answers:
        answer.spend("prompt", read)
    while answers:
        blocks = rounds.draft(answers, source)
        rounds.score(answers, blocks)
        for place, (answer, block) in enumerate(zip(answers, blocks, strict=True)):
            yield Drafted(answer.row, tuple(tuple(tokens) for tokens in block.tokens))
            begun = time.perf_counter()
            outcome = rule(block.tokens, block.p, block.q, source)
            _count(answer, block, outcome)
            rounds.commit(place, len(answer.ids), block, outcome)
            answer.spend("verify", time.perf_counter() - begun)
            accepted: list[Kind] = ["accepted"] * len(outcome.accepted)
            for level, (token, kind) in enumerate(
                zip([*outcome.accepted, outcome.final], [*accepted, outcome.kind], strict=True)
            ):
                wanted = block.q(outcome.row, level) if alternatives else None
                drafted = block.p(outcome.row, level) if alternatives and kind != "bonus" else None
                yield answer.emit(token, kind, target=wanted, draft=drafted, top=alternatives)
                if answer.reason:
                    break
        for answer in answers:
            if answer.reason:
                yield answer.done(started)
        running = [place for place, answer in enumerate(answers) if not answer.reason]
        if len(running) < len(answers):
            answers = [answers[place] for place in running]
            rounds.keep(running)


def _count(answer: Answer, block: Drafts, outcome: Outcome) -> None:
    counts, levels = answer.counts, block.length
    counts.target_calls += 1
    counts.target_tokens += block.scored
    counts.draft_calls += block.calls
    counts.drafted += levels * len(block.tokens)
    counts.reached += [0] * (levels - len(counts.reached))
    counts.passed += [0] * (levels - len(counts.passed))
    for level in range(min(levels, len(outcome.accepted) + 1)):
        counts.reached[level] += 1
        counts.passed[level] += level < len(outcome.accepted)
        if level < len(outcome.accepted) and answer.ends(outcome.accepted[level]):
            break  # what was drafted after an end is of no use


class Rounds:
    """Both caches, with K rows for each prompt (one row of the target's for a tree), and what is done with them."""

    def __init__(
        self,
        target: CausalModel,
        draft: CausalModel,
        drafting: Drafting,
        warper: Warper,
        prompts: Sequence[Sequence[int]],
        capacity: int,
    ) -> None:
        self.target, self.draft_model, self.warper, self.drafting = target, draft, warper, drafting
        self.width = drafting.drafts
        self.tree = drafting.layout == "tree"
        self.context = min(target.context, draft.context)
        repeated = [prompt for prompt in prompts for _ in range(self.width)]
        self.slow = target.cache(len(prompts if self.tree else repeated), capacity)
        self.quick = draft.cache(len(repeated), capacity)
        prefill(target, self.slow, prompts if self.tree else repeated)
        known = draft.vocabulary - 1  # of what only the target can say the draft reads its last token
        prefill(draft, self.quick, [[min(token, known) for token in prompt] for prompt in repeated])

    def draft(self, answers: list[Answer], source: Source) -> list[Drafts]:
        """K drafts for every answer, as long as the answer with the most room can use."""
        begun = time.perf_counter()
        length = min(self.drafting.length, max(answer.left for answer in answers) - 1)
        length = max(0, min(length, self.context - max(len(answer.ids) for answer in answers)))
        blocks = draft_rows(self.draft_model, self.quick, answers, self.width, length, self.warper, source)
        spent = time.perf_counter() - begun
        for answer in answers:
            answer.spend("draft", spent)
        return blocks

    def score(self, answers: list[Answer], blocks: list[Drafts]) -> None:
        """The target's laws at every drafted place, from one call."""
        begun = time.perf_counter()
        if self.tree:
            score_tree(self.target, self.slow, answers[0], blocks[0], self.warper)
        else:
            self._score_rows(answers, blocks)
        spent = time.perf_counter() - begun
        for answer in answers:
            answer.spend("target", spent)

    def _score_rows(self, answers: list[Answer], blocks: list[Drafts]) -> None:
        rows = [
            [answer.last, *tokens]
            for answer, block in zip(answers, blocks, strict=True)
            for tokens in block.tokens
        ]
        ids = torch.tensor(rows, device=self.target.device)
        logits = self.target.forward(ids, self.slow)
        for place, block in enumerate(blocks):
            block.take(logits[place * self.width : (place + 1) * self.width], self.warper)

    def commit(self, place: int, length: int, block: Drafts, outcome: Outcome) -> None:
        """The caches keep the prefix of ``length`` tokens and the accepted ones; the final token is still unread."""
        standing = length + len(outcome.accepted)
        rows = slice(place * self.width, (place + 1) * self.width)
        if self.tree:
            self.slow.keep(block.path(outcome.row, len(outcome.accepted)), length - 1)
        else:
            self.slow.share(rows.start + outcome.row, length - 1, rows, standing)
        if block.length:  # the draft has not read its own last token
            read = min(standing, length + block.length - 1)
            self.quick.share(rows.start + outcome.row, length - 1, rows, read)

    def keep(self, running: list[int]) -> None:
        """Only the prompts at the places ``running`` go on."""
        if running:
            rows = [place * self.width + each for place in running for each in range(self.width)]
            self.slow = self.slow.chosen(running if self.tree else rows)
            self.quick = self.quick.chosen(rows)
