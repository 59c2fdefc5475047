"""The exposition of the detailed monitoring over captured packets."""

from exporters.serving import Address, Source
from exporters.xrootd.file_counters import Labels
from exporters.xrootd.file_traffic import FileTraffic
from tests.exporters.exposition import NOW, assert_golden, exposition
from tests.exporters.xrootd.fstream_packets import SAMPLES, SENDER


def traffic(by: str, *packets: bytes) -> Source:
    files = FileTraffic(Address("127.0.0.1", 9930), 90, Labels(by), clock=lambda: NOW - 4)
    for packet in packets:
        files.take(packet, SENDER)
    return Source("xrootd_fstream", files.read, files.newest)


def test_a_server_that_tells_about_its_files() -> None:
    packets = [file.read_bytes() for file in sorted(SAMPLES.glob("*.bin"))]
    assert_golden("xrootd_fstream", exposition(traffic("user", *packets)))
    assert_golden("xrootd_fstream_by_path", exposition(traffic("path", *packets)))


def test_no_server() -> None:
    assert_golden("xrootd_fstream_down", exposition(traffic("user")))
