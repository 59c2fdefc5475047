"""No datagrams make the reception of detailed monitoring raise, loop, make a counter fall, or write nonsense."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exporters.serving import Address, Source, SourceCollector
from exporters.xrootd.file_counters import Labels
from exporters.xrootd.file_traffic import FileTraffic
from exporters.xrootd.fstream import BadPacket, parse_fstream
from tests.exporters.fuzzing import cut_and_changed, unhurried
from tests.exporters.xrootd.fstream_packets import SAMPLES, closed, files, left, moved, opened, path, server, user

CAPTURED = sorted(file.read_bytes() for file in SAMPLES.glob("*.bin"))

numbers = st.integers(0, 6)
sizes = st.integers(0, 2**63 - 1)
starts = st.integers(1, 2)
records = (
    st.builds(opened, numbers, numbers, st.sampled_from(["/a/b/c", "/", "x"]))
    | st.builds(moved, numbers, sizes, sizes, sizes)
    | st.builds(closed, numbers, sizes, sizes, sizes)
    | st.builds(left, numbers)
)
made = (
    st.builds(lambda number, made, start: files(number, *made, started_at_s=start), numbers, st.lists(records), starts)
    | st.builds(user, numbers, numbers, st.text("ab.", min_size=1), starts)
    | st.builds(path, numbers, numbers)
    | st.builds(server, numbers, st.sampled_from(["a", "b"]), numbers, starts)
)
datagrams = st.binary() | st.sampled_from(CAPTURED) | st.sampled_from(CAPTURED).flatmap(cut_and_changed) | made
senders = st.tuples(st.sampled_from(["192.0.2.1", "192.0.2.2"]), st.integers(1, 2))


@unhurried
@given(datagrams)
def test_a_datagram_is_read_or_refused(datagram: bytes) -> None:
    with suppress(BadPacket):
        parse_fstream(datagram)


def counters(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(generate_latest(registry).decode())
    samples = [sample for family in families if family.type == "counter" for sample in family.samples]
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples}


@unhurried
@given(st.lists(st.tuples(datagrams, senders)), st.sampled_from(["user", "path"]), st.integers(1, 4))
def test_any_packets_leave_counters_that_can_be_written_and_never_fall(
    packets: list[tuple[bytes, tuple[str, int]]], by: str, max_series: int
) -> None:
    traffic = FileTraffic(Address("127.0.0.1", 9930), 90, Labels(by, max_series=max_series), clock=lambda: 0.0)
    registry = CollectorRegistry()
    registry.register(SourceCollector(Source("xrootd_fstream", traffic.read)))
    before = counters(registry)
    for datagram, sender in packets:
        traffic.take(datagram, sender)
        after = counters(registry)
        assert [name for name, value in before.items() if not value <= after[name]] == []
        before = after
    taken = [before[f"xrootd_fstream_{name}_total",] for name in ("packets", "bad_packets")]
    assert sum(taken) == len(packets)
    assert_consistent(traffic)


def assert_consistent(traffic: FileTraffic) -> None:
    """Hold what is kept in several places against each other."""
    processes = traffic._processes.values()
    assert traffic._entries == sum(process.files.entries for process in processes)
    for process in processes:
        of_users = sorted(file_id for ids in process.files._files_of.values() for file_id in ids)
        assert of_users == sorted(file_id for file_id, file in process.files._files.items() if file.user_id)
