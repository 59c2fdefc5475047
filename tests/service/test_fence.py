"""Every call that changes a host is confirmed right before; reading needs no leave."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from autoscaler.contracts import Hypervisor, HypervisorError, StoreError
from autoscaler.model import DomainState
from autoscaler.service.fence import Fenced
from autoscaler.testing import FakeHost, a_host, observed

WRITES: list[Callable[[Hypervisor], None]] = [
    lambda host: host.set_memory("wn", 4535),
    lambda host: host.set_cpu("wn", 16, None),
    lambda host: host.wake("proof"),
    lambda host: host.sleep("proof", DomainState.PAUSED),
]


@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_is_not_confirmed_does_not_reach_the_host(write: Callable[[Hypervisor], None]) -> None:
    fake, calls = FakeHost.of(observed(a_host())), []
    fake.before_call = calls.append

    def refuse() -> None:
        raise StoreError("another controller leads now")

    with pytest.raises(StoreError):
        write(Fenced(fake, refuse))
    assert calls == []


@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_is_confirmed_reaches_it_after_that(write: Callable[[Hypervisor], None]) -> None:
    fake, events = FakeHost.of(observed(a_host())), []
    fake.before_call = events.append
    with suppress(HypervisorError):  # a domain that runs cannot be woken
        write(Fenced(fake, lambda: events.append("confirmed")))
    assert events[0] == "confirmed"
    assert len(events) == 2


def test_reading_is_free() -> None:
    fake = FakeHost.of(observed(a_host()))
    assert Fenced(fake, lambda: pytest.fail("nobody needs to ask")).read() == fake.read()
