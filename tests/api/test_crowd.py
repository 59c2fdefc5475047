"""More who ask at the same time than are answered."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import requests

from autoscaler.api.access import SIGNATURE, SIGNED_AT
from autoscaler.api.crowd import MOST_AT_ONCE
from autoscaler.api.sessions import MOST_WAITING
from autoscaler.config.api_section import ApiSection
from tests.api.facility import ALERTMANAGER, GRAFANA, ApiUnderTest, api_at, bearer
from tests.service.waiting import DEADLINE_S, wait_until

MOST = MOST_AT_ONCE + MOST_WAITING


def unfinished(headers: dict[str, str]) -> str:
    """A request whose promised body does not come."""
    lines = [f"POST {GRAFANA} HTTP/1.1", "Host: us", *(f"{name}: {text}" for name, text in headers.items())]
    return "\r\n".join([*lines, "Content-Length: 5", "", ""])


@contextmanager
def connections(address: tuple[str, int], number: int, sent: str) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(number):
            stack.enter_context(socket.create_connection(address)).sendall(sent.encode())
        yield


def asked(address: tuple[str, int]) -> requests.Response:
    return requests.get(f"http://{address[0]}:{address[1]}/healthz", timeout=DEADLINE_S)


def test_who_comes_beyond_the_limit_is_told_so_and_counted_and_the_next_one_is_answered(api: ApiUnderTest) -> None:
    api.client = api.start(requests_per_minute=10 * MOST)
    # Once, so that the token is known: unknown ones are tried one after the other.
    assert api.post(ALERTMANAGER, {}).status_code == 400
    with api_at(ApiSection(listen="127.0.0.1:0"), api.client.app) as address:
        with connections(address, MOST, unfinished(bearer(api.alerts))):
            wait_until(lambda: asked(address).status_code == 503, "a refusal")
            before = api.counted("api_requests", path="other", status="503")
            refused = asked(address)
        wait_until(lambda: asked(address).status_code == 200, "an answer")
    assert refused.json() == {"error": "too many requests are being answered: try again in 1 s"}
    assert refused.headers["Retry-After"] == "1"
    assert api.counted("api_requests", path="other", status="503") > before


def test_signed_bodies_that_do_not_come_keep_out_other_signed_ones_and_nobody_else(api: ApiUnderTest) -> None:
    with (
        api_at(ApiSection(listen="127.0.0.1:0"), api.client.app) as address,
        connections(address, MOST, unfinished({SIGNATURE: "0", SIGNED_AT: "0"})),
    ):
        wait_until(lambda: api.counted("api_requests", path=GRAFANA, status="503") > 0, "a refusal")
        assert asked(address).status_code == 200


def test_connections_that_ask_nothing_keep_nobody_out(api: ApiUnderTest) -> None:
    with (
        api_at(ApiSection(listen="127.0.0.1:0"), api.client.app) as address,
        connections(address, MOST + 1, ""),
    ):
        assert asked(address).status_code == 200
