"""The test bed's servers as fixtures. Tests in this folder start real servers: they carry the marker ``testbed``."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testbed.guests import Kernel, build_initramfs
from tests.testbed.libvirtd import Libvirtd
from tests.testbed.processes import scratch_folder
from tests.testbed.proof_area import ProofArea
from tests.testbed.xen_host import XenHost
from tests.testbed.xen_image import xen_image

HERE = Path(__file__).parent
TIMEOUT_S = 1800  # emulated guests on two shared cores: each wait has its own, shorter deadline


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder; the hook sees the tests of all folders."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.testbed)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Give a folder for one test."""
    with scratch_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def guest_kernel() -> Iterator[Kernel]:
    """Give what guests boot from."""
    with scratch_folder() as folder:
        yield build_initramfs(folder)


@pytest.fixture(scope="module")
def libvirtd() -> Iterator[Libvirtd]:
    """Give a libvirtd for the tests of one module."""
    with scratch_folder() as folder, Libvirtd(folder) as server:
        yield server


@pytest.fixture(scope="module")
def libvirt_uri(libvirtd: Libvirtd) -> str:
    """Give the address of the module's libvirtd."""
    return libvirtd.uri


@pytest.fixture(scope="session")
def xen_host() -> Iterator[XenHost]:
    """Give a Xen host with two guests; it takes a minute to boot, and minutes more when its image is not made yet."""
    with scratch_folder() as folder, XenHost(xen_image(), folder) as host:
        yield host


@pytest.fixture
def proof_area(scratch: Path) -> Iterator[ProofArea]:
    """Give an empty xproofd admin area."""
    with ProofArea(scratch) as area:
        yield area
