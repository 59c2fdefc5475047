"""What surrounds every source: health metrics, and the absence of values."""

import gc
import logging
import os
import threading
import weakref
from collections.abc import Iterable, Iterator
from importlib.metadata import version

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from exporters.serving import Source, SourceCollector, SourceUnavailable
from exporters.serving.collector import MOST_REASONS, ExporterCollector
from tests.testbed.processes import wait_until


class SettableSource:
    """A source whose next reads are set by the test: a value, or an error to raise."""

    def __init__(self) -> None:
        self.next: float | Exception = 7.0

    def read(self) -> Iterator[Metric]:
        if isinstance(self.next, Exception):
            raise self.next
        yield GaugeMetricFamily("demo_value", "A value.", self.next)


class Demo:
    """A settable source behind its collector, with a clock set by the test."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.ticks = iter(range(0, 1000, 3))
        self.source = SettableSource()
        self.collector = SourceCollector(
            Source("demo", self.source.read), clock=lambda: self.now, timer=lambda: float(next(self.ticks))
        )
        self.registry = CollectorRegistry()
        self.registry.register(self.collector)

    def scrape(self) -> dict[str, float]:
        return {sample.name: sample.value for metric in self.registry.collect() for sample in metric.samples}


@pytest.fixture
def demo() -> Demo:
    return Demo()


def test_a_good_read_gives_the_values_and_says_up(demo: Demo) -> None:
    scraped = demo.scrape()
    assert (scraped["demo_up"], scraped["demo_value"]) == (1, 7)
    assert demo.collector.up


def test_a_failed_read_says_down_and_leaves_the_values_out(demo: Demo) -> None:
    demo.scrape()
    demo.source.next = SourceUnavailable("gone")
    scraped = demo.scrape()
    assert scraped["demo_up"] == 0
    assert "demo_value" not in scraped
    assert not demo.collector.up


def test_what_is_known_of_a_source_that_is_down_stays(demo: Demo) -> None:
    demo.source.next = SourceUnavailable("gone", [GaugeMetricFamily("demo_daemon_up", "Known.", 0)])
    assert demo.scrape()["demo_daemon_up"] == 0


def test_a_fault_in_the_exporter_itself_counts_as_down(demo: Demo) -> None:
    demo.source.next = ZeroDivisionError("a bug")
    assert demo.scrape()["demo_up"] == 0


def test_the_last_success_keeps_its_time_during_an_outage(demo: Demo) -> None:
    demo.scrape()
    demo.now = 1060.0
    demo.source.next = SourceUnavailable("gone")
    assert demo.scrape()["demo_last_success_timestamp_seconds"] == 1000


def test_the_last_success_is_absent_while_there_was_none(demo: Demo) -> None:
    demo.source.next = SourceUnavailable("not yet")
    assert "demo_last_success_timestamp_seconds" not in demo.scrape()


def test_a_source_that_is_told_gives_its_own_last_success() -> None:
    def nothing() -> Iterable[Metric]:
        raise SourceUnavailable("silent")

    health = SourceCollector(Source("demo", nothing, last_success=lambda: 940.0)).collect()
    assert [m.samples[0].value for m in health if m.name == "demo_last_success_timestamp_seconds"] == [940.0]


def test_the_duration_of_the_read_is_measured(demo: Demo) -> None:
    assert demo.scrape()["demo_scrape_duration_seconds"] == 3  # the timer goes 0, 3


def test_failed_reads_are_counted(demo: Demo) -> None:
    demo.scrape()
    demo.source.next = SourceUnavailable("gone")
    demo.scrape()
    assert demo.scrape()["demo_read_failures_total"] == 2


def test_each_reason_is_logged_once_in_an_outage(demo: Demo, caplog: pytest.LogCaptureFixture) -> None:
    for reason in ("gone", "gone", "refused", "gone"):
        demo.source.next = SourceUnavailable(reason)
        demo.scrape()
    assert caplog.messages == ["demo: gone", "demo: refused"]


def test_the_end_of_an_outage_is_logged_and_the_next_outage_too(demo: Demo, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for outcome in (SourceUnavailable("gone"), 7.0, 7.0, SourceUnavailable("gone")):
        demo.source.next = outcome
        demo.scrape()
    assert caplog.messages == ["demo: gone", "demo: can be read again", "demo: gone"]


class Hanging:
    """A source that answers when it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.called = threading.Event()
        self.calls = 0

    def read(self) -> Iterator[Metric]:
        self.calls += 1
        self.called.set()
        self.go.wait()
        yield GaugeMetricFamily("demo_value", "A value.", 7)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    source = Hanging()
    yield source
    source.go.set()


def values(metrics: Iterable[Metric]) -> dict[str, float]:
    return {sample.name: sample.value for metric in metrics for sample in metric.samples}


def test_a_source_that_does_not_answer_in_time_is_down(hanging: Hanging, caplog: pytest.LogCaptureFixture) -> None:
    scraped = values(SourceCollector(Source("demo", hanging.read, deadline_s=0.01)).collect())
    assert scraped["demo_up"] == 0
    assert "demo_value" not in scraped
    assert caplog.messages == ["demo: no answer within 0.01 s"]


def test_a_source_that_hangs_is_not_called_again_until_it_has_answered(hanging: Hanging) -> None:
    collector = SourceCollector(Source("demo", hanging.read, deadline_s=0.01))
    for _ in range(3):
        collector.collect()
    assert hanging.called.wait(60)
    assert hanging.calls == 1
    hanging.go.set()
    wait_until(lambda: values(collector.collect())["demo_up"] == 1, 60, "the answer")


def test_a_source_whose_own_call_timed_out_says_so_in_its_own_words(caplog: pytest.LogCaptureFixture) -> None:
    def read() -> Iterable[Metric]:
        raise TimeoutError("the server is slow")

    assert values(SourceCollector(Source("demo", read)).collect())["demo_up"] == 0
    assert caplog.messages == ["demo: unexpected TimeoutError: the server is slow"]


def test_a_source_that_hangs_does_not_hide_the_others(hanging: Hanging) -> None:
    def read() -> Iterable[Metric]:
        return [GaugeMetricFamily("other_value", "A value.", 5)]

    collector = ExporterCollector([Source("demo", hanging.read, deadline_s=0.01), Source("other", read)])
    scraped = values(collector.collect())
    assert (scraped["demo_up"], scraped["other_up"], scraped["other_value"]) == (0, 1, 5)
    assert not collector.up


def test_every_exporter_says_its_version() -> None:
    (info,) = [metric for metric in ExporterCollector([]).collect() if metric.name == "vaf_exporter_build"]
    assert info.samples[0].labels["version"] == version("vaf-autoscaler")


def test_those_who_scrape_at_the_same_time_share_one_reading(hanging: Hanging) -> None:
    collector = SourceCollector(Source("demo", hanging.read))
    readings = [collector.begin() for _ in range(3)]
    hanging.go.set()
    assert [values(collector.finish(reading))["demo_value"] for reading in readings] == [7, 7, 7]
    assert hanging.calls == 1


def test_a_failed_read_leaves_nothing_of_what_it_read_in_memory() -> None:
    """Not even until the next garbage collection: half a document of a batch system is tens of megabytes."""

    class Document(list[str]):
        """Something whose end can be seen."""

    seen: list[weakref.ref[Document]] = []

    def read() -> Iterable[Metric]:
        document = Document()
        seen.append(weakref.ref(document))
        raise SourceUnavailable("it is half a document")

    gc.disable()
    try:
        SourceCollector(Source("demo", read)).collect()
        wait_until(lambda: seen[0]() is None, 60, "the end of the document")
    finally:
        gc.enable()


def test_words_that_differ_at_each_read_fill_neither_log_nor_memory(
    demo: Demo, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(100):
        demo.source.next = SourceUnavailable(f"cannot read /tmp/FS_{number}")
        demo.scrape()
    assert len(caplog.messages) == MOST_REASONS


def test_a_label_that_is_not_utf_8_does_not_take_the_exposition_down() -> None:
    def read() -> Iterable[Metric]:
        family = GaugeMetricFamily("demo_value", "A value.", labels=["name"])
        family.add_metric([os.fsdecode(b"a\xe9")], 1)
        family.add_metric(["\u00e9"], 2)
        return [family]

    registry = CollectorRegistry()
    registry.register(SourceCollector(Source("demo", read)))
    text = generate_latest(registry).decode()
    assert 'demo_value{name="a\ufffd"} 1.0' in text
    assert 'demo_value{name="\u00e9"} 2.0' in text
