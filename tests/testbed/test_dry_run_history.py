"""`autoscaler dry-run --since` over the data of a real Prometheus, written back into the past."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.site import HOST, HOSTS, invoke
from tests.testbed.backfill import write_back
from tests.testbed.prometheus_server import PrometheusServer

STEP_S = 15
HOURS = 6

CONFIG = (
    """
controller: {{interval: 15s, store: decisions.sqlite}}
source: {{kind: prometheus, url: "{url}"}}
policy: {{name: threshold, workers_per_session: 4, idle: 5m}}
"""
    + HOSTS
)

LABELS = 'instance="vaf-master:9611",job="proof"'


@pytest.fixture
def remembered(scratch: Path) -> Iterator[tuple[PrometheusServer, int]]:
    """A Prometheus that scrapes nothing and remembers some hours until now.

    A session runs in the third last hour, for half an hour.
    """
    now_s = int(time.time()) // STEP_S * STEP_S
    series = {
        f"up{{{LABELS}}}": lambda _at_s: 1,
        f"proof_up{{{LABELS}}}": lambda _at_s: 1,
        f"proof_queue_depth{{{LABELS}}}": lambda _at_s: 0,
        f'proof_sessions{{{LABELS},state="running"}}': lambda at_s: int(0 <= at_s - (now_s - 3 * 3600) < 1800),
        f"proof_last_success_timestamp_seconds{{{LABELS}}}": lambda at_s: at_s,
    }
    write_back(scratch, series, range(now_s - HOURS * 3600, now_s, STEP_S))
    with PrometheusServer(scratch, {}) as server:
        yield server, now_s


def test_a_session_that_ran_is_a_growth_in_the_replay(remembered: tuple[PrometheusServer, int], scratch: Path) -> None:
    server, now_s = remembered
    config = scratch / "autoscaler.yaml"
    config.write_text(CONFIG.format(url=server.url, hosts=HOST.format(name="host-1", xml=scratch / "nothing.xml")))
    other = scratch / "other.yaml"
    other.write_text(config.read_text().replace("idle: 5m", "idle: 10m"))
    result = invoke("dry-run", "--config", config, "--since", "5h", "--against", other, "--format", "json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    this, against = found["totals"]["this"], found["totals"]["against"]
    assert (this["changes"], this["moved_mib"], against["changes"]) == (2, 2 * 4 * 792, 2)
    # Half an hour, and five or ten minutes more; a sample at the edge may count on either side.
    assert abs(this["awake_s"] - 2100) <= 2 * STEP_S
    assert abs(against["awake_s"] - 2400) <= 2 * STEP_S
    (moment,) = found["moments"]
    assert (moment["this"]["workers"], moment["against"]["workers"]) == (0, 4)
    # Prometheus has nothing of the seconds since the data ended.
    assert this["unknown_signals_s"] <= time.time() - now_s + STEP_S
