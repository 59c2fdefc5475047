"""The API over a real store, with a clock and a bell that the test moves and hears."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry

from autoscaler.api.address import listening_on
from autoscaler.api.app import make_app
from autoscaler.api.metrics import ApiMetrics
from autoscaler.api.serve import served
from autoscaler.api.tokens import Scope, add_token
from autoscaler.api.using import Facilities
from autoscaler.config.api_section import ApiSection
from autoscaler.config.load import load
from autoscaler.store.sql import SqlStore

TOP = Path(__file__).parents[2]
SAMPLES = Path(__file__).with_name("samples")
# The samples begin at most two minutes earlier.
NOW = datetime(2026, 11, 22, 11, 28, tzinfo=UTC)
GRAFANA, ALERTMANAGER = "/api/v1/alerts/grafana", "/api/v1/alerts/alertmanager"
SESSIONS = "/api/v1/sessions"
SECRET = "of Grafana and us"

SECTIONS = """
tuning:
  - {match: {alertname: ProofQueueHigh}, action: {boost_workers: 8}, for: 2h}
api: {tokens_file: tokens, grafana_secret_file: secret, requests_per_minute: 5}
"""


@contextmanager
def api_at(section: ApiSection, app: FastAPI) -> Iterator[tuple[str, int]]:
    """The app on a real address; gives it with its port."""
    with listening_on(section) as listening, served(section, app, listening):
        host, port = listening.getsockname()
        yield host, port


@dataclass
class ApiUnderTest:
    """What a test needs of it; ``rung`` counts the bell."""

    folder: Path
    now: datetime = NOW
    rung: int = 0
    on_ring: Callable[[], object] = lambda: None
    alerts: str = field(init=False)
    viewer: str = field(init=False)
    opener: str = field(init=False)
    operator: str = field(init=False)

    def __post_init__(self) -> None:
        config = self.folder / "autoscaler.yaml"
        config.write_text((TOP / "deploy" / "autoscaler.yaml").read_text() + SECTIONS)
        (self.folder / "secret").write_text(f"{SECRET}\n")
        self.loaded = load(config)
        self.alerts = add_token(self.folder / "tokens", "grafana", frozenset({Scope.ALERTS}))
        self.viewer = add_token(self.folder / "tokens", "wall", frozenset({Scope.VIEWER}))
        self.opener = add_token(self.folder / "tokens", "login", frozenset({Scope.SESSIONS}))
        self.operator = add_token(self.folder / "tokens", "anna", frozenset({Scope.OPERATOR}))
        self.store = SqlStore(self.folder / "decisions.sqlite")
        self.metrics = ApiMetrics()
        self.registry = CollectorRegistry()
        self.registry.register(self.metrics)
        self.client = self.start()

    def start(self, **settings: Any) -> TestClient:
        """A client of a new app, as after a restart; with other settings of ``api``."""
        config = self.loaded.config
        api = config.api.model_copy(update=settings)
        self.loaded = replace(self.loaded, config=config.model_copy(update={"api": api}))
        using = Facilities(lambda: self.loaded, self.store, lambda: self.now, self._ring, self.metrics)
        return TestClient(make_app(using), raise_server_exceptions=False)

    def _ring(self) -> None:
        self.rung += 1
        self.on_ring()

    def post(self, path: str, body: Any, token: str | None = None, **headers: str) -> Any:
        """Post a body with the token of alerts, or another."""
        content = body if isinstance(body, bytes | str) else json.dumps(body)
        return self.client.post(path, content=content, headers={**bearer(token or self.alerts), **headers})

    def get(self, path: str, token: str | None = None) -> Any:
        """Get with the token of a viewer, or another."""
        return self.client.get(path, headers=bearer(token or self.viewer))

    def counted(self, name: str, **labels: str) -> float:
        """A counter's value, 0 before it has one."""
        return self.registry.get_sample_value(f"autoscaler_{name}_total", labels) or 0.0

    def boosts(self) -> list[int | None]:
        """The workers of what is in force."""
        with closing(SqlStore(self.folder / "decisions.sqlite")) as store:
            return [each.workers for each in store.tunings(self.now)]


def sample(name: str) -> dict[str, Any]:
    """A captured webhook."""
    found: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text())
    return found


def bearer(token: str) -> dict[str, str]:
    """The header of a token."""
    return {"Authorization": f"Bearer {token}"}


def basic(user: str, password: str) -> dict[str, str]:
    """The header of a user."""
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}
