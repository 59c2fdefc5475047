"""Each test of the contract runs over both databases; of PostgreSQL, a real server, each has a database of its own."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from autoscaler.store.postgresql import PostgresDatabase
from autoscaler.store.sql import SqlStore
from tests.testbed.postgres_server import Postgres, postgres


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture
def database(server: Postgres) -> PostgresDatabase:
    return PostgresDatabase(server.url(server.new_database()), server.password_file)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "decisions.sqlite"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.testbed)])
def place(request: pytest.FixtureRequest, file: Path) -> Path | PostgresDatabase:
    return file if request.param == "sqlite" else request.getfixturevalue("database")


@pytest.fixture
def store(place: Path | PostgresDatabase) -> Iterator[SqlStore]:
    with closing(SqlStore(place)) as opened:
        yield opened
