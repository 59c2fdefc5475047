"""The keeper of the API's process, with a process that cannot serve or hangs."""

import logging
import os
import signal
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import requests

from autoscaler.api import process as keeper
from autoscaler.api.metrics import ApiMetrics, Counts
from autoscaler.api.process import ApiProcess
from autoscaler.store.postgresql import PostgresDatabase
from tests.api.facility import GRAFANA, ApiUnderTest, bearer, sample
from tests.service.waiting import DEADLINE_S, wait_until
from tests.testbed.postgres_server import postgres


def kept(
    api: ApiUnderTest, place: Path | PostgresDatabase, metrics: ApiMetrics
) -> AbstractContextManager[tuple[str, int]]:
    section = api.loaded.config.api.model_copy(update={"listen": ("127.0.0.1", 0)})
    config = api.loaded.config.model_copy(update={"api": section})
    return ApiProcess(config, place, logging.Formatter(), lambda: None, metrics).serving()


def counted(metrics: ApiMetrics, name: str) -> float:
    samples = (sample for family in metrics.collect() for sample in family.samples)
    return sum(sample.value for sample in samples if sample.name == name)


def processes() -> list[int]:
    """The API's processes that this one has started."""
    found = [int(pid) for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()]
    return [pid for pid in found if b"autoscaler.api" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.testbed
def test_it_opens_a_store_on_a_server_as_well(api: ApiUnderTest) -> None:
    with postgres() as server:
        place = PostgresDatabase(server.url(server.new_database()), server.password_file)
        with kept(api, place, ApiMetrics()) as (host, port):
            url = f"http://{host}:{port}{GRAFANA}"
            body, headers = sample("grafana"), bearer(api.alerts)
            first, again = (requests.post(url, json=body, headers=headers, timeout=DEADLINE_S) for _ in range(2))
    assert (len(first.json()["begun"]), again.json()["known"]) == (1, 1)


def test_a_store_that_cannot_be_opened_is_tried_again_and_counted(
    api: ApiUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(keeper, "FIRST_PAUSE_S", 0.01)
    metrics = ApiMetrics()
    with kept(api, tmp_path, metrics):
        wait_until(lambda: counted(metrics, "autoscaler_api_restarts_total") >= 2, "two that ended")
    assert f"the API cannot be served: store {tmp_path} is a folder, not a file" in capfd.readouterr().err


def test_a_process_that_hangs_is_killed_and_another_one_is_started(
    api: ApiUnderTest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = ApiMetrics()
    with kept(api, api.folder / "decisions.sqlite", metrics) as (host, port):
        url = f"http://{host}:{port}/healthz"
        requests.get(url, timeout=DEADLINE_S)
        monkeypatch.setattr(keeper, "SILENT_S", 2)
        requests.get(url, timeout=DEADLINE_S)
        wait_until(lambda: counted(metrics, "autoscaler_api_requests_total") == 2, "a report")
        (hung,) = processes()
        os.kill(hung, signal.SIGSTOP)
        wait_until(lambda: "the API's process has said nothing for 2 s" in caplog.text, "its end")
        monkeypatch.undo()
        assert requests.get(url, timeout=DEADLINE_S).json() == {"status": "ok"}
        assert hung not in processes()
    assert processes() == []


def test_a_process_that_hangs_does_not_outlive_the_controller_that_ends(
    api: ApiUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "END_S", 0.5)
    with kept(api, api.folder / "decisions.sqlite", ApiMetrics()) as (host, port):
        requests.get(f"http://{host}:{port}/healthz", timeout=DEADLINE_S)
        (hung,) = processes()
        os.kill(hung, signal.SIGSTOP)
    assert processes() == []


def test_what_was_counted_is_told_once_and_adds_up() -> None:
    theirs, ours = ApiMetrics(), ApiMetrics()
    for _ in range(2):
        theirs.answered("/healthz", 200)
        theirs.heard("grafana", begun=1, known=0)
        theirs.announced("ready")
        ours.add(theirs.taken())
    assert theirs.taken() == Counts()
    values = {
        (sample.name, *sample.labels.values()): sample.value for family in ours.collect() for sample in family.samples
    }
    assert values["autoscaler_api_requests_total", "/healthz", "200"] == 2
    assert values["autoscaler_alerts_total", "grafana", "begun"] == 2
    assert values["autoscaler_announced_sessions_total", "ready"] == 2
    assert values["autoscaler_announced_sessions_total", "over"] == 0
