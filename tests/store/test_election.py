"""Who leads is decided by a real PostgreSQL server: one at a time, and what an old leader still writes is refused."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from autoscaler.contracts import StoreError
from autoscaler.store.database import LostTermError
from autoscaler.store.election import SESSION_S, Election
from autoscaler.store.postgresql import PostgresDatabase
from autoscaler.store.sql import SqlStore
from tests.store.values import NOW, a_decision, an_outcome
from tests.testbed.postgres_server import PASSWORD, Postgres
from tests.testbed.processes import wait_until
from tests.testbed.proxy import proxied

pytestmark = pytest.mark.testbed

DEADLINE_S = 60
HELD_BY = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"


@pytest.fixture
def store(database: PostgresDatabase) -> Iterator[SqlStore]:
    with closing(SqlStore(database)) as opened:
        yield opened


@pytest.fixture
def one(store: SqlStore, database: PostgresDatabase) -> Iterator[Election]:  # noqa: ARG001 - it makes the tables
    election = Election(database, "one")
    yield election
    election.resign()


@pytest.fixture
def other(store: SqlStore, database: PostgresDatabase) -> Iterator[Election]:  # noqa: ARG001 - as above
    election = Election(database, "other")
    yield election
    election.resign()


def name(of: SqlStore) -> str | None:
    leader = of.leader()
    return None if leader is None else leader.name


def test_only_one_leads(one: Election, other: Election) -> None:
    assert (one.campaign(), other.campaign()) == (1, None)
    one.beat()


def test_everybody_sees_who_leads(one: Election, other: Election, store: SqlStore) -> None:
    assert name(store) is None
    one.campaign()
    assert name(store) == "one"
    leader = other.leader()
    assert leader is not None
    assert (leader.name, leader.term) == ("one", 1)


def test_who_resigns_leads_no_more_and_another_one_can_in_a_new_term(
    one: Election, other: Election, store: SqlStore
) -> None:
    one.campaign()
    one.resign()
    wait_until(lambda: store.leader() is None, DEADLINE_S, "the server to end the session")
    assert other.campaign() == 2
    assert name(store) == "other"


def test_a_session_that_the_server_has_ended_leads_no_more(one: Election, server: Postgres, other: Election) -> None:
    one.campaign()
    server.ask("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid > 0 AND granted")
    with pytest.raises(StoreError, match="terminating connection"):
        one.beat()
    assert wait_until(other.campaign, DEADLINE_S, "the lock") == 2


def test_nobody_leads_or_keeps_the_lock_where_the_term_was_lost(
    one: Election, other: Election, server: Postgres, database: PostgresDatabase
) -> None:
    server.ask("DELETE FROM leadership", database.name.rpartition("/")[2])
    for each in (one, other):
        with pytest.raises(StoreError, match="its table leadership has no row: restore the database"):
            each.campaign()
        wait_until(lambda: not server.ask(HELD_BY, database.name.rpartition("/")[2]), DEADLINE_S, "the lock to be free")


def test_a_leader_from_whom_nothing_comes_loses_the_lock(one: Election, other: Election) -> None:
    """As one that is stopped; waiting for it takes as long as the server's patience."""
    one.campaign()
    assert SESSION_S < 10
    assert wait_until(other.campaign, DEADLINE_S, "the server to end the session") == 2
    with pytest.raises(StoreError):
        one.beat()


def test_a_leader_that_is_cut_off_notices_by_itself_and_another_one_takes_over(
    server: Postgres, database: PostgresDatabase, other: Election
) -> None:
    with proxied(server.port) as proxy:
        way = server.url(database.name.rpartition("/")[2], proxy.port)
        far = Election(PostgresDatabase(way, server.password_file), "far")
        assert far.campaign() == 1
        proxy.cut()
        with pytest.raises(StoreError, match="no answer within 3 s"):
            far.beat()
        assert wait_until(other.campaign, DEADLINE_S, "the server to end the session") == 2


def test_after_a_restart_of_the_server_whoever_comes_first_leads(
    server: Postgres, one: Election, other: Election
) -> None:
    one.campaign()
    server.restart()
    with pytest.raises(StoreError):
        one.beat()
    assert other.campaign() == 2
    assert one.campaign() is None


class TestAnOldTerm:
    """What a leader does not know yet, the store does."""

    def test_writes_nothing_of_what_a_controller_does(self, one: Election, other: Election, store: SqlStore) -> None:
        of_one = store.of_term(one.campaign() or 0)
        number = of_one.record_decision(a_decision(changes=True))
        of_one.record_asked("host-1", "wn", 4535)
        one.resign()
        wait_until(other.campaign, DEADLINE_S, "the lock")
        for write in (
            lambda: of_one.record_decision(a_decision()),
            lambda: of_one.record_asked("host-1", "wn", 572),
            lambda: of_one.record_strain("host-1", NOW),
            lambda: of_one.record_quarantine("host-1", None),
            of_one.confirm,
        ):
            with pytest.raises(LostTermError, match="other leads now, since term 2; ours was 1"):
                write()
        latest = store.latest()
        assert latest is not None
        assert latest.number == number
        assert store.asked() == {("host-1", "wn"): 4535}

    def test_may_still_say_what_became_of_its_transfers(self, one: Election, other: Election, store: SqlStore) -> None:
        of_one = store.of_term(one.campaign() or 0)
        number = of_one.record_decision(a_decision(changes=True))
        one.resign()
        wait_until(other.campaign, DEADLINE_S, "the lock")
        of_one.record_outcome(number, an_outcome())
        assert store.record(number).outcomes == (an_outcome(),)

    def test_does_not_take_the_writes_of_others_with_it(self, one: Election, store: SqlStore) -> None:
        """Writes of many threads share a commit."""
        term = one.campaign() or 0
        old, new = store.of_term(term - 1), store.of_term(term)
        with pytest.raises(LostTermError):
            old.record_asked("host-1", "wn", 572)
        new.record_asked("host-1", "wn", 4535)
        assert store.asked() == {("host-1", "wn"): 4535}


def test_a_store_of_the_newest_term_may_write_to_hosts(one: Election, store: SqlStore) -> None:
    store.of_term(one.campaign() or 0).confirm()


def test_a_password_that_is_wrong_or_cannot_be_read_is_told_without_it(
    database: PostgresDatabase, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("not it")
    with pytest.raises(StoreError, match="password authentication failed") as told:
        SqlStore(PostgresDatabase(database.url, wrong))
    assert "not it" not in str(told.value)
    assert PASSWORD not in str(told.value)
    with pytest.raises(StoreError, match=r"store\.password_file .*nowhere cannot be read: No such file"):
        SqlStore(PostgresDatabase(database.url, tmp_path / "nowhere"))


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(StoreError, match=r"^store postgresql://127\.0\.0\.1:1/facility: .*refused"):
        SqlStore(PostgresDatabase("postgresql://127.0.0.1:1/facility?sslmode=disable"))


def test_the_database_of_another_program_is_refused_and_left_alone(
    database: PostgresDatabase, server: Postgres
) -> None:
    where = database.url.rpartition("/")[2]
    server.ask("CREATE TABLE accounts (number integer)", where)
    with pytest.raises(StoreError, match="is the database of another program"):
        SqlStore(database)
    assert server.ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", where) == [(1,)]
