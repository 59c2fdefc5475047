"""The address that the exporter's --notify posts to."""

import socket

import pytest
import requests

from autoscaler.service.nudge import LARGEST_BYTES, NudgeError, nudged_at

LOCAL = ("127.0.0.1", 0)


def test_each_post_is_a_nudge_whatever_it_says() -> None:
    rung = []
    with nudged_at(LOCAL, lambda: rung.append(1)) as (host, port):
        for body in (b"", b"{}", b"\xff\x00", b"x" * LARGEST_BYTES):
            assert requests.post(f"http://{host}:{port}/", data=body, timeout=30).status_code == 202
    assert len(rung) == 4


def test_a_body_that_no_exporter_sends_is_refused_and_no_nudge() -> None:
    rung = []
    with nudged_at(LOCAL, lambda: rung.append(1)) as (host, port):
        assert requests.post(f"http://{host}:{port}/", data=b"x" * (LARGEST_BYTES + 1), timeout=30).status_code == 413
        assert requests.get(f"http://{host}:{port}/", timeout=30).status_code == 501
        with socket.create_connection((host, port), timeout=30) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n")
            assert b"413" in connection.recv(1000)
    assert rung == []


def test_an_address_that_is_taken_is_an_error_that_names_it() -> None:
    with (
        nudged_at(LOCAL, lambda: None) as (host, port),
        pytest.raises(NudgeError, match=f"notify_listen: {host}:{port}: Address already in use"),
        nudged_at((host, port), lambda: None),
    ):
        pass
