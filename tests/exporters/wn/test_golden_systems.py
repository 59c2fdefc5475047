"""The exposition of each batch system over its samples; the jobs and the nodes are asked as the exporter asks them."""

from collections.abc import Iterable
from pathlib import Path

from prometheus_client.core import Metric

from exporters.serving import Source
from exporters.wn import gridengine, htcondor, pbs
from exporters.wn.batch import BatchSystem, Limits, job_metrics, node_metrics
from tests.exporters.exposition import SAMPLES, assert_golden, exposition
from tests.exporters.wn.fakes import install, printing

ASKED_S = 1_795_577_887.0  # when the jobs of Grid Engine were printed


def source(system: BatchSystem) -> Source:
    def read() -> Iterable[Metric]:
        yield from job_metrics(system.jobs(), Limits())
        yield from node_metrics(system.nodes(), Limits())

    return Source("wn", read)


def test_a_grid_engine_with_jobs(tmp_path: Path) -> None:
    jobs, not_yet, queues = (
        printing(SAMPLES / "gridengine" / name, tmp_path)
        for name in ("qstat-jobs.xml", "qstat-not-yet.xml", "qstat-queues.xml")
    )
    install(tmp_path, "qstat", f'case "$*" in *"-s ha"*) {not_yet} ;; -f*) {queues} ;; *) {jobs} ;; esac')
    assert_golden("wn_gridengine", exposition(source(gridengine.system(tmp_path, 20, clock=lambda: ASKED_S))))


def test_a_grid_engine_that_is_down(tmp_path: Path) -> None:
    install(tmp_path, "qstat", "echo 'error: commlib error: got select error (Connection refused)' >&2; exit 1")
    assert_golden("wn_gridengine_down", exposition(source(gridengine.system(tmp_path, 20))))


def test_an_htcondor_with_jobs(tmp_path: Path) -> None:
    for command in ("condor_q", "condor_status"):
        install(tmp_path, command, printing(SAMPLES / "htcondor" / f"{command}-json.NOT-FROM-A-DAEMON.json", tmp_path))
    assert_golden("wn_htcondor", exposition(source(htcondor.system(tmp_path, 20))))


def test_a_pbs_with_jobs(tmp_path: Path) -> None:
    for command, options in (("qstat", "f-F"), ("pbsnodes", "av-F")):
        install(tmp_path, command, printing(SAMPLES / "pbs" / f"{command}-{options}-json.FROM-DOCS.json", tmp_path))
    assert_golden("wn_pbs", exposition(source(pbs.system(tmp_path, 20))))
