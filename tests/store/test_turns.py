"""Writes that come while another one commits share the next commit."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import IntegrityError

from autoscaler.store import turns
from autoscaler.store.turns import Turns
from tests.service.waiting import Gate, wait_until


@dataclass
class Table:
    """A table of distinct numbers, and how often something was committed to it."""

    engine: Engine
    commits: int = 0
    turns: Turns = field(init=False)

    def __post_init__(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(text("CREATE TABLE numbers (number INTEGER PRIMARY KEY)"))
        self.turns = Turns(self._transaction)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            yield connection
        self.commits += 1

    def add(self, number: int) -> Callable[[Connection], int]:
        """A write that returns its number; one that is there already is refused."""

        def do(connection: Connection) -> int:
            connection.execute(text("INSERT INTO numbers VALUES (:number)"), {"number": number})
            return number

        return do

    def numbers(self) -> list[int]:
        """What is there."""
        with self.engine.begin() as connection:
            return sorted(connection.execute(text("SELECT number FROM numbers")).scalars())


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    engine = create_engine(f"sqlite:///{tmp_path / 'numbers.sqlite'}")
    yield Table(engine)
    engine.dispose()


def together(table: Table, writes: list[Callable[[Connection], int]]) -> list[Future[int]]:
    """Let all of them come while another one, which adds 0, has its turn."""
    gate = Gate()

    def slow(connection: Connection) -> int:
        gate.pass_through()
        return table.add(0)(connection)

    with ThreadPoolExecutor(len(writes) + 1) as pool:
        pool.submit(table.turns.write, slow)
        wait_until(gate.reached.is_set, "the first one to have its turn")
        futures = [pool.submit(table.turns.write, write) for write in writes]
        wait_until(lambda: len(table.turns._waiting) == len(writes), "all others to wait")
        gate.open()
    return futures


def test_a_write_alone_is_committed_and_returns_its_result(table: Table) -> None:
    assert table.turns.write(table.add(7)) == 7
    assert table.numbers() == [7]


def test_all_who_wait_share_one_commit(table: Table) -> None:
    futures = together(table, [table.add(number) for number in range(1, 21)])
    assert [future.result() for future in futures] == list(range(1, 21))
    assert table.numbers() == list(range(21))
    assert table.commits == 2


def test_one_that_the_tables_refuse_takes_no_other_with_it(table: Table) -> None:
    *good, bad = together(table, [table.add(number) for number in (1, 2, 3, 0)])
    assert [future.result() for future in good] == [1, 2, 3]
    assert isinstance(bad.exception(), IntegrityError)
    assert table.numbers() == [0, 1, 2, 3]


def test_a_failure_of_the_file_is_that_of_all_who_wait(table: Table) -> None:
    def fail(_connection: Connection) -> int:
        raise OSError("disk full")

    futures = together(table, [table.add(1), fail, table.add(2)])
    assert [str(future.exception()) for future in futures] == ["disk full"] * 3
    assert table.numbers() == [0]


def test_the_next_one_is_written_after_one_that_failed(table: Table) -> None:
    table.turns.write(table.add(1))
    with pytest.raises(IntegrityError):
        table.turns.write(table.add(1))
    assert table.turns.write(table.add(2)) == 2


def test_between_two_commits_lies_the_pause(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(turns.time, "sleep", slept.append)
    paused = Turns(table._transaction, pause_s=1000)
    paused.write(table.add(1))
    paused.write(table.add(2))
    assert slept[0] == 0
    assert 0 < slept[1] <= 1000
    assert table.commits == 2
