"""Exporters read directly: what is missing, wrong or half there is unknown, and the history is kept here."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge, start_http_server
from pytest_httpserver import HTTPServer

from autoscaler.config.schema import ScrapeSection, ScrapeSignal
from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, Series
from autoscaler.sources import scrape
from autoscaler.sources.scrape import ScrapeSource
from autoscaler.testing import NOW
from tests.sources.targets import (
    Target,
    exposition,
    refused_address,
    running_targets,
    server_that_sends,
    silent_server,
)

INTERVAL = timedelta(seconds=15)
MINUTE = timedelta(minutes=1)
QUEUED = ScrapeSignal(job="proof", metric="proof_queue_depth")
RUNNING = ScrapeSignal(job="proof", metric="proof_sessions", labels={"state": ["running", "starting"]})
BYTES = ScrapeSignal(job="proof", metric="bytes_total", rate=True)


@pytest.fixture
def target() -> Iterator[Target]:
    with running_targets(1) as targets:
        yield targets[0]


@pytest.fixture
def two_targets() -> Iterator[list[Target]]:
    with running_targets(2) as targets:
        yield targets


def source_of(
    targets: Mapping[str, Sequence[str]],
    signals: Mapping[str, ScrapeSignal],
    *,
    history: timedelta = MINUTE,
    timeout_s: float = 5,
) -> ScrapeSource:
    return ScrapeSource(targets, signals, history, INTERVAL, timedelta(seconds=timeout_s))


def source(*targets: Target, signal: ScrapeSignal = QUEUED) -> ScrapeSource:
    return source_of({"proof": [target.url for target in targets]}, {"load": signal})


def read(*targets: Target, signal: ScrapeSignal = QUEUED) -> Series:
    return source(*targets, signal=signal).read(NOW).signal("load")


def assert_unknown(series: Series, problem: str) -> None:
    assert series.latest is None
    assert series.age(NOW) is None
    assert series.problem is not None
    assert problem in series.problem


def test_a_value_arrives_with_the_time_at_which_it_was_true(target: Target) -> None:
    target.text = exposition(queued=3, fresh_at=NOW.timestamp() - 4)
    series = read(target)
    assert series.latest == 3
    assert series.age(NOW) == timedelta(seconds=4)
    assert series.problem is None


def test_a_signal_is_the_sum_over_all_targets_and_as_old_as_the_oldest(two_targets: list[Target]) -> None:
    two_targets[0].text = exposition(queued=3, fresh_at=NOW.timestamp() - 4)
    two_targets[1].text = exposition(queued=2, fresh_at=NOW.timestamp() - 9)
    series = read(*two_targets)
    assert series.latest == 3 + 2
    assert series.age(NOW) == timedelta(seconds=9)


def test_a_signal_is_the_sum_over_the_series_its_labels_choose(target: Target) -> None:
    target.text = exposition(running=3) + 'proof_sessions{state="starting"} 2\nproof_sessions{state="idle",old="y"} 9\n'
    assert read(target, signal=RUNNING).latest == 3 + 2


def test_a_label_the_series_does_not_have_chooses_nothing(target: Target) -> None:
    signal = ScrapeSignal(job="proof", metric="proof_queue_depth", labels={"state": ["running"]})
    assert_unknown(read(target, signal=signal), "no value yet for proof_queue_depth")


def test_an_exporter_of_the_client_library_is_read() -> None:
    registry = CollectorRegistry()
    Gauge("proof_up", "h", registry=registry).set(1)
    Gauge("proof_queue_depth", "h", registry=registry).set(4)
    Gauge("proof_last_success_timestamp_seconds", "h", registry=registry).set(NOW.timestamp())
    server, thread = start_http_server(0, "127.0.0.1", registry)
    with ExitStack() as stack:
        stack.callback(thread.join)
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        url = f"http://127.0.0.1:{server.server_port}/metrics"
        series = source_of({"proof": [url]}, {"load": QUEUED}).read(NOW).signal("load")
    assert (series.latest, series.fresh_at) == (4, NOW)


def test_one_of_two_targets_down_is_unknown(two_targets: list[Target]) -> None:
    two_targets[1].down()
    assert_unknown(read(*two_targets), f"{two_targets[1].url} cannot be reached: connection refused or lost")


@pytest.mark.parametrize("up", ["0", "NaN", "0.5"])
def test_one_of_two_exporters_without_its_source_is_unknown(two_targets: list[Target], up: str) -> None:
    two_targets[1].text = exposition(up=float(up), queued=5)
    assert_unknown(read(*two_targets), "an exporter of job proof cannot read its source (proof_up is 0)")


def test_any_of_several_up_series_counts(target: Target) -> None:
    """NaN is never below 1, so that the smallest of the two would be 1."""
    target.text = exposition(up=1, queued=5) + 'proof_up{part="b"} NaN\n'
    assert_unknown(read(target), "cannot read its source")


def test_a_page_without_the_up_metric_is_another_exporter(target: Target) -> None:
    target.text = "proof_queue_depth 5\n"
    assert_unknown(read(target), "a target of job proof exposes no proof_up: is it the right exporter?")


@pytest.mark.parametrize("value", ["NaN", "-1", "+Inf", "-Inf"])
def test_a_value_that_means_nothing_is_unknown(target: Target, value: str) -> None:
    target.text = exposition(queued=value)
    assert_unknown(read(target), "no value yet for proof_queue_depth")


def test_one_part_of_a_sum_that_means_nothing_makes_it_unknown(target: Target) -> None:
    target.text = exposition(running=3) + 'proof_sessions{state="starting"} NaN\n'
    assert_unknown(read(target, signal=RUNNING), "no value yet")


def test_a_missing_metric_is_unknown(target: Target) -> None:
    target.text = exposition(queued=None)
    assert_unknown(read(target), "no value yet for proof_queue_depth")


@pytest.mark.parametrize("fresh_at", [None, "NaN", "-5"])
def test_one_of_two_targets_without_an_age_leaves_the_sum_without_age(
    two_targets: list[Target], fresh_at: str | None
) -> None:
    two_targets[0].text = exposition(queued=3, fresh_at=NOW.timestamp())
    two_targets[1].text = exposition(queued=2, fresh_at=fresh_at)
    series = read(*two_targets)
    assert series.age(NOW) is None
    assert "does not tell proof_last_success_timestamp_seconds" in (series.problem or "")


@pytest.mark.parametrize("fresh_at", [None, "NaN", "-5", "1e300", "1.7953e12"])
def test_an_age_that_means_nothing_leaves_the_value_without_age(target: Target, fresh_at: str | None) -> None:
    """The last one is in milliseconds: the year 58862."""
    target.text = exposition(queued=5, fresh_at=fresh_at)
    series = read(target)
    assert series.latest == 5
    assert series.age(NOW) is None


@pytest.mark.parametrize("status", [404, 500, 503])
def test_an_http_error_is_unknown(httpserver: HTTPServer, status: int) -> None:
    httpserver.expect_request("/metrics").respond_with_data(exposition(), status=status)
    series = source_of({"proof": [httpserver.url_for("/metrics")]}, {"load": QUEUED}).read(NOW).signal("load")
    assert_unknown(series, f"answers HTTP {status}")


@pytest.mark.parametrize(
    "body", [b"<html>Log in</html>", b"\xff\xfe\x00", b"proof_up 1\nproof_queue_depth five\n", b"{"]
)
def test_a_page_that_is_no_exposition_is_unknown(httpserver: HTTPServer, body: bytes) -> None:
    httpserver.expect_request("/metrics").respond_with_data(body)
    series = source_of({"proof": [httpserver.url_for("/metrics")]}, {"load": QUEUED}).read(NOW).signal("load")
    assert_unknown(series, "does not answer in Prometheus's text format")


def test_a_long_wrong_page_is_quoted_in_part(httpserver: HTTPServer) -> None:
    """Each decision stores the sentence."""
    httpserver.expect_request("/metrics").respond_with_data("<" + "x" * 1_000_000)
    series = source_of({"proof": [httpserver.url_for("/metrics")]}, {"load": QUEUED}).read(NOW).signal("load")
    assert series.problem is not None
    assert len(series.problem) < 500


def test_an_exposition_that_is_too_long_is_unknown_and_not_cut(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut at the end of a line it would still look whole."""
    target.text = exposition(queued=3)
    monkeypatch.setattr(scrape, "MAX_EXPOSITION_BYTES", target.text.index("proof_sessions"))
    assert_unknown(read(target), "answers with more than")


def test_an_answer_that_breaks_off_is_unknown() -> None:
    """The header promises 1000 bytes; what comes is a whole line."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    with server_that_sends(head + exposition(queued=3).encode()) as url:
        assert_unknown(source_of({"proof": [url]}, {"load": QUEUED}).read(NOW).signal("load"), url)


def test_what_is_no_http_is_unknown() -> None:
    with server_that_sends(b"SSH-2.0-OpenSSH_9.2\r\n") as url:
        assert_unknown(source_of({"proof": [url]}, {"load": QUEUED}).read(NOW).signal("load"), "cannot be reached")


def test_a_target_that_does_not_answer_in_time_is_unknown() -> None:
    with silent_server() as url:
        series = source_of({"proof": [url]}, {"load": QUEUED}, timeout_s=0.1).read(NOW).signal("load")
    assert_unknown(series, "does not answer in 0.1 s")


def test_one_job_that_is_down_does_not_spoil_another(target: Target) -> None:
    target.text = exposition(queued=3)
    other = ScrapeSignal(job="wn", metric="wn_jobs")
    window = source_of({"proof": [target.url], "wn": [refused_address()]}, {"load": QUEUED, "jobs": other}).read(NOW)
    assert window.latest("load") == 3
    assert window.latest("jobs") is None


def test_a_signal_of_a_job_without_targets_is_left_out(target: Target) -> None:
    other = ScrapeSignal(job="wn", metric="wn_jobs")
    window = source_of({"proof": [target.url]}, {"load": QUEUED, "jobs": other}).read(NOW)
    assert [series.signal for series in window.series] == ["load"]


def test_no_targets_at_all_give_an_empty_window() -> None:
    assert source_of({}, {"load": QUEUED}).read(NOW).series == ()


def test_the_built_in_signals_of_a_job_are_read_and_a_site_may_add(target: Target) -> None:
    target.text = exposition(queued=3, running=2) + "mine 9\n"
    mine = ScrapeSignal(job="proof", metric="mine")
    section = ScrapeSection(kind="scrape", targets={"proof": [target.url]}, signals={"mine": mine})
    window = ScrapeSource.from_config(section, MINUTE, INTERVAL).read(NOW)
    assert {series.signal: series.latest for series in window.series} == {
        PROOF_QUEUED_SESSIONS: 3,
        PROOF_RUNNING_SESSIONS: 2,
        "mine": 9,
    }


def history(
    target: Target, values: Sequence[float | str | None], seconds: Sequence[float]
) -> list[tuple[float, float | None]]:
    """What the source remembers after reading these values at these times: (seconds, value)."""
    reader = source(target)
    series = Series("load")
    for value, at_s in zip(values, seconds, strict=True):
        target.text = exposition(queued=value)
        series = reader.read(NOW + timedelta(seconds=at_s)).signal("load")
    return [((one.at - NOW).total_seconds(), one.value) for one in series.samples]


def test_the_history_is_what_was_read(target: Target) -> None:
    assert history(target, [1, "NaN", 3], [0, 15, 30]) == [(0, 1), (15, None), (30, 3)]


def test_a_stretch_without_reads_is_a_gap(target: Target) -> None:
    """Nothing was read for 31 s, more than twice the interval: a value of nothing lies in between."""
    assert history(target, [1, 2], [0, 31]) == [(0, 1), (15, None), (31, 2)]


def test_a_read_that_came_a_little_late_leaves_no_gap(target: Target) -> None:
    assert history(target, [1, 2], [0, 30]) == [(0, 1), (30, 2)]


def test_the_history_is_bounded_and_still_reaches_back_far_enough(target: Target) -> None:
    """60 s and one interval: at 150 s the sample at 75 s is the first that is old enough."""
    remembered = history(target, [0] * 11, [15 * n for n in range(11)])
    assert [at_s for at_s, _ in remembered] == [75, 90, 105, 120, 135, 150]


def test_a_clock_that_was_set_back_does_not_make_the_history_grow(target: Target) -> None:
    times = [10_000, *[15 * n for n in range(20)]]
    assert len(history(target, [0] * len(times), times)) <= 7


def test_a_new_source_knows_no_past(target: Target) -> None:
    history(target, [1, 2, 3], [0, 15, 30])
    assert len(read(target).samples) == 1


def rates(target: Target, texts: Sequence[str], seconds: Sequence[float]) -> list[float | None]:
    """The newest value after each read of these counters."""
    reader = source(target, signal=BYTES)
    newest = []
    for text, at_s in zip(texts, seconds, strict=True):
        target.text = exposition() + text
        newest.append(reader.read(NOW + timedelta(seconds=at_s)).latest("load"))
    return newest


def test_a_rate_is_known_from_the_second_read_on(target: Target) -> None:
    """(400 - 100) bytes in 15 s, then (1000 - 400) in 30 s."""
    texts = ["bytes_total 100\n", "bytes_total 400\n", "bytes_total 1000\n"]
    assert rates(target, texts, [0, 15, 45]) == [None, 300 / 15, 600 / 30]


def test_a_rate_is_the_sum_of_the_rates_of_all_counters(target: Target) -> None:
    """150 / 15 + 300 / 15."""
    first = 'bytes_total{server="a"} 0\nbytes_total{server="b"} 1000\n'
    second = 'bytes_total{server="a"} 150\nbytes_total{server="b"} 1300\n'
    assert rates(target, [first, second], [0, 15]) == [None, 10 + 20]


def test_a_counter_that_restarted_is_unknown_for_one_read(target: Target) -> None:
    texts = ["bytes_total 100\n", "bytes_total 5\n", "bytes_total 20\n"]
    assert rates(target, texts, [0, 15, 30]) == [None, None, 1]


def test_one_counter_that_restarted_makes_the_sum_unknown(target: Target) -> None:
    first = 'bytes_total{server="a"} 100\nbytes_total{server="b"} 1000\n'
    second = 'bytes_total{server="a"} 0\nbytes_total{server="b"} 1300\n'
    assert rates(target, [first, second], [0, 15]) == [None, None]


def test_a_counter_that_came_or_went_is_unknown_for_one_read(target: Target) -> None:
    one = 'bytes_total{server="a"} 100\n'
    both = one + 'bytes_total{server="b"} 0\n'
    assert rates(target, [one, both, both, one, one], [0, 15, 30, 45, 60]) == [None, None, 0, None, 0]


def test_a_counter_that_is_missing_is_unknown(target: Target) -> None:
    assert rates(target, ["", ""], [0, 15]) == [None, None]


def test_a_clock_that_was_set_back_makes_a_rate_unknown(target: Target) -> None:
    assert rates(target, ["bytes_total 1\n", "bytes_total 2\n", "bytes_total 3\n"], [0, 0, -15]) == [None, None, None]


def test_a_rate_after_an_outage_of_the_target_is_unknown_for_one_read(target: Target) -> None:
    reader = source(target, signal=BYTES)
    target.text = exposition() + "bytes_total 0\n"
    reader.read(NOW)
    target.down()
    reader.read(NOW + INTERVAL)
    target.up()
    assert reader.read(NOW + 2 * INTERVAL).latest("load") is None
    assert reader.read(NOW + 3 * INTERVAL).latest("load") == 0


def test_the_time_of_a_value_is_in_utc(target: Target) -> None:
    target.text = exposition(fresh_at=0)
    assert read(target).fresh_at == datetime(1970, 1, 1, tzinfo=UTC)


EXPOSITION = exposition(queued=3)
metric_lines = st.from_regex(
    r'(proof_up|proof_queue_depth|# TYPE x|x)(\{[a-z]="[^"]{0,3}"?,?\}?)? [-+.0-9eNaInf]{0,6}', fullmatch=True
)
damaged = st.builds(
    lambda i, j, new: EXPOSITION[: min(i, j)] + new + EXPOSITION[max(i, j) :],
    st.integers(0, len(EXPOSITION)),
    st.integers(0, len(EXPOSITION)),
    st.text(max_size=8),
)
texts = st.text() | damaged | st.lists(metric_lines, max_size=5).map("\n".join)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=texts)
def test_no_exposition_makes_a_read_raise(target: Target, text: str) -> None:
    target.text = text.encode(errors="replace").decode()
    for signal in (QUEUED, RUNNING, BYTES):
        series = read(target, signal=signal)
        assert series.problem if series.latest is None else series.latest >= 0
