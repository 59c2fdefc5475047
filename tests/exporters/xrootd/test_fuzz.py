"""No input makes a parser of xrootd's packets raise anything but its documented error."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from exporters.serving import Address, Source, SourceCollector
from exporters.xrootd.reports import BadReport, Receiver, parse_report
from tests.exporters.exposition import SAMPLES
from tests.exporters.fuzzing import cut_and_changed, unhurried

REPORT = (SAMPLES / "xrootd" / "06-during-read-a.xml").read_bytes()


@unhurried
@given(st.binary() | cut_and_changed(REPORT))
def test_a_report_is_read_or_refused(packet: bytes) -> None:
    with suppress(BadReport):
        parse_report(packet)


@unhurried
@given(st.lists(st.binary() | cut_and_changed(REPORT)))
def test_any_packets_leave_an_exposition_that_can_be_written(packets: list[bytes]) -> None:
    with Receiver(Address("127.0.0.1", 0), ttl_s=90) as receiver:
        for packet in packets:
            receiver.take(packet)
    registry = CollectorRegistry()
    registry.register(SourceCollector(Source("xrootd", receiver.read)))
    assert b"xrootd_bad_reports_total" in generate_latest(registry)
