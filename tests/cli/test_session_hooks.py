"""What a login script and a ROOT macro call before a session is opened, against a running controller."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from autoscaler.api.tokens import Scope, add_token
from tests.cli.site import Site
from tests.cli.systemd import Systemd, running
from tests.cli.test_tuning import api_of
from tests.service.waiting import DEADLINE_S

ROOT_MACROS = Path(__file__).parents[2] / "deploy" / "root"
SCRIPT = ROOT_MACROS / "vaf-session.sh"
SECTIONS = """api: {listen: "127.0.0.1:0", tokens_file: tokens}
hosts:"""

needs_root = pytest.mark.skipif(shutil.which("root") is None, reason="ROOT is not installed: pip install root")


@pytest.fixture
def token(site: Site) -> Path:
    """A file with a token of sessions."""
    file = site.folder / "session-token"
    file.write_text(f"{add_token(site.folder / 'tokens', 'login', frozenset({Scope.SESSIONS}))}\n")
    return file


@pytest.fixture
def url(systemd: Systemd) -> Iterator[str]:
    """The API of a controller that has found nobody working, and whose next cycle is far."""
    site = systemd.site
    site.replace("hosts:", SECTIONS)
    site.replace("interval: 100ms", "interval: 1h")
    with running(systemd):
        systemd.hear("WATCHDOG=1")
        yield api_of(site)


def environment(url: str, token: Path, **more: str) -> dict[str, str]:
    nothing = {"VAF_SESSION_CONF": "/nonexistent"}
    return {**os.environ, **nothing, "VAF_API_URL": url, "VAF_API_TOKEN_FILE": str(token), **more}


def call(url: str, token: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", SCRIPT, *words],
        env=environment(url, token, **more),
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE_S,
        check=False,
    )


def test_the_script_comes_back_when_the_workers_of_its_session_are_there(url: str, token: Path) -> None:
    done = call(url, token, "6", VAF_SESSION_ID="s1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "vaf-session: 6 of 6 workers are ready\n", "")


def test_told_again_it_gets_no_workers_more(systemd: Systemd, url: str, token: Path) -> None:
    for _ in range(2):
        assert call(url, token, "3", VAF_SESSION_ID="s1").returncode == 0
    assert "3 workers" in systemd.site.invoke("explain", "host-1").stdout
    assert call(url, token, "3").stdout == "vaf-session: 3 of 3 workers are ready\n"


def test_who_wants_more_than_there_are_is_told_how_many_are_ready(url: str, token: Path) -> None:
    assert call(url, token, "1000").stdout == "vaf-session: 8 of 1000 workers are ready\n"


def test_a_host_that_is_paused_keeps_nobody_waiting_longer_than_stated(systemd: Systemd, url: str, token: Path) -> None:
    assert systemd.site.invoke("pause", "host-1", "--for", "1h", "--reason", "test").exit_code == 0
    done = call(url, token, "4", "2")
    assert done.returncode == 1
    assert done.stdout.startswith("vaf-session: no worker is ready yet: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "usage: "),
        (("many",), "usage: "),
        (("4", "-1"), "usage: "),
        (("08",), "usage: "),
        (("010",), "usage: "),
        (("4", "99999999999999999999"), "usage: "),
        (("4", "121"), "SECONDS may be 120 at most"),
        (("0",), "refused it (400): workers: must be"),
    ],
)
def test_what_it_is_not_meant_for_is_said_in_a_line(url: str, token: Path, words: tuple[str, ...], said: str) -> None:
    done = call(url, token, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_token_of_another_kind_is_refused_in_a_line(url: str, site: Site, token: Path) -> None:
    token.write_text(add_token(site.folder / "tokens", "wall", frozenset({Scope.VIEWER})))
    done = call(url, token, "4")
    assert done.returncode == 2
    assert "refused it (403): token wall is not for this: its scope is not sessions" in done.stderr


def test_without_a_controller_it_says_so_in_a_line(token: Path) -> None:
    done = call("http://127.0.0.1:1", token, "4")
    assert done.returncode == 2
    assert done.stderr.startswith("vaf-session: http://127.0.0.1:1 does not answer: curl: ")


def test_without_a_token_it_says_so_in_a_line(tmp_path: Path) -> None:
    done = call("http://127.0.0.1:1", tmp_path / "missing", "4")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "cannot be read: it has to hold a token of the scope sessions" in done.stderr


def test_an_empty_token_file_is_said_in_a_line(tmp_path: Path) -> None:
    empty = tmp_path / "token"
    empty.write_text("")
    done = call("http://127.0.0.1:1", empty, "4")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "is empty: it has to hold a token of the scope sessions" in done.stderr


def test_a_name_that_would_break_the_request_is_refused_before_it_is_sent(token: Path) -> None:
    done = call("http://127.0.0.1:1", token, "4", VAF_SESSION_ID='a"b')
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "VAF_SESSION_ID may have letters, digits" in done.stderr


def test_settings_are_read_from_the_file_of_the_site(url: str, token: Path, tmp_path: Path) -> None:
    conf = tmp_path / "session.conf"
    conf.write_text(f"VAF_API_URL={url}\nVAF_API_TOKEN_FILE={token}\n")
    bare = {key: value for key, value in os.environ.items() if not key.startswith("VAF_")}
    done = subprocess.run(
        ["/bin/sh", SCRIPT, "2"],
        env={**bare, "VAF_SESSION_CONF": str(conf)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.stdout == "vaf-session: 2 of 2 workers are ready\n"


def test_it_trusts_the_authority_that_the_site_names_and_nobody_else(systemd: Systemd, token: Path) -> None:
    site, authority = systemd.site, trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(site.folder / "server.pem")
    issued.private_key_pem.write_to_path(site.folder / "server.key")
    authority.cert_pem.write_to_path(site.folder / "ca.pem")
    files = "tls_cert_file: server.pem, tls_key_file: server.key"
    site.replace("hosts:", SECTIONS.replace("tokens_file", f"{files}, tokens_file"))
    with running(systemd):
        systemd.hear("WATCHDOG=1")
        url = api_of(site).replace("http:", "https:")
        assert call(url, token, "2", VAF_API_CA_FILE=str(site.folder / "ca.pem")).returncode == 0
        stranger = call(url, token, "2")
    assert stranger.returncode == 2
    assert "certificate" in stranger.stderr


def root(url: str, token: Path, macro: str, **more: str) -> str:
    done = subprocess.run(
        ["root", "-l", "-b", "-q", "-x", macro],
        env=environment(url, token, **more),
        capture_output=True,
        text=True,
        timeout=4 * DEADLINE_S,
        check=False,
    )
    return done.stdout + done.stderr


@needs_root
def test_the_macro_announces_the_session_in_root(url: str, token: Path) -> None:
    told = root(url, token, f"{ROOT_MACROS}/VafAnnounce.C(4)")
    assert "vaf-session: 4 of 4 workers are ready" in told
    assert "(bool) true" in told


@needs_root
def test_the_session_is_opened_whatever_the_controller_says(token: Path, tmp_path: Path) -> None:
    # PROOF is no longer part of ROOT: this is its class as far as the macro uses it.
    (tmp_path / "TProof.h").write_text(
        "struct TProof { static TProof *Open(const char *master, const char *options) "
        '{ printf("opens %s %s\\n", master, options); return nullptr; } };\n'
    )
    macro = f'{ROOT_MACROS}/VafOpen.C("user@vaf", 4, "workers=4")'
    told = root("http://127.0.0.1:1", token, macro, ROOT_INCLUDE_PATH=str(tmp_path))
    assert "vaf-session: http://127.0.0.1:1 does not answer" in told
    assert "opens user@vaf workers=4" in told
