"""Each known mistake, put back into the real code path, must be seen by the enumeration that proves SpecTr exact."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from torch import Tensor

from mlcore.decoding import verification
from mlcore.decoding.answers import Answer
from mlcore.decoding.drafts import Drafts
from mlcore.decoding.networks.cache import Cache
from mlcore.decoding.randomness import Source
from mlcore.decoding.sampling import Sampling, Warper
from mlcore.decoding.speculation import Drafting
from mlcore.decoding.verification import Laws, Outcome, Rule, k_seq
from mlcore.transport import membership
from tests.mlcore.decoding.rules import completed
from tests.mlcore.decoding.runs import law_of_answers, law_of_blocks
from tests.mlcore.decoding.test_spectr import PROMPT, method, missed_by_blocks
from tests.mlcore.decoding.toys import (
    distance,
    random_table,
    sequence_law,
)

TARGET, DRAFT = random_table(25, 2, 2.0), random_table(26, 2, 2.0)
SEEN = 1e-4  # the exact rule misses by less than 1e-12


def missed(layout: str = "batch", rule: Rule = k_seq, drafts: int = 3) -> float:
    return missed_by_blocks(TARGET, DRAFT, 2, Drafting(drafts, 2, layout), rule)


def test_the_enumeration_that_must_see_mistakes_is_exact_without_them() -> None:
    assert missed() < 1e-12


def test_a_factor_of_one_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "division_factor_of_one", lambda p, q, k: 1.0)
    assert missed() > SEEN


def test_a_factor_that_is_not_computed_again_for_fewer_survivors_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = membership.division_factor_of_one
    monkeypatch.setattr(membership, "division_factor_of_one", lambda p, q, k: real(p, q, 3))
    assert missed() > SEEN


def test_merging_equal_drafts_without_their_number_is_seen() -> None:
    def merging(drafts: Sequence[Sequence[int]], p: Laws, q: Laws, source: Source) -> Outcome:
        def distinct(tokens: Sequence[int], p: Tensor, q: Tensor, source: Source) -> tuple[int, bool]:
            return verification._k_sequential(list(dict.fromkeys(tokens)), p, q, source)

        return verification.level_by_level(drafts, p, q, source, distinct)

    assert missed("tree", merging) > SEEN


def test_a_softmax_of_the_residual_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_positive", lambda left, _: left.clamp(min=0).softmax(-1).unsqueeze(0))
    assert missed() > SEEN


def test_a_bonus_from_another_row_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    real = verification._bonus

    def first_row(outcome: Outcome, q: Laws, level: int, source: Source) -> Outcome:
        return real(Outcome(outcome.accepted, 0), q, level, source)

    monkeypatch.setattr(verification, "_bonus", first_row)
    assert missed() > SEEN


def test_going_on_with_drafts_that_do_not_agree_is_seen() -> None:
    def disagreeing(drafts: Sequence[Sequence[int]], p: Laws, q: Laws, source: Source) -> Outcome:
        outcome = Outcome()
        for level in range(len(drafts[0])):
            token, stands = verification._k_sequential(
                [draft[level] for draft in drafts], p(0, level), q(0, level), source
            )
            if not stands:
                outcome.final = token
                return outcome
            outcome.accepted.append(token)
        return verification._bonus(outcome, q, len(drafts[0]), source)

    assert missed(rule=disagreeing) > SEEN


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_the_raw_law_of_the_draft_in_place_of_the_warped_is_seen(
    monkeypatch: pytest.MonkeyPatch, temperature: float
) -> None:
    sampling = Sampling(max_tokens=3, temperature=temperature)
    warper = Warper(sampling, 2)

    def warped(context: tuple[int, ...]) -> Tensor:
        return warper(TARGET(context).log())

    def off() -> float:
        run = method(TARGET, DRAFT, 2, Drafting(2, 2, "batch"), sampling)
        return distance(completed(law_of_blocks(run), warped, 3, PROMPT), sequence_law(warped, PROMPT, 3))

    assert off() < 1e-12
    real = Drafts.p

    def raw(self: Drafts, row: int, level: int) -> Tensor:
        law = real(self, row, level).pow(temperature)
        return law / law.sum()

    monkeypatch.setattr(Drafts, "p", raw)
    assert off() > SEEN


def missed_by_rounds(layout: str) -> float:
    """To the end of the answer: what a round leaves in the caches counts in the next."""
    run = method(TARGET, DRAFT, 2, Drafting(2, 1, layout), Sampling(max_tokens=4))
    return distance(law_of_answers(run), sequence_law(TARGET, PROMPT, 4))


def test_rows_that_do_not_take_over_the_winner_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missed_by_rounds("batch") < 1e-12

    def lazy(self: Cache, winner: int, first: int, rows: slice, length: int) -> None:
        self.lengths[rows] = [length] * (rows.stop - rows.start)

    monkeypatch.setattr(Cache, "share", lazy)
    assert missed_by_rounds("batch") > SEEN


def test_a_tree_whose_path_is_not_gathered_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missed_by_rounds("tree") < 1e-12
    real = Cache.keep
    monkeypatch.setattr(Cache, "keep", lambda self, nodes, start: real(self, range(len(nodes)), start))
    with pytest.raises(AssertionError):  # either the law is off, or the model saw a gap in its positions
        assert missed_by_rounds("tree") < SEEN


def test_tokens_after_the_end_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = frozenset({0})
    run = method(TARGET, DRAFT, 2, Drafting(2, 1, "batch"), Sampling(max_tokens=3), ends=ends)
    wanted = sequence_law(TARGET, PROMPT, 3, ends)
    assert distance(law_of_answers(run), wanted) < 1e-12
    real = Answer.emit

    def deaf(self: Answer, token: int, kind: str, **laws: object) -> object:
        self._ends = frozenset()
        return real(self, token, kind, **laws)  # type: ignore[arg-type]

    monkeypatch.setattr(Answer, "emit", deaf)
    assert distance(law_of_answers(run), wanted) > SEEN
