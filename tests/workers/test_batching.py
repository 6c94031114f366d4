"""The batcher: how batches form, what is dropped, who pays for a fault."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.batching import Batcher, Gone, Late, Limits
from workers.errors import Busy


class Bench:
    """Work that can be held; keeps the batches that it was given."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.batches: list[list[object]] = []
        self.sizes: list[int] = []
        self.drops: list[str] = []
        self.hold = threading.Event()
        self.hold.set()
        self.entered = threading.Semaphore(0)
        self.batcher: Batcher = Batcher(self.work, limits, self)

    def work(self, items):
        self.batches.append(list(items))
        self.entered.release()
        assert self.hold.wait(10)
        if "poison" in items:
            raise ZeroDivisionError("poison")
        return [f"<{item}>" for item in items]

    def batch(self, items: int, waited: float) -> None:
        assert waited >= 0
        self.sizes.append(items)

    def dropped(self, why: str) -> None:
        self.drops.append(why)

    def pile_up(self, pool: ThreadPoolExecutor, items, **options):
        """Hold the lane with one item, let the others queue behind it in their order."""
        self.hold.clear()
        first = pool.submit(self.batcher.submit, "first")
        assert self.entered.acquire(timeout=5)
        waiting = []
        for item in items:
            waiting.append(pool.submit(self.batcher.submit, item, **options))
            until = time.monotonic() + 5
            while self.batcher.waiting < len(waiting):
                assert time.monotonic() < until
                time.sleep(0.0005)
        return first, waiting


@pytest.fixture
def pool():
    with ThreadPoolExecutor(40) as threads:
        yield threads


def test_a_lone_caller_is_never_kept_waiting():
    bench = Bench(Limits(wait=30.0))
    assert [bench.batcher.submit(item) for item in "abc"] == ["<a>", "<b>", "<c>"]
    assert bench.sizes == [1, 1, 1]


def test_what_waits_while_a_batch_is_worked_on_becomes_the_next(pool):
    bench = Bench()
    first, waiting = bench.pile_up(pool, "abcd")
    bench.hold.set()
    assert first.result(5) == "<first>"
    assert [each.result(5) for each in waiting] == ["<a>", "<b>", "<c>", "<d>"]
    assert bench.batches == [["first"], ["a", "b", "c", "d"]]


def test_batches_are_bounded_in_items(pool):
    bench = Bench(Limits(items=3, wait=0.0))
    _, waiting = bench.pile_up(pool, "abcdefg")
    bench.hold.set()
    assert [each.result(5) for each in waiting] == [f"<{item}>" for item in "abcdefg"]
    assert [len(batch) for batch in bench.batches] == [1, 3, 3, 1]


def test_batches_are_bounded_in_cost_and_one_that_is_dearer_goes_alone(pool):
    bench = Bench(Limits(cost=10, wait=0.0))
    _, waiting = bench.pile_up(pool, "abc", cost=5)
    dear = pool.submit(bench.batcher.submit, "dear", cost=50)
    while bench.batcher.waiting < 4:
        time.sleep(0.001)
    bench.hold.set()
    assert dear.result(5) == "<dear>"
    assert all(each.result(5) for each in waiting)
    assert bench.batches == [["first"], ["a", "b"], ["c"], ["dear"]]


def test_after_company_a_leader_waits_for_it_but_not_for_long(pool):
    bench = Bench(Limits(wait=0.2))
    _, waiting = bench.pile_up(pool, "abc")
    bench.hold.set()
    assert all(each.result(5) for each in waiting)
    started = time.monotonic()
    again = [pool.submit(bench.batcher.submit, item) for item in "xyz"]
    assert all(each.result(5) for each in again)
    assert time.monotonic() - started < 0.19, "as many as in the last batch have come: nothing to wait for"
    assert bench.sizes == [1, 3, 3]
    started = time.monotonic()
    bench.batcher.submit("alone")
    assert 0.1 < time.monotonic() - started < 5.0
    started = time.monotonic()
    bench.batcher.submit("alone again")
    assert time.monotonic() - started < 0.1


def test_a_full_queue_is_busy_and_says_for_how_long(pool):
    bench = Bench(Limits(queue=2))
    first, waiting = bench.pile_up(pool, "ab")
    with pytest.raises(Busy) as refused:
        bench.batcher.submit("c")
    assert refused.value.retry_after > 0
    assert bench.drops == ["full"]
    bench.hold.set()
    assert first.result(5)
    assert all(each.result(5) for each in waiting)


def test_the_estimate_is_what_waits_by_the_measured_rate():
    now = [0.0]

    def work(items):
        now[0] += 0.5 * len(items)
        return items

    batcher: Batcher = Batcher(work, clock=lambda: now[0])
    assert batcher.delay() == 1.0
    for _ in range(3):
        batcher.submit("x")
    assert batcher.delay() == pytest.approx(0.5), "nobody waits: one more takes half a second"


def test_what_is_late_or_unwanted_is_dropped_before_work(pool):
    bench = Bench()
    gone = threading.Event()
    first, late = bench.pile_up(pool, ["late"], deadline=time.monotonic() + 0.02)
    left = pool.submit(bench.batcher.submit, "left", gone=gone.is_set)
    wanted = pool.submit(bench.batcher.submit, "wanted")
    while bench.batcher.waiting < 3:
        time.sleep(0.001)
    gone.set()
    time.sleep(0.03)
    bench.hold.set()
    assert first.result(5)
    assert wanted.result(5) == "<wanted>"
    with pytest.raises(Late):
        late[0].result(5)
    with pytest.raises(Gone):
        left.result(5)
    assert bench.batches == [["first"], ["wanted"]]
    assert sorted(bench.drops) == ["gone", "late"]


def test_a_fault_is_its_own_items_alone(pool):
    bench = Bench()
    _, waiting = bench.pile_up(pool, ["a", "poison", "b"])
    bench.hold.set()
    assert waiting[0].result(5) == "<a>"
    assert waiting[2].result(5) == "<b>"
    with pytest.raises(ZeroDivisionError):
        waiting[1].result(5)
    assert bench.batcher.submit("after") == "<after>"


def test_work_that_returns_too_little_is_a_fault_not_a_wrong_answer():
    batcher: Batcher = Batcher(lambda items: [])
    with pytest.raises(ValueError, match="zip"):
        batcher.submit("x")


@settings(max_examples=15, deadline=None)
@given(
    costs=st.lists(st.integers(1, 9), min_size=1, max_size=40),
    limits=st.builds(
        Limits,
        items=st.integers(1, 6),
        cost=st.integers(1, 20),
        wait=st.sampled_from([0.0, 0.002]),
        queue=st.just(100),
        lanes=st.integers(1, 3),
    ),
)
def test_everybody_gets_their_own_answer_within_the_bounds(costs, limits):
    seen = []

    def work(items):
        seen.append(items)
        return [number * number for number, _ in items]

    batcher: Batcher = Batcher(work, limits)
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(batcher.submit, (n, cost), cost=cost) for n, cost in enumerate(costs)]
        assert [each.result(10) for each in asked] == [n * n for n in range(len(costs))]
    assert sorted(number for items in seen for number, _ in items) == list(range(len(costs)))
    assert all(len(items) <= limits.items for items in seen)
    assert all(len(items) == 1 or sum(cost for _, cost in items) <= limits.cost for items in seen)
