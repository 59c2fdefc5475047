"""An alert reaches somebody: Prometheus and Alertmanager run with the files of deploy/, quickly, and mail is a hook."""

import json
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from pytest_httpserver import HTTPServer
from ruamel.yaml import YAML
from werkzeug import Request, Response

from autoscaler.service.cycle_metrics import CycleMetrics
from autoscaler.service.metrics import metrics_at
from tests.deploy.expressions import TOP
from tests.testbed.alertmanager_server import DEADLINE_S, alertmanager
from tests.testbed.processes import free_port
from tests.testbed.prometheus_server import PrometheusServer
from tests.testbed.test_dashboards import quick_prometheus, targets

ALERTMANAGER = TOP / "deploy" / "alertmanager" / "alertmanager.yml"


@contextmanager
def quick_alertmanager(scratch: Path, hook: str) -> Iterator[str]:
    """Run Alertmanager with deploy's routes, quickly, and with a hook in place of mail; give its address."""
    config = YAML(typ="safe").load(ALERTMANAGER)
    for receiver in config["receivers"]:
        receiver.pop("email_configs", None)
        receiver["webhook_configs"] = [{"url": hook, "send_resolved": True}]
    for route in (config["route"], *config["route"]["routes"]):
        route |= {"group_wait": "1s", "group_interval": "1s"}
    file = scratch / "alertmanager.yml"
    YAML(typ="safe").dump(config, file)
    with alertmanager(scratch, file) as address:
        yield address


def told(messages: "queue.SimpleQueue[dict[str, Any]]", status: str) -> dict[str, Any]:
    """Wait for the alert that the controller is down, in this state; other alerts may be told before."""
    while True:
        message = messages.get(timeout=DEADLINE_S)
        for alert in message["alerts"]:
            if (alert["labels"]["alertname"], alert["status"]) == ("AutoscalerDown", status):
                return alert


def test_a_controller_that_is_down_is_told_and_that_it_is_back(scratch: Path, httpserver: HTTPServer) -> None:
    messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def take(request: Request) -> Response:
        messages.put(json.loads(request.data))
        return Response()

    httpserver.expect_request("/hook", method="POST").respond_with_handler(take)
    folder, controller = scratch / "prometheus", ("127.0.0.1", free_port())
    config = quick_prometheus(folder)
    for file in folder.glob("*.rules.yml"):
        file.write_text(file.read_text().replace("for: 2m", "for: 1s"))
    targets(folder, "autoscaler", f"127.0.0.1:{controller[1]}")
    with quick_alertmanager(scratch, httpserver.url_for("/hook")) as address:
        config.write_text(config.read_text().replace("127.0.0.1:9093", address))
        with PrometheusServer(scratch, {}, config=config):
            alert = told(messages, "firing")
            assert alert["annotations"]["runbook"] == "RUNBOOK.md#autoscalerdown"
            assert alert["labels"]["severity"] == "critical"
            with metrics_at(controller, CycleMetrics(timedelta(seconds=15))):
                told(messages, "resolved")
