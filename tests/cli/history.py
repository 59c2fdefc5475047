"""A site with a past: a controller ran on it for some time, and a Prometheus remembers its load."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from autoscaler.config.load import load
from autoscaler.model import Override
from autoscaler.service.models import ActingModel, shelf_beside
from tests.cli.site import Site
from tests.service.plant import Plant

MINUTE = timedelta(minutes=1)
MINUTES = 60

SOURCE = """  kind: prometheus
  url: {url}
  step: 60s
  signals:
    proof_queued_sessions: {{query: queued, fresh_at: now}}
    proof_running_sessions: {{query: running, fresh_at: now}}
    wn_running_jobs: {{query: jobs, fresh_at: now}}
    xrootd_read_bytes_per_second: {{query: nothing, fresh_at: now}}
"""


@dataclass
class Load:
    """Sessions in the queue by the time, and how many batch jobs run; ``asked`` counts the queries."""

    queued: Callable[[datetime], float | None]
    jobs: float | None = None
    asked: int = 0

    def answer(self, request: Request) -> Response:
        """As Prometheus answers a range query."""
        self.asked += 1
        start, end, step = (float(request.args[name]) for name in ("start", "end", "step"))
        times = [start + n * step for n in range(round((end - start) / step) + 1)]
        values = [(at, value) for at in times if (value := self._value(request.args["query"], at)) is not None]
        result = [{"metric": {}, "values": [[at, str(value)] for at, value in values]}] if values else []
        return Response(json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}))

    def _value(self, query: str, at: float) -> float | None:
        match query:
            case "queued":
                return self.queued(datetime.fromtimestamp(at, UTC))
            case "running":
                return 0.0
            case "jobs":
                return self.jobs
            case "now":
                return at
            case _:
                return None


class PastSite:
    """The site of a test whose last hour is known: two sessions wait from minute 20 to minute 25.

    Its controller decided once a minute, with four workers per session, as the configuration says.
    """

    def __init__(self, site: Site, server: HTTPServer) -> None:
        self.site = site
        now = datetime.now(UTC)
        self.end = now.replace(second=0, microsecond=0)
        self.start = self.end - MINUTES * MINUTE
        self.load = Load(self.queued)
        server.expect_request("/api/v1/query_range").respond_with_handler(self.load.answer)
        before, _, after = site.text.partition("  kind: scrape\n")
        source = SOURCE.format(url=server.url_for("").rstrip("/"))
        site.text = before.replace("interval: 100ms", "interval: 1m") + source + after[after.index("policy:") :]
        site.replace("fresh_for: 60s", "fresh_for: 90s, shrink_cooldown: 0s")
        self.config = site.config

    def queued(self, at: datetime) -> float | None:
        """How many sessions wait then."""
        return 2.0 if 20 * MINUTE <= at - self.start < 25 * MINUTE else 0.0

    def live(self, *, until: int = MINUTES, late: timedelta = timedelta(0), override: Override | None = None) -> None:
        """Let a controller decide from ten minutes before that hour on, by what Prometheus then had.

        Its cycles come so much ``late`` after the full minute; the ``override`` is in force from the first one on.
        """
        loaded = load(self.config)
        limits = loaded.config.guards.limits()
        begin = self.start - 10 * MINUTE + late
        with_model = ActingModel(shelf_beside(self.site.store)).given
        facility = loaded.config.facility()
        plant = Plant(self.site.folder, facility, loaded.policy, limits, now=begin, with_model=with_model)
        if override is not None:
            plant.store.record_override(override)
        for fake in plant.fakes.values():
            fake.cores = 8
        try:
            while plant.now < self.start + until * MINUTE:
                plant.source.queued = self.queued(plant.now)
                plant.controller.cycle()
                plant.controller.settle()
                plant.now += MINUTE
        finally:
            plant.close()

    def other(self, before: str, after: str) -> Path:
        """Another configuration file, with this change."""
        text = self.site.text
        assert before in text
        file = self.site.folder / "other.yaml"
        file.write_text(text.replace(before, after))
        return file
