"""What reports add up to."""

import pytest

from exporters.xrootd.reports import READ_BYTES, WRITTEN_BYTES, BadReport, Key, parse_report
from exporters.xrootd.tallies import FORGET_AFTER_S, MAX_SERVERS, Tallies, Tally
from tests.exporters.xrootd.packets import protocol, report, samples

TTL_S = 90
OPENED: Key = ("requests", "open")


def tally(*packets: bytes) -> Tally:
    first, *others = (parse_report(packet) for packet in packets)
    result = Tally.of(first, 1000.0)
    for number, other in enumerate(others, 1):
        result = result.after(other, 1000.0 + number)
    return result


def read_bytes(*packets: bytes) -> int:
    return tally(*packets).totals[READ_BYTES]


def test_the_first_report_is_the_base() -> None:
    assert tally(report(100, sent=10**12, received=10**9)).totals == {READ_BYTES: 0, WRITTEN_BYTES: 0}


def test_read_is_what_the_server_sent_and_written_what_it_received() -> None:
    totals = tally(report(100, sent=1000, received=500), report(110, sent=1700, received=540)).totals
    assert totals == {READ_BYTES: 700, WRITTEN_BYTES: 40}


def test_a_lost_report_loses_no_bytes() -> None:
    assert read_bytes(report(100, sent=1000), report(150, sent=6000)) == 5000


def test_a_report_that_comes_twice_counts_once() -> None:
    assert read_bytes(report(100), report(110, sent=50), report(110, sent=50)) == 50


def test_after_a_restart_the_counters_go_on() -> None:
    assert read_bytes(report(100, sent=1000), report(110, sent=1700), report(121, sent=30, pid=8, tos=119)) == 700 + 30


def test_a_restart_with_the_same_pid_is_seen_by_the_start_time() -> None:
    assert read_bytes(report(100, sent=1000), report(121, sent=2000, tos=119)) == 2000


def test_a_restart_within_the_same_second_is_seen_by_the_pid() -> None:
    assert read_bytes(report(100, sent=1000), report(101, sent=2000, pid=8)) == 2000


def test_a_restart_after_the_clock_was_set_back_is_a_restart() -> None:
    assert read_bytes(report(5000, tos=4000), report(200, sent=7, tos=190), report(210, sent=9, tos=190)) == 9


def test_a_real_kill_and_restart_goes_on() -> None:
    totals = tally(*samples()).totals
    assert totals[READ_BYTES] == 900612599 - 1898 + 368
    assert totals[WRITTEN_BYTES] == 600301208 - 339 + 220


def test_an_overtaken_report_changes_nothing_but_the_number_of_reports() -> None:
    before = tally(report(100, sent=0), report(120, sent=50))
    after = before.after(parse_report(report(110, sent=20)), 2000.0)
    assert (after.totals, after.came_at_s, after.reports) == (before.totals, before.came_at_s, before.reports + 1)


def test_a_report_overtaken_within_a_second_is_seen_by_its_bytes() -> None:
    assert read_bytes(report(100), report(110, sent=50), report(110, sent=20), report(120, sent=60)) == 60


def test_a_late_report_of_the_process_before_the_restart_still_counts_but_is_not_the_last_one() -> None:
    late = report(110, sent=10**9 + 7)
    grown = tally(report(100, sent=10**9), report(121, sent=5, pid=8, tos=119), late, late)
    assert grown.totals[READ_BYTES] == 5 + 7
    assert grown.report.pid == 8
    assert grown.came_at_s == 1001.0


def test_a_forged_report_of_another_process_does_not_silence_the_server() -> None:
    forged = report(10**9, sent=1000, pid=666)
    grown = tally(report(100, sent=10), report(110, sent=15), forged, report(120, sent=17), report(130, sent=18))
    assert grown.totals[READ_BYTES] == 5 + 1000 + 2 + 1
    assert grown.report.pid == 7
    assert grown.came_at_s == 1004.0


def test_two_servers_that_share_a_name_are_added_up() -> None:
    packets = (report(100 + n, sent=10 * n, pid=pid) for n in range(5) for pid in (7, 8))
    assert read_bytes(*packets) == 40 + 40


@pytest.mark.parametrize("servers", [2, 3, 8])
def test_as_many_servers_as_are_remembered_may_share_a_name(servers: int) -> None:
    """Each one's history counts once, when it is first heard of, and not again at each report."""
    pids = range(10, 10 + servers)
    packets = (report(100 + n, sent=1000 + 10 * n, pid=pid) for n in range(5) for pid in pids)
    assert read_bytes(*packets) == 40 * servers + 1000 * (servers - 1)


def test_bytes_have_64_bits_and_do_not_wrap() -> None:
    assert read_bytes(report(100, sent=4_000_000_000), report(101, sent=100_000), report(102, sent=100_007)) == 7


def test_a_server_whose_clock_was_set_back_is_heard() -> None:
    assert read_bytes(report(5000, sent=10), report(1400, sent=15), report(1410, sent=17)) == 7


def test_a_counter_that_wraps_goes_on() -> None:
    packets = [
        report(100 + number, more=protocol(opened=opened))
        for number, opened in enumerate((2**31 - 10, -(2**31) + 5, -3, 4))
    ]
    # To 2**31 - 1 and on to its negative: 10 + 5; all the negative numbers; and from -3 to 4.
    assert tally(*packets).totals[OPENED] == 15 + (2**31 - 8) + 7


def test_a_counter_that_falls_is_no_growth() -> None:
    packets = (report(100, more=protocol(opened=500)), report(101, more=protocol(opened=400)))
    assert tally(*packets).totals[OPENED] == 0
    assert read_bytes(report(100, sent=500), report(101, sent=400)) == 0


def test_one_impossible_report_does_not_stop_the_counter() -> None:
    forged = report(101, sent=2**62)
    packets = (report(100, sent=10), forged, report(102, sent=20), report(103, sent=25))
    assert read_bytes(*packets) == (2**62 - 10) + 5


def test_a_counter_that_was_not_there_before_begins_at_0() -> None:
    assert tally(report(100), report(110, more=protocol(opened=500))).totals[OPENED] == 0


def test_a_counter_that_is_no_longer_there_is_absent() -> None:
    assert OPENED not in tally(report(100, more=protocol(opened=500)), report(110)).totals


def filled(servers: int, now: float) -> Tallies:
    tallies = Tallies(TTL_S)
    for number in range(servers):
        tallies.add(parse_report(report(src=f"x{number}:1")), now)
    return tallies


def names(tallies: Tallies, now: float) -> list[str]:
    return [tally.report.sender[0] for tally in tallies.remembered(now)]


def test_invented_servers_cannot_fill_the_memory() -> None:
    tallies = filled(MAX_SERVERS, 1000.0)
    with pytest.raises(BadReport, match="too many servers"):
        tallies.add(parse_report(report(src="one-more:1")), 1000.0 + TTL_S)
    assert len(names(tallies, 1000.0)) == MAX_SERVERS


def test_a_new_server_gets_the_place_of_the_one_that_is_silent_for_longest() -> None:
    tallies = filled(MAX_SERVERS, 1000.0)
    tallies.add(parse_report(report(101, src="x0:1")), 1001.0)
    tallies.add(parse_report(report(src="new:1")), 1000.5 + TTL_S)
    found = names(tallies, 1000.5 + TTL_S)
    assert len(found) == MAX_SERVERS
    assert "x1:1" not in found
    assert {"x0:1", "x2:1", "new:1"} <= set(found)


def test_a_silent_server_is_remembered_until_it_is_forgotten() -> None:
    tallies = filled(1, 1000.0)
    assert names(tallies, 1000.0 + FORGET_AFTER_S) == ["x0:1"]
    assert names(tallies, 1001.0 + FORGET_AFTER_S) == []
