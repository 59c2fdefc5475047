"""What xproofd's log says of the sessions and the queue."""

import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.proof.daemon_log import DaemonLog, Known, log_metrics
from exporters.proof.log_entries import Entry, Kind, parse_log
from exporters.serving import Source, SourceUnavailable
from tests.exporters.exposition import NOW, SAMPLES, assert_golden, exposition
from tests.exporters.fuzzing import cut_and_changed, unhurried
from tests.testbed.fake_xproofd import FakeXproofd

CAPTURED = (SAMPLES / "proof" / "xproofd-log.txt").read_bytes()
SESSIONS = "ProofServCron: {} sessions are currently active"
RUNNING = "ProofServMgr::BroadcastClusterInfo: tot: 3, act: {}"
ALMOST_AN_ENTRY = rb"[0-9]{6} [0-9:]{8} 1 xpd-I: (ProofServCron: |DumpQueues:  \+\+\+ #)[^\n]*\n"
WAITING = "DumpQueues:  +++ # of waiting sessions: {}"


class Log:
    """A log and its reader, whose clock stands at ``now`` (seconds since the epoch)."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.now = NOW
        self.xproofd = FakeXproofd(log=file)
        self.reader = DaemonLog(file, clock=lambda: self.now)

    def write(self, text: str, number: int = 0, at_s: float | None = None) -> None:
        """Write one line, which says that it is of ``at_s``, but is written now."""
        self.xproofd.write(text.format(number), self.now if at_s is None else at_s)
        self.touch()

    def touch(self) -> None:
        os.utime(self.file, (self.now, self.now))

    def values(self) -> dict[str, float]:
        samples = [sample for metric in self.reader.read() for sample in metric.samples]
        return {sample.name.removeprefix("proof_log_"): sample.value for sample in samples}

    def reason(self) -> str:
        with pytest.raises(SourceUnavailable) as caught:
            self.reader.read()
        return caught.value.reason


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path / "xproofd.log")
    with closing(log.reader):
        yield log


def line(text: str, stamp: str = "261122 11:37:45") -> bytes:
    return f"{stamp} 17945 xpd-I: {text}\n".encode()


# The lines.


@pytest.mark.parametrize(
    ("text", "kind", "number"),
    [
        ("ProofServCron: 3 sessions are currently active", Kind.SESSIONS, 3),
        ("ProofServMgr::BroadcastClusterInfo: tot: 3, act: 1", Kind.RUNNING, 1),
        ("DumpQueues:  +++ # of waiting sessions: 2", Kind.WAITING, 2),
        ("DumpQueues:  +++ #1 client:ganis # of queries: 4", Kind.QUERIES, 4),
    ],
)
def test_a_line_tells_its_number_and_its_local_time(text: str, kind: Kind, number: int) -> None:
    written_at_s = time.mktime((2026, 11, 22, 11, 37, 45, 0, 0, -1))
    assert list(parse_log(line(text))) == [Entry(kind, number, written_at_s)]


def test_a_start_of_the_daemon_is_told() -> None:
    assert list(parse_log(b"++++++ xproofd anon@localhost initialization started.\n")) == [Entry(Kind.STARTED)]


@pytest.mark.parametrize(
    "lines",
    [
        line("ProofServMgr::BroadcastClusterInfo: enter"),
        line("DumpQueues:  +++ Called from: Enqueue"),
        line("ProofServCron: 3 sessions are currently active and more"),
        line("ProofServCron: -1 sessions are currently active"),
        line("ProofServCron: 1234567890 sessions are currently active"),
        line("ProofServCron: 3 sessions are currently active", "269922 11:37:45"),
        line("ProofServCron: 3 sessions are currently active", "261122 25:37:45"),
        line(
            "u.1:2@h: Admin::SetSessionAlias: 261122 11:37:45 1 xpd-I: ProofServCron: 3 sessions are currently active"
        ),
        line("u.1:2@h: ProofServCron: 3 sessions are currently active"),
        b"ProofServCron: 3 sessions are currently active\n",
        line("x ++++++ xproofd anon@localhost initialization started."),
        line("\xff\xfe"),
        b"\xff\0\n",
    ],
)
def test_any_other_line_tells_nothing(lines: bytes) -> None:
    assert list(parse_log(lines)) == []


def test_the_captured_log_tells_its_story_in_order() -> None:
    assert [(entry.kind, entry.number) for entry in parse_log(CAPTURED)] == [
        (Kind.STARTED, 0),
        (Kind.RUNNING, 1),
        (Kind.RUNNING, 1),
        (Kind.SESSIONS, 3),
        (Kind.SESSIONS, 3),
    ]


@unhurried
@given(
    st.binary()
    | cut_and_changed(CAPTURED)
    | st.lists(st.from_regex(rb"[0-9]{6} [0-9:]{8} 1 xpd-I: (ProofServCron: |DumpQueues:  \+\+\+ #)[^\n]*\n")).map(
        b"".join
    )
)
def test_any_log_tells_something_or_nothing(lines: bytes) -> None:
    known = Known()
    for entry in parse_log(lines):
        known = known.after(entry, entry.written_at_s)
    list(log_metrics(known, NOW, 300))


# What is known, and for how long.


def test_what_the_log_says_last_is_what_is_true(log: Log) -> None:
    for number in (5, 2):
        log.write(SESSIONS, number)
        log.write(RUNNING, number)
        log.write(WAITING, 0)
    assert log.values() == {"sessions": 2, "running_sessions": 2, "waiting_sessions": 0, "waiting_queries": 0}


def test_what_the_log_does_not_say_is_absent(log: Log) -> None:
    log.write("Manager::Config: configuring")
    assert log.values() == {}
    assert log.reader.waiting_sessions() is None


def test_new_lines_are_known_at_the_next_read(log: Log) -> None:
    log.write(SESSIONS, 1)
    assert log.values() == {"sessions": 1}
    log.write(SESSIONS, 2)
    log.write(RUNNING, 1)
    assert log.values() == {"sessions": 2, "running_sessions": 1}


def test_the_running_sessions_stay_true_as_long_as_the_sessions_are_checked(log: Log) -> None:
    log.write(RUNNING, 1)
    for _ in range(100):
        log.now += 150
        log.write(SESSIONS, 3)
        assert log.values() == {"sessions": 3, "running_sessions": 1}


def test_without_any_session_none_is_running_though_nobody_says_so(log: Log) -> None:
    log.write(RUNNING, 1)
    log.write(SESSIONS, 0)
    assert log.values() == {"sessions": 0, "running_sessions": 0}


def test_without_a_check_of_the_sessions_they_are_unknown_even_if_others_write(log: Log) -> None:
    log.write(SESSIONS, 3)
    log.write(RUNNING, 1)
    log.values()
    log.now += 301
    log.write("Protocol::Process: something")
    assert log.values() == {}


def test_the_queue_is_unknown_when_it_has_not_been_written_for_three_checks(log: Log) -> None:
    log.write(WAITING, 2)
    log.now += 90
    log.write(SESSIONS, 3)
    log.values()
    assert log.reader.waiting_sessions() == 2
    log.now += 1
    assert log.reader.waiting_sessions() is None
    assert log.values() == {"sessions": 3}


def test_the_queries_are_those_of_all_sessions_in_the_queue(log: Log) -> None:
    log.now = time.time()
    log.xproofd.dump_queue({"ganis": 2, "alice": 1})
    log.touch()
    assert log.values() == {"waiting_sessions": 2, "waiting_queries": 3}


def test_the_queries_are_absent_while_a_line_is_missing(log: Log) -> None:
    log.write(WAITING, 2)
    log.write("DumpQueues:  +++ #1 client:ganis # of queries: 2")
    assert log.values() == {"waiting_sessions": 2}
    log.write("DumpQueues:  +++ #2 client:alice # of queries: 1")
    assert log.values() == {"waiting_sessions": 2, "waiting_queries": 3}


def test_a_new_daemon_knows_nothing_of_the_old_one(log: Log) -> None:
    log.write(SESSIONS, 3)
    log.write(RUNNING, 1)
    log.write(WAITING, 2)
    log.values()
    log.xproofd.write_raw(b"++++++ xproofd anon@localhost initialization started.\n")
    log.touch()
    assert log.values() == {}


def test_a_truncated_log_makes_all_unknown_until_it_is_said_again(log: Log) -> None:
    log.write(SESSIONS, 3)
    log.write(RUNNING, 1)
    log.values()
    os.truncate(log.file, 0)
    log.write(SESSIONS, 3)
    assert log.values() == {"sessions": 3}


def test_a_rotated_log_loses_nothing(log: Log) -> None:
    log.write(RUNNING, 1)
    log.values()
    log.write(RUNNING, 2)
    log.file.rename(log.file.with_suffix(".1"))
    log.write(SESSIONS, 3)
    assert log.values() == {"sessions": 3, "running_sessions": 2}


# The time.


def test_at_first_the_lines_are_as_old_as_they_say(log: Log) -> None:
    log.write(WAITING, 2, at_s=log.now - 91)
    log.write(SESSIONS, 3, at_s=log.now - 300)
    assert log.values() == {"sessions": 3}


def test_later_they_cannot_be_older_than_the_last_read_whatever_their_time_zone(log: Log) -> None:
    log.write(SESSIONS, 3)
    log.values()
    log.now += 15
    log.write(WAITING, 2, at_s=log.now - 3600)
    log.values()
    assert log.reader.waiting_sessions() == 2


def test_a_read_that_hangs_leaves_the_queue_unknown_and_holds_up_nobody(log: Log) -> None:
    log.write(WAITING, 2)
    log.values()
    with log.reader._lock:
        assert log.reader.waiting_sessions() is None
    assert log.reader.waiting_sessions() == 2


def test_they_cannot_be_younger_than_the_file_whatever_their_time_zone(log: Log) -> None:
    log.write(WAITING, 2, at_s=log.now + 3600)
    log.now += 91
    assert log.values() == {}


def test_a_log_nobody_writes_is_unavailable(log: Log) -> None:
    log.write(SESSIONS, 3)
    log.now += 300
    assert log.values() == {"sessions": 3}
    log.now += 1
    assert log.reason() == (
        f"nothing was written to {log.file} for more than 300 s, though xproofd does so at each check of its sessions: "
        "it hangs, is not running, or writes to another file"
    )
    assert log.reader.waiting_sessions() is None


def test_after_a_silence_what_nobody_contradicted_is_true_again(log: Log) -> None:
    log.write(RUNNING, 1)
    log.now += 301
    log.reason()
    log.write(WAITING, 0)
    assert log.values() == {"waiting_sessions": 0, "waiting_queries": 0}
    log.write(SESSIONS, 3)
    assert log.values() == {"waiting_sessions": 0, "waiting_queries": 0, "sessions": 3, "running_sessions": 1}


# The file.


def test_a_log_that_is_not_there_is_unavailable(log: Log) -> None:
    assert log.reason() == (
        f"cannot read {log.file}: No such file or directory; --log must be the file xproofd writes to (-l), and this "
        "user must be allowed to read it"
    )


def test_a_folder_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=f"cannot read {tmp_path}: Is a directory"):
        DaemonLog(tmp_path).read()


def test_a_log_that_comes_back_is_read(log: Log) -> None:
    log.reason()
    log.write(SESSIONS, 3)
    assert log.values() == {"sessions": 3}


def test_a_log_that_was_removed_is_unavailable_when_its_last_lines_are_too_old(log: Log) -> None:
    log.write(SESSIONS, 3)
    log.values()
    log.file.unlink()
    assert log.values() == {"sessions": 3}
    log.now += 301
    assert "nothing was written" in log.reason()
    assert "No such file or directory" in log.reason()


def test_the_exposition(log: Log) -> None:
    log.file.write_bytes(CAPTURED)
    log.now = time.mktime((2026, 11, 22, 11, 38, 10, 0, 0, -1))
    log.write(WAITING, 1)
    log.write("DumpQueues:  +++ #1 client:ganis # of queries: 2")
    assert_golden("proof_log", exposition(Source("proof_log", log.reader.read)))
