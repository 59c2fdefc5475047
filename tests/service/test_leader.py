"""Whether a controller leads: by the store's word, and for no longer than that holds."""

from dataclasses import dataclass, field

import pytest

from autoscaler.contracts import StoreError
from autoscaler.service.leader import LEASE_S, LeaderMetric, Leadership, holds, standby_words
from autoscaler.store.database import Leader
from autoscaler.testing import NOW

OTHER = Leader("db-2 (process 7)", NOW, 4)


@pytest.mark.parametrize(
    ("answered_at_s", "now_s", "leads"),
    [
        (None, 100.0, False),
        (100.0, 100.0, True),
        (100.0, 100.0 + LEASE_S - 0.01, True),
        (100.0, 100.0 + LEASE_S, False),
        (100.0, 1000.0, False),
    ],
)
def test_the_last_answer_holds_for_less_time_than_the_server_waits(
    answered_at_s: float | None, now_s: float, leads: bool
) -> None:
    assert holds(answered_at_s, now_s) is leads


def test_a_controller_gives_up_before_the_server_lets_another_one_lead() -> None:
    from autoscaler.store.election import SESSION_S

    assert LEASE_S < SESSION_S


def test_a_standby_says_who_leads_or_what_is_wrong() -> None:
    assert standby_words(OTHER, None) == "standby, leader is db-2 (process 7)"
    assert standby_words(None, None) == "standby, nobody leads"
    assert standby_words(OTHER, "store x: refused") == (
        "standby, no host is resized by this controller: store x: refused"
    )


@dataclass
class Store:
    """The store's part, played by the test: the term that it gives, and why it does not answer."""

    term: int | None = None
    problem: str | None = None
    surprise: Exception | None = None
    asked: list[str] = field(default_factory=list)
    slow_s: float = 0.0
    now_s: float = 100.0

    def campaign(self) -> int | None:
        self._ask("campaign")
        return self.term

    def beat(self) -> None:
        self._ask("beat")

    def leader(self) -> Leader | None:
        return OTHER

    def resign(self) -> None:
        self.asked.append("resign")

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        self.now_s += self.slow_s
        if self.surprise is not None:
            raise self.surprise
        if self.problem is not None:
            raise StoreError(self.problem)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def changes() -> list[int | None]:
    return []


@pytest.fixture
def leadership(store: Store, changes: list[int | None]) -> Leadership:
    made = Leadership(store, lambda: changes.append(made.term), clock=lambda: store.now_s)
    return made


def test_a_controller_that_the_store_lets_lead_leads(
    leadership: Leadership, store: Store, changes: list[int | None]
) -> None:
    leadership.step()
    assert (leadership.term, leadership.words) == (None, "standby, leader is db-2 (process 7)")
    store.term = 5
    leadership.step()
    assert leadership.term == 5
    assert changes == [5]


def test_a_controller_that_stands_by_says_once_whom_it_stands_by_for(
    leadership: Leadership, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "autoscaler")
    leadership.step()
    leadership.step()
    assert caplog.messages == ["standby, leader is db-2 (process 7)"]


def test_it_goes_on_leading_while_the_store_answers(
    leadership: Leadership, store: Store, changes: list[int | None]
) -> None:
    store.term = 5
    for _ in range(3):
        leadership.step()
        store.now_s += LEASE_S - 1
        assert leadership.term == 5
    assert (store.asked, changes) == (["campaign", "beat", "beat"], [5])


def test_without_an_answer_it_leads_no_more_even_before_it_is_told(leadership: Leadership, store: Store) -> None:
    store.term = 5
    leadership.step()
    store.now_s += LEASE_S
    assert (leadership.term, leadership.problem) == (None, "the store does not answer")


def test_the_answer_counts_from_when_it_was_asked_for(leadership: Leadership, store: Store) -> None:
    """What the server said may be as old as the question."""
    store.term, store.slow_s = 5, LEASE_S
    leadership.step()
    assert leadership.term is None


def test_a_store_that_fails_ends_it_and_says_why(
    leadership: Leadership, store: Store, changes: list[int | None]
) -> None:
    store.term = 5
    leadership.step()
    store.problem = "store x: the server was shut down"
    leadership.step()
    assert (leadership.term, leadership.problem, changes) == (None, store.problem, [5, None])
    store.problem, store.term = None, 6
    leadership.step()
    assert (leadership.term, leadership.problem, changes) == (6, None, [5, None, 6])


def test_a_surprise_ends_the_lead_and_not_the_asking(leadership: Leadership, store: Store) -> None:
    store.term = 5
    leadership.step()
    store.surprise = ZeroDivisionError("a surprise")
    leadership.step()
    assert (leadership.term, leadership.problem) == (None, "ZeroDivisionError: a surprise")
    store.surprise = None
    leadership.step()
    assert leadership.term == 5


def test_who_ends_lets_others_lead(leadership: Leadership, store: Store) -> None:
    leadership.begin()
    leadership.end()
    assert store.asked[-1] == "resign"


@pytest.mark.parametrize("leads", [True, False])
def test_prometheus_sees_whether_it_leads(leads: bool) -> None:
    (gauge,) = LeaderMetric(lambda: leads).collect()
    assert [(sample.name, sample.labels, sample.value) for sample in gauge.samples] == [
        ("autoscaler_leader", {}, float(leads))
    ]
