"""A real Prometheus that scrapes each second, on loopback, with its data in a scratch folder."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import requests
from ruamel.yaml import YAML

from tests.testbed.processes import Process, free_port

START_DEADLINE_S = 180
DATA_DEADLINE_S = 180  # the first scrape comes about 5 s after Prometheus says that it is ready
ANSWER_DEADLINE_S = 30


class PrometheusServer:
    """A Prometheus with the given targets by job; ``with`` starts it, waits until it is ready, and ends it.

    ``how`` are further keys of every scrape job, for example ``basic_auth``. With ``config`` that file says it all.

    After ``process.kill9()``, ``start()`` brings it back on the same port with its data.
    """

    def __init__(
        self,
        scratch: Path,
        jobs: Mapping[str, Sequence[str]],
        *,
        lookback: str = "5m",
        how: Mapping[str, Any] | None = None,
        config: Path | None = None,
    ) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._given = config is not None
        self._config = config or scratch / "prometheus.yml"
        self._jobs = jobs
        self._how = dict(how or {})
        self.process = Process(
            [
                "prometheus",
                f"--config.file={self._config}",
                f"--storage.tsdb.path={scratch / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
                f"--web.external-url={self.url}",
                f"--query.lookback-delta={lookback}",
            ],
            scratch,
        )

    def __enter__(self) -> Self:
        if not self._given:
            self._write_config()
        try:
            self.start()
        except BaseException:
            self.process.kill9()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill9()

    def start(self) -> None:
        """Start the server and wait until it answers; it may not have scraped anything yet."""
        self.process.start()
        self.process.wait_until(self._is_ready, START_DEADLINE_S, "Prometheus to be ready")

    def query(self, promql: str) -> list[dict[str, Any]]:
        """Return the result of an instant query."""
        answer = requests.get(f"{self.url}/api/v1/query", params={"query": promql}, timeout=ANSWER_DEADLINE_S)
        answer.raise_for_status()
        return answer.json()["data"]["result"]

    def query_since(self, began_s: float, promql: str) -> list[dict[str, Any]]:
        """Return the result of a query for each second since then."""
        words = {"query": promql, "start": began_s, "end": time.time(), "step": 1}
        answer = requests.get(f"{self.url}/api/v1/query_range", params=words, timeout=ANSWER_DEADLINE_S)
        assert answer.ok, f"{promql}: {answer.text}"
        return answer.json()["data"]["result"]

    def rules(self) -> list[dict[str, Any]]:
        """Return all rules with their health."""
        answer = requests.get(f"{self.url}/api/v1/rules", timeout=ANSWER_DEADLINE_S)
        answer.raise_for_status()
        return [rule for group in answer.json()["data"]["groups"] for rule in group["rules"]]

    def wait_for_data(self, promql: str, deadline_s: float = DATA_DEADLINE_S) -> list[dict[str, Any]]:
        """Wait until an instant query has a result, and return it."""
        return self.process.wait_until(lambda: self.query(promql), deadline_s, f"data for {promql}")

    def _is_ready(self) -> bool:
        return requests.get(f"{self.url}/-/ready", timeout=ANSWER_DEADLINE_S).ok

    def _write_config(self) -> None:
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": list(targets)}], **self._how}
                for job, targets in self._jobs.items()
            ],
        }
        YAML(typ="safe").dump(config, self._config)
