"""The web configuration file: the format of Prometheus' own exporters, and what is said when it cannot be used."""

import ssl
import subprocess
from pathlib import Path

import bcrypt
import pytest
import trustme

from exporters.serving.web_config import BadWebConfig, load_web_config

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """Give a folder with a server's certificate and key, and the authority's certificate."""
    authority = trustme.CA()
    server = authority.issue_cert("localhost")
    server.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    server.private_key_pem.write_to_path(tmp_path / "server.key")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    file = folder / "web-config.yml"
    file.write_text(text)
    return file


WHOLE = f"""
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_ca_file: ca.pem
  client_auth_type: RequireAndVerifyClientCert
  min_version: TLS13
basic_auth_users:
  prometheus: {HASH}
"""


def test_a_file_that_promtool_takes_is_taken(certificates: Path) -> None:
    file = write(certificates, WHOLE)
    checked = subprocess.run(["promtool", "check", "web-config", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    config = load_web_config(file)
    assert config.users == {"prometheus": HASH}
    assert config.tls is not None
    assert config.tls.verify_mode is ssl.CERT_REQUIRED
    assert config.tls.minimum_version is ssl.TLSVersion.TLSv1_3


def test_an_empty_file_means_no_lock_as_it_does_for_prometheus_own_exporters(tmp_path: Path) -> None:
    config = load_web_config(write(tmp_path, ""))
    assert config.tls is None
    assert config.users == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("basic_auth_users: {bob: secret}", r"basic_auth_users: .*the password of 'bob' is not a bcrypt hash"),
        ("basic_auth_user: {bob: secret}", r"basic_auth_user: Extra inputs are not permitted"),
        ("http_server_config: {http2: true}", r"http_server_config: Extra inputs are not permitted"),
        ("tls_server_config: {cert_file: server.pem}", r"tls_server_config\.key_file: Field required"),
        (
            "tls_server_config: {cert_file: none.pem, key_file: server.key}",
            r"tls_server_config\.cert_file: .*none\.pem: No",
        ),
        (
            "tls_server_config: {cert_file: server.key, key_file: server.pem}",
            r"tls_server_config: .*server\.key .* not a",
        ),
        ("tls_server_config: {cert_file: ca.pem, key_file: server.key}", r"tls_server_config: .*ca\.pem .* its .* key"),
        (
            "tls_server_config: {cert_file: server.pem, key_file: server.key, client_ca_file: server.key}",
            r"tls_server_config\.client_ca_file: .*server\.key is not a certificate",
        ),
        (
            "tls_server_config: {cert_file: s, key_file: k, client_auth_type: RequireAndVerifyClientCert}",
            r"tls_server_config: .*needs a client_ca_file",
        ),
        ("tls_server_config: {cert_file: s, key_file: k, min_version: TLS10}", r"tls_server_config\.min_version: "),
        ("- a list", r"the file: "),
        ("{", r"not YAML: "),
        ("a: 1\na: 2", r"not YAML: "),
    ],
)
def test_a_mistake_is_named_with_its_file_and_key(certificates: Path, text: str, sentence: str) -> None:
    with pytest.raises(BadWebConfig, match=rf"web-config\.yml: {sentence}"):
        load_web_config(write(certificates, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadWebConfig, match=r"none\.yml: No such file or directory"):
        load_web_config(tmp_path / "none.yml")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadWebConfig, match=r"web\.yml: not "):
        load_web_config(file)
