"""The exposition of the batch systems over captured outputs."""

from collections.abc import Iterable

from prometheus_client.core import Metric

from exporters.serving import Source
from exporters.wn.slurm import job_metrics, parse_squeue
from tests.exporters.exposition import SAMPLES, assert_golden, exposition


def squeue(name: str) -> Source:
    def read() -> Iterable[Metric]:
        return job_metrics(parse_squeue((SAMPLES / "slurm" / name).read_bytes()))

    return Source("wn", read)


def test_a_slurm_with_jobs() -> None:
    assert_golden("wn", exposition(squeue("squeue.json")))


def test_a_slurm_that_is_down() -> None:
    assert_golden("wn_down", exposition(squeue("squeue-ctld-down.json")))
