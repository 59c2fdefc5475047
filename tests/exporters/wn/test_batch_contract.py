"""What holds for every batch system: an answer that is none is unknown, and the reason names the command."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exporters.serving import SourceUnavailable
from exporters.wn.batch import Limits, job_metrics, node_metrics
from exporters.wn.main import BATCH_SYSTEMS
from tests.exporters.exposition import SAMPLES
from tests.exporters.wn.fakes import install, printing

XML = SAMPLES / "gridengine" / "qstat-jobs.xml"
JSON = SAMPLES / "slurm" / "squeue-empty.json"


@dataclass(frozen=True)
class Question:
    """One thing a batch system is asked: by which command, how, and a good answer to it."""

    command: str
    ask: Callable[[Path, float], Sequence[Any]]
    sample: Path
    of_another_kind: Path


def jobs(name: str) -> Callable[[Path, float], Sequence[Any]]:
    return lambda folder, timeout_s: BATCH_SYSTEMS[name](folder, timeout_s).jobs()


def nodes(name: str) -> Callable[[Path, float], Sequence[Any]]:
    return lambda folder, timeout_s: BATCH_SYSTEMS[name](folder, timeout_s).nodes()


SLURM, CONDOR, PBS, TORQUE = (SAMPLES / name for name in ("slurm", "htcondor", "pbs", "torque"))
QUESTIONS = {
    "slurm jobs": Question("squeue", jobs("slurm"), SLURM / "squeue.json", XML),
    "slurm nodes": Question("sinfo", nodes("slurm"), SLURM / "sinfo.json", XML),
    "gridengine jobs": Question("qstat", jobs("gridengine"), XML, JSON),
    "gridengine nodes": Question("qstat", nodes("gridengine"), SAMPLES / "gridengine" / "qstat-queues.xml", JSON),
    "htcondor jobs": Question("condor_q", jobs("htcondor"), CONDOR / "condor_q-json.NOT-FROM-A-DAEMON.json", JSON),
    "htcondor nodes": Question(
        "condor_status", nodes("htcondor"), CONDOR / "condor_status-json.NOT-FROM-A-DAEMON.json", JSON
    ),
    "pbs jobs": Question("qstat", jobs("pbs"), PBS / "qstat-f-F-json.FROM-DOCS.json", JSON),
    "pbs nodes": Question("pbsnodes", nodes("pbs"), PBS / "pbsnodes-av-F-json.FROM-DOCS.json", JSON),
    "torque jobs": Question("qstat", jobs("torque"), TORQUE / "qstat-f-t-x.FROM-DOCS.xml", JSON),
    "torque nodes": Question("pbsnodes", nodes("torque"), TORQUE / "pbsnodes-x.FROM-DOCS.xml", JSON),
}


def test_every_batch_system_is_asked_for_jobs_and_nodes() -> None:
    assert QUESTIONS.keys() == {f"{name} {kind}" for name in BATCH_SYSTEMS for kind in ("jobs", "nodes")}


@pytest.fixture(params=QUESTIONS.values(), ids=QUESTIONS.keys())
def question(request: pytest.FixtureRequest) -> Question:
    asked: Question = request.param
    return asked


def assert_unknown(question: Question, folder: Path, body: str, reason: str, timeout_s: float = 20) -> None:
    """Let the command be this script; the reason must name it, and be the same sentence the next time."""
    install(folder, question.command, body)
    sentences = []
    for _ in range(2):
        with pytest.raises(SourceUnavailable, match=reason) as caught:
            question.ask(folder, timeout_s)
        sentences.append(caught.value.reason)
    assert re.search(rf"\b{question.command}\b", sentences[0])
    assert sentences[0] == sentences[1]
    assert "\n" not in sentences[0]


def test_a_good_answer_is_read(question: Question, tmp_path: Path) -> None:
    install(tmp_path, question.command, printing(question.sample, tmp_path))
    assert len(question.ask(tmp_path, 20)) > 0


def test_a_command_that_prints_nothing_is_unknown(question: Question, tmp_path: Path) -> None:
    assert_unknown(question, tmp_path, "true", "printed nothing")


def test_a_command_that_prints_blanks_is_unknown(question: Question, tmp_path: Path) -> None:
    assert_unknown(question, tmp_path, "echo; echo ' '", "printed nothing")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_half_a_document_is_unknown(question: Question, tmp_path: Path, part: float) -> None:
    whole = question.sample.read_bytes()
    assert_unknown(question, tmp_path, printing(whole[: int(len(whole) * part)], tmp_path), "not a whole")


def test_a_document_with_something_behind_it_is_unknown(question: Question, tmp_path: Path) -> None:
    assert_unknown(question, tmp_path, printing(question.sample.read_bytes() * 2, tmp_path), "not a whole")


def test_a_document_of_another_kind_is_unknown(question: Question, tmp_path: Path) -> None:
    assert_unknown(question, tmp_path, printing(question.of_another_kind, tmp_path), "printed")


def test_an_error_message_with_exit_code_0_is_unknown(question: Question, tmp_path: Path) -> None:
    assert_unknown(question, tmp_path, "echo 'error: unable to contact the server'", "not a whole")


def test_an_answer_with_exit_code_1_is_unknown_and_the_message_is_told(question: Question, tmp_path: Path) -> None:
    body = f"{printing(question.sample, tmp_path)}; echo 'error: commlib error' >&2; exit 1"
    assert_unknown(question, tmp_path, body, "failed with exit code 1: error: commlib error")


def test_a_command_that_hangs_is_given_up(question: Question, tmp_path: Path) -> None:
    body = f"{printing(question.sample, tmp_path)}; exec sleep 300"
    assert_unknown(question, tmp_path, body, r"gave no answer within 0\.5 s", timeout_s=0.5)


def test_a_command_that_is_not_there_is_named(question: Question, tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=f"cannot run .*/{question.command}: .*; is it installed"):
        question.ask(tmp_path, 20)


@pytest.mark.parametrize("name", BATCH_SYSTEMS)
def test_the_commands_are_found_in_the_path(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = [each for key, each in QUESTIONS.items() if key.startswith(name)]
    for each in questions:
        install(tmp_path, each.command, printing(each.sample, tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert len(BATCH_SYSTEMS[name](None, 20).nodes()) > 0


@pytest.mark.parametrize("name", BATCH_SYSTEMS)
def test_a_farm_never_allocates_what_it_does_not_have(name: str, tmp_path: Path) -> None:
    """The allocated cores are the sum over the nodes, as far as it is known where jobs run."""
    question = QUESTIONS[f"{name} jobs"]
    install(tmp_path, question.command, printing(question.sample, tmp_path))
    found = BATCH_SYSTEMS[name](tmp_path, 20).jobs()
    metrics = {metric.name: metric for metric in job_metrics(found, Limits())}
    on_nodes = sum(sample.value for sample in metrics["wn_node_cores_allocated"].samples)
    assert on_nodes == metrics["wn_cores_allocated"].samples[0].value


@pytest.mark.parametrize("name", BATCH_SYSTEMS)
def test_every_state_has_a_sample_even_if_it_is_zero(name: str, tmp_path: Path) -> None:
    for key in ("jobs", "nodes"):
        question = QUESTIONS[f"{name} {key}"]
        install(tmp_path, question.command, printing(question.sample, tmp_path))
    farm = BATCH_SYSTEMS[name](tmp_path, 20)
    slots = next(iter(node_metrics(farm.nodes(), Limits())))
    assert [sample.labels["state"] for sample in slots.samples] == ["usable", "drained", "down"]
