"""slurmrestd, as it is asked and as it answers."""

import json
import socket
import socketserver
import ssl
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from pytest_httpserver import HTTPServer
from werkzeug import Response

from exporters.serving import SourceUnavailable
from exporters.wn import slurm_rest
from exporters.wn.slurm import system
from exporters.wn.slurm_rest import BadUrl, RestServer, connection_to, read_token, user_of

DEADLINE_S = 60
NO_JOBS = {"errors": [], "jobs": []}


def rest(server: HTTPServer, token_file: Path | None = None, timeout_s: float = DEADLINE_S) -> RestServer:
    return RestServer(server.url_for("").rstrip("/"), "v0.0.38", timeout_s, token_file)


def token_for(claims: Any) -> str:
    payload = urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{payload}.c2lnbmF0dXJl"


def test_jobs_and_nodes_are_asked_in_the_version_of_the_api(httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/slurm/v0.0.38/jobs", method="GET").respond_with_json(NO_JOBS)
    httpserver.expect_ordered_request("/slurm/v0.0.38/nodes", method="GET").respond_with_json({"nodes": []})
    slurm = system(None, DEADLINE_S, rest(httpserver))
    assert (slurm.jobs(), slurm.nodes()) == ([], [])


def test_the_token_is_read_at_each_request_and_goes_with_its_users_name(httpserver: HTTPServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    for user in ("first", "second"):
        token = token_for({"sun": user, "exp": 1})
        file.write_text(f"SLURM_JWT={token}\n")
        headers = {"X-SLURM-USER-TOKEN": token, "X-SLURM-USER-NAME": user}
        httpserver.expect_oneshot_request("/slurm/v0.0.38/jobs", headers=headers).respond_with_json(NO_JOBS)
        assert json.loads(rest(httpserver, file).get("jobs")) == NO_JOBS
    httpserver.check_assertions()


def test_without_a_token_file_no_token_is_sent(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/slurm/v0.0.38/jobs").respond_with_json(NO_JOBS)
    rest(httpserver).get("jobs")
    [(request, _)] = httpserver.log
    assert [name for name, _ in request.headers if name.upper().startswith("X-SLURM")] == []


@pytest.mark.parametrize(
    ("claims", "user"),
    [
        ({"sun": "slurm"}, "slurm"),
        ({"username": "grid"}, "grid"),
        ({"sun": "slurm", "username": "grid"}, "slurm"),
        ({}, None),
        ({"sun": 5}, None),
        ({"sun": "two\r\nlines"}, None),
        ([], None),
    ],
)
def test_a_token_names_its_user_or_does_not(claims: Any, user: str | None) -> None:
    assert user_of(token_for(claims)) == user


@pytest.mark.parametrize("token", ["", "no-token", "a.b.c", "a.\xff.c", ".."])
def test_what_is_no_token_names_nobody(token: str) -> None:
    assert user_of(token) is None


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"a\nb", b"\xff\xfe", b"SLURM_JWT="])
def test_a_file_without_a_token_is_unavailable_and_its_content_not_told(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(SourceUnavailable, match=r"^there is no token in .*/token$"):
        read_token(file)


def test_a_token_file_that_cannot_be_read_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"^cannot read the token in .*/none: No such file or directory$"):
        read_token(tmp_path / "none")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, r"answered 401: it wants a token that is valid; see --slurmrestd-token-file$"),
        (404, r"answered 404: it does not speak v0\.0\.38; name a version that it does with --slurmrestd-version$"),
        (500, r"answered 500: slurmctld is down, or the token not valid; it says: Failed while looking for jobs$"),
        (503, r"answered 503: Failed while looking for jobs$"),
    ],
)
def test_a_refusal_is_a_sentence_that_says_what_to_do(httpserver: HTTPServer, status: int, reason: str) -> None:
    httpserver.expect_request("/slurm/v0.0.38/jobs").respond_with_data("Failed while\n looking for jobs", status)
    with pytest.raises(SourceUnavailable, match=rf"^slurmrestd at http://localhost:[0-9]+ {reason}"):
        rest(httpserver).get("jobs")


def test_a_refusal_is_the_same_sentence_whatever_the_number_of_the_connection(httpserver: HTTPServer) -> None:
    for number in range(2):
        answer = {
            "meta": {"client": {"source": f"[::1]:{number}(fd:{number})"}},
            "errors": [{"error": "no"}],
            "jobs": [],
        }
        httpserver.expect_ordered_request("/slurm/v0.0.38/jobs").respond_with_json(answer, 500)
        with pytest.raises(SourceUnavailable, match=r'it says: \[{"error":"no"}\]$'):
            rest(httpserver).get("jobs")


def test_errors_in_an_answer_of_200_are_no_empty_queue(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/slurm/v0.0.38/jobs").respond_with_json({"errors": [{"error": "x"}], "jobs": []})
    with pytest.raises(SourceUnavailable, match=r"^slurmrestd reports errors: "):
        system(None, DEADLINE_S, rest(httpserver)).jobs()


def test_nobody_who_listens_is_a_sentence() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, but it does not listen
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(SourceUnavailable, match=rf"^cannot reach slurmrestd at {url}: Connection refused$"):
            RestServer(url, "v0.0.38", DEADLINE_S).get("jobs")


@contextmanager
def answering(answer: bytes, trickle: bytes = b"") -> Iterator[str]:
    """Give the URL of a server that says this to everybody, and then little by little the trickle, or nothing."""
    over = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(answer)
            with suppress(OSError):  # the other side has gone
                while not over.wait(0.05):
                    self.request.sendall(trickle)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        over.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"])
def test_a_server_that_hangs_is_given_up(begun: bytes) -> None:
    with answering(begun) as url, pytest.raises(SourceUnavailable, match=r"gave no answer within 0\.5 s$"):
        RestServer(url, "v0.0.38", 0.5).get("jobs")


def test_an_answer_that_only_trickles_is_given_up() -> None:
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"
    given_up = pytest.raises(SourceUnavailable, match=r"gave no answer within 0\.5 s$")
    with answering(begun, trickle=b" ") as url, given_up:
        RestServer(url, "v0.0.38", 0.5).get("jobs")


def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm_rest, "MOST_BYTES", 2**20)
    given_up = pytest.raises(SourceUnavailable, match=r"^slurmrestd answered more than 1 MiB$")
    with answering(b"HTTP/1.1 200 OK\r\n\r\n", trickle=b" " * 2**19) as url, given_up:
        RestServer(url, "v0.0.38", DEADLINE_S).get("jobs")


def test_half_an_answer_is_no_document(httpserver: HTTPServer) -> None:
    half = Response('{"jobs": [', headers={"Content-Length": "999"})
    httpserver.expect_request("/slurm/v0.0.38/jobs").respond_with_response(half)
    with pytest.raises(SourceUnavailable, match=r"^slurmrestd printed something that is not a whole JSON document$"):
        system(None, DEADLINE_S, rest(httpserver)).jobs()


def test_what_is_not_http_is_a_sentence() -> None:
    not_http = pytest.raises(SourceUnavailable, match=r"answered something that is not HTTP$")
    with answering(b"SSH-2.0-OpenSSH_9.2\r\n") as url, not_http:
        RestServer(url, "v0.0.38", DEADLINE_S).get("jobs")


def test_a_server_that_does_not_speak_tls_is_a_sentence(httpserver: HTTPServer) -> None:
    url = f"https://127.0.0.1:{httpserver.port}"
    with pytest.raises(SourceUnavailable, match=rf"^cannot reach slurmrestd at {url}: "):
        RestServer(url, "v0.0.38", DEADLINE_S).get("jobs")


@pytest.fixture
def tls_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HTTPServer]:
    """Give a server with a certificate of an authority that SSL_CERT_FILE, by which OpenSSL is told, names."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with HTTPServer(host="localhost", port=0, ssl_context=context) as server:
        server.expect_request("/slurm/v0.0.38/jobs").respond_with_json(NO_JOBS)
        yield server


def test_tls_is_spoken_with_a_server_whose_certificate_is_trusted(tls_server: HTTPServer) -> None:
    assert json.loads(rest(tls_server).get("jobs")) == NO_JOBS


def test_a_certificate_that_is_not_trusted_is_a_sentence(
    tls_server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(
        SourceUnavailable, match=r"^the certificate of slurmrestd at https://\S+ is not valid: unable to"
    ):
        rest(tls_server).get("jobs")


class _Jobs(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(NO_JOBS).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def address_string(self) -> str:
        return "unix"


class _UnixServer(ThreadingHTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)


def test_a_unix_socket_is_asked_as_well(tmp_path: Path) -> None:
    path = tmp_path / "restd"
    with _UnixServer(str(path), _Jobs) as server:  # type: ignore[arg-type]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            answer = RestServer(f"unix://{path}", "v0.0.38", DEADLINE_S).get("jobs")
        finally:
            server.shutdown()
            thread.join()
    assert json.loads(answer) == NO_JOBS


def test_a_unix_socket_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"^cannot reach slurmrestd at unix://.*: No such file or directory$"):
        RestServer(f"unix://{tmp_path}/none", "v0.0.38", DEADLINE_S).get("jobs")


@pytest.mark.parametrize(
    "url",
    ["", "host:6820", "ftp://host", "http://", "http://host/path", "unix:", "unix://relative", "http://user@host:1"],
)
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(BadUrl):
        connection_to(url, 1)
