"""The detailed monitoring as an option of the command, over real sockets."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from click.testing import CliRunner, Result

from exporters.serving import Address
from exporters.xrootd.file_counters import Labels
from exporters.xrootd.following import Fstream, following
from exporters.xrootd.main import command
from tests.exporters.xrootd.fstream_packets import closed, files, opened, server, user
from tests.exporters.xrootd.packets import report

DEADLINE_S = 30


def free_udp_address() -> tuple[str, int]:
    with socket.socket(type=socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        return receiver.getsockname()


@contextmanager
def sending(address: tuple[str, int], *packets: bytes) -> Iterator[None]:
    """Send the packets again and again, as nobody says when the receiver is there."""
    done = threading.Event()

    def send() -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            while not done.wait(0.05):
                for packet in packets:
                    sender.sendto(packet, address)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def run(*arguments: object) -> Result:
    words = [str(word) for word in (*arguments, "--once")]
    return CliRunner().invoke(command, words)


def text(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"


def test_packets_arrive_over_the_network() -> None:
    address = free_udp_address()
    packets = server(0), user(1, 3), files(0, opened(4), closed(4, read=5))
    with (
        following(Fstream(Address(*address), Labels()), DEADLINE_S) as traffic,
        sending(address, *packets),
    ):
        assert traffic.heard.wait(DEADLINE_S)


def test_the_command_exports_reports_and_detailed_monitoring_side_by_side() -> None:
    reports, details = free_udp_address(), free_udp_address()
    with sending(reports, report()), sending(details, server(0)):
        done = run("--report", text(reports), "--fstream", text(details), "--fstream-by", "path")
    assert done.exit_code == 0, done.output
    assert "xrootd_up 1.0" in done.output
    assert "xrootd_fstream_up 1.0" in done.output
    assert 'xrootd_fstream_open_files{server="vm:1094"} 0.0' in done.output


def test_without_the_option_there_is_no_detailed_monitoring() -> None:
    reports = free_udp_address()
    with sending(reports, report()):
        done = run("--report", text(reports))
    assert done.exit_code == 0
    assert "xrootd_fstream" not in done.output


def test_once_waits_for_both_together_as_long_as_for_one_and_says_which_is_down() -> None:
    details = free_udp_address()
    # The time-out is that of both, so it must be long enough for the packets that come, on a slow machine too.
    with sending(details, server(0)):
        done = run("--report", text(free_udp_address()), "--fstream", text(details), "--report-ttl", 10)
    assert done.exit_code == 1
    assert "xrootd_up 0.0" in done.output
    assert "xrootd_fstream_up 1.0" in done.output


def test_an_address_in_use_is_a_sentence() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        address = text(taken.getsockname())
        done = run("--report", text(free_udp_address()), "--fstream", address)
    assert done.exit_code == 1
    assert done.output == f"Error: cannot listen for UDP detailed monitoring on {address}: Address already in use.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--fstream", "9930"), "'9930' is not ADDR:PORT"),
        (("--fstream-by", "group"), "'group' is not one of 'user', 'path'"),
        (("--path-depth", "0"), "0 is not in the range 1<=x<=16"),
        (("--max-series", "0"), "0 is not in the range 1<=x<=100000"),
    ],
)
def test_wrong_usage_is_a_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    done = run("--report", "127.0.0.1:0", *arguments)
    assert done.exit_code == 2
    assert sentence in done.output
