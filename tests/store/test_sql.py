"""The store in a file: everything comes back, also after a crash, also to several threads."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from autoscaler.contracts import DamagedStoreError, StoreError
from autoscaler.model import (
    Orders,
)
from autoscaler.store.records import Record, Unreadable
from autoscaler.store.sql import SCHEMA_VERSION, SqlStore
from autoscaler.store.sqlite import DAMAGED_ADVICE, alone
from autoscaler.testing import NOW
from tests.store.values import (
    a_decision,
    a_pause,
    an_outcome,
    an_override,
)


@pytest.fixture
def store(file: Path):
    with closing(SqlStore(file)) as opened:
        yield opened


CRASH = """\
import os, signal, sys
from pathlib import Path
from autoscaler.store.sql import SqlStore
SqlStore(Path(sys.argv[1])).record_asked("host-1", "wn", 4535)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_written_survives_a_crash(file: Path) -> None:
    """Another process dies without closing anything, right after the call returned."""
    died = subprocess.run([sys.executable, "-c", CRASH, file], timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL
    with closing(SqlStore(file)) as store:
        assert store.asked() == {("host-1", "wn"): 4535}


def test_a_newest_decision_that_cannot_be_read_is_none(store: SqlStore, file: Path) -> None:
    number = store.record_decision(replace(a_decision(), memory={"alpha": (0.05,)}))
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE decisions SET body = '{}' WHERE number = ?", (number,))
    assert store.newest() is None


def test_a_stream_goes_on_after_a_decision_that_cannot_be_read(store: SqlStore, file: Path) -> None:
    for minute in range(3):
        store.record_decision(a_decision(NOW + timedelta(minutes=minute)))
    spoil(file, "UPDATE decisions SET body = '{}' WHERE number = 2")
    one, two, three = store.stream()
    assert isinstance(one, Record)
    assert isinstance(three, Record)
    assert isinstance(two, Unreadable)
    assert (two.number, two.at) == (2, NOW + timedelta(minutes=1))
    assert "decision 2 cannot be read: it is damaged" in two.problem


def test_a_writer_goes_on_while_decisions_are_streamed(store: SqlStore, file: Path) -> None:
    store.record_decision(a_decision())
    with closing(SqlStore(file, read_only=True)) as reader:
        streamed = reader.stream()
        next(streamed)
        store.record_decision(a_decision(NOW + timedelta(minutes=1)))
        assert [record.number for record in streamed if isinstance(record, Record)] == [2]


def test_a_decision_whose_timers_cannot_be_written_is_not_written_either(store: SqlStore, file: Path) -> None:
    spoil(file, "DROP TABLE timers")
    with pytest.raises(StoreError, match="no such table: timers"):
        store.record_decision(a_decision(changes=True))
    assert store.latest() is None


def test_a_reader_refuses_to_write(store: SqlStore, file: Path) -> None:
    with closing(SqlStore(file, read_only=True)) as reader:
        with pytest.raises(StoreError, match="readonly"):
            reader.record_decision(a_decision())
        with pytest.raises(StoreError, match="readonly"):
            reader.record_asked("host-1", "wn", 1)
    assert store.latest() is None


def test_a_reader_of_no_file_says_so_and_makes_none(file: Path) -> None:
    with pytest.raises(StoreError, match="does not exist yet: has `autoscaler run` run"):
        SqlStore(file, read_only=True)
    assert list(file.parent.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"none/decisions\.sqlite cannot be made: no such folder"):
        SqlStore(tmp_path / "none" / "decisions.sqlite")


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"^store {tmp_path} is a folder, not a file$"):
        SqlStore(tmp_path)


def test_a_reader_refuses_a_folder_too(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder, not a file"):
        SqlStore(tmp_path, read_only=True)


NOBODY = 65534


HOW_TO_READ = "cannot be read by this user while no controller runs: run this as the controller's user, or while"


as_root = pytest.mark.testbed  # deploy/test.sh runs these as root, and only root can become another user


@pytest.fixture
def guarded() -> Iterator[Path]:
    """A store that is closed, in a folder which everybody may read and nobody else may write."""
    with TemporaryDirectory(prefix="store-of-another-user-") as name:
        file = Path(name, "decisions.sqlite")
        with closing(SqlStore(file)) as store:
            store.record_decision(a_decision())
        file.chmod(0o644)
        file.parent.chmod(0o755)
        yield file


@contextmanager
def another_user() -> Iterator[None]:
    """What is done within is done by the user nobody."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@as_root
def test_a_reader_who_may_not_write_there_is_told_what_to_do(guarded: Path) -> None:
    with another_user(), pytest.raises(StoreError, match=HOW_TO_READ):
        SqlStore(guarded, read_only=True)


@as_root
def test_a_reader_who_may_not_write_there_reads_what_a_crash_left(guarded: Path) -> None:
    died = subprocess.run([sys.executable, "-c", CRASH, guarded], timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL
    with another_user(), closing(SqlStore(guarded, read_only=True)) as reader:
        assert reader.asked() == {("host-1", "wn"): 4535}


@as_root
def test_a_reader_who_may_not_write_there_reads_while_the_controller_runs(guarded: Path) -> None:
    with closing(SqlStore(guarded)) as controller:
        controller.record_decision(a_decision())
        with another_user(), closing(SqlStore(guarded, read_only=True)) as reader:
            assert len(reader.history(10, changes_only=False)) == 2


@as_root
def test_a_reader_of_a_file_that_is_secret_is_told_so(guarded: Path) -> None:
    guarded.chmod(0o600)
    with another_user(), pytest.raises(StoreError, match="may not be read by this user"):
        SqlStore(guarded, read_only=True)


@as_root
def test_a_reader_of_a_folder_that_is_secret_is_told_so(guarded: Path) -> None:
    guarded.parent.chmod(0o700)
    with another_user(), pytest.raises(StoreError, match="cannot be reached: Permission denied"):
        SqlStore(guarded, read_only=True)


def test_a_reader_of_no_folder_asks_for_the_right_one(file: Path) -> None:
    with pytest.raises(StoreError, match=r"does not exist, nor does its folder: is controller\.store the right one"):
        SqlStore(file.parent / "nowhere" / file.name, read_only=True)


def test_a_reader_of_an_empty_file_says_so_and_a_controller_fills_it(file: Path) -> None:
    file.touch()
    with pytest.raises(StoreError, match="is empty: has `autoscaler run` run"):
        SqlStore(file, read_only=True)
    SqlStore(file).close()
    SqlStore(file, read_only=True).close()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(file: Path, read_only: bool) -> None:
    file.write_bytes(b"this is no database, but long enough to be one: " + b"x" * 1000)
    with pytest.raises(StoreError, match="file is not a database"):
        SqlStore(file, read_only=read_only)
    assert file.read_bytes().startswith(b"this is no database")


def test_a_second_controller_is_kept_away_by_whatever_name_it_calls_the_file(file: Path) -> None:
    link = file.with_name("link.sqlite")
    link.symlink_to(file)
    with alone(file), pytest.raises(StoreError, match=f"link.sqlite is in use by process {os.getpid()}"), alone(link):
        pass
    with alone(link):
        pass


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_of_another_version_is_refused(file: Path, read_only: bool) -> None:
    SqlStore(file).close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StoreError, match=f"is of version {SCHEMA_VERSION + 1}, this program of {SCHEMA_VERSION}"):
        SqlStore(file, read_only=read_only)


def test_the_database_of_another_program_is_refused_and_left_alone(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    with pytest.raises(StoreError, match="is the database of another program"):
        SqlStore(file)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("bookmarks",)]


def test_a_file_that_was_only_begun_is_finished(file: Path) -> None:
    """A crash between making the file and writing its version leaves version 0."""
    SqlStore(file).close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 0")
    with closing(SqlStore(file)) as store:
        assert store.record_decision(a_decision()) == 1


def spoil(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement)


GARBAGE = ["''", "'{}'", "'{\"at\": 5}'", "'not json'", "x'ff00ff'", "'[1, 2]'"]


@pytest.mark.parametrize("body", GARBAGE)
def test_a_decision_that_cannot_be_read_is_an_error(store: SqlStore, file: Path, body: str) -> None:
    store.record_decision(a_decision())
    spoil(file, f"UPDATE decisions SET body = {body}")
    with pytest.raises(StoreError) as caught:
        store.latest()
    assert str(caught.value) == (
        f"store {file}: decision 1 cannot be read: it is damaged, or another version of this program wrote it"
    )


@pytest.mark.parametrize("body", GARBAGE)
def test_an_outcome_that_cannot_be_read_is_an_error(store: SqlStore, file: Path, body: str) -> None:
    store.record_outcome(store.record_decision(a_decision(changes=True)), an_outcome())
    spoil(file, f"UPDATE outcomes SET body = {body}")
    with pytest.raises(StoreError, match=r"decisions\.sqlite: decision 1 cannot be read: it is damaged"):
        store.history(10, changes_only=False)


def test_a_missing_table_is_an_error(store: SqlStore, file: Path) -> None:
    spoil(file, "DROP TABLE asked")
    with pytest.raises(StoreError, match="no such table: asked"):
        store.record_asked("host-1", "wn", 1)


@pytest.mark.parametrize(
    "name", ["a b.sqlite", "a?b.sqlite", "a#b.sqlite", "a%20b.sqlite", "ä.sqlite", "a&mode=ro.sqlite"]
)
def test_any_file_name_works(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    with closing(SqlStore(folder / name)) as store:
        store.record_decision(a_decision())
        with closing(SqlStore(folder / name, read_only=True)) as reader:
            assert reader.latest() == store.latest()
    assert [file.name for file in folder.iterdir()] == [name]


def test_a_relative_path_works(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    with closing(SqlStore(Path(file.name))) as store:
        assert store.record_decision(a_decision()) == 1
    assert file.exists()


def test_two_stores_write_to_one_file(store: SqlStore, file: Path) -> None:
    """A controller that was started twice waits for its turn; nothing is lost."""
    with closing(SqlStore(file)) as other, ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda one: [one.record_decision(a_decision()) for _ in range(10)], [store, other]))
    assert [record.number for record in store.history(100, changes_only=False)] == list(range(1, 21))


def test_a_record_finds_its_hosts_by_name() -> None:
    record = Record(1, a_decision())
    assert record.host("host-1") == a_decision().hosts[0]
    assert record.host("host-9") is None


def test_a_store_that_was_removed_while_in_use_takes_no_decision(store: SqlStore, file: Path) -> None:
    store.record_decision(a_decision())
    file.unlink()
    with pytest.raises(StoreError, match="was removed while in use"):
        store.record_decision(a_decision())


HOUR = timedelta(hours=1)


class TestOrders:
    """What people have said of hosts."""

    def test_survive_a_restart(self, file: Path) -> None:
        with closing(SqlStore(file)) as store:
            store.record_pauses([a_pause(), a_pause("host-2")])
            store.record_override(an_override())
        with closing(SqlStore(file)) as store:
            assert store.orders(NOW) == Orders((a_pause(), a_pause("host-2")), (an_override(),))

    def test_are_seen_by_who_has_the_store_open(self, file: Path) -> None:
        with closing(SqlStore(file)) as controller, closing(SqlStore(file)) as command:
            assert controller.orders(NOW) == Orders()
            command.record_pauses([a_pause()])
            assert controller.orders(NOW).pauses == (a_pause(),)

    def test_that_are_damaged_are_an_error_not_no_pause(self, file: Path, store: SqlStore) -> None:
        store.record_pauses([a_pause()])
        spoil(file, "UPDATE pauses SET body = '{}'")
        with pytest.raises(StoreError, match="a pause or an override cannot be read: it is damaged"):
            store.orders(NOW)


def test_a_file_of_the_version_before_gets_the_new_tables_and_keeps_what_it_has(file: Path) -> None:
    with closing(SqlStore(file)) as store:
        store.record_decision(a_decision())
    spoil(file, "DROP TABLE tunings")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 3")
    with closing(SqlStore(file)) as store:
        assert store.count() == 1
        assert store.tunings(NOW) == ()


def test_a_text_that_is_garbage_is_told_as_damage_without_the_garbage(file: Path, store: SqlStore) -> None:
    store.record_decision(a_decision())
    spoil(file, "UPDATE decisions SET body = CAST(x'ff00ff' AS TEXT)")
    with pytest.raises(DamagedStoreError) as caught:
        store.newest()
    assert str(caught.value) == f"store {file}: a text in it is none: {DAMAGED_ADVICE}"
