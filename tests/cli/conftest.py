"""A site for each test of a command, and pytest's own signal handlers after each test."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.site import Exporter, Site, served
from tests.cli.systemd import Systemd, listening


@pytest.fixture(scope="module")
def exporter_of_module() -> Iterator[tuple[Exporter, str]]:
    """One PROOF exporter for all tests of a module: a server takes half a second to end."""
    exporter = Exporter()
    with served(exporter) as url:
        yield exporter, url


@pytest.fixture
def exporter(exporter_of_module: tuple[Exporter, str]) -> Exporter:
    """Nobody works."""
    exporter, _ = exporter_of_module
    exporter.__init__()
    return exporter


@pytest.fixture
def site(tmp_path: Path, exporter: Exporter, exporter_of_module: tuple[Exporter, str]) -> Site:
    """One host, dormant."""
    return Site(tmp_path, exporter_of_module[1], exporter)


@pytest.fixture
def two_hosts(tmp_path: Path, exporter: Exporter, exporter_of_module: tuple[Exporter, str]) -> Site:
    """Two hosts, dormant."""
    return Site(tmp_path, exporter_of_module[1], exporter, ("host-1", "host-2"))


@pytest.fixture
def systemd(site: Site) -> Iterator[Systemd]:
    """What listens to the service of the site."""
    with listening(site) as systemd:
        yield systemd


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """`run` takes SIGTERM, SIGINT and SIGHUP for itself."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)
