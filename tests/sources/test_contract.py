"""What every source promises, run over all of them: the same two exporters, read directly and by a real Prometheus."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from autoscaler.config.schema import PrometheusSection, ScrapeSection
from autoscaler.contracts import Source
from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, Series, Window
from autoscaler.sources import make_source
from tests.sources.targets import Target, exposition, running_targets
from tests.testbed.processes import scratch_folder, wait_until
from tests.testbed.prometheus_server import PrometheusServer

DEADLINE_S = 60
SECOND = timedelta(seconds=1)
HISTORY = timedelta(seconds=2)


class Server(Protocol):
    """What stands between the exporters and the source."""

    source: Source

    def stop(self) -> None:
        """Make it answer nothing."""

    def start(self) -> None:
        """Bring it back."""


class Exporters:
    """Without a server in between: the exporters themselves come and go."""

    def __init__(self, targets: list[Target]) -> None:
        self._targets = targets
        section = ScrapeSection(kind="scrape", targets={"proof": [target.url for target in targets]})
        self.source = make_source(section, HISTORY, SECOND)

    def stop(self) -> None:
        for target in self._targets:
            target.down()

    def start(self) -> None:
        for target in self._targets:
            target.up()


class Prometheus:
    """A real server that scrapes each second."""

    def __init__(self, server: PrometheusServer) -> None:
        self._server = server
        section = PrometheusSection.model_validate({"kind": "prometheus", "url": server.url, "step": "1s"})
        self.source = make_source(section, HISTORY, SECOND)

    def stop(self) -> None:
        self._server.process.kill9()

    def start(self) -> None:
        self._server.start()


@pytest.fixture(scope="module")
def all_targets() -> Iterator[list[Target]]:
    with running_targets(2) as targets:
        yield targets


@pytest.fixture(
    scope="module",
    params=[
        "scrape",
        pytest.param("prometheus", marks=[pytest.mark.testbed, pytest.mark.timeout(300)]),
    ],
)
def server(request: pytest.FixtureRequest, all_targets: list[Target]) -> Iterator[Server]:
    if request.param == "scrape":
        yield Exporters(all_targets)
        return
    addresses = [f"127.0.0.1:{target.port}" for target in all_targets]
    with scratch_folder() as folder, PrometheusServer(folder, {"proof": addresses}) as real:
        yield Prometheus(real)


@pytest.fixture
def targets(all_targets: list[Target]) -> list[Target]:
    """Both exporters, up, with a load of 0."""
    for target in all_targets:
        target.text = exposition()
        target.up()
    return all_targets


def read_until(server: Server, condition: Callable[[Window], bool], what: str) -> Window:
    """Read until the window fulfils the condition; a read that raises fails at once."""
    problems: list[Exception] = []

    def fulfilled() -> Window | None:
        try:
            window = server.source.read(datetime.now(UTC))
        except Exception as error:  # noqa: BLE001 - a source never raises, whatever comes
            problems.append(error)
            return Window(datetime.now(UTC))
        return window if condition(window) else None

    window = wait_until(fulfilled, DEADLINE_S, what)
    assert problems == []
    return window


def wait_for_load(server: Server, load: float) -> Window:
    return read_until(server, lambda window: window.latest(PROOF_QUEUED_SESSIONS) == load, f"a load of {load}")


def wait_for_unknown(server: Server, signal: str = PROOF_QUEUED_SESSIONS) -> Series:
    """The load was 1 and 2, so that it is known that the source worked; now it becomes unknown."""
    return read_until(server, lambda window: window.latest(signal) is None, "an unknown load").signal(signal)


@pytest.fixture
def loaded(server: Server, targets: list[Target]) -> list[Target]:
    """Both exporters, with a load of 1 and 2 that the source has seen."""
    for load, target in enumerate(targets, start=1):
        target.text = exposition(queued=load, running=load)
    wait_for_load(server, 1 + 2)
    return targets


def assert_unknown(series: Series) -> None:
    assert series.latest is None
    assert series.age(datetime.now(UTC)) is None
    assert series.problem


def test_the_sum_of_all_targets_arrives(server: Server, targets: list[Target]) -> None:
    targets[0].text, targets[1].text = exposition(queued=5), exposition(queued=8)
    series = wait_for_load(server, 5 + 8).signal(PROOF_QUEUED_SESSIONS)
    assert series.problem is None


def test_a_value_is_as_old_as_its_oldest_part(server: Server, targets: list[Target]) -> None:
    """Not as old as the question: an exporter that hangs on to an old value says so."""
    now = datetime.now(UTC).replace(microsecond=0)
    targets[0].text = exposition(queued=50, fresh_at=(now - timedelta(seconds=10)).timestamp())
    targets[1].text = exposition(queued=90, fresh_at=(now - timedelta(seconds=70)).timestamp())
    series = wait_for_load(server, 50 + 90).signal(PROOF_QUEUED_SESSIONS)
    assert series.fresh_at == now - timedelta(seconds=70)


def test_only_the_chosen_series_count(server: Server, targets: list[Target]) -> None:
    """Seven more sessions are idle on each target."""
    targets[0].text, targets[1].text = exposition(running=3), exposition(running=4)
    window = read_until(server, lambda window: window.latest(PROOF_RUNNING_SESSIONS) == 3 + 4, "the running sessions")
    assert window.signal(PROOF_RUNNING_SESSIONS).problem is None


def test_the_history_ends_now_and_its_values_are_in_order(server: Server, loaded: list[Target]) -> None:
    del loaded
    window = wait_for_load(server, 1 + 2)
    samples = window.signal(PROOF_QUEUED_SESSIONS).samples
    assert samples[-1].at == window.now
    assert list(samples) == sorted(samples, key=lambda sample: sample.at)


def test_the_history_reaches_back_as_far_as_asked_for(server: Server, loaded: list[Target]) -> None:
    del loaded

    def reaches_back(window: Window) -> bool:
        samples = window.signal(PROOF_QUEUED_SESSIONS).samples
        return samples[0].at <= window.now - HISTORY and all(sample.value is not None for sample in samples)

    read_until(server, reaches_back, "a full history")


def test_a_missing_metric_is_unknown(server: Server, loaded: list[Target]) -> None:
    for target in loaded:
        target.text = exposition(queued=None)
    assert_unknown(wait_for_unknown(server))


def test_a_value_that_is_no_number_is_unknown(server: Server, loaded: list[Target]) -> None:
    loaded[0].text = exposition(queued="NaN")
    assert_unknown(wait_for_unknown(server))


def test_an_exporter_without_its_source_is_unknown(server: Server, loaded: list[Target]) -> None:
    """It says up 0; that it still shows a value does not count."""
    loaded[0].text = exposition(up=0, queued=1)
    assert_unknown(wait_for_unknown(server))


def test_another_page_in_place_of_an_exporter_is_unknown(server: Server, loaded: list[Target]) -> None:
    loaded[0].text = "proof_queue_depth 1\n"
    assert_unknown(wait_for_unknown(server))


def test_garbage_in_place_of_an_exposition_is_unknown(server: Server, loaded: list[Target]) -> None:
    loaded[0].text = "<html>Log in</html>\n"
    assert_unknown(wait_for_unknown(server))


def test_one_of_two_targets_down_is_unknown_and_not_half_the_load(server: Server, loaded: list[Target]) -> None:
    loaded[1].down()
    seen: list[float | None] = []

    def unknown(window: Window) -> bool:
        seen.append(window.latest(PROOF_QUEUED_SESSIONS))
        return seen[-1] is None

    assert_unknown(read_until(server, unknown, "an unknown load").signal(PROOF_QUEUED_SESSIONS))
    assert set(seen) <= {1 + 2, None}


def test_one_of_two_targets_without_the_metric_is_unknown_and_not_half_the_load(
    server: Server, loaded: list[Target]
) -> None:
    loaded[1].text = exposition(queued=None)
    assert_unknown(wait_for_unknown(server))


def test_all_targets_down_is_unknown(server: Server, loaded: list[Target]) -> None:
    for target in loaded:
        target.down()
    assert_unknown(wait_for_unknown(server))


def test_an_outage_of_a_target_stays_a_gap_in_the_history(server: Server, loaded: list[Target]) -> None:
    loaded[1].down()
    wait_for_unknown(server)
    loaded[1].up()
    samples = wait_for_load(server, 1 + 2).signal(PROOF_QUEUED_SESSIONS).samples
    assert None in [sample.value for sample in samples]


def test_an_exporter_that_comes_back_is_known_again(server: Server, loaded: list[Target]) -> None:
    loaded[0].text = exposition(up=0)
    wait_for_unknown(server)
    loaded[0].text = exposition(queued=4)
    assert wait_for_load(server, 4 + 2).signal(PROOF_QUEUED_SESSIONS).problem is None


def test_a_server_that_goes_and_comes_back_is_unknown_meanwhile(server: Server, loaded: list[Target]) -> None:
    del loaded
    server.stop()
    assert_unknown(wait_for_unknown(server))
    server.start()
    assert wait_for_load(server, 1 + 2).signal(PROOF_QUEUED_SESSIONS).problem is None


def test_signals_of_exporters_a_site_does_not_have_are_not_zero(server: Server, loaded: list[Target]) -> None:
    del loaded
    assert wait_for_load(server, 1 + 2).latest("wn_running_jobs") is None
