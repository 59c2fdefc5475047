"""The exposition of the xrootd source over captured reports."""

from pathlib import Path

from exporters.serving import Address, Source
from exporters.xrootd.reports import Receiver
from tests.exporters.exposition import NOW, SAMPLES, assert_golden, exposition


def reports(*files: Path) -> Source:
    with Receiver(Address("127.0.0.1", 0), ttl_s=90, clock=lambda: NOW - 4) as receiver:
        for file in files:
            receiver.take(file.read_bytes())
    receiver._clock = lambda: NOW
    return Source("xrootd", receiver.read, receiver.newest)


def test_a_server_that_reports() -> None:
    assert_golden("xrootd", exposition(reports(*sorted((SAMPLES / "xrootd").glob("*.xml")))))


def test_no_server() -> None:
    assert_golden("xrootd_down", exposition(reports()))
