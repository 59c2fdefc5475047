"""The exposition of the sources of xrootd, over captured reports and captured answers."""

from exporters.serving import Address, Source
from exporters.xrootd.pull import Answer, Pull, parse_answer
from exporters.xrootd.receiver import ReportReceiver
from tests.exporters.exposition import NOW, assert_golden, exposition
from tests.exporters.xrootd.packets import ANSWER, report, samples


def reports(silent: list[bytes], talking: list[bytes]) -> Source:
    now = NOW - 3600
    receiver = ReportReceiver(Address("127.0.0.1", 9931), ttl_s=90, clock=lambda: now)
    receiver.dropped = lambda: 0
    for packet in silent:
        receiver.take(packet)
    now = NOW - 4
    for packet in talking:
        receiver.take(packet)
    now = NOW
    return Source("xrootd", receiver.read, receiver.newest)


def answer(server: Address) -> Answer:
    if server.host == "dead":
        raise ConnectionRefusedError(111, "Connection refused")
    return parse_answer(ANSWER)


def test_a_server_that_reports_and_one_that_is_silent() -> None:
    assert_golden("xrootd", exposition(reports([report(src="gone:1094")], samples())))


def test_no_server() -> None:
    assert_golden("xrootd_down", exposition(reports([], [])))


def test_a_server_that_answers_and_one_that_does_not() -> None:
    pull = Pull([Address("127.0.0.1", 1094), Address("dead", 1094)], answer, timer=lambda: 0.0)
    assert_golden("xrootd_pull", exposition(Source("xrootd_pull", pull.read)))
