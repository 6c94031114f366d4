"""Blocks: exact by enumeration, jointly no worse than token by token, and decision by decision the classic test."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from torch import Tensor

from mlcore.decoding import optimal, verification
from mlcore.decoding.optimal import optimal_transport
from mlcore.decoding.randomness import Source
from mlcore.decoding.verification import Laws, Outcome, Rule, block_verification, k_seq, token_verification
from tests.mlcore.decoding.rules import block, completed, mean_length
from tests.mlcore.decoding.toys import distance, enumerate_law, mixed, random_table, sequence_law

RULES: list[tuple[Rule, int]] = [
    (token_verification, 1), (block_verification, 1), (k_seq, 1), (k_seq, 3), (optimal_transport, 3),
]  # fmt: skip


DRAFT, TARGET = random_table(1, 3, 1.5), random_table(2, 3, 1.5)


@pytest.mark.parametrize(
    ("rule", "k", "length"), [(token_verification, 1, 3), (block_verification, 1, 3), (k_seq, 3, 2)]
)
@pytest.mark.parametrize("zeros", [0.2, 0.4])
def test_a_block_followed_by_the_target_has_the_law_of_the_target(
    rule: Rule, k: int, length: int, zeros: float
) -> None:
    draft, target = random_table(3, 3, 1.5, zeros), random_table(4, 3, 1.5, zeros)
    blocks = block(rule, draft, target, k, length)
    wanted = sequence_law(target, (), length + 1)
    assert distance(completed(blocks, target, length + 1), wanted) < 1e-12


@pytest.fixture
def solved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each programme is solved once in an enumeration that meets the same laws in many branches."""
    solved: dict[tuple[bytes, bytes, int], optimal.Coupling] = {}
    real = optimal.coupling

    def coupling(p: Tensor, q: Tensor, k: int) -> optimal.Coupling:
        key = (p.numpy().tobytes(), q.numpy().tobytes(), k)
        if key not in solved:
            solved[key] = real(p, q, k)
        return solved[key]

    monkeypatch.setattr(optimal, "coupling", coupling)


@pytest.mark.usefixtures("solved_once")
def test_a_block_of_the_optimal_rule_has_the_law_of_the_target() -> None:
    blocks = block(optimal_transport, DRAFT, TARGET, 2, 2)
    assert distance(completed(blocks, TARGET, 3), sequence_law(TARGET, (), 3)) < 1e-12
    assert mean_length(blocks) >= mean_length(block(k_seq, DRAFT, TARGET, 2, 2)) - 1e-12


def test_block_verification_is_never_worse_than_token_verification() -> None:
    gains = []
    for seed in range(6):
        draft = random_table(2 * seed, 3, 1.5)
        target = mixed(random_table(2 * seed + 1, 3, 1.5), draft, 0.5)
        jointly, singly = (
            mean_length(block(rule, draft, target, 1, 3)) for rule in (block_verification, token_verification)
        )
        gains.append(jointly - singly)
    assert min(gains) > -1e-12
    assert max(gains) > 0.02


def test_the_first_token_of_a_block_decides_alone_when_there_is_one() -> None:
    """Blocks of one token leave nothing to verify jointly: both rules are one and the same."""
    first, second = (block(rule, DRAFT, TARGET, 1, 1) for rule in (block_verification, token_verification))
    assert distance(first, second) < 1e-15


@pytest.mark.usefixtures("solved_once")
@pytest.mark.parametrize(
    ("rule", "k"),
    [(token_verification, 1), (block_verification, 1), (k_seq, 1), (k_seq, 2), (optimal_transport, 2)],
)
def test_the_same_models_pass_every_block_whole(rule: Rule, k: int) -> None:
    blocks = block(rule, TARGET, TARGET, k, 2)
    assert {len(answer) for answer, weight in blocks.items() if weight > 1e-12} == {3}
    assert distance(blocks, sequence_law(TARGET, (), 3)) < 1e-12


def test_blocks_of_nothing_sample_the_target() -> None:
    def nothing(row: int, level: int) -> Tensor:
        raise AssertionError("there is no draft to ask about")

    for rule, _ in RULES:

        def run(source: Source, rule: Rule = rule) -> tuple[int, str]:
            outcome = rule([[]], nothing, lambda _row, _level: TARGET(()), source)
            return outcome.final, outcome.kind

        wanted = {(token, "bonus"): chance for token, chance in enumerate(TARGET(()).tolist())}
        assert enumerate_law(run) == pytest.approx(wanted, abs=1e-15)


class Recorded:
    """A source that refuses the ``refused``-th draft that may be refused, samples the likeliest, and keeps what it was
    asked."""

    def __init__(self, refused: int) -> None:
        self.left, self.asked = refused, list[object]()

    def sample(self, laws: Tensor) -> list[int]:
        self.asked.append(laws.tolist())
        return laws.argmax(-1).tolist()

    def accept(self, chance: float) -> bool:
        self.asked.append(chance)
        self.left -= chance < 1
        return chance == 1 or self.left != 0


def recorded(rule: Rule, tokens: Sequence[int], refused: int) -> tuple[Outcome, Recorded]:
    source = Recorded(refused)
    outcome = rule(
        [list(tokens)],
        lambda _row, level: DRAFT(tuple(tokens[:level])),
        lambda _row, level: TARGET(tuple(tokens[:level])),
        source,
    )
    return outcome, source


def test_one_draft_of_k_seq_is_token_verification_decision_by_decision() -> None:
    for tokens in itertools.product(range(3), repeat=3):
        for refused in range(4):
            (first, one), (second, other) = (
                recorded(rule, tokens, refused) for rule in (token_verification, k_seq)
            )
            assert first == second
            assert one.asked == other.asked


def test_token_verification_is_the_classic_test_with_the_classic_residual() -> None:
    """Chances min(1, q/p) along the draft and a correction from (q - p)+, written out."""
    kinds = set()
    for tokens, refusing in itertools.product(itertools.product(range(3), repeat=3), range(4)):
        outcome, source = recorded(token_verification, tokens, refusing)
        *chances, last = source.asked
        for level, chance in enumerate(chances):
            token, context = tokens[level], tokens[:level]
            assert chance == pytest.approx(min(1.0, float(TARGET(context)[token] / DRAFT(context)[token])))
        context = tokens[: len(outcome.accepted)]
        wanted = TARGET(context)
        if outcome.kind == "corrected":
            wanted = (wanted - DRAFT(context)).clamp(min=0)
        assert last == [wanted.tolist()]
        kinds.add(outcome.kind)
    assert kinds == {"bonus", "corrected"}


def test_the_bonus_follows_the_draft_that_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same enumeration sees a bonus token of another row."""
    right = block(k_seq, DRAFT, TARGET, 2, 1)
    assert distance(completed(right, TARGET, 2), sequence_law(TARGET, (), 2)) < 1e-12
    real = verification._bonus

    def first_row(outcome: Outcome, q: Laws, level: int, source: Source) -> Outcome:
        return real(Outcome(outcome.accepted, 0), q, level, source)

    monkeypatch.setattr(verification, "_bonus", first_row)
    wrong = block(k_seq, DRAFT, TARGET, 2, 1)
    assert distance(completed(wrong, TARGET, 2), sequence_law(TARGET, (), 2)) > 1e-3


@pytest.mark.parametrize(
    "mistake",
    ["shares forgotten in the correction", "early exit", "the last test not special"],
)
def test_mistaken_block_verification_is_seen(mistake: str) -> None:
    def wrong(drafts: Sequence[Sequence[int]], p: Laws, q: Laws, source: Source) -> Outcome:
        tokens, ahead, standing, share = drafts[0], 1.0, 0, 1.0
        for level, token in enumerate(tokens, start=1):
            ahead = min(1.0, ahead * float(q(0, level - 1)[token] / p(0, level - 1)[token]))
            passes = ahead
            if level < len(tokens) or mistake == "the last test not special":
                more = float((ahead * q(0, level) - DRAFT(tuple(tokens[:level]))).clamp(min=0).sum())
                passes = more / (more + 1 - ahead) if more + 1 - ahead > 0 else 0.0
            if source.accept(passes):
                standing, share = level, ahead
            elif mistake == "early exit":
                break
        if standing == len(tokens):
            return Outcome(list(tokens), 0, source.sample(q(0, standing).unsqueeze(0))[0], "bonus")
        share = 1.0 if mistake == "shares forgotten in the correction" else share
        left = (share * q(0, standing) - p(0, standing)).clamp(min=0)
        left = left if float(left.sum()) > 1e-12 else q(0, standing)
        return Outcome(list(tokens[:standing]), 0, source.sample(left.unsqueeze(0))[0])

    blocks = block(wrong, DRAFT, TARGET, 1, 3)
    assert distance(completed(blocks, TARGET, 4), sequence_law(TARGET, (), 4)) > 1e-3
