"""The exposition of each batch system over its samples; the jobs and the nodes are asked as the exporter asks them."""

from pathlib import Path

from exporters.wn import gridengine, htcondor, pbs, torque
from exporters.wn.batch import BatchSystem
from exporters.wn.main import batch_sources
from tests.exporters.exposition import SAMPLES, assert_golden, exposition
from tests.exporters.wn.fakes import install, printing

ASKED_S = 1_795_577_887.0  # when the jobs of Grid Engine were printed


def expositions(system: BatchSystem) -> str:
    return "".join(exposition(source) for source in batch_sources(system, timeout_s=20))


def test_a_grid_engine_with_jobs(tmp_path: Path) -> None:
    jobs, not_yet, queues = (
        printing(SAMPLES / "gridengine" / name, tmp_path)
        for name in ("qstat-jobs.xml", "qstat-not-yet.xml", "qstat-queues.xml")
    )
    install(tmp_path, "qstat", f'case "$*" in *"-s ha"*) {not_yet} ;; -f*) {queues} ;; *) {jobs} ;; esac')
    assert_golden("wn_gridengine", expositions(gridengine.system(tmp_path, 20, clock=lambda: ASKED_S)))


def test_a_grid_engine_that_is_down(tmp_path: Path) -> None:
    install(tmp_path, "qstat", "echo 'error: commlib error: got select error (Connection refused)' >&2; exit 1")
    assert_golden("wn_gridengine_down", expositions(gridengine.system(tmp_path, 20)))


def test_an_htcondor_with_jobs(tmp_path: Path) -> None:
    for command in ("condor_q", "condor_status"):
        install(tmp_path, command, printing(SAMPLES / "htcondor" / f"{command}-json.NOT-FROM-A-DAEMON.json", tmp_path))
    assert_golden("wn_htcondor", expositions(htcondor.system(tmp_path, 20)))


def test_a_pbs_with_jobs(tmp_path: Path) -> None:
    for command, options in (("qstat", "f-F"), ("pbsnodes", "av-F")):
        install(tmp_path, command, printing(SAMPLES / "pbs" / f"{command}-{options}-json.FROM-DOCS.json", tmp_path))
    assert_golden("wn_pbs", expositions(pbs.system(tmp_path, 20)))


def test_a_torque_with_jobs(tmp_path: Path) -> None:
    for command, options in (("qstat", "f-t-x"), ("pbsnodes", "x")):
        install(tmp_path, command, printing(SAMPLES / "torque" / f"{command}-{options}.FROM-DOCS.xml", tmp_path))
    assert_golden("wn_torque", expositions(torque.system(tmp_path, 20)))
