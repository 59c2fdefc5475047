"""The transfer engine against everything at once: one to three Worker Nodes, faults, and other people's hands.

The laws of ``chaos.py`` are checked at every instant. When an example ends faults stop, and the host must come to rest
with what is wanted, and with no memory lost. ``VAF_MACHINE_EXAMPLES=2000 pytest`` tries that many; so does
``python -m tests.hypervisors.test_transfer_machine --examples 2000``, which says how much was lived through.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB, can_run, wn_floor_mib, workers_now
from autoscaler.model import Decision, DomainState, Host, WnDomain
from autoscaler.testing import A_WN, a_host
from tests.hypervisors.chaos import TOTALS, Act, Chaos, Event, Fault, Life, a_life

EXAMPLES = int(os.environ.get("VAF_MACHINE_EXAMPLES", "60"))
RULES_PER_EXAMPLE = 20

# Most transfers have fewer instants; what is due later never comes.
INSTANTS = 150

# Cycles from the end of the faults to rest: balloons that were given up are probed first, a start needs one to make
# room and one to give back what it left over, and Worker Nodes that were squeezed tell only then what they really use.
CYCLES_TO_REST = 20

workers = st.integers(0, 8)
events = st.builds(Event, st.sampled_from(Act), st.integers(0, 3), st.integers(0, 6911))
happenings = st.dictionaries(st.integers(1, 40) | st.integers(1, INSTANTS), st.sampled_from(Fault) | events, max_size=4)
chaoses = st.builds(Chaos, happenings, st.none() | st.integers(1, 30), st.sampled_from([100, 777, 10_000]))


def a_wn(number: int, swap_down_to_mib: int | None) -> WnDomain:
    return replace(A_WN, name=f"wn-{number}", swap_down_to_mib=swap_down_to_mib)


def a_site(dormant_state: DomainState, swaps: list[int | None]) -> Host:
    """The prototype's host, with 3000 MiB more for each further Worker Node."""
    host = a_host()
    return replace(
        host,
        memory_total_mib=(host.memory_total_mib or 0) + 3000 * (len(swaps) - 1),
        proof=replace(host.proof, dormant_state=dormant_state),
        wns=tuple(a_wn(number, swap) for number, swap in enumerate(swaps, 1)),
    )


class TransferMachine(RuleBasedStateMachine):
    """Cycles of one host, with faults and acts in them and between them."""

    life: Life
    wanted = 0

    @initialize(
        dormant_state=st.sampled_from([state for state in DomainState if state is not DomainState.ABSENT]),
        swaps=st.lists(st.sampled_from([None, None, 572, 1500]), min_size=1, max_size=3),
        tells=st.booleans(),
        starts_full=st.booleans(),
    )
    def begin(self, *, dormant_state: DomainState, swaps: list[int | None], tells: bool, starts_full: bool) -> None:
        self.life = a_life(a_site(dormant_state, swaps), tells=tells, starts_full=starts_full)

    @rule(wanted=workers, chaos=chaoses)
    def cycle(self, wanted: int, chaos: Chaos) -> None:
        TOTALS["steps"] += 1
        self.wanted = wanted
        outcome = self.life.cycle(wanted, chaos)
        event("no outcome" if outcome is None else f"outcome: {outcome.result}")

    @rule(wanted=workers)
    def undisturbed_cycle(self, wanted: int) -> None:
        TOTALS["steps"] += 1
        self.wanted = wanted
        self.life.cycle(wanted, Chaos())

    @rule(happening=events)
    def something_happens(self, happening: Event) -> None:
        TOTALS["steps"] += 1
        self.life.fake.suffer(happening)

    @rule(steps=st.integers(1, 30))
    def time_passes(self, steps: int) -> None:
        TOTALS["steps"] += 1
        self.life.rest(steps)

    @invariant()
    def the_laws_hold(self) -> None:
        if hasattr(self, "life"):
            self.life.fake.check_laws()

    def teardown(self) -> None:
        TOTALS["examples"] += 1
        if hasattr(self, "life") and sys.exc_info()[0] is None:
            self.life.fake.heal()
            event(f"at rest after {come_to_rest(self.life, self.wanted)} cycles")
            assert_all_is_well(self.life, self.wanted)


def come_to_rest(life: Life, wanted: int) -> int:
    """Live on without faults until there is nothing left to do; return how many cycles that took."""
    for number in range(CYCLES_TO_REST + 1):
        life.rest()
        if not life.decide(wanted).transfers and not quarantined(life):
            return number
        life.cycle(wanted, Chaos(), passed=timedelta(hours=1))
    reasons = life.decide(wanted).hosts[0].reason
    raise AssertionError(f"no rest: {reasons} {life.decide(wanted).transfers} {life.timers} {life.fake.domains}")


def quarantined(life: Life) -> bool:
    """Whether something is still to be tried; a PROOF domain that sleeps is tried when it is wanted and has room."""
    quarantine = life.timers.quarantine
    if quarantine is None:
        return False
    return life.now < quarantine.probe_at or life.fake.domains[quarantine.domain].moves


def assert_all_is_well(life: Life, wanted: int) -> None:
    """What is wanted is there, no memory is lost, and nothing is called any more."""
    life.now += timedelta(hours=1)
    decision = life.decide(wanted)
    assert_workers(life, wanted, decision)
    assert_no_memory_lost(life)
    life.fake.calls.clear()
    life.cycle(wanted, Chaos())
    assert set(life.fake.calls) <= {"read"}


def assert_workers(life: Life, wanted: int, decision: Decision) -> None:
    (decided,) = decision.hosts
    proof = life.fake.observation().domain(life.host.proof.name)
    assert workers_now(life.host, proof) == decided.granted, (decided, life.fake.domains)
    assert decided.granted == wanted or decided.cuts or not can_run(life.host, proof), decided
    if not decided.granted and proof.state is DomainState.RUNNING:
        assert life.host.proof.dormant_state is DomainState.RUNNING, "it does not sleep"


def assert_no_memory_lost(life: Life) -> None:
    """What is free is kept for a domain that is off, or no Worker Node can take it."""
    host, seen = life.host, life.fake.observation()
    tolerance_mib = BALLOON_TOLERANCE_MIB * len(seen.domains)
    # A domain that was suspended on its way up goes on when it is resumed.
    sizes = {each.name: each.committed_mib if each.state.holds_memory else 0 for each in seen.domains}
    free_mib = life.fake.limit_mib - seen.unmanaged_mib - sum(sizes.values())
    running = [wn for wn in host.wns if seen.domain(wn.name).state is DomainState.RUNNING]
    if free_mib < -tolerance_mib:
        unable = [sizes[wn.name] <= (wn_floor_mib(wn, seen) or 0) + tolerance_mib for wn in running]
        assert all(unable), f"overcommitted by {-free_mib} MiB: {seen}"
    full = all(sizes[wn.name] >= wn.memory_max_mib - BALLOON_TOLERANCE_MIB for wn in running)
    assert full or free_mib - kept_mib(life, sizes) <= tolerance_mib, f"{free_mib} MiB are lost: {seen}"


def kept_mib(life: Life, sizes: Mapping[str, int]) -> int:
    """What is kept for domains that are off and may come back by somebody else's hand."""
    host, seen = life.host, life.fake.observation()
    off = [wn for wn in host.wns if seen.domain(wn.name).state is not DomainState.RUNNING]
    kept = sum(max(0, wn.memory_floor_mib - sizes[wn.name]) for wn in off)
    if not seen.domain(host.proof.name).state.holds_memory and host.proof.dormant_state.holds_memory:
        kept += host.proof.dormant.memory_mib
    return kept


def live_through(examples: int) -> str:
    """Run the machine; say how much was lived through."""
    TOTALS.clear()
    run_state_machine_as_test(
        TransferMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=RULES_PER_EXAMPLE,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        ),
    )
    units = ("examples", "steps", "transfers", "instants")
    return ", ".join(f"{TOTALS[unit]} {unit}" for unit in units) + " in one run\n"


@pytest.mark.timeout(900)
def test_whatever_happens_the_laws_hold_at_every_instant_and_the_host_comes_to_rest_when_the_faults_stop() -> None:
    sys.stdout.write(live_through(EXAMPLES))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    sys.stdout.write(live_through(parser.parse_args().examples))


if __name__ == "__main__":
    main()
