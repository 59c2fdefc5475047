"""The detailed monitoring of a real xrootd: bytes by user and by path, scraped over HTTP as Prometheus would."""

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.exporters.running import Exporter, Values, running_exporter
from tests.testbed.processes import Process
from tests.testbed.test_xrootd import free_udp_port
from tests.testbed.xrootd_server import CLIENT_ENVIRONMENT, TRANSFER_DEADLINE_S, XRDCP, Xrootd

FILE_BYTES = 30_000_000

# A client that writes pages sends four bytes of checksum with each 4096, and the server counts them.
PAGES = 1 + 4 / 4096 + 0.0001

# Clients before XRootD 5 wrote and read without them, and of these the server tells while the transfer runs.
WITHOUT_PAGES = {"XRD_CPUSEPGWRTRD": "0"}


@pytest.fixture
def details_to() -> str:
    return f"127.0.0.1:{free_udp_port()}"


@pytest.fixture
def server(scratch: Path, details_to: str) -> Iterator[Xrootd]:
    with Xrootd(scratch, f"127.0.0.1:{free_udp_port()}", details_to=details_to) as server:
        yield server


@pytest.fixture
def start(details_to: str, scratch: Path) -> Callable[..., object]:
    arguments = ("xrootd", "--report", f"127.0.0.1:{free_udp_port()}", "--report-ttl", 8, "--fstream", details_to)
    return lambda *more: running_exporter(*arguments, *more, scratch=scratch)


@pytest.fixture
def exporter(start: Callable[..., object]) -> Iterator[Exporter]:
    with start() as exporter:
        yield exporter


@pytest.fixture
def file(scratch: Path) -> Path:
    file = scratch / "events.root"
    file.write_bytes(os.urandom(FILE_BYTES))
    return file


def at(server: Xrootd, user: str, path: str) -> str:
    return f"root://{user}@127.0.0.1:{server.port}/{path}"


def copy(source: object, target: object, **environment: str) -> None:
    argv = [*XRDCP, "--path", str(source), str(target)]
    environment = {**os.environ, **CLIENT_ENVIRONMENT, **environment}
    subprocess.run(argv, env=environment, check=True, timeout=TRANSFER_DEADLINE_S)


def copying(source: object, target: object, scratch: Path, rate: str = "3m") -> Process:
    """Return a transfer without pages, which takes ten seconds."""
    argv = [*XRDCP, "--path", "--xrate", rate, str(source), str(target)]
    return Process(argv, scratch, env={**CLIENT_ENVIRONMENT, **WITHOUT_PAGES})


def sums(values: Values, direction: str) -> dict[str, float]:
    """Return the bytes by user or path; there is one server."""
    prefix = f"xrootd_fstream_{direction}_bytes_total "
    found = {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
    return {next(label for label in labels.split() if ":" not in label): value for labels, value in found.items()}


def open_files(values: Values) -> float | None:
    return next((value for name, value in values.items() if name.startswith("xrootd_fstream_open_files ")), None)


def wait_for_server(exporter: Exporter, server: Xrootd) -> None:
    name = f"xrootd_fstream_open_files {server.server_name}"
    exporter.scrape_until(lambda values: name in values, "the server's own name")


def assert_nothing_is_bad_or_lost(values: Values) -> None:
    assert values["xrootd_fstream_bad_packets_total"] == 0
    assert {value for name, value in values.items() if name.startswith("xrootd_fstream_lost_packets_total")} == {0}


def assert_never_falls(series: list[float]) -> None:
    assert all(earlier <= later for earlier, later in itertools.pairwise(series))


@pytest.mark.testbed
def test_bytes_are_counted_by_the_user_who_moved_them(
    server: Xrootd, exporter: Exporter, file: Path, scratch: Path
) -> None:
    wait_for_server(exporter, server)
    copy(file, at(server, "alice", "/a.root"))
    copy(at(server, "bob", "/a.root"), scratch / "b.root")
    copy(at(server, "bob", "/a.root"), scratch / "c.root", **WITHOUT_PAGES)
    copy(scratch / "c.root", at(server, "carol", "/c.root"), **WITHOUT_PAGES)

    def all_told(values: Values) -> bool:
        return (sums(values, "read").get("bob"), sums(values, "written").get("carol")) == (2 * FILE_BYTES, FILE_BYTES)

    values = exporter.scrape_until(all_told, "the transfers")[-1]
    assert sums(values, "read") == {"alice": 0, "bob": 2 * FILE_BYTES, "carol": 0}
    written = sums(values, "written")
    assert FILE_BYTES <= written.pop("alice") <= FILE_BYTES * PAGES
    assert written == {"bob": 0, "carol": FILE_BYTES}
    assert_nothing_is_bad_or_lost(values)


@pytest.mark.testbed
def test_bytes_are_counted_by_the_first_folders_of_the_path(
    server: Xrootd, start: Callable[..., object], file: Path, scratch: Path
) -> None:
    with start("--fstream-by", "path", "--path-depth", 2) as exporter:
        wait_for_server(exporter, server)
        copy(file, at(server, "alice", "/store/user/alice/2011/a.root"))
        copy(file, at(server, "bob", "/store/mc/b.root"))
        copy(at(server, "bob", "/store/user/alice/2011/a.root"), scratch / "b.root")

        values = exporter.scrape_until(
            lambda values: sum(sums(values, "read").values()) >= FILE_BYTES, "the transfers"
        )[-1]
        assert sums(values, "read") == {"/store/user": FILE_BYTES, "/store/mc": 0}
        written = sums(values, "written")
        assert sorted(written) == ["/store/mc", "/store/user"]
        assert all(FILE_BYTES <= value <= FILE_BYTES * PAGES for value in written.values())
        assert_nothing_is_bad_or_lost(values)


@pytest.mark.testbed
def test_a_transfer_without_pages_is_followed_while_it_runs(
    server: Xrootd, exporter: Exporter, file: Path, scratch: Path
) -> None:
    wait_for_server(exporter, server)
    with copying(file, at(server, "alice", "/a.root"), scratch):
        seen = exporter.scrape_until(lambda values: sums(values, "written").get("alice") == FILE_BYTES, "the upload")
        seen += exporter.scrape_until(lambda values: open_files(values) == 0, "the close")
    counted = [sums(values, "written").get("alice", 0) for values in seen]
    assert_never_falls(counted)
    assert len({value for value in counted if 0 < value < FILE_BYTES}) >= 2
    assert {open_files(values) for values in seen} == {0, 1}
    assert counted[-1] == FILE_BYTES


@pytest.mark.testbed
def test_a_client_that_is_killed_leaves_no_file_open(
    server: Xrootd, exporter: Exporter, file: Path, scratch: Path
) -> None:
    wait_for_server(exporter, server)
    with copying(file, at(server, "alice", "/a.root"), scratch):
        exporter.scrape_until(lambda values: sums(values, "written").get("alice", 0) > 0, "a part of the upload")
    values = exporter.scrape_until(lambda values: open_files(values) == 0, "the close")[-1]
    assert 0 < sums(values, "written")["alice"] < FILE_BYTES


@pytest.mark.testbed
def test_after_a_kill_and_restart_the_counters_go_on_without_a_jump(
    server: Xrootd, exporter: Exporter, file: Path, scratch: Path
) -> None:
    wait_for_server(exporter, server)
    copy(file, at(server, "alice", "/a.root"), **WITHOUT_PAGES)
    seen = exporter.scrape_until(lambda values: sums(values, "written").get("alice", 0) > 0, "the upload")
    with copying(at(server, "bob", "/a.root"), scratch / "b.root", scratch):
        seen += exporter.scrape_until(lambda values: open_files(values) == 1, "the open file")
        server.process.kill9()
    server.start()
    seen += exporter.scrape_until(lambda values: open_files(values) == 0, "the end of what was open")

    copy(file, at(server, "alice", "/c.root"), **WITHOUT_PAGES)
    enough = 2 * FILE_BYTES
    seen += exporter.scrape_until(lambda values: sums(values, "written").get("alice", 0) >= enough, "the second upload")
    written = [counted["alice"] for values in seen if "alice" in (counted := sums(values, "written"))]
    assert_never_falls(written)
    assert written[-1] == enough
    assert sums(seen[-1], "read").get("bob", 0) <= FILE_BYTES
    assert_nothing_is_bad_or_lost(seen[-1])


@pytest.mark.testbed
def test_an_exporter_that_comes_into_a_running_transfer_counts_only_what_it_sees(
    server: Xrootd, start: Callable[..., object], file: Path, scratch: Path
) -> None:
    arrived = scratch / "xrootd" / "data" / "a.root"
    # Slow enough for an exporter to start meanwhile, on any machine.
    with copying(file, at(server, "alice", "/a.root"), scratch, rate="1m") as transfer:
        transfer.wait_until(
            lambda: arrived.stat().st_size > FILE_BYTES / 10, TRANSFER_DEADLINE_S, "a part of the upload"
        )
        before = arrived.stat().st_size
        with start() as exporter:
            seen = exporter.scrape_until(lambda values: any(sums(values, "written").values()), "more of it")
            seen += exporter.scrape_until(lambda _: not transfer.running, "the end of the upload")
            seen += exporter.scrape_until(lambda values: open_files(values) == 0, "the close")
    assert_never_falls([sum(sums(values, "written").values()) for values in seen])
    assert 0 < sums(seen[-1], "written")["unknown"] <= FILE_BYTES - before


@pytest.mark.testbed
def test_without_any_packet_the_source_is_down(exporter: Exporter) -> None:
    values = exporter.scrape()
    assert values["xrootd_fstream_up"] == 0
    assert values["xrootd_fstream_packets_total"] == 0
    assert sums(values, "read") == {}
    assert "no packet of detailed monitoring so far" in exporter.process.log_tail()
