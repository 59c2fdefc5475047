"""The synthetic day."""

from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from autoscaler.demo.day import MIDNIGHT, DayExporter, Load, load_at

STEP = timedelta(minutes=5)


@pytest.mark.parametrize(
    ("time", "load"),
    [
        ("00:00", Load(0, 0)),
        ("08:09", Load(0, 0)),
        ("08:10", Load(1, 0)),  # the first session comes
        ("08:14", Load(1, 0)),  # and queues for one step
        ("08:15", Load(0, 1)),  # then runs
        ("08:34", Load(0, 1)),
        ("08:35", Load(0, 0)),  # 25 minutes after it came it is over
        ("10:20", Load(1, 2)),  # one comes while two run
        ("12:00", Load(0, 0)),  # lunch
        ("15:10", Load(1, 5)),
        ("22:10", Load(0, 0)),
        ("23:55", Load(0, 0)),
    ],
)
def test_the_load_of_the_day(time: str, load: Load) -> None:
    hour, minute = map(int, time.split(":"))
    assert load_at(MIDNIGHT + timedelta(hours=hour, minutes=minute), STEP) == load


def test_no_session_is_skipped_by_the_demos_steps() -> None:
    queued = sum(load_at(MIDNIGHT + number * STEP, STEP).queued for number in range(288))
    assert queued == 15


def test_the_exporter_shows_the_load_under_the_proof_exporters_names() -> None:
    exporter, registry = DayExporter(STEP), CollectorRegistry()
    exporter.now = MIDNIGHT + timedelta(hours=10, minutes=20)
    registry.register(exporter)
    text = generate_latest(registry).decode()
    assert "proof_up 1.0\n" in text
    assert "proof_queue_depth 1.0\n" in text
    assert 'proof_sessions{state="running"} 2.0\n' in text
    assert registry.get_sample_value("proof_last_success_timestamp_seconds") == exporter.now.timestamp()
