"""The web server of an exporter: its pages, its locks, and that nobody can make it wait."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bcrypt
import pytest
import requests
import trustme
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from exporters.serving import Address, Serving
from exporters.serving.web import WebServer
from exporters.serving.web_config import TlsServer, WebConfig
from tests.testbed.processes import wait_until

DEADLINE_S = 60
USERS = {"prometheus": bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()}
LONGEST_PASSWORD = 72


@contextmanager
def serving(web: WebConfig, more: Collector | None = None) -> Iterator[str]:
    """Serve one gauge, and what there is ``more``; give the address of the site."""
    registry = CollectorRegistry()
    if more is not None:
        registry.register(more)
    Gauge("demo_value", "A value.", registry=registry).set(7)
    server = WebServer(registry, Serving(Address("127.0.0.1", 0), web=web), "demo", "About <this>.")
    try:
        yield server.url.removesuffix("/metrics")
    finally:
        server.close()


@pytest.fixture
def site() -> Iterator[str]:
    with serving(WebConfig()) as url:
        yield url


@pytest.fixture
def locked_site() -> Iterator[str]:
    with serving(WebConfig(users=USERS)) as url:
        yield url


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA, tmp_path: Path) -> TlsServer:
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "server.key")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return TlsServer(cert_file=Path("server.pem"), key_file=Path("server.key"))


@pytest.fixture
def tls_site(tls: TlsServer, tmp_path: Path) -> Iterator[str]:
    with serving(WebConfig(tls.context(tmp_path))) as url:
        yield url


def get(url: str, **options: object) -> requests.Response:
    return requests.get(url, timeout=DEADLINE_S, **options)


def test_the_metrics_are_at_metrics(site: str) -> None:
    assert "demo_value 7.0" in get(f"{site}/metrics").text


def test_the_page_for_people_leads_to_the_metrics_and_shows_text_as_text(site: str) -> None:
    page = get(f"{site}/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert '<a href="/metrics">' in page.text
    assert "About &lt;this&gt;." in page.text


def test_there_is_nothing_elsewhere(site: str) -> None:
    answer = get(f"{site}/favicon.ico")
    assert (answer.status_code, answer.text) == (404, "Not found: the metrics are at /metrics.\n")


@pytest.mark.parametrize("path", ["/", "/metrics", "/other"])
@pytest.mark.parametrize(
    "credentials",
    [None, ("prometheus", "wrong"), ("nobody", "secret"), ("prometheus", ""), ("prometheus", "x" * 100), ("", "\0")],
)
def test_nobody_passes_without_the_password(locked_site: str, path: str, credentials: tuple[str, str] | None) -> None:
    answer = get(f"{locked_site}{path}", auth=credentials)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert "demo_value" not in answer.text


@pytest.mark.parametrize("header", ["Basic", "Basic !", "Basic bm9jb2xvbg==", "Bearer abc", "Basic /////w=="])
def test_credentials_that_make_no_sense_are_refused(locked_site: str, header: str) -> None:
    assert get(f"{locked_site}/metrics", headers={"Authorization": header}).status_code == 401


def test_who_knows_the_password_passes(locked_site: str) -> None:
    assert "demo_value 7.0" in get(f"{locked_site}/metrics", auth=("prometheus", "secret")).text


def test_metrics_come_over_tls(tls_site: str, tmp_path: Path) -> None:
    assert tls_site.startswith("https://")
    assert "demo_value 7.0" in get(f"{tls_site}/metrics", verify=tmp_path / "ca.pem").text


def test_a_client_without_the_wanted_certificate_is_turned_away(
    tls: TlsServer, authority: trustme.CA, tmp_path: Path
) -> None:
    wanted = {"client_ca_file": Path("ca.pem"), "client_auth_type": "RequireAndVerifyClientCert"}
    client = authority.issue_cert("prometheus.example")
    client.private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    with serving(WebConfig(tls.model_copy(update=wanted).context(tmp_path))) as url:
        with pytest.raises(requests.RequestException):
            get(f"{url}/metrics", verify=tmp_path / "ca.pem")
        answer = get(f"{url}/metrics", verify=tmp_path / "ca.pem", cert=str(tmp_path / "client.pem"))
    assert "demo_value 7.0" in answer.text


def test_plain_http_to_a_tls_server_gives_nothing_and_harms_nothing(
    tls_site: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(requests.RequestException):
        get(tls_site.replace("https", "http"))
    assert get(f"{tls_site}/metrics", verify=tmp_path / "ca.pem").ok
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("scheme", ["site", "tls_site"])
def test_a_client_that_says_nothing_delays_nobody(
    scheme: str, request: pytest.FixtureRequest, tls: TlsServer, tmp_path: Path
) -> None:
    assert tls.cert_file
    url = request.getfixturevalue(scheme)
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))):
        assert get(f"{url}/metrics", verify=tmp_path / "ca.pem").ok


@pytest.mark.parametrize("tls_wanted", [False, True])
def test_a_client_that_leaves_in_the_middle_of_an_answer_is_not_in_the_log(
    tls: TlsServer, tmp_path: Path, capfd: pytest.CaptureFixture[str], tls_wanted: bool
) -> None:
    asked, left = threading.Event(), threading.Event()

    class Large:
        def collect(self) -> Iterator[GaugeMetricFamily]:
            asked.set()
            left.wait(DEADLINE_S)
            yield GaugeMetricFamily("large_value", "x" * 10_000_000, 1)

    with serving(WebConfig(tls.context(tmp_path) if tls_wanted else None), Large()) as url:
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), DEADLINE_S) as plain:
            context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
            link = context.wrap_socket(plain, server_hostname="127.0.0.1") if tls_wanted else plain
            link.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            asked.wait(DEADLINE_S)
            link.close()
        left.set()
    wait_until(
        lambda: not [thread for thread in threading.enumerate() if "process_request" in thread.name], 60, "its end"
    )
    assert capfd.readouterr().err == ""


def test_the_oldest_tls_is_1_2(tls: TlsServer, tmp_path: Path) -> None:
    assert tls.context(tmp_path).minimum_version is ssl.TLSVersion.TLSv1_2


def test_the_longest_password_that_bcrypt_takes_is_compared_whole() -> None:
    password = "x" * LONGEST_PASSWORD
    users = {"prometheus": bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}
    with serving(WebConfig(users=users)) as url:
        assert get(f"{url}/metrics", auth=("prometheus", password)).ok
        assert get(f"{url}/metrics", auth=("prometheus", password[:-1])).status_code == 401
