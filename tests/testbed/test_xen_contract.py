"""The hypervisor contract over libvirt's Xen driver with two real PV guests."""

import time
from collections.abc import Callable, Iterator

import pytest

from autoscaler.contracts import Hypervisor
from autoscaler.hypervisors import connect
from tests.hypervisors.contract import HypervisorContract, StrangerContract
from tests.testbed.xen_host import XenHost

# The first test to run may have to make the image.
pytestmark = pytest.mark.timeout(3600)


class TestXen(HypervisorContract, StrangerContract):
    @pytest.fixture
    def hypervisor(self, xen_host: XenHost) -> Iterator[Hypervisor]:
        opened = connect(xen_host.as_host())
        yield opened
        opened.close()
        xen_host.rest()

    @pytest.fixture
    def let_pass(self) -> Callable[[], None]:
        return lambda: time.sleep(0.05)
