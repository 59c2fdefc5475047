"""`autoscaler check` looks at the files that a configuration names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from click.testing import Result

from autoscaler.api.tokens import Scope, add_token
from tests.cli.site import Site, invoke

API = "api: {listen: '127.0.0.1:0', tokens_file: tokens, tls_cert_file: server.pem, tls_key_file: server.key}"
PROMETHEUS = "source: {kind: prometheus, url: 'http://127.0.0.1:9090', NAMED}\n"
GRAFANA = "grafana: {url: 'http://127.0.0.1:3000', token_file: secret}"
# Where each key is, and what there has to be beside it.
SECRETS = {
    "source.password_file": PROMETHEUS.replace("NAMED", "username: me, password_file: secret"),
    "source.bearer_token_file": PROMETHEUS.replace("NAMED", "bearer_token_file: secret"),
    "store.password_file": "store: {url: 'postgresql://me@127.0.0.1/vaf', password_file: secret}",
    "grafana.token_file": GRAFANA,
    "api.grafana_secret_file": "api: {listen: '127.0.0.1:0', grafana_secret_file: secret, tokens_file: tokens}",
}


def check(site: Site, section: str) -> Result:
    """Check the site's file with this section instead of its own of that name."""
    if section.startswith("source:"):
        before, _, after = site.text.partition("source:\n")
        site.text = before + section + after[after.index("policy:") :]
        site.write()
    else:
        site.replace("hosts:\n", f"{section}\nhosts:\n")
    return invoke("check", site.config)


def line_of(site: Site, section: str) -> int:
    return site.text.splitlines().index(section.strip()) + 1


@pytest.mark.parametrize("key", SECRETS)
def test_a_secret_that_is_not_there_is_exit_code_1_with_its_line_key_and_path(site: Site, key: str) -> None:
    result = check(site, SECRETS[key])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"Error: {site.config}:{line_of(site, SECRETS[key])}: {key}: {site.folder / 'secret'} cannot be read: "
        "No such file or directory; put it there, or name another\n"
    )


@pytest.mark.parametrize("key", SECRETS)
def test_with_a_secret_that_is_there_the_configuration_is_good(site: Site, key: str) -> None:
    (site.folder / "secret").write_text("of us\n")
    result = check(site, SECRETS[key])
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize("key", SECRETS)
@pytest.mark.parametrize("content", ["", "\n", "two\nlines\n"])
def test_a_secret_that_is_not_one_line_is_told_without_its_content(site: Site, key: str, content: str) -> None:
    (site.folder / "secret").write_text(content)
    result = check(site, SECRETS[key])
    assert result.exit_code == 1
    assert result.stderr.endswith(f": {key}: {site.folder / 'secret'} does not hold one line\n")


def test_a_secret_that_this_user_may_not_read_is_told_with_what_to_do(site: Site) -> None:
    (site.folder / "secret").touch(mode=0)
    site.replace("hosts:\n", f"{GRAFANA}\nhosts:\n")
    # Root may read everything, but for what it has given up.
    as_any = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command = [*as_any, sys.executable, "-m", "autoscaler.cli", "check", str(site.config)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "; let the controller's user read it" in result.stderr


def test_a_folder_is_no_secret(site: Site) -> None:
    (site.folder / "secret").mkdir()
    assert check(site, GRAFANA).stderr.endswith("secret cannot be read: Is a directory\n")


def test_credentials_of_systemd_are_there_only_while_the_service_runs(site: Site) -> None:
    file = "/run/credentials/vaf-autoscaler.service/grafana-token"
    assert check(site, GRAFANA.replace("secret", file)).exit_code == 0


@pytest.mark.parametrize(
    ("section", "key"),
    [
        (PROMETHEUS.replace("NAMED", "ca_file: ca.pem"), "source.ca_file"),
        (GRAFANA.replace("}", ", ca_file: ca.pem}"), "grafana.ca_file"),
    ],
)
def test_a_file_of_authorities_that_holds_none_is_said_so(site: Site, section: str, key: str) -> None:
    (site.folder / "secret").write_text("of us\n")
    (site.folder / "ca.pem").write_text("none\n")
    result = check(site, section)
    assert result.exit_code == 1
    assert result.stderr.endswith(f": {key}: {site.folder / 'ca.pem'} holds no certificate\n")


def test_all_files_that_are_not_there_are_told_at_once(site: Site) -> None:
    first, second = check(site, API).stderr.splitlines()
    assert f"api.tls_cert_file: {site.folder / 'server.pem'} cannot be read: " in first
    assert f"api.tls_key_file: {site.folder / 'server.key'} cannot be read: " in second


def certificate(folder: Path) -> None:
    issued = trustme.CA().issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "server.pem")
    issued.private_key_pem.write_to_path(folder / "server.key")


def test_a_key_of_another_certificate_is_told(site: Site) -> None:
    certificate(site.folder)
    trustme.CA().private_key_pem.write_to_path(site.folder / "server.key")
    result = check(site, API)
    assert result.exit_code == 1
    assert f"api.tls_cert_file {site.folder / 'server.pem'}, api.tls_key_file {site.folder / 'server.key'}: " in (
        result.stderr
    )


def test_before_the_first_token_the_configuration_is_good_with_a_warning(site: Site) -> None:
    certificate(site.folder)
    result = check(site, API)
    assert result.exit_code == 0
    assert result.stderr == (
        f"Warning: {site.config}:{line_of(site, API)}: api.tokens_file: {site.folder / 'tokens'} has no token, so that "
        "nobody can use the API yet: see autoscaler token add --help\n"
    )


def test_with_a_token_there_is_no_warning(site: Site) -> None:
    certificate(site.folder)
    add_token(site.folder / "tokens", "grafana", frozenset({Scope.ALERTS}))
    assert check(site, API).stderr == ""


def test_a_file_that_holds_something_else_than_tokens_is_told_by_its_line(site: Site) -> None:
    certificate(site.folder)
    (site.folder / "tokens").write_text("a secret\n")
    result = check(site, API)
    assert result.exit_code == 1
    assert "api.tokens_file: " in result.stderr
    assert "tokens:1: is not a line that `autoscaler token add` wrote" in result.stderr


def test_of_an_api_that_is_off_no_file_is_looked_at(site: Site) -> None:
    assert check(site, "api: {tokens_file: tokens, grafana_secret_file: secret}").stderr == ""
