"""What every hypervisor promises, as tests; a class per hypervisor inherits them and supplies the fixtures.

A variant (the test bed's KVM guests too) supplies ``hypervisor`` (its domains at rest, the first one PROOF's, the
second the Worker Node's) and, where balloons take time, overrides ``let_pass``.
"""

from collections.abc import Callable

import pytest

from autoscaler.contracts import Hypervisor, HypervisorError
from autoscaler.model import DomainObservation, DomainState

# Looks at a balloon on its way; a real one needs the time that its variant's ``let_pass`` takes.
LOOKS = 10_000


def domain(hypervisor: Hypervisor, name: str) -> DomainObservation:
    """Read back one domain."""
    return next(seen for seen in hypervisor.read().domains if seen.name == name)


class HypervisorContract:
    """The promises of ``autoscaler.contracts.Hypervisor``."""

    @pytest.fixture
    def let_pass(self) -> Callable[[], None]:
        return lambda: None

    @pytest.fixture
    def names(self, hypervisor: Hypervisor) -> tuple[str, str]:
        proof, wn = (seen.name for seen in hypervisor.read().domains)
        return proof, wn

    @pytest.fixture
    def proof(self, names: tuple[str, str]) -> str:
        return names[0]

    @pytest.fixture
    def wn(self, names: tuple[str, str]) -> str:
        return names[1]

    def test_both_domains_are_read(self, hypervisor: Hypervisor) -> None:
        domains = hypervisor.read().domains
        assert len({seen.name for seen in domains}) == 2

    def test_a_domain_is_within_its_maximum_and_has_vcpus(self, hypervisor: Hypervisor) -> None:
        for seen in hypervisor.read().domains:
            assert 0 < seen.allocation.memory_mib <= seen.memory_max_mib
            assert seen.vcpus > 0

    def test_a_hypervisor_keeps_no_ledger(self, hypervisor: Hypervisor) -> None:
        assert [seen.asked_mib for seen in hypervisor.read().domains] == [None, None]

    def test_memory_that_was_set_is_read_back(
        self, hypervisor: Hypervisor, wn: str, let_pass: Callable[[], None]
    ) -> None:
        goal = domain(hypervisor, wn).allocation.memory_mib - 128
        hypervisor.set_memory(wn, goal)
        for _ in range(LOOKS):
            if domain(hypervisor, wn).allocation.memory_mib == goal:
                break
            let_pass()
        assert domain(hypervisor, wn).allocation.memory_mib == goal

    def test_setting_one_domains_memory_leaves_the_other_alone(
        self, hypervisor: Hypervisor, proof: str, wn: str
    ) -> None:
        before = domain(hypervisor, proof).allocation
        hypervisor.set_memory(wn, domain(hypervisor, wn).allocation.memory_mib - 64)
        assert domain(hypervisor, proof).allocation == before

    def test_memory_above_the_maximum_is_refused_naming_the_domain(self, hypervisor: Hypervisor, wn: str) -> None:
        with pytest.raises(HypervisorError, match=wn):
            hypervisor.set_memory(wn, domain(hypervisor, wn).memory_max_mib + 1)

    def test_what_was_refused_changed_nothing(self, hypervisor: Hypervisor, wn: str) -> None:
        before = domain(hypervisor, wn).allocation
        with pytest.raises(HypervisorError):
            hypervisor.set_memory(wn, domain(hypervisor, wn).memory_max_mib + 1)
        assert domain(hypervisor, wn).allocation == before

    @pytest.mark.parametrize("weight", [1, 32, 256, 2500])
    def test_a_weight_is_read_back_on_xens_scale(self, hypervisor: Hypervisor, proof: str, weight: int) -> None:
        hypervisor.set_cpu(proof, weight, None)
        assert domain(hypervisor, proof).allocation.cpu_weight == weight

    def test_a_cap_is_read_back_in_cores(self, hypervisor: Hypervisor, proof: str) -> None:
        cap = domain(hypervisor, proof).vcpus / 2
        hypervisor.set_cpu(proof, 256, cap)
        assert domain(hypervisor, proof).allocation.cpu_cap_cores == cap

    def test_a_cap_is_lifted_by_none(self, hypervisor: Hypervisor, proof: str) -> None:
        hypervisor.set_cpu(proof, 256, 0.5)
        hypervisor.set_cpu(proof, 256, None)
        assert domain(hypervisor, proof).allocation.cpu_cap_cores is None

    def test_cpu_and_memory_do_not_disturb_each_other(self, hypervisor: Hypervisor, proof: str) -> None:
        before = domain(hypervisor, proof).allocation.memory_mib
        hypervisor.set_cpu(proof, 512, 0.5)
        assert domain(hypervisor, proof).allocation.memory_mib == before

    def test_closing_twice_is_fine(self, hypervisor: Hypervisor) -> None:
        hypervisor.close()
        hypervisor.close()


class StrangerContract:
    """Domains that are not there are errors which name them."""

    def test_setting_the_memory_of_an_unknown_domain_is_an_error_that_names_it(self, hypervisor: Hypervisor) -> None:
        hypervisor.read()
        with pytest.raises(HypervisorError, match="nobody"):
            hypervisor.set_memory("nobody", 512)

    def test_setting_the_cpu_of_an_unknown_domain_is_an_error_that_names_it(self, hypervisor: Hypervisor) -> None:
        hypervisor.read()
        with pytest.raises(HypervisorError, match="nobody"):
            hypervisor.set_cpu("nobody", 256, None)

    def test_waking_an_unknown_domain_is_an_error_that_names_it(self, hypervisor: Hypervisor) -> None:
        hypervisor.read()
        with pytest.raises(HypervisorError, match="nobody"):
            hypervisor.wake("nobody")

    def test_putting_an_unknown_domain_to_sleep_is_an_error_that_names_it(self, hypervisor: Hypervisor) -> None:
        hypervisor.read()
        with pytest.raises(HypervisorError, match="nobody"):
            hypervisor.sleep("nobody", DomainState.PAUSED)


ASLEEP = [DomainState.PAUSED, DomainState.SAVED, DomainState.SHUT_OFF]
OFF = [DomainState.SAVED, DomainState.SHUT_OFF]


class SleepContract:
    """A PROOF domain goes to sleep in each of the three ways, and comes back; its guest obeys at once."""

    @pytest.fixture
    def proof(self, hypervisor: Hypervisor) -> str:
        return hypervisor.read().domains[0].name

    @pytest.mark.parametrize("state", ASLEEP)
    def test_a_domain_that_is_put_to_sleep_is_read_back_asleep(
        self, hypervisor: Hypervisor, proof: str, state: DomainState
    ) -> None:
        hypervisor.sleep(proof, state)
        assert domain(hypervisor, proof).state is state

    @pytest.mark.parametrize("state", ASLEEP)
    def test_a_domain_that_is_woken_runs(self, hypervisor: Hypervisor, proof: str, state: DomainState) -> None:
        hypervisor.sleep(proof, state)
        hypervisor.wake(proof)
        assert domain(hypervisor, proof).state is DomainState.RUNNING

    def test_a_paused_domain_keeps_its_memory(self, hypervisor: Hypervisor, proof: str) -> None:
        before = domain(hypervisor, proof).allocation.memory_mib
        hypervisor.sleep(proof, DomainState.PAUSED)
        assert domain(hypervisor, proof).allocation.memory_mib == before

    @pytest.mark.parametrize("state", OFF)
    def test_a_domain_that_is_off_holds_nothing_and_says_what_a_start_takes(
        self, hypervisor: Hypervisor, proof: str, state: DomainState
    ) -> None:
        before = domain(hypervisor, proof).allocation.memory_mib
        hypervisor.sleep(proof, state)
        seen = domain(hypervisor, proof)
        assert seen.allocation.memory_mib == 0
        assert seen.start_mib >= before

    @pytest.mark.parametrize("state", OFF)
    def test_a_start_takes_what_was_said(self, hypervisor: Hypervisor, proof: str, state: DomainState) -> None:
        hypervisor.sleep(proof, state)
        start_mib = domain(hypervisor, proof).start_mib
        hypervisor.wake(proof)
        seen = domain(hypervisor, proof)
        assert (seen.allocation.memory_mib, seen.start_mib) == (start_mib, 0)

    def test_a_saved_domain_comes_back_as_it_was(self, hypervisor: Hypervisor, proof: str) -> None:
        before = domain(hypervisor, proof).allocation.memory_mib
        hypervisor.sleep(proof, DomainState.SAVED)
        hypervisor.wake(proof)
        assert domain(hypervisor, proof).allocation.memory_mib == before

    @pytest.mark.parametrize("state", OFF)
    def test_the_memory_of_a_domain_that_is_off_cannot_be_set(
        self, hypervisor: Hypervisor, proof: str, state: DomainState
    ) -> None:
        hypervisor.sleep(proof, state)
        with pytest.raises(HypervisorError, match=proof):
            hypervisor.set_memory(proof, 1024)

    @pytest.mark.parametrize("state", OFF)
    def test_a_domain_that_is_off_cannot_be_put_to_sleep(
        self, hypervisor: Hypervisor, proof: str, state: DomainState
    ) -> None:
        hypervisor.sleep(proof, state)
        with pytest.raises(HypervisorError, match=proof):
            hypervisor.sleep(proof, state)

    def test_a_domain_that_runs_cannot_be_woken(self, hypervisor: Hypervisor, proof: str) -> None:
        with pytest.raises(HypervisorError, match=proof):
            hypervisor.wake(proof)

    @pytest.mark.parametrize("state", ASLEEP)
    def test_the_other_domain_is_left_alone(self, hypervisor: Hypervisor, proof: str, state: DomainState) -> None:
        before = hypervisor.read().domains[1].allocation
        hypervisor.sleep(proof, state)
        hypervisor.wake(proof)
        assert hypervisor.read().domains[1].allocation == before
