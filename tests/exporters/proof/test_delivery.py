"""A message reaches a URL, or it does not and that is said once."""

import logging
import socket

import pytest
from pytest_httpserver import HTTPServer

from exporters.proof.delivery import Delivery
from exporters.proof.main import parse_url


class Timer:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def timer() -> Timer:
    return Timer()


def test_a_message_arrives_as_json(httpserver: HTTPServer) -> None:
    httpserver.expect_oneshot_request("/notify", method="POST", json={"source": "proof"}).respond_with_data()
    delivery = Delivery(httpserver.url_for("/notify"))
    assert delivery.send({"source": "proof"})
    assert (delivery.delivered, delivery.failed) == (1, 0)
    httpserver.check()


@pytest.mark.parametrize("status", [301, 404, 500, 503])
def test_any_answer_but_2xx_is_a_failure(httpserver: HTTPServer, status: int) -> None:
    httpserver.expect_request("/").respond_with_data(status=status, headers={"Location": "/elsewhere"})
    delivery = Delivery(httpserver.url_for("/"))
    assert not delivery.send({})
    assert (delivery.delivered, delivery.failed) == (0, 1)
    assert len(httpserver.log) == 1


def test_the_pauses_grow_to_the_last_one_and_end_with_a_success(httpserver: HTTPServer, timer: Timer) -> None:
    httpserver.expect_request("/").respond_with_data(status=503)
    delivery = Delivery(httpserver.url_for("/"), retry_after_s=(1, 5), timer=timer)
    pauses = []
    for _ in range(3):
        assert not delivery.send({})
        pauses.append(delivery.pause_s)
        timer.now += delivery.pause_s
    assert pauses == [1, 5, 5]
    httpserver.clear()
    httpserver.expect_request("/").respond_with_data()
    assert delivery.send({})
    assert delivery.pause_s == 0


def test_nobody_is_bothered_during_a_pause(httpserver: HTTPServer, timer: Timer) -> None:
    httpserver.expect_request("/").respond_with_data(status=503)
    delivery = Delivery(httpserver.url_for("/"), retry_after_s=(10,), timer=timer)
    delivery.send({})
    timer.now += 9
    assert not delivery.send({})
    assert (len(httpserver.log), delivery.failed, delivery.pause_s) == (1, 1, 1)


def test_an_outage_is_one_line_in_the_log_without_the_password_in_the_url(
    httpserver: HTTPServer, timer: Timer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="exporters")
    httpserver.expect_request("/").respond_with_data(status=503)
    url = httpserver.url_for("/").replace("http://", "http://me:secret@")
    delivery = Delivery(f"{url}?token=secret", timer=timer)
    for _ in range(3):
        delivery.send({})
        timer.now += 60
    httpserver.clear()
    httpserver.expect_request("/").respond_with_data()
    delivery.send({})
    where = httpserver.url_for("/")
    assert [record.getMessage() for record in caplog.records if record.name.startswith("exporters.")] == [
        f"cannot notify {where}: it answered 503; trying again until it works",
        f"{where} can be notified again",
    ]


def test_a_url_where_nobody_listens_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    delivery = Delivery(f"http://127.0.0.1:{port}/")
    assert not delivery.send({})
    assert delivery.failed == 1


def test_a_server_that_never_answers_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporters.proof.delivery.ANSWER_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        delivery = Delivery(f"http://127.0.0.1:{silent.getsockname()[1]}/")
        assert not delivery.send({})
    assert delivery.failed == 1


def test_an_answer_that_is_no_http_is_a_failure() -> None:
    delivery = Delivery("http://127.0.0.1:1/\udcff")
    assert not delivery.send({})


@pytest.mark.parametrize("url", ["http://controller:9610/notify", "https://[::1]/x", "http://me:secret@host/"])
def test_a_url_is_taken(url: str) -> None:
    assert parse_url(url) == url
