"""Signals from a Prometheus server's HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/)."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

import requests

from autoscaler.config.schema import PrometheusSection, PrometheusSignal
from autoscaler.config.signals import BUILT_IN
from autoscaler.model import Sample, Series, Window
from autoscaler.sources.access import Access, cause
from autoscaler.sources.signals import promql
from autoscaler.sources.values import in_words, known, known_time

_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class QueryError(Exception):
    """Prometheus did not answer a query with a usable number; the message is the series' problem."""


class UnreachableError(Exception):
    """There is no Prometheus to ask; the message is the problem of every series."""


@dataclass(frozen=True)
class PrometheusSource:
    """Reads each signal's history with a range query and its age with an instant query."""

    url: str
    signals: Mapping[str, PrometheusSignal]
    history: timedelta
    step: timedelta
    timeout: timedelta
    access: Access = field(default_factory=Access)

    @classmethod
    def from_config(cls, section: PrometheusSection, history: timedelta) -> "PrometheusSource":
        """The built-in signals, with those of the configuration over them."""
        signals = {name: promql(signal) for name, signal in BUILT_IN.items()} | section.signals
        # One step more than asked for, so that the oldest sample lies at or before the start of the history.
        access = Access(section.username, section.password_file, section.bearer_token_file, section.ca_file)
        return cls(section.url.rstrip("/"), signals, history + section.step, section.step, section.timeout, access)

    def session(self) -> requests.Session:
        """Open a session that logs in; raises ``UnreachableError`` for a secret that cannot be read."""
        try:
            return self.access.session()
        except OSError as error:
            raise UnreachableError(f"{self.url} cannot be asked: {error.filename}: {error.strerror}") from None

    def read(self, now: datetime) -> Window:
        """Return every signal's history up to ``now``; never raises."""
        try:
            with self.session() as session:
                return Window(now, tuple(self._series(session, name, now) for name in self.signals))
        except UnreachableError as error:
            # Asking for the other signals too would wait out one time-out after the other.
            unknown = (Sample(now, None),)
            return Window(now, tuple(Series(name, unknown, problem=in_words(str(error))) for name in self.signals))

    def _series(self, session: requests.Session, name: str, now: datetime) -> Series:
        signal = self.signals[name]
        try:
            samples = self._range(session, signal.query, now)
            fresh_at = None if samples[-1].value is None else self._fresh_at(session, signal, now)
            return self.series(name, samples, fresh_at)
        except UnreachableError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever an answer holds, its signal is unknown and the loop goes on
            return Series(name, (Sample(now, None),), problem=self.problem(error))

    def series(self, name: str, samples: tuple[Sample, ...], fresh_at: datetime | None) -> Series:
        """The series of what was read: without a newest value it has no age, and either is a problem."""
        signal = self.signals[name]
        if samples[-1].value is None:
            problem = f"no value (none at all, NaN or negative) at {self.url} for {signal.query}"
            return Series(name, samples, problem=problem)
        return Series(name, samples, fresh_at, None if fresh_at else f"no age at {self.url} for {signal.fresh_at}")

    def problem(self, error: Exception) -> str:
        """Why a signal could not be read."""
        if isinstance(error, QueryError):
            return in_words(str(error))
        return in_words(f"{self.url} answers in an unknown form: {type(error).__name__} {error}")

    def _range(self, session: requests.Session, query: str, now: datetime) -> tuple[Sample, ...]:
        steps = self.history // self.step
        values = self.numbers(session, query, now - steps * self.step, self.step, steps)
        if values is None:
            return (Sample(now, None),)
        return tuple(Sample(now - (steps - n) * self.step, known(values.get(n, math.nan))) for n in range(steps + 1))

    def numbers(
        self, session: requests.Session, query: str, begin: datetime, step: timedelta, steps: int
    ) -> Mapping[int, float] | None:
        """The answer to a range query by number of the step, ``None`` when there is no series."""
        start, step_s = round(begin.timestamp(), 3), step.total_seconds()
        parameters = {"query": query, "start": start, "end": round(start + steps * step_s, 3), "step": step_s}
        result = self._get(session, "query_range", parameters)
        if not result:
            return None
        # By number of steps: Prometheus cuts times to milliseconds in a way of its own.
        return {round((float(at) - start) / step_s): float(value) for at, value in result[0]["values"]}

    def _fresh_at(self, session: requests.Session, signal: PrometheusSignal, now: datetime) -> datetime | None:
        result = self._get(session, "query", {"query": signal.fresh_at, "time": now.timestamp()})
        return known_time(float(result[0]["value"][1])) if result else None

    def _get(self, session: requests.Session, call: str, parameters: Mapping[str, Any]) -> list[Any]:
        query = parameters["query"]
        try:
            answer = session.get(
                f"{self.url}/api/v1/{call}",
                params=parameters,
                timeout=self.timeout.total_seconds(),
                verify=self.access.verify,
            )
            if answer.status_code in _REFUSED:
                raise UnreachableError(f"{self.url} refuses the login (HTTP {answer.status_code})")
            body = answer.json()
            if body["status"] != "success":
                raise QueryError(f"{self.url} refuses {query}: {body.get('error', 'no reason given')}")
            result = list(_series_of(body["data"]))
        except requests.JSONDecodeError:
            raise QueryError(f"{self.url} answers HTTP {answer.status_code} and no JSON: is it Prometheus?") from None
        except requests.RequestException as error:
            raise UnreachableError(f"{self.url} cannot be reached: {cause(error)}") from None
        if len(result) > 1:
            raise QueryError(f"{query} gives {len(result)} series, a signal is one: aggregate, for example with sum()")
        return result


def _series_of(data: Mapping[str, Any]) -> Iterator[Any]:
    """The series of a vector or matrix; a scalar becomes a series without labels."""
    if data["resultType"] == "scalar":
        yield {"metric": {}, "value": data["result"]}
    else:
        yield from data["result"]
