"""One thread for one host."""

import threading

import pytest

from autoscaler.service.lane import Lane
from tests.service.waiting import DEADLINE_S, Gate


def test_calls_run_in_the_order_in_which_they_were_submitted() -> None:
    lane, order = Lane("host-1"), []
    last = [lane.submit(lambda number=number: order.append(number)) for number in range(100)][-1]
    last.result(DEADLINE_S)
    assert order == list(range(100))
    lane.end()


def test_what_a_call_returns_is_delivered() -> None:
    lane = Lane("host-1")
    assert lane.submit(lambda: 42).result(DEADLINE_S) == 42
    lane.end()


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(1), KeyboardInterrupt()])
def test_what_a_call_raises_is_delivered_and_the_lane_goes_on(error: BaseException) -> None:
    lane = Lane("host-1")

    def fail() -> None:
        raise error

    assert lane.submit(fail).exception(DEADLINE_S) is error
    assert lane.submit(lambda: "well").result(DEADLINE_S) == "well"
    lane.end()


def test_calls_never_run_at_the_same_time() -> None:
    lane, busy, seen = Lane("host-1"), threading.Lock(), []

    def call() -> None:
        seen.append(busy.acquire(blocking=False))
        busy.release()

    for future in [lane.submit(call) for _ in range(100)]:
        future.result(DEADLINE_S)
    assert all(seen)
    lane.end()


def test_a_call_that_hangs_blocks_no_other_lane() -> None:
    hung, other, gate = Lane("host-1"), Lane("host-2"), Gate()
    hung.submit(gate.pass_through)
    assert gate.reached.wait(DEADLINE_S)
    assert other.submit(lambda: "well").result(DEADLINE_S) == "well"
    gate.open()
    hung.end()
    other.end()


def test_a_thread_is_named_after_its_host() -> None:
    lane = Lane("vaf-dom0-001")
    assert lane.submit(lambda: threading.current_thread().name).result(DEADLINE_S) == "vaf-dom0-001"
    lane.end()


def test_ending_a_lane_lets_the_calls_before_it_finish() -> None:
    lane, gate = Lane("host-1"), Gate()
    lane.submit(gate.pass_through)
    thread = lane.submit(threading.current_thread)
    lane.end()
    gate.open()
    thread.result(DEADLINE_S).join(DEADLINE_S)
    assert not thread.result().is_alive()


def test_a_call_that_hangs_does_not_keep_the_program_from_ending() -> None:
    lane = Lane("host-1")
    assert lane.submit(threading.current_thread).result(DEADLINE_S).daemon
    lane.end()
