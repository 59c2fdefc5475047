"""Grafana is told of annotations by a real HTTP server's leave, and nobody waits for that."""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from autoscaler.config.grafana_section import GrafanaSection
from autoscaler.service.grafana import MOST_INTERNAL_ERRORS, MOST_WAITING, Grafana
from tests.service.grafana_server import TOKEN, FakeGrafana, Handler, answers, garbage, grafana, hangs_up
from tests.service.waiting import DEADLINE_S, Gate, wait_until

BEGUN, OVER = {"time": 1000, "text": "begun"}, {"time": 1000, "timeEnd": 2000, "text": "over"}
WAIT_S = 0.01

MakeTeller = Callable[..., Grafana]


@pytest.fixture
def fake() -> Iterator[FakeGrafana]:
    with grafana() as server:
        yield server


@pytest.fixture
def teller(tmp_path: Path, fake: FakeGrafana) -> Iterator[MakeTeller]:
    """Make one that is started, and ended with the test."""
    made: list[Grafana] = []
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")

    def make(**changes: object) -> Grafana:
        section = GrafanaSection(**{"url": fake.url, "token_file": token, **changes})
        made.append(Grafana(section, WAIT_S))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.end()


def counted(teller: Grafana) -> dict[str, float]:
    """What became of annotations, as Prometheus sees it; those that wait are ``waiting``."""
    registry = CollectorRegistry()
    registry.register(teller)
    samples = [sample for family in registry.collect() for sample in family.samples]
    return {sample.labels.get("result", "waiting"): sample.value for sample in samples}


def wait_for(teller: Grafana, **counts: int) -> None:
    everything = {"sent": 0, "failed": 0, "dropped": 0, "waiting": 0, **counts}
    wait_until(lambda: counted(teller) == everything, f"{everything}")


class TestToldOnceMore:
    """A decision is one annotation."""

    def test_what_is_over_takes_the_place_of_what_has_begun(self, fake: FakeGrafana, teller: MakeTeller) -> None:
        one = teller()
        one.put(7, BEGUN)
        wait_for(one, sent=1)
        one.put(7, OVER)
        wait_for(one, sent=2)
        assert fake.requests == [("POST", "/api/annotations"), ("PUT", "/api/annotations/1")]
        assert fake.annotations == {1: OVER}

    def test_decisions_are_told_apart(self, fake: FakeGrafana, teller: MakeTeller) -> None:
        one = teller()
        for number in (7, 8):
            one.put(number, BEGUN)
        wait_for(one, sent=2)
        one.put(8, OVER)
        wait_for(one, sent=3)
        assert fake.annotations == {1: BEGUN, 2: OVER}

    def test_what_waits_is_replaced_and_told_once(self, fake: FakeGrafana, teller: MakeTeller) -> None:
        one = teller()
        gate = Gate()

        def slow(handler: Handler) -> None:
            gate.pass_through()
            handler.answer(200, {"message": "Annotation added", "id": 99})

        fake.plays(slow)
        one.put(1, OVER)
        assert gate.reached.wait(DEADLINE_S)
        one.put(2, BEGUN)
        one.put(2, OVER)
        gate.open()
        wait_for(one, sent=2)
        assert [method for method, _ in fake.requests] == ["POST", "POST"]

    def test_what_could_not_begin_is_told_when_it_is_over(self, fake: FakeGrafana, teller: MakeTeller) -> None:
        fake.plays(answers(400, {"message": "bad request data"}))
        one = teller()
        one.put(7, BEGUN)
        wait_for(one, failed=1)
        one.put(7, OVER)
        wait_for(one, failed=1, sent=1)
        assert fake.annotations == {1: OVER}

    def test_one_that_somebody_has_deleted_is_let_go(self, fake: FakeGrafana, teller: MakeTeller) -> None:
        one = teller()
        one.put(7, BEGUN)
        wait_for(one, sent=1)
        fake.plays(answers(404, {"message": "Annotation not found"}))
        one.put(7, OVER)
        wait_for(one, sent=1, failed=1)


class TestTrouble:
    """What passes is waited for, what does not is left out."""

    @pytest.mark.parametrize(
        "trick",
        [
            answers(500, {"message": "Failed to save annotation"}),
            answers(503, "<html>Bad gateway</html>"),
            answers(429),
            answers(401, {"message": "Invalid API key"}),
            hangs_up,
            garbage,
        ],
        ids=["500", "503", "429", "401", "hangs-up", "garbage"],
    )
    def test_that_passes_costs_nothing(
        self, fake: FakeGrafana, teller: MakeTeller, trick: Callable[[Handler], None]
    ) -> None:
        fake.plays(trick, trick)
        one = teller()
        one.put(7, OVER)
        wait_for(one, sent=1)
        assert len(fake.requests) == 3
        assert fake.annotations == {1: OVER}

    @pytest.mark.parametrize(
        "trick",
        [
            answers(400, {"message": "tags are too long"}),
            answers(404, "no such page"),
            answers(200, "<html>Please log in</html>"),
            answers(200, {"message": "Annotation added", "id": "seven"}),
            answers(200, "[" * 100_000),
            answers(302, "", Location="/login"),
        ],
        ids=["400", "404", "a-page", "no-id", "nested", "redirect"],
    )
    def test_that_does_not_pass_keeps_no_other_one_waiting(
        self, fake: FakeGrafana, teller: MakeTeller, trick: Callable[[Handler], None]
    ) -> None:
        fake.plays(trick)
        one = teller()
        one.put(7, OVER)
        one.put(8, OVER)
        wait_for(one, sent=1, failed=1)
        assert len(fake.requests) == 2

    def test_one_that_grafana_fails_over_again_and_again_is_left_out(
        self, fake: FakeGrafana, teller: MakeTeller
    ) -> None:
        fake.plays(*[answers(500)] * MOST_INTERNAL_ERRORS)
        one = teller()
        one.put(7, OVER)
        one.put(8, OVER)
        wait_for(one, sent=1, failed=1)

    def test_nobody_there_is_waited_for(self, fake: FakeGrafana, teller: MakeTeller) -> None:
        one = teller(url="http://127.0.0.1:1")
        one.put(7, OVER)
        wait_for(one, waiting=1)
        assert fake.requests == []

    def test_a_token_that_is_renewed_is_used_at_once(
        self, tmp_path: Path, fake: FakeGrafana, teller: MakeTeller
    ) -> None:
        fake.token = "glsa_renewed"
        one = teller()
        one.put(7, OVER)
        wait_until(lambda: len(fake.requests) > 1, "a refusal")
        (tmp_path / "token").write_text("glsa_renewed")
        wait_for(one, sent=1)

    @pytest.mark.parametrize("content", [b"", b"two\nlines"])
    def test_a_file_without_a_token_is_waited_for_and_not_shown(
        self, tmp_path: Path, teller: MakeTeller, caplog: pytest.LogCaptureFixture, content: bytes
    ) -> None:
        (tmp_path / "token").write_bytes(content)
        one = teller()
        one.put(7, OVER)
        wait_until(lambda: caplog.messages, "a line in the log")
        assert caplog.messages == [
            f"Grafana takes no annotations, they wait: {tmp_path / 'token'}: does not hold one line"
        ]

    def test_is_logged_once_and_when_it_is_over(
        self, fake: FakeGrafana, teller: MakeTeller, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "autoscaler")
        fake.plays(*[answers(401, {"message": "Invalid API key"})] * 3)
        one = teller()
        one.put(7, OVER)
        wait_for(one, sent=1)
        assert caplog.messages == [
            "Grafana takes no annotations, they wait: it answers HTTP 401 Invalid API key",
            "Grafana takes annotations again",
        ]
        assert TOKEN not in caplog.text


class TestQueue:
    """It has an end, and so has the controller."""

    def test_the_newest_wait_when_there_are_too_many(self, fake: FakeGrafana, teller: MakeTeller) -> None:
        gate = Gate()

        def slow(handler: Handler) -> None:
            gate.pass_through()
            handler.answer(503, "")

        fake.plays(slow)
        one = teller()
        one.put(0, OVER)
        assert gate.reached.wait(DEADLINE_S)
        for number in range(1, MOST_WAITING + 11):
            one.put(number, {**OVER, "text": str(number)})
        assert counted(one) == {"sent": 0, "failed": 0, "dropped": 11, "waiting": MOST_WAITING}
        gate.open()
        wait_until(lambda: fake.annotations, "the first one")
        assert fake.annotations[1]["text"] == "11"

    def test_nothing_is_remembered_of_those_that_were_too_many(self, fake: FakeGrafana, teller: MakeTeller) -> None:
        one = teller()
        one.put(0, BEGUN)
        wait_for(one, sent=1)
        gate = Gate()

        def slow(handler: Handler) -> None:
            gate.pass_through()
            handler.answer(503, "")

        fake.plays(slow)
        one.put(1, OVER)
        assert gate.reached.wait(DEADLINE_S)
        one.put(0, OVER)
        for number in range(2, MOST_WAITING + 2):
            one.put(number, OVER)
        assert counted(one)["dropped"] == 2
        assert one._ids == {}
        gate.open()

    def test_what_waits_at_the_end_is_told(self, tmp_path: Path, fake: FakeGrafana) -> None:
        (tmp_path / "token").write_text(TOKEN)
        one = Grafana(GrafanaSection(url=fake.url, token_file=tmp_path / "token"))
        for number in range(20):
            one.put(number, OVER)
        one.start()
        one.end()
        wait_for(one, sent=20)

    def test_a_grafana_that_does_not_answer_does_not_keep_the_controller_from_ending(
        self, fake: FakeGrafana, teller: MakeTeller, caplog: pytest.LogCaptureFixture
    ) -> None:
        gate = Gate()
        fake.plays(lambda _: gate.pass_through())
        one = teller()
        one.put(7, OVER)
        assert gate.reached.wait(DEADLINE_S)
        one.end()
        gate.open()
        assert "annotations that Grafana was not told of: 1" in caplog.messages

    def test_without_a_url_nothing_is_kept_and_no_thread_runs(self) -> None:
        one = Grafana(GrafanaSection())
        before = threading.active_count()
        one.start()
        one.put(7, OVER)
        assert threading.active_count() == before
        one.end()
        assert counted(one)["waiting"] == 0


def test_a_url_below_a_path_keeps_it(fake: FakeGrafana, teller: MakeTeller) -> None:
    one = teller(url=f"{fake.url}/grafana/")
    one.put(7, OVER)
    wait_for(one, sent=1)
    assert fake.requests == [("POST", "/grafana/api/annotations")]
