"""Signals from the exporters' /metrics themselves: the embedded default, for sites without Prometheus.

The history is what this process has read, so it begins anew at a restart; until it reaches back far enough, policies
that look at the past hold.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import requests
from prometheus_client.parser import text_string_to_metric_families

from autoscaler.config.schema import ScrapeSection, ScrapeSignal
from autoscaler.config.signals import BUILT_IN
from autoscaler.model import Sample, Series, Window
from autoscaler.sources.signals import fresh_at_metric, up_metric
from autoscaler.sources.values import in_words, known, known_time

# An exposition is some kilobytes; more is not an exporter of ours, and must not fill the memory.
MAX_EXPOSITION_BYTES = 16 * 1024 * 1024

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Exposition:
    """One target's metrics, by name and labels, or why there are none."""

    at: datetime
    values: Mapping[str, Mapping[Labels, float]]
    problem: str | None = None


class ScrapeSource:
    """Scrapes all targets at each read and keeps the signals' history in memory."""

    def __init__(
        self,
        targets: Mapping[str, Sequence[str]],
        signals: Mapping[str, ScrapeSignal],
        history: timedelta,
        interval: timedelta,
        timeout: timedelta,
    ) -> None:
        self._targets = targets
        self._signals = {name: signal for name, signal in signals.items() if signal.job in targets}
        self._history = history + interval
        self._interval = interval
        self._timeout_s = timeout.total_seconds()
        self._samples: dict[str, deque[Sample]] = {name: deque() for name in self._signals}
        self._last: dict[str, Exposition] = {}

    @classmethod
    def from_config(cls, section: ScrapeSection, history: timedelta, interval: timedelta) -> "ScrapeSource":
        """The built-in signals, with those of the configuration over them; ``interval`` is the time between reads."""
        return cls(section.targets, {**BUILT_IN, **section.signals}, history, interval, section.timeout)

    def read(self, now: datetime) -> Window:
        """Scrape every target and return every signal's history up to ``now``; never raises."""
        urls = [url for job in self._targets for url in self._targets[job]]
        with ThreadPoolExecutor(max_workers=min(16, len(urls) or 1)) as pool:
            scraped = dict(zip(urls, pool.map(lambda url: self._scrape(url, now), urls), strict=True))
        series = tuple(self._series(name, signal, scraped, now) for name, signal in self._signals.items())
        self._last = scraped
        return Window(now, series)

    def _series(self, name: str, signal: ScrapeSignal, scraped: Mapping[str, Exposition], now: datetime) -> Series:
        expositions = [scraped[url] for url in self._targets[signal.job]]
        problem = next((found for e in expositions if (found := _problem(e, signal.job)) is not None), None)
        value = None if problem else self._value(signal, scraped)
        samples = self._remember(name, Sample(now, value))
        if value is None:
            return Series(name, samples, problem=problem or f"no value yet for {signal.metric}")
        fresh_at = _fresh_at(expositions, signal.job)
        problem = None if fresh_at else f"a target of job {signal.job} does not tell {fresh_at_metric(signal.job)}"
        return Series(name, samples, fresh_at, problem)

    def _value(self, signal: ScrapeSignal, scraped: Mapping[str, Exposition]) -> float | None:
        urls = self._targets[signal.job]
        if not signal.rate:
            parts = [_select(scraped[url], signal) for url in urls]
            return _total([value for part in parts for value in part.values()]) if all(parts) else None
        rates = [_rates(self._last.get(url), scraped[url], signal) for url in urls]
        return None if None in rates else _total([rate for part in rates for rate in part or []])

    def _remember(self, name: str, sample: Sample) -> tuple[Sample, ...]:
        samples = self._samples[name]
        if samples and sample.at - samples[-1].at > 2 * self._interval:
            samples.append(Sample(samples[-1].at + self._interval, None))
        samples.append(sample)
        # The newest sample at or before the start stays: it shows that the history reaches back to the start.
        while len(samples) > 1 and samples[1].at <= sample.at - self._history:
            samples.popleft()
        return tuple(samples)

    def _scrape(self, url: str, now: datetime) -> Exposition:
        try:
            with requests.get(url, timeout=self._timeout_s, stream=True) as answer:
                answer.raise_for_status()
                text = answer.raw.read(MAX_EXPOSITION_BYTES + 1, decode_content=True)
            if len(text) > MAX_EXPOSITION_BYTES:
                return Exposition(now, {}, f"{url} answers with more than {MAX_EXPOSITION_BYTES} bytes")
            return Exposition(now, _parse(text.decode()))
        except requests.Timeout:
            return Exposition(now, {}, f"{url} does not answer in {self._timeout_s:g} s")
        except requests.HTTPError as error:
            return Exposition(now, {}, f"{url} answers HTTP {error.response.status_code}")
        except requests.RequestException:
            return Exposition(now, {}, f"{url} cannot be reached: connection refused or lost")
        except Exception as error:  # noqa: BLE001 - the parser raises whatever a hostile text makes it raise
            return Exposition(now, {}, in_words(f"{url} does not answer in Prometheus's text format: {error}"))


def _parse(text: str) -> dict[str, dict[Labels, float]]:
    values: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            values.setdefault(sample.name, {})[frozenset(sample.labels.items())] = float(sample.value)
    return values


def _problem(exposition: Exposition, job: str) -> str | None:
    if exposition.problem:
        return exposition.problem
    up = list(exposition.values.get(up_metric(job), {}).values())
    if not up:
        return f"a target of job {job} exposes no {up_metric(job)}: is it the right exporter?"
    if any(value != 1 for value in up):
        return f"an exporter of job {job} cannot read its source ({up_metric(job)} is 0)"
    return None


def _select(exposition: Exposition, signal: ScrapeSignal) -> dict[Labels, float]:
    def matches(labels: Labels) -> bool:
        have = dict(labels)
        return all(have.get(name) in allowed for name, allowed in signal.labels.items())

    series = exposition.values.get(signal.metric, {})
    return {labels: value for labels, value in series.items() if matches(labels)}


def _rates(before: Exposition | None, after: Exposition, signal: ScrapeSignal) -> list[float] | None:
    """Each counter's rate per second; ``None`` when a counter is new, negative when it restarted (so unknown)."""
    old, new = ({} if before is None else _select(before, signal)), _select(after, signal)
    if before is None or not new or after.at <= before.at or new.keys() != old.keys():
        return None
    seconds = (after.at - before.at).total_seconds()
    return [(new[labels] - old[labels]) / seconds for labels in new]


def _total(values: Sequence[float]) -> float | None:
    checked = [known(value) for value in values]
    return None if None in checked else sum(value for value in checked if value is not None)


def _fresh_at(expositions: Sequence[Exposition], job: str) -> datetime | None:
    """The oldest of the targets' times; unknown as soon as one of them has none."""
    times = [list(exposition.values.get(fresh_at_metric(job), {}).values()) for exposition in expositions]
    flat = [seconds for of_target in times for seconds in of_target]
    if not all(times) or any(known(seconds) is None for seconds in flat):
        return None
    return known_time(min(flat))
