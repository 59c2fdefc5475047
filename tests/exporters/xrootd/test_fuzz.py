"""No input makes a parser of what xrootd sends raise anything but its documented error."""

import itertools
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exporters.serving import Address, Source, SourceCollector
from exporters.xrootd.pull import Answer, BadAnswer, Pull, parse_answer
from exporters.xrootd.receiver import ReportReceiver
from exporters.xrootd.reports import BEGINNING, READ_BYTES, BadReport, parse_report
from exporters.xrootd.tallies import Tally
from tests.exporters.fuzzing import cut_and_changed, unhurried
from tests.exporters.xrootd.packets import ANSWER, report, sample

REPORT = sample("06-during-read-a")

# Whole reports with names and numbers that nobody would send.
texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.integers() | st.integers(-(2**33), 2**33)
reports = st.builds(
    lambda tod, sent, received, src, more: report(tod, sent=sent, received=received, src=src, more=more),
    numbers,
    numbers,
    numbers,
    texts,
    texts,
)
packets = st.binary() | cut_and_changed(REPORT) | reports | st.binary().map(BEGINNING.__add__)


@unhurried
@given(packets)
def test_a_report_is_read_or_refused(packet: bytes) -> None:
    with suppress(BadReport):
        parse_report(packet)


@unhurried
@given(st.lists(packets))
def test_any_packets_leave_an_exposition_that_can_be_read_and_is_nowhere_negative(packets: list[bytes]) -> None:
    receiver = ReportReceiver(Address("127.0.0.1", 9931), ttl_s=90)
    for packet in packets:
        receiver.take(packet)
    registry = CollectorRegistry()
    registry.register(SourceCollector(Source("xrootd", receiver.read)))
    text = generate_latest(registry).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert "xrootd_bad_reports_total" in {sample.name for sample in samples}
    assert all(sample.value >= 0 for sample in samples)


few = st.integers(0, 4)
orders = st.lists(st.builds(lambda tod, sent, pid: report(tod, sent=sent, pid=pid), few, few, few), min_size=1)


@unhurried
@given(orders)
def test_no_order_of_reports_and_processes_lets_a_counter_fall(packets: list[bytes]) -> None:
    reports = [parse_report(packet) for packet in packets]
    tallies = list(itertools.accumulate(reports[1:], lambda t, r: t.after(r, 0.0), initial=Tally.of(reports[0], 0.0)))
    assert all(before.totals[READ_BYTES] <= after.totals[READ_BYTES] for before, after in itertools.pairwise(tallies))
    assert tallies[-1].reports == len(packets)


@unhurried
@given(st.binary(max_size=40) | cut_and_changed(ANSWER))
def test_an_answer_is_read_or_refused(answer: bytes) -> None:
    with suppress(BadAnswer):
        parse_answer(answer)


@unhurried
@given(st.lists(st.binary(max_size=40) | cut_and_changed(ANSWER), min_size=1, max_size=4))
def test_any_answers_leave_an_exposition_that_can_be_read(answers: list[bytes]) -> None:
    def shake(server: Address) -> Answer:
        return parse_answer(answers[server.port])

    registry = CollectorRegistry()
    pull = Pull([Address("vm", port) for port in range(len(answers))], shake)
    registry.register(SourceCollector(Source("xrootd_pull", pull.read)))
    text = generate_latest(registry).decode()
    up = [f for f in text_string_to_metric_families(text) if f.name == "xrootd_pull_server_up"]
    assert len(up[0].samples) == len(answers)
