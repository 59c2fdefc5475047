"""A real Prometheus scrapes what it was told to, and says so when a target is gone."""

from pathlib import Path

from tests.testbed.processes import free_port
from tests.testbed.prometheus_server import PrometheusServer


def test_prometheus_scrapes_and_misses_a_dead_target(scratch: Path) -> None:
    dead = f"127.0.0.1:{free_port()}"
    with PrometheusServer(scratch, {"dead": [dead]}) as server:
        (result,) = server.wait_for_data('up{job="dead"}')
        assert result["value"][1] == "0"
        assert server.query("no_such_metric") == []


def test_prometheus_keeps_its_port_and_data_over_a_crash(scratch: Path) -> None:
    with PrometheusServer(scratch, {"dead": [f"127.0.0.1:{free_port()}"]}) as server:
        server.wait_for_data("up")
        server.process.kill9()
        server.start()
        assert server.wait_for_data("up")
