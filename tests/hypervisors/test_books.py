"""What is free by what is observed and by what was asked for, and in which order the ledger is written."""

from autoscaler.hypervisors.books import Books
from autoscaler.testing import FakeHost, a_host, observed

GUESTS_MIB = 7483


def a_book(asked: dict[str, int], workers: int = 0, unmanaged_mib: int = 0) -> tuple[Books, list[str]]:
    """The prototype's host, read once; and what happens to it afterwards."""
    fake = FakeHost.of(observed(a_host(), workers=workers, unmanaged_mib=unmanaged_mib))
    books = Books(fake, asked, lambda domain, mib: fake.calls.append(f"ledger {domain} {mib}"), GUESTS_MIB)
    books.read()
    fake.calls.clear()
    return books, fake.calls


def test_what_nobody_has_is_free() -> None:
    """7483 - 2948 - 4535 = 0 with 3 workers."""
    assert a_book({}, workers=3)[0].free_mib == 0


def test_what_was_asked_for_is_taken() -> None:
    assert a_book({"proof": 5000}, workers=3)[0].free_mib == 2948 - 5000


def test_what_a_domain_still_has_to_give_is_not_free() -> None:
    assert a_book({"proof": 572}, workers=3)[0].free_mib == 0


def test_domains_that_are_not_ours_count() -> None:
    """7483 - 572 - 6411 - 500 = 0."""
    assert a_book({}, unmanaged_mib=500)[0].free_mib == 0


def test_the_ledger_is_written_before_more_is_asked_for() -> None:
    books, calls = a_book({"wn": 4000})
    books.ask("wn", 5000)
    assert calls == ["ledger wn 5000", "set_memory wn 5000"]


def test_the_ledger_is_written_after_less_was_asked_for() -> None:
    books, calls = a_book({"wn": 5000})
    books.ask("wn", 4000)
    assert calls == ["set_memory wn 4000", "ledger wn 4000"]


def test_what_was_just_asked_for_is_taken_without_reading_again() -> None:
    books, _ = a_book({}, workers=0)
    before = books.free_mib
    books.ask("proof", 1000)
    assert books.free_mib == before - (1000 - 572)
