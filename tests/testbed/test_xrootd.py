"""The exporter ``xrootd`` against a real server, scraped over HTTP as Prometheus would."""

import itertools
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.exporters_xrootd import Target, measure, mpxstats
from tests.benchmarks.exporters_xrootd import exporter as measured_exporter
from tests.exporters.running import Exporter, Values, running_exporter
from tests.testbed.processes import Process, wait_until
from tests.testbed.xrootd_server import INSTANCE, TRANSFER_DEADLINE_S, Xrootd

FILE_BYTES = 30_000_000
REPORT_TTL_S = 8

# 30 MB take about fifteen seconds, in which a server reports about fifteen times.
RATE = "2m"

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
def patient_exporter(scratch: Path, report_to: str) -> Iterator[Exporter]:
    """An exporter with a time to live that is longer than any restart takes."""
    with running_exporter("xrootd", "--report", report_to, "--report-ttl", 60, scratch=scratch) as exporter:
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

    def open_files(self, values: Values, mode: str) -> float | None:
        # Label values come in the alphabetical order of the labels' names.
        return values.get(f"xrootd_open_files {mode} {self._labels}")

    def logins(self, values: Values) -> float | None:
        program, server = self._labels.split()[1:]
        return values.get(f"xrootd_logins_total {INSTANCE} {program} unauthenticated {server}")


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


def scrapes_during(transfer: Process, exporter: Exporter) -> list[Values]:
    seen: list[Values] = []

    def ended() -> bool:
        seen.append(exporter.scrape())
        return not transfer.running

    with transfer:
        wait_until(ended, TRANSFER_DEADLINE_S, "the transfer")
        assert transfer.kill9() == 0, transfer.log_tail()
    return seen


def assert_counted_on_the_way(counted: list[float], moved: float) -> None:
    """The counter was seen between a tenth and nine tenths of the transfer, at two places at least."""
    assert len({value for value in counted if 0.1 * FILE_BYTES < value < 0.9 * FILE_BYTES}) >= 2
    assert all(earlier <= later for earlier, later in itertools.pairwise(counted))
    assert FILE_BYTES <= moved <= FILE_BYTES * OVERHEAD


@pytest.mark.testbed
def test_the_counters_follow_a_transfer_while_it_runs(
    server: Xrootd, exporter: Exporter, file: Path, scratch: Path
) -> None:
    reported = Reported(server)
    base = reported.written(wait_for_report(exporter, reported)[-1])
    seen = scrapes_during(server.putting(file, RATE), exporter)
    enough = base + FILE_BYTES
    end = exporter.scrape_until(lambda values: reported.written(values) >= enough, "the upload")[-1]
    assert_counted_on_the_way([reported.written(values) - base for values in seen], reported.written(end) - base)
    assert {reported.open_files(values, "write") for values in seen} >= {1}
    assert {reported.open_files(values, "read") for values in seen} == {0}

    base = reported.read(end)
    seen = scrapes_during(server.getting(file.name, scratch / "copy.root", RATE), exporter)
    enough = base + FILE_BYTES
    end = exporter.scrape_until(lambda values: reported.read(values) >= enough, "the download")[-1]
    assert_counted_on_the_way([reported.read(values) - base for values in seen], reported.read(end) - base)
    assert {reported.open_files(values, "read") for values in seen} >= {1}

    exporter.scrape_until(lambda values: reported.open_files(values, "read") == 0, "the closing of the file")


@pytest.mark.testbed
def test_two_servers_are_told_apart(
    server: Xrootd, exporter: Exporter, file: Path, scratch: Path, report_to: str
) -> None:
    with Xrootd(scratch, report_to, "other") as other:
        here, there = Reported(server), Reported(other)
        wait_for_report(exporter, here)
        base = wait_for_report(exporter, there)[-1]
        server.put(file)
        enough = here.written(base) + FILE_BYTES
        after = exporter.scrape_until(lambda values: here.written(values) >= enough, "the upload")[-1]
        assert there.written(after) == there.written(base)
        assert after["xrootd_servers reporting"] == 2

        other.process.kill9()
        after = exporter.scrape_until(lambda values: values["xrootd_servers silent"] == 1, "the silence")[-1]
    assert after["xrootd_up"] == 1
    assert there.written(after) is None
    assert there.age(after) > REPORT_TTL_S
    assert here.written(after) >= enough


@pytest.mark.testbed
def test_a_pull_tells_whether_the_server_lives_and_is_no_login(server: Xrootd, scratch: Path, report_to: str) -> None:
    address = f"127.0.0.1:{server.port}"
    up = f"xrootd_pull_server_up {address}"
    arguments = ("xrootd", "--report", report_to, "--pull", address)
    with running_exporter(*arguments, scratch=scratch) as exporter:
        seen = exporter.scrape_until(lambda values: values[up] == 1, "an answer")
        assert seen[-1][f"xrootd_pull_duration_seconds {address}"] > 0
        assert f"xrootd_pull_server_info 5.1.1 server {address}" in seen[-1]
        reported = Reported(server)
        assert reported.logins(wait_for_report(exporter, reported)[-1]) == 0

        server.process.pause()
        try:
            seen = exporter.scrape_until(lambda values: values[up] == 0, "no answer of a server that hangs")
        finally:
            server.process.resume()
        assert f"xrootd_pull_duration_seconds {address}" not in seen[-1]
        exporter.scrape_until(lambda values: values[up] == 1, "an answer of the server that goes on")

        server.process.kill9()
        seen = exporter.scrape_until(lambda values: values[up] == 0, "no answer of a server that is dead")
        assert seen[-1]["xrootd_pull_up"] == 1
        server.start()
        exporter.scrape_until(lambda values: values[up] == 1, "an answer of the new server")
        assert f"{address} does not answer: timed out" in exporter.process.log_tail()
        assert f"{address} does not answer: Connection refused" in exporter.process.log_tail()


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
    assert reported.age(seen[-1]) > REPORT_TTL_S
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
    server: Xrootd, patient_exporter: Exporter, file: Path
) -> None:
    exporter = patient_exporter
    reported = Reported(server)
    base = wait_for_report(exporter, reported)[-1]
    server.put(file)
    enough = reported.written(base) + FILE_BYTES
    seen = exporter.scrape_until(lambda values: reported.written(values) >= enough, "the upload")

    server.process.kill9()
    seen += exporter.scrape_until(lambda values: reported.age(values) > 3, "the silence")
    server.start()
    seen += exporter.scrape_until(lambda values: reported.age(values) < 1, "a report of the new process")

    written = [value for values in seen if (value := reported.written(values)) is not None]
    assert len(written) == len(seen), "the server was silent in between"
    assert all(earlier <= later for earlier, later in itertools.pairwise(written))
    assert written[-1] - reported.written(base) <= FILE_BYTES * OVERHEAD


@pytest.mark.testbed
def test_without_any_server_the_source_is_down(exporter: Exporter) -> None:
    values = exporter.scrape()
    assert values["xrootd_up"] == 0
    assert not any(name.startswith("xrootd_read_bytes") for name in values)
    assert "no report so far" in exporter.process.log_tail()
    assert exporter.process.terminate() == 0


@pytest.mark.testbed
@pytest.mark.parametrize("target", [measured_exporter, mpxstats])
def test_the_benchmark_of_reports_measures(target: Target) -> None:
    measured = measure(target, rate=200, seconds=0.5)
    assert measured["sent"] > measured["lost"] >= 0
    assert measured["memory_mib"] > 0
