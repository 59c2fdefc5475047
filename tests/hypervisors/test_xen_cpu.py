"""Xen's caps to ours and back; a real domain's are in the test bed."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.hypervisors.xen import XenDriver


@dataclass
class Domain:
    """As much of a libvirt domain as XenDriver speaks to, as particular as Xen is."""

    vcpus: int = 8
    parameters: dict[str, int] = field(default_factory=lambda: {"weight": 256, "cap": 0})

    def schedulerParameters(self) -> dict[str, int]:  # noqa: N802 - libvirt's name
        return dict(self.parameters)

    def setSchedulerParameters(self, parameters: dict[str, int]) -> None:  # noqa: N802
        assert 1 <= parameters["weight"] <= 65535
        assert 0 <= parameters["cap"] <= 100 * self.vcpus
        self.parameters = parameters


def written(weight: int, cap_cores: float | None) -> dict[str, int]:
    domain = Domain()
    XenDriver().write(domain, domain.vcpus, weight, cap_cores)
    return domain.parameters


@pytest.mark.parametrize(("cap", "per_cent"), [(1.0, 100), (0.5, 50), (7.99, 799)])
def test_a_cap_is_in_per_cent_of_one_core(cap: float, per_cent: int) -> None:
    assert written(256, cap)["cap"] == per_cent


@pytest.mark.parametrize("cap", [None, 8.0, 9.0, 800.0])
def test_a_cap_of_all_vcpus_or_more_is_none_to_xen(cap: float | None) -> None:
    assert written(256, cap)["cap"] == 0


def test_a_tiny_cap_does_not_become_none() -> None:
    assert written(256, 0.001)["cap"] == 1


@pytest.mark.parametrize(("weight", "xen"), [(0, 1), (1, 1), (2500, 2500), (70_000, 65_535)])
def test_a_weight_stays_within_what_xen_accepts(weight: int, xen: int) -> None:
    assert written(weight, None)["weight"] == xen


def test_no_cap_in_xen_is_none() -> None:
    assert XenDriver().read(Domain(), 8) == (256, None)


@given(weight=st.integers(min_value=1, max_value=65_535), per_cent=st.none() | st.integers(min_value=1, max_value=799))
def test_what_was_written_is_read_back(weight: int, per_cent: int | None) -> None:
    domain = Domain()
    cap = None if per_cent is None else per_cent / 100
    XenDriver().write(domain, domain.vcpus, weight, cap)
    assert XenDriver().read(domain, domain.vcpus) == (weight, cap)
