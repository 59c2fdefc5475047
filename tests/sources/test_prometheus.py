"""Answers of Prometheus' HTTP API, captured from a real server (samples/) or made up to be wrong."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from autoscaler.config.schema import PrometheusSection, PrometheusSignal
from autoscaler.model import Sample, Series, Window
from autoscaler.sources.prometheus import PrometheusSource
from autoscaler.testing import NOW
from tests.sources.targets import refused_address, silent_server

SAMPLES = Path(__file__).parent / "samples"
STEP = timedelta(seconds=15)
MINUTE = timedelta(minutes=1)
FRESH_AT = NOW - timedelta(seconds=4)

RANGE, INSTANT = "/api/v1/query_range", "/api/v1/query"


def sample(name: str) -> dict[str, Any]:
    return json.loads((SAMPLES / f"api-query-{name}.json").read_text())


def success(kind: str, result: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}}


def matrix(*series: list[list[Any]]) -> dict[str, Any]:
    return success("matrix", [{"metric": {}, "values": values} for values in series])


def at(ago_s: float, value: str) -> list[Any]:
    return [NOW.timestamp() - ago_s, value]


FIVE_NOW = matrix([at(0, "5")])
FRESH = success("vector", [{"metric": {}, "value": [NOW.timestamp(), str(FRESH_AT.timestamp())]}])


def source(url: str, *, history: timedelta = MINUTE, timeout_s: float = 5) -> PrometheusSource:
    signals = {"load": PrometheusSignal(query="sum(load)", fresh_at="min(load_time)")}
    return PrometheusSource(url, signals, history, STEP, timedelta(seconds=timeout_s))


def read(httpserver: HTTPServer, ranged: Any, instant: Any = FRESH) -> Series:
    """The signal when these are the answers to the range query and to the instant query."""
    httpserver.expect_request(RANGE).respond_with_json(ranged)
    httpserver.expect_request(INSTANT).respond_with_json(instant)
    return source(httpserver.url_for("").rstrip("/")).read(NOW).signal("load")


def assert_unknown(series: Series, problem: str) -> None:
    assert series.latest is None
    assert series.age(NOW) is None
    assert series.problem is not None
    assert problem in series.problem


def test_the_newest_value_and_its_age_arrive(httpserver: HTTPServer) -> None:
    series = read(httpserver, FIVE_NOW)
    assert series.latest == 5
    assert series.age(NOW) == timedelta(seconds=4)
    assert series.problem is None


def test_the_history_arrives_step_by_step_with_its_gaps(httpserver: HTTPServer) -> None:
    series = read(httpserver, matrix([at(60, "1"), at(45, "2"), at(15, "4"), at(0, "5")]))
    assert series.samples == tuple(
        Sample(NOW - timedelta(seconds=ago_s), value)
        for ago_s, value in [(60, 1), (45, 2), (30, None), (15, 4), (0, 5)]
    )


def test_a_value_that_ended_before_now_is_unknown(httpserver: HTTPServer) -> None:
    """As when the last target went down: earlier steps have values, the newest has none."""
    series = read(httpserver, matrix([at(60, "1"), at(15, "4")]))
    assert_unknown(series, "no value (none at all, NaN or negative) at")
    assert series.samples[-2] == Sample(NOW - STEP, 4)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "-1", "1e999"])
def test_a_value_that_means_nothing_is_unknown(httpserver: HTTPServer, value: str) -> None:
    assert_unknown(read(httpserver, matrix([at(0, value)])), "no value (none at all, NaN or negative) at")


def test_a_gap_in_the_past_by_nan_is_unknown_there(httpserver: HTTPServer) -> None:
    series = read(httpserver, matrix([at(30, "1"), at(15, "NaN"), at(0, "5")]))
    assert [one.value for one in series.samples[-3:]] == [1, None, 5]


def test_no_series_is_unknown(httpserver: HTTPServer) -> None:
    assert_unknown(read(httpserver, success("matrix", [])), "no value (none at all, NaN or negative) at")


def test_a_captured_empty_vector_is_unknown(httpserver: HTTPServer) -> None:
    assert_unknown(read(httpserver, sample("empty")), "no value (none at all, NaN or negative) at")


def test_several_series_are_refused_because_a_signal_is_one(httpserver: HTTPServer) -> None:
    assert_unknown(read(httpserver, sample("range")), "sum(load) gives 2 series, a signal is one: aggregate")


def test_a_query_prometheus_refuses_is_unknown_with_its_reason(httpserver: HTTPServer) -> None:
    httpserver.expect_request(RANGE).respond_with_json(sample("bad"), status=400)
    series = source(httpserver.url_for("").rstrip("/")).read(NOW).signal("load")
    assert_unknown(series, 'refuses sum(load): invalid parameter "query": 1:5: parse error: unclosed left parenthesis')


def test_the_age_may_be_a_scalar(httpserver: HTTPServer) -> None:
    """The captured scalar is 7."""
    assert read(httpserver, FIVE_NOW, sample("scalar")).fresh_at == datetime.fromtimestamp(7, UTC)


def test_the_age_may_be_a_vector(httpserver: HTTPServer) -> None:
    """The captured value is 7."""
    assert read(httpserver, FIVE_NOW, sample("instant")).fresh_at == datetime.fromtimestamp(7, UTC)


MILLISECONDS = success("scalar", [NOW.timestamp(), str(NOW.timestamp() * 1000)])
ENDLESS = success("scalar", [NOW.timestamp(), "1e300"])


@pytest.mark.parametrize(
    "instant",
    [sample("nan"), sample("empty"), MILLISECONDS, ENDLESS],
    ids=["NaN", "empty", "milliseconds", "beyond all times"],
)
def test_an_age_that_means_nothing_leaves_the_value_without_age(httpserver: HTTPServer, instant: Any) -> None:
    series = read(httpserver, FIVE_NOW, instant)
    assert series.latest == 5
    assert series.age(NOW) is None


def test_an_age_of_several_series_makes_the_signal_unknown(httpserver: HTTPServer) -> None:
    assert_unknown(read(httpserver, FIVE_NOW, sample("up")), "min(load_time) gives 4 series")


WRONG_FORMS: dict[str, Any] = {
    "a list": [],
    "null": None,
    "no status": {},
    "no data": {"status": "success"},
    "null data": {"status": "success", "data": None},
    "no result": {"status": "success", "data": {"resultType": "matrix"}},
    "a number as result": success("matrix", 5),
    "a series without values": success("matrix", [{"metric": {}}]),
    "a native histogram": success("matrix", [{"metric": {}, "histograms": [[1, {"count": "1"}]]}]),
    "a value that is no number": matrix([at(0, "five")]),
    "a value without time": matrix([["5"]]),
    "a null value": success("matrix", [{"metric": {}, "values": [None]}]),
}


@pytest.mark.parametrize("ranged", WRONG_FORMS.values(), ids=WRONG_FORMS)
def test_an_answer_in_an_unknown_form_is_unknown(httpserver: HTTPServer, ranged: Any) -> None:
    assert_unknown(read(httpserver, ranged), "answers in an unknown form")


@pytest.mark.parametrize("instant", [{}, success("matrix", [{}]), success("vector", [{"value": [1, "x"]}])])
def test_an_age_in_an_unknown_form_makes_the_signal_unknown(httpserver: HTTPServer, instant: Any) -> None:
    assert_unknown(read(httpserver, FIVE_NOW, instant), "answers in an unknown form")


@pytest.mark.parametrize("status", [200, 302, 404, 502])
def test_a_page_instead_of_json_is_unknown(httpserver: HTTPServer, status: int) -> None:
    httpserver.expect_request(RANGE).respond_with_data("<html>Log in</html>", status=status, content_type="text/html")
    series = source(httpserver.url_for("").rstrip("/")).read(NOW).signal("load")
    assert_unknown(series, f"answers HTTP {status} and no JSON: is it Prometheus?")


@pytest.mark.parametrize("body", [b"\xff\xfe", b"", b"[" * 100_000], ids=["no text", "nothing", "nesting without end"])
def test_a_body_that_cannot_be_read_is_unknown(httpserver: HTTPServer, body: bytes) -> None:
    httpserver.expect_request(RANGE).respond_with_data(body)
    assert_unknown(source(httpserver.url_for("").rstrip("/")).read(NOW).signal("load"), "answers")


def test_a_server_that_is_not_there_is_unknown() -> None:
    assert_unknown(source(refused_address()).read(NOW).signal("load"), "cannot be reached: connection refused or lost")


def test_a_server_that_does_not_answer_in_time_is_unknown() -> None:
    with silent_server() as url:
        assert_unknown(source(url, timeout_s=0.1).read(NOW).signal("load"), "cannot be reached: no answer in time")


def test_one_signal_that_cannot_be_read_does_not_spoil_another(httpserver: HTTPServer) -> None:
    httpserver.expect_request(RANGE, query_string={**_range_of("sum(load)")}).respond_with_json(FIVE_NOW)
    httpserver.expect_request(INSTANT).respond_with_json(FRESH)
    signals = {
        "broken": PrometheusSignal(query="sum(", fresh_at="min(load_time)"),
        "load": PrometheusSignal(query="sum(load)", fresh_at="min(load_time)"),
    }
    url = httpserver.url_for("").rstrip("/")
    window = PrometheusSource(url, signals, MINUTE, STEP, timedelta(seconds=5)).read(NOW)
    assert window.latest("broken") is None
    assert window.latest("load") == 5


def _range_of(query: str) -> dict[str, str]:
    return {"query": query, "start": str(NOW.timestamp() - 60), "end": str(NOW.timestamp()), "step": "15.0"}


def answer_every_step(request: Request) -> Response:
    """One value per step, at times cut to milliseconds, as Prometheus does."""
    start_ms, end_ms = (int(float(request.args[name]) * 1000 + 0.5) for name in ("start", "end"))
    times = range(start_ms, end_ms + 1, int(float(request.args["step"]) * 1000))
    return Response(json.dumps(matrix([[ms / 1000, "5"] for ms in times])))


@pytest.mark.parametrize("microsecond", [0, 1, 499, 500, 501, 999, 62_500, 123_456, 999_500, 999_999])
def test_every_step_is_found_whatever_the_fraction_of_the_second(httpserver: HTTPServer, microsecond: int) -> None:
    httpserver.expect_request(RANGE).respond_with_handler(answer_every_step)
    httpserver.expect_request(INSTANT).respond_with_json(FRESH)
    now = NOW.replace(microsecond=microsecond)
    series = source(httpserver.url_for("").rstrip("/")).read(now).signal("load")
    assert series.samples == tuple(Sample(now - back * STEP, 5) for back in (4, 3, 2, 1, 0))


def test_the_history_reaches_back_as_far_as_asked_for_and_one_step_more(httpserver: HTTPServer) -> None:
    """61 s in steps of 15 s: the oldest sample must not be younger than 61 s."""
    httpserver.expect_request(RANGE).respond_with_handler(answer_every_step)
    httpserver.expect_request(INSTANT).respond_with_json(FRESH)
    section = PrometheusSection(kind="prometheus", url=httpserver.url_for("/"))
    window = PrometheusSource.from_config(section, timedelta(seconds=61)).read(NOW)
    assert {series.samples[0].at for series in window.series} == {NOW - 5 * STEP}


def test_the_built_in_signals_are_read_and_a_site_may_replace_and_add(httpserver: HTTPServer) -> None:
    own = PrometheusSignal(query="mine", fresh_at="time()")
    url = httpserver.url_for("/")
    section = PrometheusSection(kind="prometheus", url=url, signals={"wn_running_jobs": own, "mine": own})
    built = PrometheusSource.from_config(section, MINUTE)
    assert built.url == url.rstrip("/")
    assert built.signals["wn_running_jobs"] == built.signals["mine"] == own
    assert built.signals["proof_queued_sessions"].query == (
        'sum(proof_queue_depth{job="proof"})'
        ' and (count(proof_up{job="proof"} == 1) == count(up{job="proof"}))'
        ' and (count(count by (instance) (proof_queue_depth{job="proof"})) == count(up{job="proof"}))'
        ' and (time() - min(timestamp(proof_up{job="proof"})) < 120)'
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.sampled_from(["5", "NaN", "success", "matrix"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["metric", "value", "values"]), inner),
    max_leaves=6,
)
answers = st.fixed_dictionaries(
    {"status": st.just("success") | json_values},
    optional={
        "data": json_values
        | st.fixed_dictionaries(
            {"resultType": st.sampled_from(["matrix", "scalar", "vector"]) | json_values, "result": json_values}
        ),
        "error": json_values,
    },
)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ranged=answers | st.just(FIVE_NOW), instant=answers | json_values)
def test_no_answer_makes_a_read_raise(httpserver: HTTPServer, ranged: Any, instant: Any) -> None:
    httpserver.clear()
    window = Window(NOW, (read(httpserver, ranged, instant),))
    assert window.latest("load") is None or window.latest("load") >= 0
