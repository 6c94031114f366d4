"""Rows of a batch and trees: after every round both models are computed anew and must agree with the caches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor

from mlcore.decoding import spectr, speculation
from mlcore.decoding.answers import Answer
from mlcore.decoding.drafts import Drafts
from mlcore.decoding.events import Done, Event
from mlcore.decoding.networks.cache import Cache
from mlcore.decoding.networks.causal import CausalModel
from mlcore.decoding.randomness import Seeded, Source
from mlcore.decoding.sampling import Sampling
from mlcore.decoding.speculation import Drafting, Rounds
from mlcore.decoding.verification import Outcome
from tests.mlcore.decoding.architectures import reference
from tests.mlcore.decoding.pairs import Pair, llama_pair
from tests.mlcore.decoding.runs import answers

NEAR = 1e-4  # of log-probabilities, float32
PAIR = llama_pair(noise=0.04, ends=frozenset({7}))
PROMPTS = ((3, 9, 4, 4, 12), (5,), (8, 2, 60, 31, 30, 2, 9, 9))


class Watched(Rounds):
    """Rounds that check themselves against networks without a cache; ``seen`` notes what happened."""

    pair: Pair
    seen: set[str]
    laws: list[Tensor]

    def draft(self, answers: list[Answer], source: Source) -> list[Drafts]:
        blocks = super().draft(answers, source)
        for answer, block in zip(answers, blocks, strict=True):
            for row, tokens in enumerate(block.tokens):
                logits = whole(self.pair.networks[1], [*answer.ids, *tokens])
                for level in range(block.length):
                    near(block.p(row, level), logits[len(answer.ids) - 1 + level])
        return blocks

    def score(self, answers: list[Answer], blocks: list[Drafts]) -> None:
        super().score(answers, blocks)
        for answer, block in zip(answers, blocks, strict=True):
            for row, tokens in enumerate(block.tokens):
                logits = whole(self.pair.networks[0], [*answer.ids, *tokens])
                for level in range(block.length + 1):
                    near(block.q(row, level), logits[len(answer.ids) - 1 + level])
                    self.laws.append(block.q(row, level))
        self.given = [list(answer.ids) for answer in answers]

    def commit(self, place: int, length: int, block: Drafts, outcome: Outcome) -> None:
        super().commit(place, length, block, outcome)
        ids = [*self.given[place], *outcome.accepted, outcome.final]
        slow = [place] if self.tree else range(place * self.width, (place + 1) * self.width)
        quick = range(place * self.width, (place + 1) * self.width)
        continued(self.target, self.slow, slow, ids, whole(self.pair.networks[0], ids)[-1])
        continued(self.draft_model, self.quick, quick, ids, whole(self.pair.networks[1], ids)[-1])
        accepted = len(outcome.accepted)
        if accepted == block.length > 0:
            self.seen.add("whole block")
        elif accepted == block.length - 1:
            self.seen.add("last rejected")
        elif not accepted:
            self.seen.add("first rejected")
        if outcome.row:
            self.seen.add("another row")
        if any(7 in tokens[:-1] for tokens in block.tokens):
            self.seen.add("end in a draft")


def whole(network: torch.nn.Module, ids: Sequence[int]) -> Tensor:
    return reference(network, torch.tensor([list(ids)]))[0]  # type: ignore[arg-type]


def near(law: Tensor, logits: Tensor) -> None:
    assert (law.log() - logits.log_softmax(-1)).abs().max() < NEAR


def continued(
    model: CausalModel, cache: Cache, rows: Sequence[int], ids: Sequence[int], wanted: Tensor
) -> None:
    """Every one of ``rows`` goes on as if the whole of ``ids`` had been read anew."""
    for row in rows:
        held = cache.lengths[row]
        assert (
            1 <= len(ids) - held <= 3
        )  # the draft reads neither its own last token nor what follows no draft
        logits = model.forward(torch.tensor([list(ids[held:])]), cache.chosen([row]))[0, -1]
        assert (logits - wanted).abs().max() < NEAR


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> type[Watched]:
    monkeypatch.setattr(Watched, "pair", PAIR, raising=False)
    monkeypatch.setattr(Watched, "seen", set(), raising=False)
    monkeypatch.setattr(Watched, "laws", [], raising=False)
    monkeypatch.setattr(speculation, "Rounds", Watched)
    return Watched


def run(
    prompts: Sequence[Sequence[int]],
    layout: str,
    seed: int,
    *,
    pair: Pair = PAIR,
    drafts: int = 3,
    tokens: int = 14,
) -> Iterator[Event]:
    sampling, drafting = Sampling(max_tokens=tokens), Drafting(drafts, 3, layout)
    return spectr.generate(pair.target, pair.draft, prompts, sampling, drafting, Seeded(seed))


@pytest.mark.parametrize("layout", ["batch", "tree"])
def test_the_caches_hold_what_was_emitted_after_every_round(layout: str, watched: type[Watched]) -> None:
    for seed in range(12):
        answers(run(PROMPTS[:1], layout, seed))
    assert watched.seen >= {"whole block", "last rejected", "first rejected", "another row", "end in a draft"}


def test_the_caches_of_prompts_of_different_lengths_hold_what_was_emitted(watched: type[Watched]) -> None:
    lengths = set()
    for seed in range(5):
        found = answers(run(PROMPTS, "batch", seed))
        lengths |= {len(answer) for answer in found}
    assert len(lengths) > 3  # rows left the batch at different times
    assert "whole block" in watched.seen


@pytest.mark.parametrize("layout", ["batch", "tree"])
def test_one_draft_is_held_too(layout: str, watched: type[Watched]) -> None:
    for seed in range(3):
        answers(run(PROMPTS[2:], layout, seed, drafts=1))
    assert "whole block" in watched.seen


def test_both_layouts_give_the_same_laws_and_the_same_answers(watched: type[Watched]) -> None:
    for seed in range(4):
        found, laws = [], []
        for layout in ("batch", "tree"):
            watched.laws.clear()
            found.append(answers(run(PROMPTS[:1], layout, seed)))
            laws.append(torch.stack(watched.laws))
        assert found[0] == found[1]
        assert (laws[0] - laws[1]).abs().max() < 1e-5


def test_a_tree_reads_no_more_tokens_than_rows_do() -> None:
    scored = []
    for layout in ("batch", "tree"):
        events = list(run(PROMPTS[:1], layout, 1, drafts=8))
        scored.append(next(event.counts.target_tokens for event in events if isinstance(event, Done)))
    assert scored[1] < scored[0]


@pytest.mark.parametrize("layout", ["batch", "tree"])
def test_the_context_ends_within_a_block(layout: str, watched: type[Watched]) -> None:
    """The models read 64 tokens; nothing is read beyond, and the answer ends there."""
    prompt = [1 + number % 5 for number in range(55)]
    lengths = set()
    for seed in range(4):
        done = [event for event in run([prompt], layout, seed, tokens=40) if isinstance(event, Done)]
        lengths |= {(len(event.tokens), event.reason) for event in done if event.reason != "end"}
    assert lengths == {(9, "context")}


# --- what these tests must be able to see ----------------------------------------------------------------------------


def several(layout: str) -> None:
    for seed in range(6):
        answers(run(PROMPTS[:1], layout, seed))


def test_a_cache_cut_one_too_late_is_seen(watched: type[Watched], monkeypatch: pytest.MonkeyPatch) -> None:
    real = Cache.share

    def late(self: Cache, winner: int, first: int, rows: slice, length: int) -> None:
        real(self, winner, first, rows, length)
        self.lengths[rows] = [length + 1] * (rows.stop - rows.start)

    monkeypatch.setattr(Cache, "share", late)
    with pytest.raises(AssertionError):
        answers(run(PROMPTS[:1], "batch", 0))


def test_rows_that_keep_their_own_drafts_are_seen(
    watched: type[Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lazy(self: Cache, winner: int, first: int, rows: slice, length: int) -> None:
        self.lengths[rows] = [length] * (rows.stop - rows.start)

    monkeypatch.setattr(Cache, "share", lazy)
    with pytest.raises(AssertionError):
        several("batch")


def test_a_path_that_is_not_gathered_is_seen(watched: type[Watched], monkeypatch: pytest.MonkeyPatch) -> None:
    real = Cache.keep
    monkeypatch.setattr(Cache, "keep", lambda self, nodes, start: real(self, range(len(nodes)), start))
    with pytest.raises(AssertionError):
        several("tree")


def test_siblings_that_see_each_other_are_seen(
    watched: type[Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlcore.decoding import prefix_tree
    from mlcore.decoding.networks.cache import Tree

    def blind(parents: Sequence[int], device: torch.device | str = "cpu") -> Tree:
        right = Tree.build(parents, device)
        return Tree(right.parents, right.depth, torch.ones_like(right.ancestors).tril())

    class Blind:
        build = staticmethod(blind)

    monkeypatch.setattr(prefix_tree, "Tree", Blind)
    with pytest.raises(AssertionError):
        answers(run(PROMPTS[:1], "tree", 0))
