"""The alert rules, by Prometheus' own tool."""

import re
import shutil
import subprocess
from datetime import time
from pathlib import Path

import pytest

from autoscaler.service.health import Health
from autoscaler.service.metrics import PolicyMetrics, RefitMetrics
from autoscaler.service.refit import Refit
from tests.service.test_metrics import LEARNED, decided

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "autoscaler.rules.yml"
TESTS = Path(__file__).with_name("alerts.yml")


@pytest.mark.testbed
def test_each_alert_fires_when_it_is_to_and_not_before(tmp_path: Path) -> None:
    for file in (RULES, TESTS):
        shutil.copy(file, tmp_path)
    done = subprocess.run(
        ["promtool", "test", "rules", TESTS.name], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_of_a_rule_exists() -> None:
    metrics = PolicyMetrics()
    metrics.show(decided(LEARNED))
    refit = RefitMetrics(Refit([], time(3, 30)))
    health = Health()
    health.finished()
    there = {metric.name for each in (metrics, refit, health) for metric in each.collect()}
    assert set(re.findall(r"expr: (autoscaler_\w+)", RULES.read_text())) <= there
