"""PROOF sessions are read from SWF and CSV; what cannot be used is counted, or said in one sentence."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from autoscaler.simulation.traces.sessions import read_sessions
from autoscaler.simulation.traces.trace import TraceError
from autoscaler.simulation.workload import Session
from tests.simulation.traces.files import packed, swf_row, written


def refused(file: Path, **options: int) -> str:
    """Why the file cannot be read, without its name."""
    with pytest.raises(TraceError) as caught:
        read_sessions(file, **options)
    assert str(caught.value).startswith(str(file))
    return str(caught.value).removeprefix(str(file)).removeprefix(":").strip()


def test_swf_tells_sessions_users_and_the_clock(tmp_path: Path) -> None:
    trace = read_sessions(written(tmp_path, swf_row(3, 50.5, 8, user=12), swf_row(10, 20, 16, user=-1)))
    assert trace.content == (Session(3, 50.5, 8, user="12"), Session(10, 20, 16))
    assert trace.start == datetime(2004, 8, 4, 10, 32, 12, tzinfo=UTC)
    assert trace.timezone == ZoneInfo("Europe/Paris")
    assert list(trace.remarks()) == []


def test_gzip_is_told_by_its_content(tmp_path: Path) -> None:
    file = written(tmp_path, swf_row(3, 50, 8))
    plain = read_sessions(file)
    assert read_sessions(packed(file)) == plain


def test_one_queue_can_be_picked(tmp_path: Path) -> None:
    file = written(tmp_path, swf_row(1, queue=0), swf_row(2, queue=1), swf_row(3, queue=0))
    assert [session.submit_s for session in read_sessions(file, queue=0).content] == [1, 3]


def test_a_queue_without_a_session_is_an_error_that_names_the_others(tmp_path: Path) -> None:
    file = written(tmp_path, swf_row(queue=0), swf_row(queue=12), swf_row(queue=3), swf_row(run_s=0, queue=7))
    assert refused(file, queue=7) == (
        "no row of this queue can be used (1 x a run time of 0: it was never started); other queues: 0, 3, 12"
    )


def test_workers_are_the_processors_or_else_those_requested_or_a_constant(tmp_path: Path) -> None:
    file = written(tmp_path, swf_row(1, 60, 8), swf_row(2, 60, -1, requested=16), swf_row(3, 60, 0))
    assert [session.workers for session in read_sessions(file).content] == [8, 16]
    assert read_sessions(file).skipped == {"an unknown number of workers": 1}
    assert [session.workers for session in read_sessions(file, workers=4).content] == [4, 4, 4]


def test_what_a_session_reads_follows_from_a_rate_per_worker(tmp_path: Path) -> None:
    (session,) = read_sessions(written(tmp_path, swf_row(0, 60, 8)), read_bytes_per_worker_s=1000).content
    assert session.read_bytes == 60 * 8 * 1000


DIRT = {
    "an unknown run time": (swf_row(1, -1), "a negative or unknown run time"),
    "no run time": (swf_row(1, 0), "a run time of 0: it was never started"),
    "a negative submit time": (swf_row(-5), "a negative or unknown submit time"),
    "a run time that is not a number": (swf_row(1, "nan"), "no number where one is needed"),
    "letters": (swf_row("x"), "no number where one is needed"),
    "letters for processors": (swf_row(1, 60, "x"), "no number where one is needed"),
    "NaN processors": (swf_row(1, 60, "nan", requested="nan"), "an unknown number of workers"),
    "too few columns": ("1 2 3", "fewer than 18 columns"),
    "an endless run": (swf_row(1, "inf"), "a time that is out of this world"),
    "a submit time in milliseconds": (swf_row(1.6e12), "a time that is out of this world"),
    "a mad number of processors": (swf_row(1, 60, 1e9), "more than 10000 workers"),
    "a part of a swapped job": (swf_row(1, status=3), "a part of a job, which has a row of its own"),
}


@pytest.mark.parametrize(("row", "reason"), DIRT.values(), ids=DIRT)
def test_a_dirty_row_is_left_out_and_counted(tmp_path: Path, row: str, reason: str) -> None:
    trace = read_sessions(written(tmp_path, swf_row(1), row, row, swf_row(2)))
    assert [session.submit_s for session in trace.content] == [1, 2]
    assert trace.skipped == {reason: 2}
    assert list(trace.remarks()) == [f"{trace.path}: 2 rows skipped: {reason}"]


def test_rows_out_of_order_are_sorted_and_counted(tmp_path: Path) -> None:
    trace = read_sessions(written(tmp_path, swf_row(5), swf_row(1), swf_row(7), swf_row(6)))
    assert [session.submit_s for session in trace.content] == [1, 5, 6, 7]
    assert trace.notes == ("2 rows came after a later one: they were sorted",)


def test_comments_may_stand_anywhere(tmp_path: Path) -> None:
    assert len(read_sessions(written(tmp_path, swf_row(1), f"; {swf_row(2)}", "", swf_row(3))).content) == 2


CSV = "user,note,run_s,submit_s,workers\n"


def test_csv_has_its_columns_in_any_order_and_others_beside_them(tmp_path: Path) -> None:
    trace = read_sessions(written(tmp_path, "alice,x,60,10,8", 'bob,"a, b",30,20,4', header=CSV))
    assert trace.content == (Session(10, 60, 8, user="alice"), Session(20, 30, 4, user="bob"))


def test_csv_without_a_clock_is_in_unix_time_and_says_so(tmp_path: Path) -> None:
    trace = read_sessions(written(tmp_path, "1541203200,60,8", header="submit_s,run_s,workers\n"))
    assert trace.start == datetime(1970, 1, 1, tzinfo=UTC)
    assert trace.timezone == UTC
    assert trace.notes == (
        "has no UnixStartTime: its times are taken as Unix time",
        "has no TimeZoneString: its hours are taken as UTC",
    )


@pytest.mark.parametrize("text", ["1.7e9x", "2024-05-01", "-5", "nan", "1e300"])
def test_a_start_that_cannot_be_read_is_not_said_to_be_missing(tmp_path: Path, text: str) -> None:
    header = f"# UnixStartTime: {text}\n# TimeZoneString: Europe/Rome\nsubmit_s,run_s,workers\n"
    trace = read_sessions(written(tmp_path, "1541203200,60,8", header=header))
    assert trace.notes == (f"its UnixStartTime '{text}' cannot be read: its times are taken as Unix time",)


def test_csv_may_have_the_clock_in_comments(tmp_path: Path) -> None:
    header = "# UnixStartTime: 1541203200\n# TimeZoneString: Europe/Rome\n" + CSV
    trace = read_sessions(written(tmp_path, "alice,x,60,10,8", header=header))
    assert (trace.start.year, trace.timezone, trace.notes) == (2018, ZoneInfo("Europe/Rome"), ())


@pytest.mark.parametrize("zone", ["Europe/Turin", "../../etc/passwd", "x\0y", ""])
def test_a_time_zone_that_is_not_known_is_replaced_by_the_offset(tmp_path: Path, zone: str) -> None:
    header = f"; TimeZone: 3600 # DEPRECATED\n; TimeZoneString: {zone}\n; UnixStartTime: 0\n"
    trace = read_sessions(written(tmp_path, swf_row(), header=header))
    assert datetime.fromtimestamp(0, trace.timezone).hour == 1
    assert trace.notes[0].endswith("its hours are taken as +1 h from UTC")


def test_users_and_workers_are_optional_in_csv(tmp_path: Path) -> None:
    file = written(tmp_path, "10,60", header="submit_s,run_s\n")
    assert read_sessions(file, workers=4).content == (Session(10, 60, 4),)
    assert refused(file) == (
        "1: has no column 'workers'; the columns that its header names are 'submit_s', 'run_s'; "
        "without it the scenario must say proof.workers_per_session"
    )


def test_a_user_in_another_encoding_is_a_user(tmp_path: Path) -> None:
    file = tmp_path / "trace"
    file.write_bytes(CSV.encode() + "andré,x,60,10,8\nandrè,x,60,11,8\n".encode("latin-1"))
    one, other = read_sessions(file).content
    assert one.user != other.user


def test_dirty_rows_of_csv_are_counted(tmp_path: Path) -> None:
    rows = ["a,x,60,1,8", "a,x,60", "a,x,6,0,1,8", "a,x,,2,8", '"a,x,60,3,8', "a,x,60,4,8", "# a,x,60,5,8"]
    trace = read_sessions(written(tmp_path, *rows, header=CSV))
    assert [session.submit_s for session in trace.content] == [1, 4]
    assert trace.skipped == {"not as many columns as the header names": 3, "no number where one is needed": 1}


def test_a_byte_order_mark_and_dos_lines_do_not_matter(tmp_path: Path) -> None:
    file = tmp_path / "trace"
    file.write_bytes(b"\xef\xbb\xbfsubmit_s,run_s,workers\r\n1,60,8\r\n")
    assert read_sessions(file).content == (Session(1, 60, 8),)


STRUCTURE = {
    "nothing": (b"", "is empty"),
    "only empty lines": (b"\n \n", "is empty"),
    "only comments": (b"; Version: 2.2\n", "has no rows, only comments"),
    "only a header": (b"submit_s,run_s,workers\n", "no row can be used"),
    "only dirt": (swf_row(1, -1).encode(), "no row can be used (1 x a negative or unknown run time)"),
    "two clocks": (
        f"{swf_row(5)}\n{swf_row(1541203200)}\n".encode(),
        "spans more than 20 years: are all its times in seconds, and of one clock?",
    ),
    "a misspelt column": (
        b"# x\nsubmit,run_s\n",
        "2: has no column 'submit_s' (did you mean 'submit'?); the columns that its header names are 'submit', 'run_s'",
    ),
    "no header": (b"1,2,3\n", "1: has no column 'submit_s'; the columns that its header names are '1', '2', '3'"),
    "semicolons": (
        b"submit_s;run_s;workers\n1;60;8\n",
        "1: has no column 'submit_s' in 'submit_s;run_s;workers': commas separate columns, not ';'",
    ),
    "tabs": (
        b"submit_s\trun_s\n1\t60\n",
        "1: has no column 'submit_s' in 'submit_s\\trun_s': commas separate columns, not '\\t'",
    ),
    "a column twice": (b"submit_s,run_s,run_s\n", "1: names the column 'run_s' more than once"),
    "a program": (b"\x7fELF\x02\x01\x01\x00\x00\n", "is neither SWF nor CSV, but binary data"),
    "UTF-16": ("submit_s,run_s\n".encode("utf-16"), "is neither SWF nor CSV, but binary data"),
}


@pytest.mark.parametrize(("data", "reason"), STRUCTURE.values(), ids=STRUCTURE)
def test_a_file_that_makes_no_sense_is_refused_in_a_sentence(tmp_path: Path, data: bytes, reason: str) -> None:
    file = tmp_path / "trace"
    file.write_bytes(data)
    assert refused(file) == reason


def test_a_torn_gzip_is_refused_whole(tmp_path: Path) -> None:
    file = packed(written(tmp_path, *(swf_row(number) for number in range(1000))))
    file.write_bytes(file.read_bytes()[:-100])
    assert refused(file) == (
        "is torn: the compressed data ends too early; copy it again, or save what is there with zcat"
    )


def test_a_damaged_gzip_is_refused(tmp_path: Path) -> None:
    file = packed(written(tmp_path, *(swf_row(number) for number in range(1000))))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    assert refused(file).startswith("its compressed data is damaged (")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "none") == "cannot be read: No such file or directory"
    assert refused(tmp_path) == "cannot be read: Is a directory"


def test_csv_has_no_queues(tmp_path: Path) -> None:
    assert refused(written(tmp_path, header=CSV), queue=3) == "is CSV, which has no queues to pick queue 3 from"
