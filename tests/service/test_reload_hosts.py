"""Hosts that come, go or change while the controller runs."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from autoscaler.core.rules import Rules
from autoscaler.model import Facility, Host, HostState
from autoscaler.testing import FakeHost, observed
from tests.service.plant import LIMITS, PACE, POLICY, Plant, hosts_named
from tests.service.waiting import Gate, wait_until


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def plant(tmp_path: Path, gate: Gate) -> Iterator[Plant]:
    """Two hosts, on uris of their own."""
    hosts = tuple(replace(host, uri=f"test:///{host.name}.xml") for host in hosts_named("host-1", "host-2").hosts)
    plant = Plant(tmp_path, Facility(hosts))
    for name, fake in plant.fakes.items():
        fake.close = partial(plant.events.append, f"close {name}")
    yield plant
    gate.open()
    plant.close()


def take_over(plant: Plant, *hosts: Host) -> None:
    for host in hosts:
        if host.name not in plant.fakes:
            plant.fakes[host.name] = fake = FakeHost.of(observed(host), speed_mib=10_000)
            fake.before_call = lambda _call, fake=fake: fake.step()
    plant.controller.replace(Facility(hosts), Rules(POLICY, LIMITS), None, PACE)


def hang_while_growing(plant: Plant, host: str, gate: Gate) -> None:
    """Begin a transfer on the host that does not end before the gate is opened."""
    fake = plant.fakes[host]
    go_on = fake.before_call

    def before(call: str) -> None:
        if call.startswith("set_memory"):
            gate.pass_through()
        if go_on is not None:
            go_on(call)

    fake.before_call = before
    plant.source.queued = 2
    plant.controller.cycle()
    assert gate.reached.wait(30)


def state(plant: Plant, host: str) -> HostState:
    return plant.controller.cycle().decision.situation.host(host).state


def test_a_host_that_left_is_let_go_of(plant: Plant) -> None:
    plant.cycle()
    take_over(plant, plant.facility.hosts[1])
    wait_until(lambda: "close host-1" in plant.events, "host-1 to be let go of")
    assert [host.host for host in plant.cycle().decision.hosts] == ["host-2"]


def test_a_host_that_left_ends_its_transfer_first(plant: Plant, gate: Gate) -> None:
    hang_while_growing(plant, "host-1", gate)
    take_over(plant, plant.facility.hosts[1])
    assert "close host-1" not in plant.events
    gate.open()
    wait_until(lambda: "close host-1" in plant.events, "host-1 to be let go of")
    assert plant.workers()["host-1"] == 4


def test_the_outcome_of_a_host_that_left_is_recorded(plant: Plant, gate: Gate) -> None:
    hang_while_growing(plant, "host-1", gate)
    take_over(plant, plant.facility.hosts[1])
    gate.open()
    plant.controller.settle()
    assert "outcome host-1" in plant.events


def test_a_host_that_stays_keeps_its_connection(plant: Plant) -> None:
    plant.cycle()
    take_over(plant, *plant.facility.hosts)
    plant.cycle()
    assert "close host-1" not in plant.events


def test_a_host_that_changed_is_moving_until_its_old_transfer_has_ended(plant: Plant, gate: Gate) -> None:
    hang_while_growing(plant, "host-1", gate)
    one, two = plant.facility.hosts
    take_over(plant, replace(one, memory_reserve_mib=one.memory_reserve_mib + 1), two)
    assert state(plant, "host-1") is HostState.MOVING
    gate.open()
    wait_until(lambda: state(plant, "host-1") is HostState.READY, "host-1 to be read again")


def test_a_host_whose_old_transfer_hangs_is_unusable(plant: Plant, gate: Gate) -> None:
    hang_while_growing(plant, "host-1", gate)
    one, two = plant.facility.hosts
    plant.controller._hosts.lane("host-1").timeout_s = 0.001
    take_over(plant, replace(one, name="renamed"), two)
    wait_until(lambda: state(plant, "renamed") is HostState.UNUSABLE, "the host to be told as one that hangs")


def test_a_host_under_another_name_is_moving_until_its_old_transfer_has_ended(plant: Plant, gate: Gate) -> None:
    hang_while_growing(plant, "host-1", gate)
    one, two = plant.facility.hosts
    take_over(plant, replace(one, name="renamed"), two)
    assert state(plant, "renamed") is HostState.MOVING
    gate.open()
    wait_until(lambda: state(plant, "renamed") is HostState.READY, "the host to be read again")


def test_a_host_that_left_and_came_back_is_moving_until_its_old_transfer_has_ended(plant: Plant, gate: Gate) -> None:
    hang_while_growing(plant, "host-1", gate)
    one, two = plant.facility.hosts
    take_over(plant, two)
    take_over(plant, one, two)
    assert state(plant, "host-1") is HostState.MOVING
    gate.open()
    wait_until(lambda: state(plant, "host-1") is HostState.READY, "host-1 to be read again")


def test_a_stop_waits_for_the_transfers_of_hosts_that_left(plant: Plant, gate: Gate) -> None:
    hang_while_growing(plant, "host-1", gate)
    take_over(plant, plant.facility.hosts[1])
    assert not plant.controller.settle(0.05)
    gate.open()
    assert plant.controller.settle(30)
