"""A real Alertmanager tells the API of an alert, with its token, and that it is over."""

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests

from autoscaler.api.serve import api_at
from autoscaler.config.schema import ApiSection
from tests.api.facility import ALERTMANAGER, ApiUnderTest
from tests.testbed.alertmanager_server import DEADLINE_S, alertmanager

CONFIG = """
route: {{receiver: autoscaler, group_by: [alertname], group_wait: 100ms, group_interval: 1s}}
receivers:
  - name: autoscaler
    webhook_configs:
      - url: http://{host}:{port}{path}
        http_config: {{authorization: {{credentials: {token}}}}}
"""


def tell(address: str, begins: datetime, ends: datetime) -> None:
    alert = {
        "labels": {"alertname": "ProofQueueHigh"},
        "startsAt": begins.isoformat(),
        "endsAt": ends.isoformat(),
    }
    requests.post(f"http://{address}/api/v2/alerts", json=[alert], timeout=DEADLINE_S).raise_for_status()


def wait_for(api: ApiUnderTest, boosts: list[int]) -> None:
    give_up = time.monotonic() + DEADLINE_S
    while api.boosts() != boosts:
        assert time.monotonic() < give_up, f"{boosts} never came"
        time.sleep(0.1)


def test_an_alert_of_a_real_alertmanager_begins_a_boost_and_its_end_undoes_it(scratch: Path) -> None:
    begins = datetime.now(UTC)
    api = ApiUnderTest(scratch, now=begins)
    with closing(api.store), api_at(ApiSection(listen="127.0.0.1:0"), api.client.app) as (host, port):
        config = scratch / "alertmanager.yml"
        config.write_text(CONFIG.format(host=host, port=port, path=ALERTMANAGER, token=api.alerts))
        with alertmanager(scratch, config) as address:
            tell(address, begins, begins + timedelta(hours=1))
            wait_for(api, [8])
            tell(address, begins, datetime.now(UTC))
            wait_for(api, [])
    assert api.rung == 2
    assert api.counted("alerts", source="alertmanager", result="ended") == 1
