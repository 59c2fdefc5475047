"""A real Prometheus scrapes a real exporter through TLS and a password, and is kept out without it."""

from pathlib import Path

import bcrypt
import trustme

from tests.exporters.running import Exporter, exporter_process
from tests.testbed.prometheus_server import PrometheusServer

PASSWORD = "a secret"


def write_web_config(folder: Path) -> Path:
    """Write a certificate for 127.0.0.1, its authority, and the web configuration; return the last."""
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    server.cert_chain_pems[0].write_to_path(folder / "server.pem")
    server.private_key_pem.write_to_path(folder / "server.key")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    file = folder / "web-config.yml"
    file.write_text(
        "tls_server_config: {cert_file: server.pem, key_file: server.key}\n"
        f"basic_auth_users: {{prometheus: {hashed}}}\n"
    )
    return file


def test_prometheus_scrapes_an_exporter_through_its_lock_and_not_without_the_key(scratch: Path) -> None:
    web_config = write_web_config(scratch)
    arguments = ("proof", "--admin-path", scratch, "--web-config", web_config)
    scheme = {"scheme": "https", "tls_config": {"ca_file": str(scratch / "ca.pem")}}
    key = {"basic_auth": {"username": "prometheus", "password": PASSWORD}}
    with exporter_process(*arguments, scratch=scratch) as process:
        target = Exporter(process).address
        (scratch / "with").mkdir()
        (scratch / "without").mkdir()
        with (
            PrometheusServer(scratch / "with", {"proof": [target]}, how={**scheme, **key}) as knows,
            PrometheusServer(scratch / "without", {"proof": [target]}, how=scheme) as knows_not,
        ):
            # No xproofd runs here: the exporter is up, and says that its source is down.
            (result,) = knows.wait_for_data('proof_up{job="proof"}')
            assert result["value"][1] == "0"
            assert knows.wait_for_data('up{job="proof"} == 1')
            (result,) = knows_not.wait_for_data('up{job="proof"}')
            assert result["value"][1] == "0"
