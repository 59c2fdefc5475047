"""The API on a real address, plain and with TLS."""

from pathlib import Path

import pytest
import requests
import trustme

from autoscaler.api.address import ApiError
from autoscaler.config.api_section import ApiSection
from tests.api.facility import GRAFANA, ApiUnderTest, api_at, bearer, sample
from tests.service.waiting import DEADLINE_S

ANYWHERE = "127.0.0.1:0"


def test_it_answers_while_it_is_served_and_ends_with_it(api: ApiUnderTest) -> None:
    with api_at(ApiSection(listen=ANYWHERE), api.client.app) as (host, port):
        answer = requests.post(
            f"http://{host}:{port}{GRAFANA}", json=sample("grafana"), headers=bearer(api.alerts), timeout=DEADLINE_S
        )
        assert (answer.status_code, api.boosts()) == (200, [8])
        assert "server" not in answer.headers
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{host}:{port}/healthz", timeout=DEADLINE_S)


def test_with_a_certificate_it_speaks_tls(api: ApiUnderTest, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key, ca = tmp_path / "server.pem", tmp_path / "server.key", tmp_path / "ca.pem"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(ca)
    section = ApiSection(listen=ANYWHERE, tls_cert_file=certificate, tls_key_file=key)
    with api_at(section, api.client.app) as (host, port):
        answer = requests.get(f"https://{host}:{port}/healthz", verify=ca, timeout=DEADLINE_S)
    assert answer.json() == {"status": "ok"}


def test_a_certificate_that_cannot_be_read_is_said_so(api: ApiUnderTest, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    section = ApiSection(listen=ANYWHERE, tls_cert_file=missing, tls_key_file=missing)
    with pytest.raises(ApiError, match=r"api\.tls_cert_file .*missing\.pem"), api_at(section, api.client.app):
        pass
