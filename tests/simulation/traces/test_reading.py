"""Throughput is read from a log of transfers, or from a rate over time, into steps of equal length."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from autoscaler.simulation.traces.reading import read_reading
from autoscaler.simulation.traces.trace import TraceError
from tests.simulation.traces.files import swf_row, written

TRANSFERS = "instr,ftype,start,fsz,elap,ttype\n"
RATES = "at_s,bytes_per_second\n"


def test_a_transfer_is_spread_evenly_over_its_time(tmp_path: Path) -> None:
    """600 bytes from 1200 + 150 s on in 600 s: half a step, a whole one, half a step."""
    trace = read_reading(written(tmp_path, "amo,0,1350,600,600000,1", header=TRANSFERS))
    assert trace.content.bytes_per_s == (0.5, 1.0, 0.5)
    assert trace.content.step_s == 300
    assert trace.start == datetime.fromtimestamp(1200, UTC)


def test_transfers_in_any_order_add_up(tmp_path: Path) -> None:
    rows = ["amo,0,900,300,300000,1", "amo,0,0,300,0,0", "amo,0,100,600,100000,-1"]
    assert read_reading(written(tmp_path, *rows, header=TRANSFERS)).content.bytes_per_s == (3.0, 0.0, 0.0, 1.0)


def test_transfers_of_more_than_a_day_and_other_dirt_are_counted(tmp_path: Path) -> None:
    rows = [
        "amo,0,0,300,1000,1",
        "amo,0,0,300,86400001,1",
        "amo,0,0,-1,1000,1",
        "amo,0,0,300,-1,1",
        "amo,0,nan,300,1000,1",
        "amo,0,,300,1000,1",
    ]
    trace = read_reading(written(tmp_path, *rows, header=TRANSFERS))
    assert trace.content.bytes_per_s == (1.0,)
    assert trace.skipped == {
        "a transfer of more than a day": 1,
        "a time or a size that cannot be": 3,
        "no number where one is needed": 1,
    }


def test_a_rate_holds_until_the_next_one(tmp_path: Path) -> None:
    rows = ["600,1", "900,4", "1050,8", "1200,0", "1500,99"]
    trace = read_reading(written(tmp_path, *rows, header="# UnixStartTime: 1541203200\n" + RATES))
    assert trace.content.bytes_per_s == (1.0, 6.0, 0.0)
    assert trace.start == datetime.fromtimestamp(1541203200 + 600, UTC)


def test_an_unknown_rate_is_as_the_one_before(tmp_path: Path) -> None:
    rows = ["0,2", "300,nan", "600,-1", "900,7", "1200,7"]
    trace = read_reading(written(tmp_path, *rows, header=RATES))
    assert trace.content.bytes_per_s == (2.0, 2.0, 2.0, 7.0)
    assert trace.skipped == {"a time or a rate that cannot be": 2}


def test_the_step_can_be_another(tmp_path: Path) -> None:
    file = written(tmp_path, "0,2", "300,4", "600,0", header=RATES)
    assert read_reading(file, step_s=600).content.bytes_per_s == (3.0,)


def test_a_time_zone_may_be_given_for_a_file_without_one(tmp_path: Path) -> None:
    file = written(tmp_path, "0,2", "300,4", header=RATES)
    assert read_reading(file, timezone=ZoneInfo("Europe/Rome")).timezone == ZoneInfo("Europe/Rome")
    own = written(tmp_path, "0,2", "300,4", header="# TimeZoneString: Europe/Paris\n" + RATES)
    assert read_reading(own, timezone=ZoneInfo("Europe/Rome")).timezone == ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("header", "rows", "reason"),
    [
        ("", [swf_row()], "is SWF; throughput comes as CSV with start, fsz, elap or with at_s, bytes_per_second"),
        (
            "at_s,bytes\n",
            [],
            ":1: has no column 'bytes_per_second'; the columns that its header names are 'at_s', 'bytes'",
        ),
        ("start,fsz\n", [], ":1: has no column 'elap'; the columns that its header names are 'start', 'fsz'"),
        (RATES, ["0,1"], "no row can be used"),
        (RATES, ["5,1", "5,2"], "no row can be used (1 x a second rate for the same time)"),
        (TRANSFERS, ["amo,0,-5,1,1,1"], "no row can be used (1 x a time or a size that cannot be)"),
        (TRANSFERS, ["amo,0,0,1,1,1", "amo,0,1541203200,1,1,1"], "spans more than 20 years"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_in_a_sentence(
    tmp_path: Path, header: str, rows: list[str], reason: str
) -> None:
    file = written(tmp_path, *rows, header=header)
    with pytest.raises(TraceError) as caught:
        read_reading(file)
    assert str(caught.value).removeprefix(f"{file}").removeprefix(": ").startswith(reason)
