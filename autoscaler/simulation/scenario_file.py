"""Reads a scenario file; every problem of it is reported at once, by file, line, key and reason."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from ruamel.yaml.comments import CommentedMap

from autoscaler.config.document import (
    ConfigError,
    dotted,
    known_keys,
    place,
    read_document,
    sentence,
    without_wn_number,
)
from autoscaler.config.policies import PolicyError, make_policy
from autoscaler.simulation.scenario import PolicyChoice, Scenario
from autoscaler.simulation.scenario_schema import ScenarioFile


@dataclass(frozen=True, slots=True)
class TraceUse:
    """What the traces do not say themselves, as arguments of their readers, and the piece that is played."""

    workers_per_session: int | None
    read_bytes_per_worker_s: float
    job_memory_mib: int
    reading_timezone: tzinfo | None
    piece: tuple[float, float]


@dataclass(frozen=True, slots=True)
class LoadedScenario:
    """A valid scenario, the policies that it names by their labels, and how to use the traces."""

    scenario: Scenario
    policies: Mapping[str, PolicyChoice]
    traces: TraceUse


def load_scenario(path: Path) -> LoadedScenario:
    """Read and validate ``path``; raises ``ConfigError``."""
    document = read_document(path)
    try:
        file = ScenarioFile.model_validate(dict(document))
    except ValidationError as error:
        known = known_keys(ScenarioFile)
        located = ((without_wn_number(document, each["loc"]), each) for each in error.errors())
        raise ConfigError([sentence(path, document, at, each, known) for at, each in located]) from None
    problems = [*_name_problems(path, document, file), *_policy_problems(path, document, file)]
    if problems:
        raise ConfigError(problems)
    return LoadedScenario(
        file.scenario(),
        {label: PolicyChoice(label, each.name, each.parameters) for label, each in file.policies.items()},
        _trace_use(file),
    )


def _name_problems(path: Path, document: CommentedMap, file: ScenarioFile) -> Iterator[str]:
    """Groups that have the name of an earlier one; the schema, which sees no lines, cannot say which."""
    first: dict[str, int] = {}
    for number, group in enumerate(file.hosts):
        location = ("hosts", number, "name")
        before = first.setdefault(group.name, number)
        if before != number:
            at = place(path, document, location)
            yield f"{at}: {dotted(location)}: the name {group.name!r} is used more than once, as in hosts[{before}]"


def _policy_problems(path: Path, document: CommentedMap, file: ScenarioFile) -> Iterator[str]:
    for label, choice in file.policies.items():
        try:
            make_policy(choice.name, choice.parameters)
        except PolicyError as error:
            location = ("policies", label, error.key)
            yield f"{place(path, document, location)}: {dotted(location)}: {error}"


def _trace_use(file: ScenarioFile) -> TraceUse:
    zone = file.storage.trace_time_zone
    return TraceUse(
        workers_per_session=file.proof.workers_per_session,
        read_bytes_per_worker_s=file.proof.read_rate_per_worker,
        job_memory_mib=file.jobs.memory,
        reading_timezone=None if zone is None else ZoneInfo(zone),
        piece=(file.piece.from_, file.piece.to),
    )
