"""An exporter as a process: it serves, and ends when told to."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.exporters.running import Exporter, running_exporter
from tests.testbed.processes import scratch_folder, wait_until


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    """Give a real exporter of a source that is down."""
    with (
        scratch_folder() as scratch,
        running_exporter("proof", "--admin-path", scratch / "none", scratch=scratch) as exporter,
    ):
        yield exporter


def test_the_exporter_serves_over_http(exporter: Exporter) -> None:
    assert exporter.scrape()["proof_up"] == 0
    assert exporter.scrape()["proof_read_failures_total"] == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_exporter_cleanly(exporter: Exporter, number: signal.Signals) -> None:
    os.kill(exporter.process.pid, number)
    wait_until(lambda: not exporter.process.running, 60, "the end of the exporter")
    assert exporter.process.kill9() == 0
    assert "Traceback" not in exporter.process.log_tail()
