"""The API's own description of itself, and what comes of all that can be asked by it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, checks

from autoscaler.api import sessions
from autoscaler.api.app import make_app
from autoscaler.api.metrics import ApiMetrics
from autoscaler.api.tokens import Scope, add_token
from autoscaler.api.using import Facilities
from autoscaler.config.load import load
from autoscaler.store.sql import SqlStore
from tests.api.facility import NOW, SESSIONS, TOP, bearer

SECTIONS = """
tuning:
  - {match: {severity: page}, action: {boost_workers: 8}, for: 2h}
api: {tokens_file: tokens, requests_per_minute: 1000000}
"""
# Without a token only this may be asked: a load balancer has none.
OPEN = {"/healthz"}

# What is answered is what is described, and no error of the server.
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]

few = settings(max_examples=30, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("api")
    text = (TOP / "deploy" / "autoscaler.yaml").read_text()
    (made / "autoscaler.yaml").write_text(text + SECTIONS)
    return made


@pytest.fixture(scope="module")
def token(folder: Path) -> str:
    """One that may do everything."""
    return add_token(folder / "tokens", "everything", frozenset(Scope))


@pytest.fixture(scope="module")
def store(folder: Path) -> Iterator[SqlStore]:
    with closing(SqlStore(folder / "decisions.sqlite")) as opened:
        yield opened


@pytest.fixture(scope="module")
def description(folder: Path, store: SqlStore) -> Iterator[Any]:
    loaded = load(folder / "autoscaler.yaml")
    app = make_app(Facilities(lambda: loaded, store, lambda: NOW, lambda: None, ApiMetrics()))
    with pytest.MonkeyPatch.context() as patch:
        # No controller runs that would wake a worker, and two minutes are long for each example.
        patch.setattr(sessions, "MOST_WAITING", 0)
        yield schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)


def for_all(description: Any, mode: GenerationMode, check: Callable[[schemathesis.Case], None]) -> None:
    """Check what can be asked of each path, or what comes close to it."""
    operations = [found.ok() for found in description.get_all_operations()]
    assert len(operations) >= 6
    for operation in operations:
        try:
            few(given(operation.as_strategy(generation_mode=mode))(check))()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE, operation.label


def made_to_count(case: schemathesis.Case) -> schemathesis.Case:
    """The case with alerts that change something wherever they are understood, and with nothing to wait for."""
    match case.body:
        case {"alerts": list() as alerts}:
            for alert in alerts:
                match alert:
                    case {"labels": dict() as labels, "startsAt": str()}:
                        labels["severity"], alert["startsAt"] = "page", NOW.isoformat()
        case dict() as announcement if case.operation.path == SESSIONS:
            announcement["wait_s"] = 0  # there is no controller whose workers could come
    return case


def written(folder: Path) -> list[str]:
    """All that the store holds."""
    with closing(sqlite3.connect(folder / "decisions.sqlite")) as connection:
        return list(connection.iterdump())


def test_each_sender_has_its_version_and_each_path_its_refusals(description: Any) -> None:
    paths = description.raw_schema["paths"]
    said = {
        path.rpartition("/")[-1]: operations["post"]["requestBody"]["content"]["application/json"]["schema"]
        for path, operations in paths.items()
        if "/alerts/" in path
    }
    assert {sender: schema["properties"]["version"]["enum"] for sender, schema in said.items()} == {
        "grafana": ["1"],
        "alertmanager": ["4"],
    }
    answers = [operation["responses"].keys() for operations in paths.values() for operation in operations.values()]
    assert all(statuses - {"200", "202"} == {"4XX", "5XX"} for statuses in answers)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_whatever_is_asked_with_a_token_the_answer_is_as_described_and_never_an_error_of_the_server(
    mode: GenerationMode, description: Any, token: str, store: SqlStore
) -> None:
    def check(case: schemathesis.Case) -> None:
        response = made_to_count(case).call(headers=bearer(token))
        case.validate_response(response, checks=CHECKS)

    for_all(description, mode, check)
    assert store.tunings(NOW), "no alert was understood: this test asks for too little"


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_without_a_known_token_nothing_is_told_and_nothing_is_written(
    mode: GenerationMode, description: Any, folder: Path
) -> None:
    before = written(folder)

    def check(case: schemathesis.Case) -> None:
        response = made_to_count(case).call()
        assert case.operation.path in OPEN or response.status_code in {401, 429}, response.text

    for_all(description, mode, check)
    assert before == written(folder)
