"""SpecTr through its real code path: exact by enumeration of the whole tree of drafts, and wrong when broken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from mlcore.decoding import spectr
from mlcore.decoding.events import Done, Event
from mlcore.decoding.optimal import optimal_transport
from mlcore.decoding.prefix_tree import merged
from mlcore.decoding.randomness import Source
from mlcore.decoding.sampling import Sampling
from mlcore.decoding.speculation import Drafting
from mlcore.decoding.verification import Rule, k_seq
from tests.mlcore.decoding.rules import completed, mean_length
from tests.mlcore.decoding.runs import Method, answers, law_of_answers, law_of_blocks
from tests.mlcore.decoding.toys import (
    Table,
    TableModel,
    distance,
    enumerate_law,
    mixed,
    random_table,
    sequence_law,
)

LAYOUTS = ("batch", "tree")
PROMPT = (1, 0)
TARGET, DRAFT = random_table(25, 2, 2.0), random_table(26, 2, 2.0)


def method(
    target: Table,
    draft: Table,
    vocabulary: int,
    drafting: Drafting,
    sampling: Sampling,
    *,
    rule: Rule = k_seq,
    ends: frozenset[int] = frozenset(),
    context: int = 64,
) -> Method:
    slow, quick = (TableModel(table, vocabulary, context, ends) for table in (target, draft))

    def generate(source: Source) -> Iterator[Event]:
        return spectr.generate(slow, quick, [PROMPT], sampling, drafting, source, rule=rule)

    return generate


def missed_by_blocks(
    target: Table, draft: Table, vocabulary: int, drafting: Drafting, rule: Rule = k_seq
) -> float:
    """How far the law of the first L + 1 tokens is from the target's: a block, and the target from there on."""
    length = drafting.length + 1
    run = method(target, draft, vocabulary, drafting, Sampling(max_tokens=length), rule=rule)
    found = completed(law_of_blocks(run), target, length, PROMPT)
    return distance(found, sequence_law(target, PROMPT, length))


# --- exactness -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("seed", range(3))
def test_the_whole_tree_of_three_drafts_over_two_tokens(seed: int, layout: str) -> None:
    target, draft = random_table(2 * seed, 2, 1.5), random_table(2 * seed + 1, 2, 1.5)
    assert missed_by_blocks(target, draft, 2, Drafting(3, 2, layout)) < 1e-12


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_whole_tree_over_three_tokens_of_which_some_have_no_mass(layout: str) -> None:
    target, draft = random_table(21, 3, 1.5, zeros=0.4), random_table(22, 3, 1.5, zeros=0.5)
    assert missed_by_blocks(target, draft, 3, Drafting(3, 2, layout)) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_whole_tree_of_three_drafts_over_three_tokens(layout: str) -> None:
    target, draft = random_table(10, 3, 1.5), random_table(11, 3, 1.5)
    assert missed_by_blocks(target, draft, 3, Drafting(3, 2, layout)) < 1e-12


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("rule", [k_seq, optimal_transport])
def test_answers_that_end_within_blocks_to_their_end(layout: str, rule: Rule) -> None:
    """An end token and the longest length both fall inside blocks; several rounds follow each other."""
    ends = frozenset({0})
    target, draft = random_table(31, 2, 1.0), random_table(32, 2, 1.0)
    sampling = Sampling(max_tokens=4)
    run = method(target, draft, 2, Drafting(2, 2, layout), sampling, rule=rule, ends=ends)
    wanted = sequence_law(target, PROMPT, 4, ends)
    assert {len(answer) for answer in wanted} == {1, 2, 3, 4}
    assert distance(law_of_answers(run), wanted) < 1e-12


@pytest.mark.parametrize("layout", LAYOUTS)
def test_several_rounds_without_an_end(layout: str) -> None:
    target, draft = random_table(41, 2, 1.0), random_table(42, 2, 1.0)
    run = method(target, draft, 2, Drafting(2, 1, layout), Sampling(max_tokens=4))
    assert distance(law_of_answers(run), sequence_law(target, PROMPT, 4)) < 1e-12


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("room", [1, 2, 3])
def test_the_context_ends_within_a_block(layout: str, room: int) -> None:
    target, draft = random_table(51, 2, 1.0), random_table(52, 2, 1.0)
    context = len(PROMPT) + room
    run = method(target, draft, 2, Drafting(2, 3, layout), Sampling(max_tokens=9), context=context)
    assert distance(law_of_answers(run), sequence_law(target, PROMPT, room)) < 1e-12
    reasons = enumerate_law(
        lambda source: next(event.reason for event in run(source) if isinstance(event, Done))
    )
    assert set(reasons) == {"context"}


@pytest.mark.parametrize(("slow", "quick"), [(8, 4), (4, 8)])
def test_contexts_of_target_and_draft_may_differ(slow: int, quick: int) -> None:
    """The answer goes on to the target's context, without drafts where the draft's is full."""
    tables = random_table(61, 2), random_table(62, 2)
    target, draft = (TableModel(table, 2, room) for table, room in zip(tables, (slow, quick), strict=True))
    for layout in LAYOUTS:

        def run(source: Source, layout: str = layout) -> Iterator[Event]:
            drafting = Drafting(2, 1, layout)
            return spectr.generate(target, draft, [(1, 0, 0)], Sampling(max_tokens=9), drafting, source)

        assert distance(law_of_answers(run), sequence_law(tables[0], (1, 0, 0), slow - 3)) < 1e-12


# --- one draft, equal models, hopeless drafts ------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_equal_models_pass_every_block_whole(layout: str) -> None:
    table = random_table(71, 2)
    run = method(table, table, 2, Drafting(2, 2, layout), Sampling(max_tokens=3))
    blocks = law_of_blocks(run)
    assert {len(tokens) for tokens, weight in blocks.items() if weight > 1e-12} == {3}
    assert distance(blocks, sequence_law(table, PROMPT, 3)) < 1e-12


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_draft_that_never_says_what_the_target_says(layout: str) -> None:
    target = lambda _: torch.tensor([0.3, 0.7, 0.0, 0.0], dtype=torch.float64)  # noqa: E731
    draft = lambda _: torch.tensor([0.0, 0.0, 0.5, 0.5], dtype=torch.float64)  # noqa: E731
    blocks = law_of_blocks(method(target, draft, 4, Drafting(2, 2, layout), Sampling(max_tokens=3)))
    assert blocks == pytest.approx({(0,): 0.3, (1,): 0.7}, abs=1e-14)


def test_more_drafts_make_longer_blocks_and_the_optimal_rule_the_longest() -> None:
    target, draft = random_table(81, 2, 1.5), random_table(82, 2, 1.5)

    def length(drafts: int, rule: Rule = k_seq) -> float:
        run = method(target, draft, 2, Drafting(drafts, 2, "batch"), Sampling(max_tokens=3), rule=rule)
        return mean_length(law_of_blocks(run))

    one, two, three = (length(drafts) for drafts in (1, 2, 3))
    assert one + 0.01 < two < three
    assert length(2, optimal_transport) >= two - 1e-12


def test_equal_prefixes_are_read_once_in_a_tree() -> None:
    added, parents, paths = merged([[5, 6, 7], [5, 6, 8], [5, 6, 7], [9, 6, 7]])
    assert added == [5, 6, 7, 8, 9, 6, 7]
    assert parents == [-1, 0, 1, 2, 2, 0, 5, 6]
    assert paths == [[0, 1, 2, 3], [0, 1, 2, 4], [0, 1, 2, 3], [0, 5, 6, 7]]


def test_the_events_of_a_seed_repeat() -> None:
    from mlcore.decoding.randomness import Seeded

    run = method(TARGET, DRAFT, 2, Drafting(3, 2, "tree"), Sampling(max_tokens=20))
    first, second, other = (answers(run(Seeded(seed))) for seed in (1, 1, 2))
    assert first == second != other


def test_a_draft_near_its_target_is_accepted_more() -> None:
    far, near = (
        law_of_blocks(method(TARGET, draft, 2, Drafting(2, 2, "batch"), Sampling(max_tokens=3)))
        for draft in (DRAFT, mixed(TARGET, DRAFT, 0.8))
    )
    assert mean_length(near) > mean_length(far) + 0.1
