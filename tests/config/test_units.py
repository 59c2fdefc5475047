"""Sizes and durations as people write them."""

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.config.units import duration_text, parse_bytes_per_s, parse_duration, parse_mib, seconds_text

unhurried = settings(deadline=None, max_examples=300)


@pytest.mark.parametrize(
    ("text", "mib"),
    [("573 MiB", 573), ("573MiB", 573), ("2 GiB", 2048), ("0.5 GiB", 512), ("1 TiB", 1024 * 1024), ("0 MiB", 0)],
)
def test_a_size_with_its_unit_becomes_mib(text: str, mib: int) -> None:
    assert parse_mib(text) == mib


@pytest.mark.parametrize("value", [573, 573.0, "573", " 573 ", "5.5", None, True])
def test_a_size_without_a_unit_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="has no unit: write a size such as '573 MiB' or '2 GiB'"):
        parse_mib(value)


@pytest.mark.parametrize(
    "text", ["573 apples", "-1 MiB", "MiB", "", ".", "1e3 MiB", "1 MiB 2", "0,5 GiB", "8,056 MiB", "nan MiB", "inf MiB"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_mib(text)


@pytest.mark.parametrize("text", ["1 B", "573 MB", "0.3 MiB"])
def test_a_size_that_is_no_whole_number_of_mib_is_refused(text: str) -> None:
    """573 MB are 546.5 MiB: whoever writes MB most likely means MiB."""
    with pytest.raises(ValueError, match="is not a whole number of MiB"):
        parse_mib(text)


@pytest.mark.parametrize(
    ("text", "bytes_per_s"),
    [("10 MB/s", 10_000_000), ("1.5GB/s", 1_500_000_000), ("100 MiB/s", 104_857_600), ("0 B/s", 0)],
)
def test_a_rate_with_its_unit_becomes_bytes_per_second(text: str, bytes_per_s: int) -> None:
    assert parse_bytes_per_s(text) == bytes_per_s


@pytest.mark.parametrize(
    "value",
    [
        10,
        None,
        True,
        "",
        "/s",
        "10",
        "10/s",
        "10 MB",
        "10 MB/",
        "10 MB/m",
        "10 MB/s/s",
        "-1 MB/s",
        "nan B/s",
        "0,5 GB/s",
    ],
)
def test_what_is_no_rate_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is not a rate: write one such as '10 MB/s'"):
        parse_bytes_per_s(value)


def test_a_rate_of_all_storage_in_the_world_is_refused() -> None:
    with pytest.raises(ValueError, match="is more than 1 PiB/s"):
        parse_bytes_per_s("2 EiB/s")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("1h30m", 5400), ("7d", 7 * 86_400), ("0s", 0), ("500ms", 0.5), ("1.5s", 1.5)],
)
def test_a_duration_with_its_unit_becomes_a_time_span(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("value", [5, 5.0, None, timedelta(seconds=5)])
def test_a_duration_that_is_a_bare_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="has no unit: write a duration such as"):
        parse_duration(value)


@pytest.mark.parametrize("text", ["5", "five minutes", "", "5 m", "s", "1e3s", "999999999999d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["367d", "366d1s", "1000000d"])
def test_a_duration_of_more_than_366_days_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is longer than 366 days"):
        parse_duration(text)


def test_a_leap_year_is_a_duration() -> None:
    assert parse_duration("366d") == timedelta(days=366)


@pytest.mark.parametrize("text", ["1073741825 MiB", "2 PiB", "99999999999999999999999999 GiB"])
def test_a_size_of_more_than_a_pebibyte_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is more than 1 PiB"):
        parse_mib(text)


@unhurried
@given(st.integers(0, 366 * 86_400))
def test_every_duration_of_whole_seconds_is_shown_as_it_can_be_read_back(seconds: int) -> None:
    span = timedelta(seconds=seconds)
    assert parse_duration(duration_text(span)) == span


@pytest.mark.parametrize("text", ["0s", "15s", "5m0s", "1h30m", "7d", "2d4h", "6d23h59m", "1d100ms"])
def test_a_duration_is_shown_as_people_write_it(text: str) -> None:
    assert duration_text(parse_duration(text)) == text.replace("5m0s", "5m")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0s"), (20.4, "20s"), (604_740.0, "6d23h59m"), (15_780.0, "4h23m"), (-5.0, "-5s")]
)
def test_a_measured_time_is_shown_in_whole_seconds(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def test_a_negative_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="'-5s' is negative"):
        parse_duration("-5s")


@unhurried
@given(st.integers(0, 2**30))
def test_every_size_in_mib_is_read_back(mib: int) -> None:
    assert parse_mib(f"{mib} MiB") == mib


@unhurried
@given(st.text() | st.from_regex(r"[-+0-9.]{0,5} ?[a-zA-Z]{0,3}", fullmatch=True))
def test_any_text_is_a_size_or_refused_with_a_reason(text: str) -> None:
    with suppress(ValueError):
        assert parse_mib(text) >= 0


@unhurried
@given(st.text() | st.from_regex(r"[-+0-9.]{0,5} ?[a-zA-Z]{0,3}/s", fullmatch=True))
def test_any_text_is_a_rate_or_refused_with_a_reason(text: str) -> None:
    with suppress(ValueError):
        assert parse_bytes_per_s(text) >= 0


@unhurried
@given(st.text() | st.from_regex(r"[-+0-9.hms]{0,9}", fullmatch=True))
def test_any_text_is_a_duration_or_refused_with_a_reason(text: str) -> None:
    with suppress(ValueError):
        assert parse_duration(text) >= timedelta(0)
