"""Summary reports of xrootd and what they add up to."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporters.serving import Address, SourceUnavailable
from exporters.xrootd.reports import MAX_SERVERS, BadReport, Receiver, Report, parse_report, receiving
from tests.testbed.processes import wait_until

SAMPLES = Path(__file__).parents[1] / "samples" / "xrootd"
TTL_S = 90
LOOPBACK = Address("127.0.0.1", 0)


def report(
    tod: int = 100, *, sent: int = 0, received: int = 0, pid: int = 7, tos: int = 50, src: str = "vm:1094"
) -> bytes:
    return (
        f'<statistics tod="{tod}" ver="v5.5.3" src="{src}" tos="{tos}" pgm="xrootd" ins="feas" pid="{pid}" site="">'
        f'<stats id="link"><num>3</num><in>{received}</in><out>{sent}</out></stats></statistics>'
    ).encode()


class Server:
    """A receiver with a clock set by the test; packets are handed to it directly."""

    def __init__(self, receiver: Receiver) -> None:
        self.now = 1000.0
        self.receiver = receiver
        receiver._clock = lambda: self.now

    def take(self, *packets: bytes) -> None:
        for packet in packets:
            self.receiver.take(packet)

    def values(self, name: str) -> list[float]:
        metrics = {metric.name: metric for metric in self.receiver.read()}
        return [sample.value for sample in metrics[name].samples]


@pytest.fixture
def server() -> Iterator[Server]:
    with Receiver(LOOPBACK, TTL_S) as receiver:
        yield Server(receiver)


def test_a_real_report_is_read() -> None:
    assert parse_report((SAMPLES / "06-during-read-a.xml").read_bytes()) == Report(
        sender=("vm:21094", "feas", "xrootd"),
        pid=19996,
        started_at_s=1795345857,
        made_at_s=1795346023,
        received_bytes=300294912,
        sent_bytes=100766566,
        connections=1,
    )


def test_a_trailing_nul_is_no_harm() -> None:
    assert parse_report(report() + b"\0") == parse_report(report())


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\0",
        b"not xml",
        report()[:-5],
        b"<statistics/>",
        report().replace(b'src="vm:1094"', b""),
        report().replace(b'"vm:1094"', b'"%s"' % (b"x" * 300)),
        report().replace(b'pid="7"', b'pid="-7"'),
        report().replace(b"<num>3</num>", b""),
        report().replace(b"<out>0", b"<out>1e308"),
        report().replace(b"<out>0", b"<out>" + b"9" * 400),
        report().replace(b"statistics", b"metrics"),
        b'<?xml version="1.0" encoding="x-none"?>' + report(),
        b'<!DOCTYPE a [<!ENTITY b "c">]>' + report(),
        b'<!DOCTYPE statistics SYSTEM "file:///etc/passwd">' + report(),
        b"<!--" + b"x" * 40_000 + b"-->" + report(),
    ],
)
def test_what_is_no_report_is_counted_and_changes_nothing(server: Server, packet: bytes) -> None:
    with pytest.raises(BadReport):
        parse_report(packet)
    server.take(report(100, sent=5), packet, report(110, sent=8))
    assert server.values("xrootd_bad_reports") == [1]
    assert server.values("xrootd_read_bytes") == [3]


def test_the_first_report_is_the_base(server: Server) -> None:
    server.take(report(100, sent=10**12, received=10**9))
    assert server.values("xrootd_read_bytes") == [0]
    assert server.values("xrootd_written_bytes") == [0]


def test_read_is_what_the_server_sent_and_written_what_it_received(server: Server) -> None:
    server.take(report(100, sent=1000, received=500), report(110, sent=1700, received=540))
    assert server.values("xrootd_read_bytes") == [700]
    assert server.values("xrootd_written_bytes") == [40]


def test_a_lost_report_loses_no_bytes(server: Server) -> None:
    server.take(report(100, sent=1000), report(150, sent=6000))
    assert server.values("xrootd_read_bytes") == [5000]


def test_after_a_restart_the_counters_go_on(server: Server) -> None:
    server.take(report(100, sent=1000), report(110, sent=1700), report(121, sent=30, pid=8, tos=119))
    assert server.values("xrootd_read_bytes") == [730]


def test_a_restart_with_the_same_pid_is_seen_by_the_start_time(server: Server) -> None:
    server.take(report(100, sent=1000), report(121, sent=2000, tos=119))
    assert server.values("xrootd_read_bytes") == [2000]


def test_a_restart_within_the_same_second_is_seen_by_the_pid(server: Server) -> None:
    server.take(report(100, sent=1000), report(101, sent=2000, pid=8))
    assert server.values("xrootd_read_bytes") == [2000]


def test_a_real_kill_and_restart_goes_on(server: Server) -> None:
    server.take(*(file.read_bytes() for file in sorted(SAMPLES.glob("*.xml"))))
    assert server.values("xrootd_read_bytes") == [900612599 - 1898 + 368]
    assert server.values("xrootd_written_bytes") == [600301208 - 339 + 220]


def test_an_overtaken_report_is_dropped(server: Server) -> None:
    server.take(report(100, sent=0), report(120, sent=50), report(110, sent=20))
    assert server.values("xrootd_read_bytes") == [50]
    server.take(report(130, sent=60))
    assert server.values("xrootd_read_bytes") == [60]


def test_an_overtaken_report_does_not_make_its_server_younger(server: Server) -> None:
    server.take(report(120))
    server.now += 7
    server.take(report(110))
    assert server.values("xrootd_report_age_seconds") == [7]


def test_a_report_of_the_process_before_the_restart_is_dropped(server: Server) -> None:
    server.take(report(100, sent=10**9), report(121, sent=5, pid=8, tos=119), report(110, sent=10**9))
    server.take(report(131, sent=9, pid=8, tos=119))
    assert server.values("xrootd_read_bytes") == [9]


def test_servers_are_told_apart(server: Server) -> None:
    server.take(report(100, src="a:1094"), report(100, src="b:1094"), report(110, sent=5, src="b:1094"))
    assert server.values("xrootd_read_bytes") == [0, 5]
    assert server.values("xrootd_connections") == [3, 3]


def test_a_silent_server_is_left_out_and_goes_on_when_it_is_back(server: Server) -> None:
    server.take(report(100, sent=10, src="a:1094"), report(110, sent=15, src="a:1094"))
    server.now += TTL_S + 1
    server.take(report(200, src="b:1094"))
    assert server.values("xrootd_read_bytes") == [0]
    server.take(report(210, sent=17, src="a:1094"))
    assert server.values("xrootd_read_bytes") == [7, 0]


def test_without_any_report_the_source_is_unavailable(server: Server) -> None:
    with pytest.raises(
        SourceUnavailable, match=r"no report so far on UDP 127\.0\.0\.1:0; the servers need 'xrd\.report"
    ):
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
    with pytest.raises(SourceUnavailable) as down:
        server.receiver.read()
    assert [(m.name, m.samples[0].value) for m in down.value.known] == [("xrootd_bad_reports", 1)]


def test_invented_servers_cannot_fill_the_memory(server: Server) -> None:
    server.take(*(report(src=f"x{n}:1") for n in range(MAX_SERVERS + 5)))
    assert len(server.values("xrootd_connections")) == MAX_SERVERS
    assert server.values("xrootd_bad_reports") == [5]


def test_reports_arrive_over_the_network() -> None:
    with receiving(LOOPBACK, TTL_S) as receiver, socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.sendto(b"noise", receiver.server_address)
        sender.sendto(report(), receiver.server_address)
        wait_until(receiver.reported.is_set, 30, "the report")
        assert len(receiver.read()) == 5
