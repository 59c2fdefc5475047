"""One cycle's decision of a host in quarantine."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from autoscaler.core.decide import decide
from autoscaler.core.rules import Rules
from autoscaler.model import (
    Allocation,
    Decision,
    DomainState,
    Facility,
    GuardLimits,
    HostTimers,
    Quarantine,
    Situation,
    StepKind,
    Window,
)
from autoscaler.testing import NOW, proof_window
from policies.hold import Hold
from policies.static import Static
from tests.core.deciding import FACILITY, THRESHOLD, at, transfers


class TestQuarantine:
    """A host with a balloon that does not move is left as it is, and tried again from time to time."""

    SOON, DUE = NOW + timedelta(seconds=1), NOW

    def decision(self, probe_at: object, *, domain: str = "wn", **changes: object) -> Decision:
        """Eight workers are wanted; host-1 has two and is quarantined, host-2 has none. ``changes`` are of a domain."""
        quarantine = Quarantine(domain, "wn did not move", NOW - timedelta(minutes=5), 1, probe_at)
        one, two = at(2, 0)
        domains = tuple(replace(each, **changes) if each.name == domain else each for each in one.domains)
        situation = Situation(
            Window(NOW), (replace(one, domains=domains), two), (HostTimers("host-1", quarantine=quarantine),)
        )
        return decide(situation, FACILITY, Rules(Static(8), GuardLimits()))

    def test_leaves_the_host_as_it_is_and_says_since_when_and_until_when(self) -> None:
        first = self.decision(self.SOON).hosts[0]
        assert (first.current, first.wanted, first.granted, first.transfer) == (2, None, 2, None)
        assert first.reason == ("quarantined since 2026-11-23 11:55:00 UTC: wn did not move; tried again at 12:00:01")

    def test_counts_the_host_with_its_present_workers(self) -> None:
        """8 - 2 = 6 are for the other."""
        assert transfers(self.decision(self.SOON)) == {"host-2": (0, 6)}

    def test_is_probed_when_its_time_has_come(self) -> None:
        first = self.decision(self.DUE).hosts[0]
        assert first.transfer is not None
        assert (first.transfer.probe, [step.domain for step in first.transfer.steps]) == ("wn", ["wn"])
        assert first.reason.endswith("; trying whether it moves now")

    def test_is_not_probed_while_the_signals_are_unknown(self) -> None:
        quarantine = Quarantine("wn", "wn did not move", NOW, 1, self.DUE)
        situation = Situation(proof_window([None], [1]), at(2, 0), (HostTimers("host-1", quarantine=quarantine),))
        assert decide(situation, FACILITY, THRESHOLD).transfers == ()

    def test_is_not_probed_while_the_policy_holds(self) -> None:
        quarantine = Quarantine("wn", "wn did not move", NOW, 1, self.DUE)
        situation = Situation(Window(NOW), at(2, 0), (HostTimers("host-1", quarantine=quarantine),))
        assert decide(situation, FACILITY, Rules(Hold(), GuardLimits())).transfers == ()

    def test_tries_the_other_way_every_second_time(self) -> None:
        """At its lower limit a balloon moves up only."""
        quarantine = Quarantine("wn", "wn did not move", NOW, 2, self.DUE)
        situation = Situation(Window(NOW), at(2, 0), (HostTimers("host-1", quarantine=quarantine),))
        transfer = decide(situation, FACILITY, Rules(Static(8), GuardLimits())).hosts[0].transfer
        assert transfer is not None
        assert [(step.kind, step.domain) for step in transfer.steps][-1] == (StepKind.GROW, "wn")

    @pytest.mark.parametrize(("probe_at", "workers"), [(SOON, None), (DUE, 4)])
    def test_of_what_could_not_be_woken_gives_the_host_no_workers_until_the_next_try(
        self, probe_at: datetime, workers: int | None
    ) -> None:
        """The other one holds seven beside what its Worker Node uses."""
        facility = Facility(
            tuple(
                replace(host, proof=replace(host.proof, dormant_state=DomainState.SHUT_OFF)) for host in FACILITY.hosts
            )
        )
        one, two = at(0, 0)
        asleep = replace(one.domains[0], state=DomainState.SHUT_OFF, allocation=Allocation(0, 256), start_mib=572)
        quarantine = Quarantine("proof", "cannot be woken: no such disk", NOW, 1, probe_at)
        situation = Situation(
            Window(NOW),
            (replace(one, domains=(asleep, *one.domains[1:])), two),
            (HostTimers("host-1", quarantine=quarantine),),
        )
        first, second = decide(situation, facility, Rules(Static(8), GuardLimits())).hosts
        assert (first.granted, second.granted) == ((0, 7) if workers is None else (workers, workers))
        assert ("cannot be woken: no such disk" in first.reason) == (workers is None)

    def test_that_cannot_be_tried_says_so(self) -> None:
        """It does not say what it uses, and has all that it can have."""
        first = self.decision(self.DUE, used_mib=None, allocation=Allocation(6911, 32)).hosts[0]
        assert first.transfer is None
        assert first.reason.endswith("; it cannot be tried now")

    @pytest.mark.parametrize("state", [DomainState.PAUSED, DomainState.SHUT_OFF])
    def test_of_a_domain_that_does_not_run_binds_nobody(self, state: DomainState) -> None:
        """The administrator has stopped what was stuck: the host goes on without it, 4 workers on each."""
        changes = {"state": state, "used_mib": None}
        if state is DomainState.SHUT_OFF:
            changes["allocation"] = Allocation(0, 256)
        assert self.decision(self.SOON, **changes).hosts[0].wanted == 4

    def test_of_a_domain_that_is_not_ours_any_more_binds_nobody(self) -> None:
        assert self.decision(self.SOON, domain="gone").hosts[0].wanted == 4
