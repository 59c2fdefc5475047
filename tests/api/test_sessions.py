"""Sessions that are announced: they count at once and once, and their first workers are waited for."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from autoscaler.api import sessions
from autoscaler.model import Decision, Demand, HostDecision, HostObservation, HostState, Situation
from autoscaler.testing import observed, proof_window
from tests.api.facility import SESSIONS, ApiUnderTest, bearer
from tests.service.waiting import DEADLINE_S

NONE_READY = {"id": "s1", "workers": 4, "user": "maria", "wait_s": 0}


def announce(api: ApiUnderTest, **more: Any) -> Any:
    return api.post(SESSIONS, NONE_READY | more, api.opener)


def record(api: ApiUnderTest, there: int, granted: int, *, moving: bool = False) -> int:
    """The controller's next cycle: so many workers are there, and so many granted, on the first host."""
    api.now += timedelta(seconds=1)
    host = api.loaded.config.facility().hosts[0]
    seen = observed(replace(host, memory_total_mib=8056), workers=there)
    if moving:
        seen = HostObservation(host.name, HostState.MOVING, moving_to_workers=granted)
    situation = Situation(proof_window([0.0], [0.0], now=api.now), (seen,), tunings=api.store.tunings(api.now))
    decided = HostDecision(host.name, None if moving else there, granted, None if moving else granted, "")
    return api.store.record_decision(Decision(api.now, "Threshold()", situation, Demand(0, "idle"), (decided,)))


def test_a_session_counts_from_now_on_for_its_time_and_rings_the_bell(api: ApiUnderTest) -> None:
    answer = announce(api)
    assert (answer.status_code, api.rung, api.boosts()) == (202, 1, [4])
    assert answer.json() == {
        "id": "s1",
        "user": "maria",
        "state": "waiting",
        "workers_asked": 4,
        "workers_granted": 0,
        "workers_ready": 0,
        "counts_until": "2026-11-22T11:33:00+00:00",
        "waited_s": answer.json()["waited_s"],
        "decision": None,
        "reason": "no cycle has heard of it yet",
    }
    assert api.counted("announced_sessions", state="waiting") == 1
    api.now += timedelta(minutes=5)
    assert api.boosts() == []


def test_the_answer_comes_when_its_first_workers_are_granted_and_there(api: ApiUnderTest) -> None:
    api.on_ring = lambda: record(api, there=2, granted=4)
    answer = announce(api, wait_s=DEADLINE_S)
    assert answer.status_code == 200
    found = answer.json()
    assert (found["state"], found["workers_granted"], found["workers_ready"]) == ("ready", 4, 2)
    assert (found["decision"], found["reason"]) == (1, "all of its workers are granted")
    assert found["waited_s"] < DEADLINE_S


def test_without_workers_it_comes_after_the_stated_time_with_the_reason(api: ApiUnderTest) -> None:
    api.on_ring = lambda: record(api, there=0, granted=3)
    answer = announce(api, wait_s=0.2)
    assert (answer.status_code, answer.json()["workers_granted"]) == (202, 3)
    assert answer.json()["waited_s"] >= 0.2
    assert answer.json()["reason"] == "3 of its workers are granted: idle"


def test_while_a_host_moves_the_next_cycle_is_asked_for(api: ApiUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "RING_S", 0.0)
    monkeypatch.setattr(sessions, "LOOK_S", 0.01)

    def cycle() -> None:
        record(api, there=4, granted=4, moving=api.rung == 1)

    api.on_ring = cycle
    record(api, there=0, granted=0)
    assert announce(api, wait_s=DEADLINE_S).json()["workers_ready"] == 4
    assert api.rung == 2


def test_told_again_it_is_the_same_session_and_rings_nothing(api: ApiUnderTest) -> None:
    announce(api)
    api.now += timedelta(minutes=1)
    again = announce(api, workers=100)
    assert (again.json()["workers_asked"], again.json()["counts_until"]) == (4, "2026-11-22T11:33:00+00:00")
    assert (api.boosts(), api.rung) == ([4], 1)


def test_one_that_is_over_is_told_so_and_does_not_count_again(api: ApiUnderTest) -> None:
    announce(api)
    api.now += timedelta(minutes=5)
    again = announce(api, wait_s=DEADLINE_S)
    assert (again.status_code, again.json()["state"], again.json()["counts_until"]) == (200, "over", None)
    assert api.boosts() == []


def test_what_counts_does_so_after_a_restart(api: ApiUnderTest) -> None:
    announce(api)
    api.client = api.start()
    api.now += timedelta(minutes=1)
    announce(api)
    assert (api.boosts(), api.rung) == ([4], 1)


def test_others_are_answered_while_many_wait(api: ApiUnderTest) -> None:
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(announce, api, id=f"s{number}", wait_s=DEADLINE_S) for number in range(4)]
        give_up = time.monotonic() + DEADLINE_S
        while len(api.boosts()) < 4:
            assert time.monotonic() < give_up
            time.sleep(0.01)
        assert api.client.get("/healthz").status_code == 200
        assert not any(each.done() for each in waiting)
        record(api, there=8, granted=8)
        record(api, there=16, granted=16)
        assert {each.result().status_code for each in waiting} == {200}


def test_beyond_so_many_that_wait_the_answer_comes_at_once(api: ApiUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_WAITING", 0)
    assert announce(api, wait_s=DEADLINE_S).status_code == 202


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("{", "the body: "),
        ("{}", "id: is missing"),
        ({"id": "s1"}, "workers: is missing"),
        (NONE_READY | {"workers": 0}, "workers: must be 1 or more"),
        (NONE_READY | {"workers": "4"}, "workers: '4' is not a whole number"),
        (NONE_READY | {"id": "a\nb"}, "id: "),
        (NONE_READY | {"user": "\x1b[31m"}, "user: "),
        (NONE_READY | {"wait_s": False}, "wait_s: "),
        (NONE_READY | {"wait_s": 1e9}, "wait_s: must be 120 or less"),
        (NONE_READY | {"priority": 1}, "priority: unknown key"),
    ],
)
def test_a_body_that_is_not_understood_is_400_and_counts_nothing(api: ApiUnderTest, body: Any, sentence: str) -> None:
    answer = api.post(SESSIONS, body, api.opener)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(sentence)
    assert (api.boosts(), api.rung) == ([], 0)


def test_it_wants_its_own_scope(api: ApiUnderTest) -> None:
    for token in (api.alerts, api.viewer):
        assert api.post(SESSIONS, NONE_READY, token).status_code == 403
    assert api.client.post(SESSIONS, json=NONE_READY).status_code == 401
    assert api.client.post(SESSIONS, json=NONE_READY, headers=bearer(api.opener)).status_code == 202


def test_a_token_may_announce_so_many_a_minute(api: ApiUnderTest) -> None:
    assert [announce(api, id=f"s{number}").status_code for number in range(6)] == [202] * 5 + [429]
    assert len(api.boosts()) == 5
