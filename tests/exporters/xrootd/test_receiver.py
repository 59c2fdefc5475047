"""The source ``xrootd``: from packets to metrics."""

import socket
import sys
import threading

import pytest

from exporters.serving import Address, SourceUnavailable
from exporters.xrootd.receiver import ReportReceiver, receiving_reports
from exporters.xrootd.tallies import FORGET_AFTER_S, MAX_SERVERS
from tests.exporters.xrootd.packets import report, sample
from tests.testbed.processes import wait_until

TTL_S = 90


class Server:
    """A receiver with a clock set by the test; packets are handed to it directly."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.receiver = ReportReceiver(Address("127.0.0.1", 9931), TTL_S, clock=lambda: self.now)

    def take(self, *packets: bytes) -> None:
        for packet in packets:
            self.receiver.take(packet)

    def values(self, name: str) -> list[float]:
        return [value for _, value in self.samples(name)]

    def samples(self, name: str) -> list[tuple[tuple[str, ...], float]]:
        try:
            metrics = self.receiver.read()
        except SourceUnavailable as unavailable:
            metrics = unavailable.known
        by_name = {metric.name: metric for metric in metrics}
        return [(tuple(sample.labels.values()), sample.value) for sample in by_name[name].samples]


def first_values(receiver: ReportReceiver) -> dict[str, float]:
    return {metric.name: metric.samples[0].value for metric in receiver.read() if metric.samples}


@pytest.fixture
def server() -> Server:
    return Server()


def test_bytes_connections_and_open_files_are_told(server: Server) -> None:
    server.take(sample("03-during-write-a"), sample("06-during-read-a"))
    name = ("vm:21094", "feas", "xrootd")
    assert server.samples("xrootd_read_bytes") == [(name, 100766566 - 2432)]
    assert server.samples("xrootd_connections") == [(name, 1)]
    assert server.samples("xrootd_open_files") == [((*name, "read"), 1), ((*name, "write"), 0)]


def test_a_bad_packet_is_counted_and_changes_nothing(server: Server) -> None:
    server.take(report(100, sent=5), b"noise", report(110, sent=8))
    assert server.values("xrootd_bad_reports") == [1]
    assert server.values("xrootd_reports") == [2]
    assert server.values("xrootd_read_bytes") == [3]


def test_servers_are_told_apart_by_source_instance_and_program(server: Server) -> None:
    server.take(
        report(src="a:1094", sent=1),
        report(src="b:1094", sent=1),
        report(ins="other", sent=1),
        report(pgm="cmsd", sent=1),
        report(110, src="b:1094", sent=6),
    )
    assert server.samples("xrootd_read_bytes") == [
        (("a:1094", "feas", "xrootd"), 0),
        (("b:1094", "feas", "xrootd"), 5),
        (("vm:1094", "feas", "cmsd"), 0),
        (("vm:1094", "other", "xrootd"), 0),
    ]


def test_a_silent_server_is_left_out_and_goes_on_when_it_is_back(server: Server) -> None:
    server.take(report(100, sent=10, src="a:1094"), report(110, sent=15, src="a:1094"))
    server.now += TTL_S + 1
    server.take(report(200, src="b:1094"))
    assert server.values("xrootd_read_bytes") == [0]
    server.take(report(210, sent=17, src="a:1094"))
    assert server.values("xrootd_read_bytes") == [7, 0]


def test_a_silent_server_is_counted_and_named_with_its_age(server: Server) -> None:
    server.take(report(src="a:1094"))
    server.now += TTL_S + 1
    server.take(report(src="b:1094"))
    assert server.samples("xrootd_servers") == [(("reporting",), 1), (("silent",), 1)]
    assert server.samples("xrootd_report_age_seconds") == [
        (("a:1094", "feas", "xrootd"), TTL_S + 1),
        (("b:1094", "feas", "xrootd"), 0),
    ]


def test_a_silent_server_is_named_even_when_all_are_silent(server: Server) -> None:
    server.take(report())
    server.now += TTL_S + 1
    assert server.values("xrootd_servers") == [0, 1]
    assert server.values("xrootd_report_age_seconds") == [TTL_S + 1]


def test_a_server_that_was_taken_away_is_forgotten(server: Server) -> None:
    server.take(report())
    server.now += FORGET_AFTER_S + 1
    assert server.values("xrootd_servers") == [0, 0]


def test_an_overtaken_report_does_not_make_its_server_younger(server: Server) -> None:
    server.take(report(120))
    server.now += 7
    server.take(report(110))
    assert server.values("xrootd_report_age_seconds") == [7]


def test_a_clock_that_was_set_back_makes_no_negative_age(server: Server) -> None:
    server.take(report())
    server.now -= 3600
    assert server.values("xrootd_report_age_seconds") == [0]


def test_without_any_report_the_source_is_unavailable(server: Server) -> None:
    reason = r"no report so far on UDP 127\.0\.0\.1:9931; the servers need 'xrd\.report"
    with pytest.raises(SourceUnavailable, match=reason):
        server.receiver.read()
    assert server.receiver.newest() is None


def test_when_all_are_silent_the_source_is_unavailable(server: Server) -> None:
    server.take(report())
    server.now += TTL_S + 1
    with pytest.raises(SourceUnavailable, match="no report within 90 s"):
        server.receiver.read()
    assert server.receiver.newest() == 1000


def test_bad_reports_are_known_even_when_nothing_else_is(server: Server) -> None:
    server.take(b"noise")
    assert server.values("xrootd_bad_reports") == [1]


def test_one_server_too_many_is_a_bad_report(server: Server) -> None:
    server.take(*(report(src=f"x{number}:1") for number in range(MAX_SERVERS + 5)))
    assert len(server.values("xrootd_connections")) == MAX_SERVERS
    assert server.values("xrootd_bad_reports") == [5]


def test_reports_arrive_over_the_network() -> None:
    with (
        receiving_reports(Address("127.0.0.1", 0), TTL_S) as receiver,
        socket.socket(type=socket.SOCK_DGRAM) as sender,
    ):
        sender.connect(("127.0.0.1", receiver.address.port))
        sender.send(b"noise")
        sender.send(report())
        wait_until(receiver.reported.is_set, 30, "the report")
        values = first_values(receiver)
    assert values["xrootd_connections"] == 3
    assert values["xrootd_bad_reports"] == 1
    assert values["xrootd_dropped_packets"] == 0


def test_scrapes_between_packets_see_whole_reports_only() -> None:
    receiver = ReportReceiver(Address("127.0.0.1", 9931), TTL_S)
    packets = [report(100 + number, sent=number, received=number) for number in range(3000)]
    receiver.take(packets[0])
    taking = threading.Thread(target=lambda: [receiver.take(packet) for packet in packets])
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        taking.start()
        seen = []
        while taking.is_alive():
            values = first_values(receiver)
            seen.append((values["xrootd_read_bytes"], values["xrootd_written_bytes"]))
    finally:
        sys.setswitchinterval(interval)
        taking.join()
    assert all(read == written for read, written in seen)
