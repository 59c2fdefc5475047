"""The API of a running controller is a process of its own, which may die, hang or be flooded."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from autoscaler.api.tokens import Scope, add_token
from tests.api.facility import ALERTMANAGER, bearer, sample
from tests.cli.site import Site
from tests.cli.systemd import Systemd, running
from tests.cli.test_tuning import api_of
from tests.service.waiting import DEADLINE_S
from tests.testbed.processes import free_port, wait_until

SECTIONS = """
tuning:
  - {match: {alertname: ProofQueueHigh}, action: {boost_workers: 2}, for: 1h}
api: {listen: "127.0.0.1:0", tokens_file: tokens, requests_per_minute: 1000}
hosts:"""


@dataclass
class Controller:
    """One that runs, with its API."""

    systemd: Systemd
    process: subprocess.Popen[str]
    url: str
    metrics_url: str
    token: str

    @property
    def site(self) -> Site:
        return self.systemd.site

    @property
    def log(self) -> str:
        return (self.site.folder / "log").read_text()

    def post(self, group: str = "one") -> dict[str, Any]:
        """Post a new alert and return the answer."""
        body = sample("alertmanager-firing")
        body["groupKey"] = group
        body["alerts"][0]["startsAt"] = datetime.now(UTC).isoformat()
        answer = requests.post(f"{self.url}{ALERTMANAGER}", json=body, headers=bearer(self.token), timeout=DEADLINE_S)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def count(self, name: str) -> float:
        """A counter's sum over its labels."""
        lines = requests.get(self.metrics_url, timeout=DEADLINE_S).text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    def wait_for(self, name: str, number: float) -> None:
        wait_until(lambda: self.count(name) == number, DEADLINE_S, f"{name} {number}")

    def api(self) -> int:
        """The process of the API."""
        return wait_until(lambda: next(apis_of(self.process.pid), None), DEADLINE_S, "a process of the API")

    def kill_api(self, number: signal.Signals = signal.SIGKILL) -> int:
        """End the process of the API; return that of the next one."""
        old = self.api()
        os.kill(old, number)
        return wait_until(
            lambda: next((pid for pid in apis_of(self.process.pid) if pid != old), None), DEADLINE_S, "the next one"
        )


def apis_of(parent: int) -> Iterator[int]:
    """The processes of the API that a controller has started."""
    for children in Path(f"/proc/{parent}/task").glob("*/children"):
        for pid in children.read_text().split():
            if b"autoscaler.api" in Path(f"/proc/{pid}/cmdline").read_bytes():
                yield int(pid)


def begun(systemd: Systemd, process: subprocess.Popen[str], port: int, token: str) -> Controller:
    systemd.hear("READY=1")
    return Controller(
        systemd, process, api_of(systemd.site).removesuffix('"}'), f"http://127.0.0.1:{port}/metrics", token
    )


@pytest.fixture
def controller(systemd: Systemd, request: pytest.FixtureRequest) -> Iterator[Controller]:
    """A controller whose next cycle is far, so that only the bell brings it."""
    site, port = systemd.site, free_port()
    site.exporter.queued = 1
    site.replace("hosts:", SECTIONS)
    site.replace("interval: 100ms", f'interval: 1h, metrics_listen: "127.0.0.1:{port}"')
    token = add_token(site.folder / "tokens", "am", frozenset({Scope.ALERTS, Scope.VIEWER}))
    with running(systemd, *getattr(request, "param", ())) as process:
        yield begun(systemd, process, port, token)


def test_what_the_api_counts_is_the_controllers_to_show(controller: Controller) -> None:
    controller.post()
    controller.wait_for("autoscaler_api_requests_total{", 1)
    controller.wait_for('autoscaler_alerts_total{result="begun"', 1)


def test_prometheus_sees_what_the_api_takes(controller: Controller) -> None:
    controller.post()
    memory = controller.count("autoscaler_api_process_resident_memory_bytes")
    assert memory == pytest.approx(psutil.Process(controller.api()).memory_info().rss, rel=0.5)


def test_the_controller_does_without_what_the_api_imports() -> None:
    code = "import sys, autoscaler.cli.run; sys.exit(not {'fastapi', 'uvicorn'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], timeout=DEADLINE_S, check=False).returncode == 0


def test_a_killed_api_is_told_counted_and_started_again_and_the_loop_hears_of_alerts(controller: Controller) -> None:
    controller.post()
    controller.wait_for("autoscaler_api_requests_total{", 1)
    controller.systemd.hear("WATCHDOG=1")
    controller.kill_api()
    assert "the API's process was ended by signal 9 (Killed); another one is started in 1 s" in controller.log
    assert len(controller.post("another")["begun"]) == 1
    controller.systemd.hear("WATCHDOG=1")
    controller.wait_for("autoscaler_api_requests_total{", 2)
    controller.wait_for("autoscaler_api_restarts_total", 1)


def test_what_is_known_is_known_to_the_next_api(controller: Controller) -> None:
    body = sample("alertmanager-firing")
    url, headers = f"{controller.url}{ALERTMANAGER}", bearer(controller.token)
    body["alerts"][0]["startsAt"] = datetime.now(UTC).isoformat()
    first = requests.post(url, json=body, headers=headers, timeout=DEADLINE_S).json()
    controller.kill_api()
    second = requests.post(url, json=body, headers=headers, timeout=DEADLINE_S).json()
    assert (len(first["begun"]), second["begun"], second["known"]) == (1, [], 1)


def test_an_api_that_a_person_ends_comes_again(controller: Controller) -> None:
    controller.post()
    controller.kill_api(signal.SIGTERM)
    assert "the API's process ended with exit code 0" in controller.log
    controller.post("another")
    controller.wait_for("autoscaler_api_requests_total{", 2)


def test_signals_that_are_for_the_controller_do_not_end_the_api(controller: Controller) -> None:
    controller.post()
    api = controller.api()
    for number in (signal.SIGHUP, signal.SIGINT):
        os.kill(api, number)
    controller.post("another")
    assert controller.api() == api
    assert controller.count("autoscaler_api_restarts_total") == 0


def test_the_api_goes_with_a_controller_that_is_killed_and_lets_go_of_the_address(controller: Controller) -> None:
    controller.post()
    api = controller.api()
    controller.process.kill()
    controller.process.wait(DEADLINE_S)
    wait_until(lambda: not Path(f"/proc/{api}/cmdline").exists(), DEADLINE_S, "the end of the API")
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{controller.url}/healthz", timeout=DEADLINE_S)


def test_a_controller_that_is_killed_can_be_started_again_at_once(controller: Controller) -> None:
    port = controller.url.rpartition(":")[2]
    controller.post()
    controller.site.replace("127.0.0.1:0", f"127.0.0.1:{port}")
    controller.process.kill()
    with running(controller.systemd):
        controller.systemd.hear("READY=1")
        assert controller.post()["known"] in {0, 1}


def test_a_controller_that_ends_ends_its_api_first(controller: Controller) -> None:
    controller.post()
    api = controller.api()
    controller.process.terminate()
    assert controller.process.wait(DEADLINE_S) == 0
    assert not Path(f"/proc/{api}").exists()
    assert "the API's process" not in controller.log


def test_a_reload_changes_what_alerts_do(controller: Controller) -> None:
    controller.post()
    controller.site.replace("boost_workers: 2", "boost_workers: 3")
    controller.process.send_signal(signal.SIGHUP)
    controller.systemd.hear("RELOADING=1")
    controller.systemd.hear("READY=1")
    groups = iter(f"group-{number}" for number in range(1000))
    wait_until(lambda: "+3 workers" in str(controller.post(next(groups))["begun"]), DEADLINE_S, "the new rule in force")
    assert controller.count("autoscaler_api_restarts_total") == 0


def test_the_next_api_begins_with_the_configuration_that_was_taken_over(controller: Controller) -> None:
    controller.site.replace("boost_workers: 2", "boost_workers: 3")
    controller.process.send_signal(signal.SIGHUP)
    controller.systemd.hear("RELOADING=1")
    controller.systemd.hear("READY=1")
    controller.kill_api()
    assert "+3 workers" in str(controller.post()["begun"])


def test_the_api_steps_back_for_the_loop_and_does_not_speak_to_systemd(controller: Controller) -> None:
    controller.post()
    api = controller.api()
    assert os.getpriority(os.PRIO_PROCESS, api) == os.getpriority(os.PRIO_PROCESS, controller.process.pid) + 10
    assert int(Path(f"/proc/{api}/oom_score_adj").read_text()) == 500
    assert b"NOTIFY_SOCKET" not in Path(f"/proc/{api}/environ").read_bytes()


@pytest.mark.parametrize("controller", [("--log-format", "json")], indirect=True)
def test_the_api_logs_as_the_controller_does(controller: Controller) -> None:
    controller.post()
    told = [json.loads(line) for line in controller.log.splitlines()]
    assert any(line["message"].startswith("begun: alert ProofQueueHigh") for line in told)
