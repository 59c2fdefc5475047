"""`autoscaler train` over the data of a real Prometheus, beside a store that a controller has written."""

import json
import math
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from autoscaler.hypervisors.in_memory import host_xml
from autoscaler.service import backtest, training
from tests.cli.site import HOST, HOSTS, invoke
from tests.testbed.backfill import write_back
from tests.testbed.prometheus_server import PrometheusServer

STEP_S = 60
DAY_S = 86_400
DAYS = 3

CONFIG = (
    """
controller: {{interval: 15s, store: decisions.sqlite}}
source: {{kind: prometheus, url: "{url}"}}
policy: {{name: learned, workers_per_session: 4}}
"""
    + HOSTS
)


@pytest.fixture
def remembered(scratch: Path) -> Iterator[PrometheusServer]:
    """A Prometheus that remembers three days of sessions by day and of six batch jobs."""
    now_s = int(time.time()) // STEP_S * STEP_S
    proof, wn = 'instance="vaf-master:9611",job="proof"', 'instance="vaf-master:9612",job="wn"'
    series = {
        f'proof_sessions{{{proof},state="running"}}': lambda at_s: int(
            at_s % DAY_S < DAY_S / 2 and math.sin(at_s / 900) > 0
        ),
        f"proof_queue_depth{{{proof}}}": lambda _at_s: 0,
        f"proof_up{{{proof}}}": lambda _at_s: 1,
        f"proof_last_success_timestamp_seconds{{{proof}}}": lambda at_s: at_s,
        f'wn_jobs{{{wn},state="running"}}': lambda _at_s: 6,
        f"wn_up{{{wn}}}": lambda _at_s: 1,
        f"wn_last_success_timestamp_seconds{{{wn}}}": lambda at_s: at_s,
        f"up{{{proof}}}": lambda _at_s: 1,
        f"up{{{wn}}}": lambda _at_s: 1,
    }
    # An hour that is still to come, so that the last minutes of the past are not unknown when they are asked for.
    write_back(scratch, series, range(now_s - DAYS * DAY_S, now_s + 3600, STEP_S))
    with PrometheusServer(scratch, {}) as server:
        yield server


def test_a_model_learns_what_prometheus_counted_and_is_judged_on_the_hosts_that_the_controller_saw(
    remembered: PrometheusServer, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (backtest, training):
        monkeypatch.setattr(module, "LEAST_PAST", timedelta(days=2))
    monkeypatch.setattr(training, "LEVELS", (0.5, 0.95))
    xml = scratch / "host.xml"
    xml.write_text(host_xml(8056, 8, {"proof": (6911, 572), "wn": (6911, 6911)}))
    config = scratch / "autoscaler.yaml"
    config.write_text(CONFIG.format(url=remembered.url, hosts=HOST.format(name="host-1", xml=xml)))
    ran = invoke("run", "--config", config, "--cycles", "1")
    assert ran.exit_code == 0, ran.stderr
    trained = invoke("train", "--config", config, "--since", f"{DAYS}d", "--format", "json")
    assert trained.exit_code == 0, trained.stderr
    card = json.loads(trained.stdout)["model"]
    assert card["data"]["source"] == remembered.url
    assert card["data"]["gap_minutes"] <= 5
    found = card["backtest"]
    assert found["loop"] == "closed"
    assert found["notes"][0] == "played on a model of this site: 1 hosts, 8 cores, 8 batch jobs at once"
    assert 0 < found["scores"][1]["missed_arrivals_ratio"] <= 1
