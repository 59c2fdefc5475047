"""An answer is as fresh as what it is for, and one is enough for all who wait."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count

import pytest

from autoscaler.contracts import StoreError
from autoscaler.store.confirmation import ANSWER_HOLDS_S, Confirmation
from tests.service.waiting import DEADLINE_S, Gate


@dataclass
class Store:
    """Answers after some seconds of the test's clock, and says no where it is to."""

    now_s: float = 100.0
    takes_s: tuple[float, ...] = (0.1,)
    refuses: bool = False
    asked: int = 0

    def ask(self) -> None:
        self.now_s += self.takes_s[min(self.asked, len(self.takes_s) - 1)]
        self.asked += 1
        if self.refuses:
            raise StoreError("another one leads now")

    def confirmation(self) -> Confirmation:
        return Confirmation(self.ask, clock=lambda: self.now_s)


def test_an_answer_counts_once() -> None:
    store = Store()
    confirmation = store.confirmation()
    for _ in range(3):
        store.now_s += 0.001
        confirmation.confirm()
    assert store.asked == 3


def test_no_is_raised() -> None:
    with pytest.raises(StoreError, match="another one leads now"):
        Store(refuses=True).confirmation().confirm()


def test_an_answer_that_took_long_is_asked_for_again() -> None:
    """The process may have been stopped meanwhile."""
    store = Store(takes_s=(60.0, 0.1))
    store.confirmation().confirm()
    assert store.asked == 2


def test_a_store_that_is_always_late_confirms_nothing() -> None:
    with pytest.raises(StoreError, match="answers too late"):
        Store(takes_s=(ANSWER_HOLDS_S,)).confirmation().confirm()


@pytest.mark.parametrize("refuses", [False, True])
def test_all_who_come_while_one_is_asked_share_the_next_answer(refuses: bool) -> None:
    gate, store, looks = Gate(), Store(refuses=refuses), count()
    asked, come = [], threading.Semaphore(0)

    def clock() -> float:
        """Each look at it is later than the one before; the first thing that whoever comes does is to look."""
        come.release()
        return store.now_s + next(looks) / 1000

    def ask() -> None:
        asked.append(1)
        gate.pass_through()
        store.ask()

    confirmation = Confirmation(ask, clock)

    def confirm() -> bool:
        try:
            confirmation.confirm()
        except StoreError:
            return False
        return True

    with ThreadPoolExecutor(20) as threads:
        first = threads.submit(confirm)
        assert gate.reached.wait(DEADLINE_S)
        others = [threads.submit(confirm) for _ in range(19)]
        for _ in range(21):  # the first one looked again when it asked
            assert come.acquire(timeout=DEADLINE_S)
        gate.open()
        assert [each.result(DEADLINE_S) for each in (first, *others)] == [not refuses] * 20
    assert len(asked) == 2
