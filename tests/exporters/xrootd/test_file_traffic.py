"""What the packets of detailed monitoring add up to."""

import pytest

from exporters.serving import Address, SourceUnavailable
from exporters.xrootd import file_counters, file_traffic, open_files
from exporters.xrootd.file_counters import Labels
from exporters.xrootd.file_traffic import FileTraffic
from exporters.xrootd.fstream import MAX_NAME_CHARACTERS
from tests.exporters.xrootd.fstream_packets import (
    SENDER,
    STARTED_AT_S,
    captured,
    closed,
    files,
    left,
    moved,
    opened,
    packet,
    path,
    server,
    user,
)

TTL_S = 90
RESTARTED_AT_S = STARTED_AT_S + 1000

Series = dict[tuple[str, ...], float]


class Site:
    """What a site's servers send, and what comes of it; the clock is set by the test."""

    def __init__(self, **labels: object) -> None:
        self.now = 1000.0
        self.traffic = FileTraffic(Address("127.0.0.1", 9930), TTL_S, Labels(**labels), clock=lambda: self.now)

    def take(self, *packets: bytes, sender: tuple[object, ...] = SENDER) -> None:
        for each in packets:
            self.traffic.take(each, sender)

    def series(self, name: str) -> Series:
        (metric,) = [metric for metric in self.traffic.read() if metric.name == f"xrootd_fstream_{name}"]
        return {tuple(sample.labels.values()): sample.value for sample in metric.samples}

    @property
    def read(self) -> Series:
        return self.series("read_bytes")

    @property
    def written(self) -> Series:
        return self.series("written_bytes")


@pytest.fixture
def site() -> Site:
    """Give a site with one server that has introduced itself, and alice, who is logged in as number 3."""
    site = Site()
    site.take(server(0), user(1, 3))
    return site


def test_bytes_are_those_of_the_user_who_has_the_file_open(site: Site) -> None:
    site.take(user(2, 5, "bob"), files(0, opened(4, user_id=3), opened(6, user_id=5)))
    site.take(files(1, moved(4, read=100, readv=20), moved(6, written=7)))
    assert site.read == {("vm:1094", "alice"): 120, ("vm:1094", "bob"): 0}
    assert site.written == {("vm:1094", "alice"): 0, ("vm:1094", "bob"): 7}


def test_records_are_totals_and_only_what_is_new_is_added(site: Site) -> None:
    site.take(files(0, opened(4)), files(1, moved(4, read=100)), files(2, moved(4, read=250)))
    assert site.read == {("vm:1094", "alice"): 250}
    site.take(files(3, closed(4, read=300)))
    assert site.read == {("vm:1094", "alice"): 300}


def test_a_transfer_that_is_told_at_its_close_only_is_counted_then(site: Site) -> None:
    site.take(files(0, opened(4), closed(4, written=300), left(3)))
    assert site.written == {("vm:1094", "alice"): 300}


def test_a_lost_record_is_caught_up_by_the_next_one(site: Site) -> None:
    site.take(files(0, opened(4)), files(1, moved(4, read=100)), files(3, closed(4, read=300)))
    assert site.read == {("vm:1094", "alice"): 300}


def test_the_captured_packets_add_up_to_what_was_moved() -> None:
    site = Site()
    names = ("00110-eq-ident", "00112-u-login", "00113-d-path", "00115-f-open-write", "00116-t-trace")
    site.take(*map(captured, (*names, "00124-f-close-pgwrite", "00131-f-open-read")))
    site.take(captured("00267-f-open+xfr-read"), captured("00268-f-xfr-read"))
    assert site.written == {("vm:21094", "root"): 300292972, ("vm:21094", "unknown"): 0}
    # The login of user 9 is none of the samples.
    assert site.read == {("vm:21094", "root"): 0, ("vm:21094", "unknown"): 184549376}


def test_a_file_that_was_open_before_anybody_listened_counts_from_its_first_record() -> None:
    site = Site()
    site.take(
        files(7, moved(4, read=10**12)), files(8, moved(4, read=10**12 + 5)), files(9, closed(4, read=10**12 + 8))
    )
    assert site.read == {("192.0.2.7", "unknown"): 8}


def test_a_file_that_is_closed_and_was_open_before_anybody_listened_counts_nothing() -> None:
    site = Site()
    site.take(files(7, closed(4, read=10**12)))
    assert site.read == {}


def test_a_file_opened_before_others_that_were_seen_to_be_opened_counts_from_its_first_record(site: Site) -> None:
    site.take(files(0, opened(6)), files(1, moved(2, read=10**12)))
    assert site.read == {}


def test_a_lost_open_record_leaves_the_bytes_without_a_user_but_loses_none(site: Site) -> None:
    site.take(files(1, moved(4, read=100)), files(2, closed(4, read=250)))
    assert site.read == {("vm:1094", "unknown"): 250}


def test_an_open_record_that_was_overtaken_still_says_whose_the_file_is(site: Site) -> None:
    site.take(files(0), files(2, moved(4, read=100)), files(1, opened(4)), files(3, moved(4, read=150)))
    assert site.read == {("vm:1094", "unknown"): 100, ("vm:1094", "alice"): 50}


def test_a_record_that_was_overtaken_takes_nothing_away_and_opens_nothing(site: Site) -> None:
    site.take(files(0, opened(4)), files(2, moved(4, read=100)), files(1, moved(4, read=60)))
    assert site.read == {("vm:1094", "alice"): 100}
    site.take(files(4, closed(4, read=130)), files(3, moved(4, read=120)))
    assert site.read == {("vm:1094", "alice"): 130}
    assert site.series("open_files") == {("vm:1094",): 0}


def test_a_packet_that_comes_twice_counts_once(site: Site) -> None:
    whole_life = files(0, opened(4), moved(4, read=100), closed(4, read=200))
    site.take(whole_life, whole_life, whole_life)
    assert site.read == {("vm:1094", "alice"): 200}
    assert site.series("lost_packets") == {("vm:1094", "f"): 0, ("vm:1094", "map"): 0}


def test_a_login_that_comes_after_the_open_record_counts_from_then_on(site: Site) -> None:
    site.take(files(0, opened(6, user_id=5)), files(1, moved(6, read=1)), user(2, 5, "bob"), files(2, moved(6, read=3)))
    assert site.read == {("vm:1094", "unknown"): 1, ("vm:1094", "bob"): 2}


def test_who_has_left_is_forgotten_with_all_that_was_left_open(site: Site) -> None:
    site.take(files(0, opened(4), opened(5), moved(4, read=100)), files(1, left(3)))
    assert site.series("open_files") == {("vm:1094",): 0}
    (process,) = site.traffic._processes.values()
    assert process.files.entries == 0
    assert process.files._files_of == {}
    # Should the file be heard of again, its bytes are not counted again.
    site.take(files(2, closed(4, read=100)))
    assert site.read == {("vm:1094", "alice"): 100}


def test_without_paths_in_the_open_records_the_map_of_paths_says_whose_a_file_is() -> None:
    for by, label in (("user", "bob"), ("path", "/store/mc")):
        site = Site(by=by)
        site.take(server(0), path(1, 4, "bob", "/store/mc/x/a.root"), files(0, closed(4, read=9)))
        assert site.read == {("vm:1094", label): 9}


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("/store/user/alice/a.root", "/store/user"),
        ("//store//user///a.root", "/store/user"),
        ("/store/a.root", "/store"),
        ("/a.root", "/"),
        ("a.root", "/"),
        ("", "/"),
    ],
)
def test_by_path_the_first_folders_count(name: str, label: str) -> None:
    site = Site(by="path", path_depth=2)
    site.take(server(0), user(1, 3), files(0, opened(4, path=name), closed(4, read=5)))
    assert site.read == {("vm:1094", label): 5}
    (metric,) = [metric for metric in site.traffic.read() if metric.name == "xrootd_fstream_read_bytes"]
    assert list(metric.samples[0].labels) == ["server", "path"]


def test_files_open_now_are_counted(site: Site) -> None:
    site.take(files(0, opened(4), opened(5), opened(6)), files(1, closed(5)))
    assert site.series("open_files") == {("vm:1094",): 2}


def test_until_a_server_has_introduced_itself_its_address_is_its_name_and_no_counter_falls() -> None:
    site = Site()
    site.take(files(0, opened(4, user_id=0), moved(4, read=5)), files(3, moved(4, read=6)), server(7), user(8, 3))
    site.take(files(4, moved(4, read=9)))
    assert site.read == {("192.0.2.7", "unknown"): 6, ("vm:1094", "unknown"): 3}


def test_a_restarted_server_counts_on_and_what_it_had_open_is_closed(site: Site) -> None:
    site.take(files(0, opened(4)), files(1, moved(4, read=100)))
    restarted = ("192.0.2.7", 50001)
    site.take(server(0, started_at_s=RESTARTED_AT_S), user(1, 3, "bob", RESTARTED_AT_S), sender=restarted)
    assert site.series("open_files") == {("vm:1094",): 0}
    site.take(files(0, opened(4), closed(4, read=30), started_at_s=RESTARTED_AT_S), sender=restarted)
    assert site.read == {("vm:1094", "alice"): 100, ("vm:1094", "bob"): 30}
    assert site.series("lost_packets") == {("vm:1094", "f"): 0, ("vm:1094", "map"): 0}


def test_a_server_that_restarts_with_the_same_port_keeps_its_name(site: Site) -> None:
    site.take(files(0, opened(4)), files(1, moved(4, read=100)))
    site.take(files(0, opened(4, user_id=0), moved(4, read=30), started_at_s=RESTARTED_AT_S))
    assert site.read == {("vm:1094", "alice"): 100, ("vm:1094", "unknown"): 30}
    assert site.series("open_files") == {("vm:1094",): 1}


def test_servers_are_told_apart_though_their_numbers_are_the_same(site: Site) -> None:
    other = ("192.0.2.8", SENDER[1])
    site.take(server(0, "other"), user(1, 3, "bob"), files(0, opened(4)), sender=other)
    site.take(files(0, opened(4)), files(1, moved(4, read=1)))
    site.take(files(1, moved(4, read=2)), sender=other)
    assert site.read == {("vm:1094", "alice"): 1, ("other:1094", "bob"): 2}
    assert site.series("open_files") == {("other:1094",): 1, ("vm:1094",): 1}


def test_losses_are_counted_by_server_and_family_of_numbers(site: Site) -> None:
    site.take(*(files(number) for number in (0, 1, 4, *range(5, 25))))
    site.take(*(packet("t", number, b"") for number in range(3, 23)))
    assert site.series("lost_packets") == {("vm:1094", "f"): 2, ("vm:1094", "map"): 1}


def test_the_numbers_of_plug_ins_are_nobodys_loss(site: Site) -> None:
    site.take(*(packet("g", number, b"") for number in (0, 0, 50, 100)), *(server(number) for number in range(2, 30)))
    assert site.series("lost_packets") == {("vm:1094", "map"): 0}


def test_what_is_no_packet_is_counted_and_changes_nothing(site: Site) -> None:
    site.take(files(0, opened(4)), files(1, moved(4, read=5)), b"noise", files(2, moved(4, read=10**9))[:-1])
    assert site.series("bad_packets") == {(): 2}
    assert site.series("packets") == {(): 4}
    assert site.read == {("vm:1094", "alice"): 5}


def test_without_any_packet_the_source_is_unavailable_and_its_packets_are_known() -> None:
    site = Site()
    site.take(b"noise")
    with pytest.raises(
        SourceUnavailable, match=r"no packet .* so far on UDP 127\.0\.0\.1:9930; the servers need"
    ) as down:
        site.traffic.read()
    assert [(metric.name, [sample.value for sample in metric.samples]) for metric in down.value.known] == [
        ("xrootd_fstream_packets", [0]),
        ("xrootd_fstream_bad_packets", [1]),
        ("xrootd_fstream_lost_packets", []),
    ]
    assert site.traffic.newest() is None
    assert not site.traffic.heard.is_set()


def test_when_all_are_silent_the_source_is_unavailable(site: Site) -> None:
    site.now += TTL_S + 1
    with pytest.raises(SourceUnavailable, match="no packet of detailed monitoring within 90 s"):
        site.traffic.read()
    assert site.traffic.newest() == 1000


def test_a_silent_server_is_left_out_and_goes_on_when_it_is_back(site: Site) -> None:
    site.take(files(0, opened(4)), files(1, moved(4, read=10)))
    site.now += TTL_S + 1
    site.take(server(0, "other"), sender=("192.0.2.8", 1))
    assert site.read == {}
    assert site.series("open_files") == {("other:1094",): 0}
    site.take(files(2, moved(4, read=17)))
    assert site.read == {("vm:1094", "alice"): 17}


def test_beyond_the_most_series_the_rest_is_pooled_and_who_has_one_keeps_it() -> None:
    site = Site(max_series=2)
    site.take(server(0), *(user(n, n, f"user{n}") for n in range(1, 6)))
    site.take(
        files(0, *(opened(10 + n, user_id=n) for n in range(1, 6)), *(moved(10 + n, read=n) for n in range(1, 6)))
    )
    assert site.read == {("vm:1094", "_other"): 3 + 4 + 5, ("vm:1094", "user1"): 1, ("vm:1094", "user2"): 2}
    site.take(files(1, moved(11, read=100)))
    assert site.read[("vm:1094", "user1")] == 100


@pytest.mark.parametrize(("by", "start"), [("user", "x"), ("path", "/x")])
def test_a_label_is_no_longer_than_is_sane(by: str, start: str) -> None:
    site = Site(by=by)
    site.take(server(0), user(1, 3, "x" * 1000), files(0, opened(4, path=f"/{'x' * 1000}/a"), closed(4, read=1)))
    ((_, label),) = site.read
    assert label == start.ljust(MAX_NAME_CHARACTERS, "x")


def test_invented_servers_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_counters, "MAX_SERVERS", 5)
    monkeypatch.setattr(file_traffic, "MAX_SERVERS", 5)
    site = Site(max_series=3)
    for number in range(50):
        packets = server(0, f"x{number}"), user(1, 3, f"u{number}"), files(0, opened(4), moved(4, read=1))
        site.take(*packets, sender=(f"10.0.0.{number}", 1))
    assert len(site.traffic._processes) == 5
    # One more each, for the rest.
    assert len(site.series("open_files")) <= 5 + 1
    assert len(site.read) <= 3 + 5 + 1
    assert sum(site.read.values()) == 50


def test_files_that_are_never_closed_cannot_fill_the_memory_and_are_not_counted_twice(
    monkeypatch: pytest.MonkeyPatch, site: Site
) -> None:
    monkeypatch.setattr(open_files, "MAX_FILES", 3)
    site.take(
        files(0, *(opened(number) for number in range(4, 14)), *(moved(number, read=10) for number in range(4, 14)))
    )
    assert site.series("open_files") == {("vm:1094",): 3}
    before = site.read
    site.take(files(1, *(closed(number, read=10) for number in range(4, 14))))
    assert site.read == before


def test_users_who_never_leave_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    monkeypatch.setattr(open_files, "MAX_USERS", 3)
    site.take(*(user(number, number, f"u{number}") for number in range(4, 14)))
    (process,) = site.traffic._processes.values()
    assert process.files.entries == 3


def test_all_servers_together_cannot_fill_the_memory_and_the_silent_ones_go_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(file_traffic, "MAX_ENTRIES", 10)
    site = Site()
    for number in range(8):
        site.take(files(0, *(opened(file_id) for file_id in range(1, 5))), sender=("10.0.0.1", number))
    assert sum(process.files.entries for process in site.traffic._processes.values()) == site.traffic._entries == 8
    assert list(site.traffic._processes) == [("10.0.0.1", 6), ("10.0.0.1", 7)]
