"""What a worker costs, in numbers of the prototype."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.allocation import (
    proof_allocation,
    proof_memory_mib,
    same_cpu,
    workers_fitting,
    workers_now,
)
from autoscaler.model import Allocation, Host
from autoscaler.testing import a_host, observed
from tests.core.situations import hosts, unhurried


def test_a_dormant_domain_has_its_configured_allocation() -> None:
    assert proof_allocation(a_host(), 0) == Allocation(572, 32, 1.0)


def test_an_awake_domain_has_memory_and_a_core_for_each_worker() -> None:
    assert proof_allocation(a_host(), 3) == Allocation(572 + 3 * 792, 256, 3.0)


@unhurried
@given(hosts, st.integers(0, 16))
def test_memory_for_workers_holds_just_these_workers(host: Host, workers: int) -> None:
    assert workers_fitting(host, proof_memory_mib(host, workers)) == workers
    assert workers_fitting(host, proof_memory_mib(host, workers + 1) - 1) == workers


@pytest.mark.parametrize(("missing_mib", "workers"), [(0, 2), (8, 2), (9, 1)])
def test_a_balloon_that_settled_a_little_short_still_has_its_workers(missing_mib: int, workers: int) -> None:
    host = a_host()
    proof = observed(host, workers=2).domain("proof")
    short = replace(proof, allocation=Allocation(proof.allocation.memory_mib - missing_mib, 256, 2.0))
    assert workers_now(host, short) == workers


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Allocation(1, 256, 8.0), Allocation(2, 256, None), True),
        (Allocation(1, 256, 9.0), Allocation(2, 256, 8.0), True),
        (Allocation(1, 256, 2.0), Allocation(2, 256, 2.001), True),
        (Allocation(1, 256, 7.0), Allocation(1, 256, None), False),
        (Allocation(1, 256, None), Allocation(1, 32, None), False),
    ],
    ids=["a cap of all cores is none", "as is one above", "within rounding", "seven cores are a cap", "weight"],
)
def test_cpus_of_a_domain_with_eight_cores_are_the_same(one: Allocation, other: Allocation, same: bool) -> None:
    assert same_cpu(one, other, 8) == same
