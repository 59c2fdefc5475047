"""Logging in to Prometheus: secrets come from files, and what cannot be read or is refused is unknown."""

import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import trustme
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from autoscaler.config.schema import PrometheusSection, PrometheusSignal
from autoscaler.model import Series
from autoscaler.sources.access import Access
from autoscaler.sources.prometheus import PrometheusSource
from autoscaler.testing import NOW
from tests.sources.test_prometheus import FIVE_NOW, FRESH, INSTANT, RANGE, STEP

BASIC = "Basic dmFmOmbDvHI="  # base64 of "vaf:für"


def read(server: HTTPServer, access: Access) -> Series:
    signals = {"load": PrometheusSignal(query="sum(load)", fresh_at="min(load_time)")}
    url = server.url_for("").rstrip("/")
    source = PrometheusSource(url, signals, timedelta(minutes=1), STEP, timedelta(seconds=20), access)
    return source.read(NOW).signal("load")


def expect(server: HTTPServer, **headers: str) -> None:
    server.expect_request(RANGE, headers=headers).respond_with_json(FIVE_NOW)
    server.expect_request(INSTANT, headers=headers).respond_with_json(FRESH)


def secret(folder: Path, text: str) -> Path:
    file = folder / "secret"
    file.write_text(text)
    return file


def test_a_name_and_a_password_from_a_file_log_in(httpserver: HTTPServer, tmp_path: Path) -> None:
    expect(httpserver, Authorization=BASIC)
    assert read(httpserver, Access("vaf", secret(tmp_path, "für\n"))).latest == 5


def test_a_token_from_a_file_logs_in(httpserver: HTTPServer, tmp_path: Path) -> None:
    expect(httpserver, Authorization="Bearer s3cret")
    assert read(httpserver, Access(bearer_token_file=secret(tmp_path, "s3cret\n"))).latest == 5


def test_a_renewed_secret_is_taken_over_without_a_restart(httpserver: HTTPServer, tmp_path: Path) -> None:
    access = Access(bearer_token_file=secret(tmp_path, "old"))
    expect(httpserver, Authorization="Bearer new")
    assert read(httpserver, access).latest is None
    secret(tmp_path, "new")
    assert read(httpserver, access).latest == 5


def test_a_secret_that_cannot_be_read_makes_signals_unknown(httpserver: HTTPServer, tmp_path: Path) -> None:
    series = read(httpserver, Access("vaf", tmp_path / "nowhere"))
    assert series.latest is None
    assert series.problem is not None
    assert f"{tmp_path / 'nowhere'}: No such file" in series.problem


@pytest.mark.parametrize("text", ["", "s3cret\nand more"])
def test_a_file_that_holds_no_secret_makes_signals_unknown_and_tells_nothing_of_it(
    httpserver: HTTPServer, tmp_path: Path, text: str
) -> None:
    problem = read(httpserver, Access(bearer_token_file=secret(tmp_path, text))).problem
    assert problem is not None
    assert f"{tmp_path / 'secret'}: does not hold one line" in problem
    assert "s3cret" not in problem


def test_a_refused_login_is_told_as_one(httpserver: HTTPServer) -> None:
    def refuse(_request: Request) -> Response:
        return Response("Unauthorized", status=401)

    httpserver.expect_request(RANGE).respond_with_handler(refuse)
    problem = read(httpserver, Access()).problem
    assert problem is not None
    assert "refuses the login (HTTP 401)" in problem


@pytest.fixture
def https(tmp_path: Path) -> Iterator[HTTPServer]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    with HTTPServer(ssl_context=context) as server:
        expect(server)
        yield server


def test_a_certificate_is_checked_with_the_file_of_who_signed_it(
    https: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the environment names another one, which requests would prefer."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "other.pem"))
    assert read(https, Access(ca_file=tmp_path / "ca.pem")).latest == 5


def test_a_certificate_of_a_stranger_makes_signals_unknown(https: HTTPServer) -> None:
    assert read(https, Access()).latest is None


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"username": "vaf"}, "username and password_file go together"),
        ({"password_file": "p"}, "username and password_file go together"),
        ({"username": "vaf", "password_file": "p", "bearer_token_file": "t"}, "not both"),
    ],
)
def test_half_a_login_is_refused(keys: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        PrometheusSection(kind="prometheus", url="http://127.0.0.1:9090", **keys)
