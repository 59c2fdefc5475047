"""What every hypervisor promises, as tests; a class per hypervisor inherits them and supplies the fixtures.

A variant (the test bed's KVM guests too) supplies ``hypervisor`` (its domains at rest, the first one PROOF's, the
second the Worker Node's) and, where balloons take time, overrides ``let_pass``.
"""

from collections.abc import Callable

import pytest

from autoscaler.contracts import Hypervisor, HypervisorError
from autoscaler.model import DomainObservation

# Looks at a balloon on its way; a real one needs the time that its variant's ``let_pass`` takes.
LOOKS = 1000


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
