"""KVM's shares and quotas to our weights and caps and back; a real domain's are in the test bed."""

from dataclasses import dataclass, field
from typing import Any

import libvirt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.contracts import HypervisorError
from autoscaler.core.allocation import same_cpu
from autoscaler.hypervisors.kvm import KvmDriver
from autoscaler.model import Allocation

# What libvirt shows for "no quota": itself, unset, and the largest value of cgroup v1 and of a 64 bit number in ms.
NO_QUOTAS = [-1, 0, 17_592_186_044_415, 18_446_744_073_709_551]


@dataclass
class Domain:
    """As much of a libvirt domain as KvmDriver speaks to."""

    parameters: dict[str, int] = field(default_factory=lambda: {"cpu_shares": 1024})
    statistics: dict[str, int] = field(default_factory=dict)
    flags: int | None = None

    def schedulerParameters(self) -> dict[str, int]:  # noqa: N802 - libvirt's name
        return dict(self.parameters)

    def setSchedulerParametersFlags(self, parameters: dict[str, int], flags: int) -> None:  # noqa: N802
        self.parameters |= parameters
        self.flags = flags

    def name(self) -> str:
        return "vaf-wn-001"

    def memoryStats(self) -> dict[str, int]:  # noqa: N802
        return dict(self.statistics)


def written(weight: int, cap_cores: float | None, vcpus: int = 8) -> dict[str, Any]:
    domain = Domain()
    KvmDriver().write(domain, vcpus, weight, cap_cores)
    return domain.parameters


NOW_S = 1_700_000_000


def used_mib(statistics: dict[str, int]) -> int | None:
    return KvmDriver(clock=lambda: NOW_S).memory(Domain(statistics=statistics)).used_mib


def test_xens_default_weight_is_the_kernels_default_shares() -> None:
    assert written(256, None)["cpu_shares"] == 1024


def test_shares_are_read_on_xens_scale() -> None:
    assert KvmDriver().read(Domain({"cpu_shares": 128}), 8)[0] == 32


@pytest.mark.parametrize(("weight", "shares"), [(1, 4), (2500, 10_000), (60_000, 10_000), (0, 2)])
def test_shares_stay_within_what_both_cgroup_versions_accept(weight: int, shares: int) -> None:
    assert written(weight, None)["cpu_shares"] == shares


@pytest.mark.parametrize(("cap", "quota"), [(1.0, 12_500), (4.0, 50_000), (7.5, 93_750)])
def test_a_cap_is_a_quota_for_each_of_eight_vcpus(cap: float, quota: int) -> None:
    assert (written(256, cap)["vcpu_quota"], written(256, cap)["vcpu_period"]) == (quota, 100_000)


@pytest.mark.parametrize("cap", [None, 8.0, 9.0, 800.0])
def test_a_cap_of_all_vcpus_or_more_is_no_quota(cap: float | None) -> None:
    assert written(256, cap)["vcpu_quota"] == -1


def test_a_quota_is_never_below_what_the_kernel_accepts() -> None:
    assert written(256, 0.001)["vcpu_quota"] == 1000


@pytest.mark.parametrize(("cap", "vcpus"), [(1.0, 128), (0.5, 64), (0.125, 7), (0.5, 500)])
def test_a_small_cap_of_many_vcpus_comes_back(cap: float, vcpus: int) -> None:
    weight, back = KvmDriver().read(Domain(written(256, cap, vcpus)), vcpus)
    assert same_cpu(Allocation(512, 256, cap), Allocation(512, weight, back), vcpus)


def test_a_quota_and_its_period_are_read_as_cores() -> None:
    parameters = {"cpu_shares": 1024, "vcpu_quota": 25_000, "vcpu_period": 200_000}
    assert KvmDriver().read(Domain(parameters), 8)[1] == 1.0  # 8 vCPUs x 25/200


@pytest.mark.parametrize("quota", NO_QUOTAS)
@pytest.mark.parametrize("vcpus", [1, 8, 512])
def test_every_form_of_no_quota_is_no_cap(quota: int, vcpus: int) -> None:
    parameters = {"cpu_shares": 1024, "vcpu_quota": quota, "vcpu_period": 100_000}
    assert KvmDriver().read(Domain(parameters), vcpus)[1] is None


def test_a_domain_without_quota_parameters_has_no_cap() -> None:
    assert KvmDriver().read(Domain({"cpu_shares": 1024}), 8) == (256, None)


def test_the_running_domain_is_changed_and_its_description_is_not() -> None:
    domain = Domain()
    KvmDriver().write(domain, 8, 256, None)
    assert domain.flags == libvirt.VIR_DOMAIN_AFFECT_LIVE


@given(weight=st.integers(1, 2500))
def test_every_weight_the_configuration_allows_comes_back(weight: int) -> None:
    assert KvmDriver().read(Domain(written(weight, None)), 8)[0] == weight


@given(vcpus=st.integers(1, 64), data=st.data())
def test_a_cap_of_whole_cores_means_the_same_cpu_when_it_comes_back(vcpus: int, data: st.DataObject) -> None:
    cap = data.draw(st.integers(1, 2 * vcpus).map(float))
    weight, back = KvmDriver().read(Domain(written(256, cap, vcpus)), vcpus)
    assert same_cpu(Allocation(512, 256, cap), Allocation(512, weight, back), vcpus)


def test_the_size_is_the_balloons_own_in_kib() -> None:
    assert KvmDriver().memory(Domain(statistics={"actual": 2048 * 1024})).balloon_kib == 2048 * 1024


def test_a_domain_without_a_balloon_is_an_error_that_names_it_and_says_what_to_do() -> None:
    with pytest.raises(HypervisorError, match="domain vaf-wn-001 has no memory balloon: add <memballoon"):
        KvmDriver().memory(Domain(statistics={"rss": 1000}))


def test_use_is_the_balloon_less_what_the_guest_calls_usable() -> None:
    statistics = {"actual": 2048 * 1024, "unused": 300 * 1024, "usable": 1536 * 1024, "last_update": 1_700_000_000}
    assert used_mib(statistics) == 512


def test_use_falls_back_to_the_unused_memory_of_older_guests() -> None:
    assert used_mib({"actual": 2048 * 1024, "unused": 300 * 1024, "last_update": 1_700_000_000}) == 1748


def test_use_is_unknown_without_the_guests_statistics() -> None:
    assert used_mib({"actual": 2048 * 1024, "rss": 1000}) is None


@pytest.mark.parametrize("update", [{"last_update": 0}, {}])
def test_use_is_unknown_before_the_first_statistics(update: dict[str, int]) -> None:
    assert used_mib({"actual": 2048 * 1024, "unused": 300 * 1024, "usable": 1536 * 1024, **update}) is None


def test_use_is_not_negative_while_a_balloon_moves() -> None:
    assert used_mib({"actual": 512 * 1024, "usable": 600 * 1024, "last_update": 1_700_000_000}) == 0


def test_use_is_not_understated_by_statistics_from_before_a_shrink() -> None:
    """6911 - 3900 = 3011 MiB were used; the balloon has since gone to 4535, the guest has not reported again."""
    before = {"available": 6911 * 1024, "usable": 3900 * 1024, "last_update": NOW_S - 5}
    assert used_mib({"actual": 4535 * 1024, **before}) == 3011


def test_use_is_unknown_when_the_guest_has_been_silent_for_long() -> None:
    statistics = {"actual": 2048 * 1024, "usable": 1536 * 1024}
    assert used_mib({**statistics, "last_update": NOW_S - 120}) == 512
    assert used_mib({**statistics, "last_update": NOW_S - 121}) is None
