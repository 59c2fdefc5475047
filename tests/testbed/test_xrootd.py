"""The exporter ``xrootd`` against a real server, scraped over HTTP as Prometheus would."""

import itertools
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exporters.running import Exporter, Values, running_exporter
from tests.testbed.xrootd_server import INSTANCE, Xrootd

FILE_BYTES = 30_000_000
REPORT_TTL_S = 8

# Protocol, checksums of pages, and the client's own questions: what comes on top of a file's bytes.
OVERHEAD = 1.05


def free_udp_port() -> int:
    with socket.socket(type=socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        return receiver.getsockname()[1]


@pytest.fixture
def report_to() -> str:
    return f"127.0.0.1:{free_udp_port()}"


@pytest.fixture
def exporter(scratch: Path, report_to: str) -> Iterator[Exporter]:
    arguments = ("xrootd", "--report", report_to, "--report-ttl", REPORT_TTL_S)
    with running_exporter(*arguments, scratch=scratch) as exporter:
        yield exporter


@pytest.fixture
def server(scratch: Path, report_to: str) -> Iterator[Xrootd]:
    with Xrootd(scratch, report_to) as server:
        yield server


@pytest.fixture
def file(scratch: Path) -> Path:
    file = scratch / "events.root"
    file.write_bytes(os.urandom(FILE_BYTES))
    return file


class Reported:
    """The values of one server in a scrape; None where the server is absent."""

    def __init__(self, server: Xrootd) -> None:
        self._labels = f"{INSTANCE} xrootd {server.server_name}"

    def read(self, values: Values) -> float | None:
        return values.get(f"xrootd_read_bytes_total {self._labels}")

    def written(self, values: Values) -> float | None:
        return values.get(f"xrootd_written_bytes_total {self._labels}")

    def age(self, values: Values) -> float | None:
        return values.get(f"xrootd_report_age_seconds {self._labels}")


def wait_for_report(exporter: Exporter, reported: Reported) -> list[Values]:
    return exporter.scrape_until(lambda values: reported.read(values) is not None, "a report")


@pytest.mark.testbed
def test_the_counters_grow_by_what_is_transferred(
    server: Xrootd, exporter: Exporter, file: Path, scratch: Path
) -> None:
    reported = Reported(server)
    base = wait_for_report(exporter, reported)[-1]
    assert base["xrootd_up"] == 1

    server.put(file)
    enough = reported.written(base) + FILE_BYTES
    after_put = exporter.scrape_until(lambda values: reported.written(values) >= enough, "the upload")[-1]
    assert reported.written(after_put) - reported.written(base) <= FILE_BYTES * OVERHEAD
    assert reported.read(after_put) - reported.read(base) <= FILE_BYTES * (OVERHEAD - 1)

    server.get(file.name, scratch / "copy.root")
    enough = reported.read(after_put) + FILE_BYTES
    after_get = exporter.scrape_until(lambda values: reported.read(values) >= enough, "the download")[-1]
    assert reported.read(after_get) - reported.read(base) <= FILE_BYTES * OVERHEAD
    assert reported.written(after_get) - reported.written(base) <= FILE_BYTES * OVERHEAD
    assert after_get["xrootd_bad_reports_total"] == 0


@pytest.mark.testbed
def test_a_killed_server_goes_absent_and_its_counters_go_on_after_the_restart(
    server: Xrootd, exporter: Exporter, file: Path
) -> None:
    reported = Reported(server)
    base = wait_for_report(exporter, reported)[-1]
    server.put(file)
    enough = reported.written(base) + FILE_BYTES
    seen = exporter.scrape_until(lambda values: reported.written(values) >= enough, "the upload")

    server.process.kill9()
    seen += exporter.scrape_until(lambda values: values["xrootd_up"] == 0, "the silence")
    assert reported.written(seen[-1]) is None
    assert reported.age(seen[-1]) is None
    assert seen[-1]["xrootd_last_success_timestamp_seconds"] > 0

    server.start()
    seen += wait_for_report(exporter, reported)
    server.put(file)
    enough = reported.written(base) + 2 * FILE_BYTES
    seen += exporter.scrape_until(lambda values: reported.written(values) >= enough, "the second upload")

    written = [value for values in seen if (value := reported.written(values)) is not None]
    assert all(earlier <= later for earlier, later in itertools.pairwise(written))
    assert written[-1] - reported.written(base) <= 2 * FILE_BYTES * OVERHEAD


@pytest.mark.testbed
def test_a_restart_within_the_time_to_live_is_neither_a_fall_nor_a_jump(
    server: Xrootd, exporter: Exporter, file: Path
) -> None:
    reported = Reported(server)
    base = wait_for_report(exporter, reported)[-1]
    server.put(file)
    enough = reported.written(base) + FILE_BYTES
    seen = exporter.scrape_until(lambda values: reported.written(values) >= enough, "the upload")

    server.process.kill9()
    seen += exporter.scrape_until(lambda values: reported.age(values) > 3, "the silence")
    server.start()
    seen += exporter.scrape_until(lambda values: reported.age(values) < 1, "a report of the new process")

    written = [reported.written(values) for values in seen]
    assert all(earlier <= later for earlier, later in itertools.pairwise(written))
    assert written[-1] - reported.written(base) <= FILE_BYTES * OVERHEAD


@pytest.mark.testbed
def test_without_any_server_the_source_is_down(exporter: Exporter) -> None:
    values = exporter.scrape()
    assert values["xrootd_up"] == 0
    assert not any(name.startswith("xrootd_read_bytes") for name in values)
    assert "no report so far" in exporter.process.log_tail()
    assert exporter.process.terminate() == 0
