"""The windows of the past are those that a controller would have read then, from few queries."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from autoscaler.config.schema import PrometheusSection, PrometheusSignal
from autoscaler.sources import UnreachableError, make_history
from autoscaler.sources import history as history_module
from autoscaler.sources.history import PrometheusHistory
from autoscaler.sources.prometheus import PrometheusSource
from autoscaler.testing import NOW
from tests.sources.targets import refused_address

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
MOST_POINTS = 11_000


def load(at_s: int) -> str | None:
    """A load with gaps, NaN and negative values, by the second."""
    return [None, "NaN", "-1", *map(str, range(20))][at_s // 7 % 23]


def fresh_at(at_s: int) -> str | None:
    """An age with gaps, and one that is in milliseconds."""
    return None if at_s // 11 % 13 == 0 else str(at_s * 1000 if at_s // 11 % 13 == 1 else at_s - at_s % 15)


VALUES: dict[str, Callable[[int], str | None]] = {"load": load, "fresh": fresh_at}


def evaluate(request: Request) -> Response:
    """Answer as Prometheus does, with its limit of points."""
    value = VALUES[request.args["query"]]
    if "time" in request.args:
        at_s = int(float(request.args["time"]))
        found = value(at_s)
        return _success("vector", [] if found is None else [{"metric": {}, "value": [at_s, found]}])
    start, end, step = (int(float(request.args[name])) for name in ("start", "end", "step"))
    times = range(start, end + 1, step)
    if len(times) > MOST_POINTS:
        error = "exceeded maximum resolution of 11,000 points per timeseries"
        return Response(json.dumps({"status": "error", "error": error}), status=400)
    values = [[at_s, found] for at_s in times if (found := value(at_s)) is not None]
    return _success("matrix", [{"metric": {}, "values": values}] if values else [])


def _success(kind: str, result: object) -> Response:
    return Response(json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}))


@pytest.fixture
def server(httpserver: HTTPServer) -> HTTPServer:
    """A Prometheus with a load."""
    httpserver.expect_request("/api/v1/query").respond_with_handler(evaluate)
    httpserver.expect_request("/api/v1/query_range").respond_with_handler(evaluate)
    return httpserver


def source(server: HTTPServer, history_s: int, step_s: int) -> PrometheusSource:
    signals = {"load": PrometheusSignal(query="load", fresh_at="fresh")}
    url = server.url_for("").rstrip("/")
    return PrometheusSource(url, signals, history_s * SECOND, step_s * SECOND, 5 * SECOND)


@pytest.mark.parametrize("times_s", [(60, 15, 15), (60, 15, 10), (60, 5, 15), (0, 15, 15), (90, 30, 60)])
@pytest.mark.parametrize("at_once", [3, 20, 10_000])
def test_each_window_is_the_one_that_was_to_be_read_then(
    server: HTTPServer, monkeypatch: pytest.MonkeyPatch, at_once: int, times_s: tuple[int, int, int]
) -> None:
    monkeypatch.setattr(history_module, "POINTS_AT_ONCE", at_once)
    history_s, step_s, interval_s = times_s
    live, interval = source(server, history_s, step_s), interval_s * SECOND
    found = list(PrometheusHistory(live, interval).windows(NOW, 40))
    assert [window.now for window in found] == [NOW + n * interval for n in range(40)]
    for window in found:
        past, then = window.signal("load"), live.read(window.now).signal("load")
        assert (past.latest, past.fresh_at, past.problem) == (then.latest, then.fresh_at, then.problem)
        # Live, a range without any value is one unknown sample.
        empty = {sample.value for sample in then.samples} == {None}
        assert past.samples == then.samples or (empty and {sample.value for sample in past.samples} == {None})


def test_a_week_is_read_in_pieces_that_prometheus_accepts(server: HTTPServer) -> None:
    week = PrometheusHistory(source(server, 300, 15), 15 * SECOND).windows(NOW, 40_320)
    assert sum(window.signal("load").problem is None for window in week) > 0
    queries = [request.args["query"] for request, _ in server.log]
    assert (queries.count("load"), queries.count("fresh")) == (5, 5)


def test_a_refused_query_makes_its_signal_unknown_and_no_other(server: HTTPServer) -> None:
    error = {"status": "error", "error": "parse error: unclosed left parenthesis"}
    server.expect_oneshot_request("/api/v1/query_range").respond_with_json(error, status=400)
    live = source(server, 60, 15)
    signals = {"broken": PrometheusSignal(query="sum(", fresh_at="fresh"), **live.signals}
    both = PrometheusSource(live.url, signals, live.history, live.step, live.timeout)
    server.clear_all_handlers()

    def answer(request: Request) -> Response:
        return Response(json.dumps(error), status=400) if request.args["query"] == "sum(" else evaluate(request)

    server.expect_request("/api/v1/query_range").respond_with_handler(answer)
    window = list(PrometheusHistory(both, 15 * SECOND).windows(NOW, 10))[-1]
    assert "refuses sum(: parse error" in (window.signal("broken").problem or "")
    assert window.signal("load").problem is None


def test_an_age_that_is_refused_makes_its_signal_unknown(server: HTTPServer) -> None:
    server.clear_all_handlers()

    def answer(request: Request) -> Response:
        fresh = request.args["query"] == "fresh"
        return Response("{}", status=400) if fresh else evaluate(request)

    server.expect_request("/api/v1/query_range").respond_with_handler(answer)
    found = list(PrometheusHistory(source(server, 60, 15), 15 * SECOND).windows(NOW, 40))
    assert all(window.latest("load") is None for window in found)
    assert any("answers in an unknown form" in (window.signal("load").problem or "") for window in found)


def test_a_prometheus_that_is_not_there_ends_the_reading() -> None:
    section = PrometheusSection(kind="prometheus", url=refused_address())
    with pytest.raises(UnreachableError, match="cannot be reached: connection refused or lost"):
        list(make_history(section, MINUTE, 15 * SECOND).windows(NOW, 4))
