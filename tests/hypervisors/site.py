"""A host on libvirt's test driver, described by our own XML: every connection to it begins anew from the file."""

from pathlib import Path

from autoscaler.hypervisors.in_memory import host_xml
from autoscaler.model import Host
from autoscaler.testing import a_host

CORES = 8
PROOF_MIB, WN_MIB, MAX_MIB = 572, 6911, 6911

# The state "shut off" in libvirt's test driver, https://libvirt.org/drvtest.html.
SHUT_OFF = "<test:runstate>5</test:runstate>"


def on_test_driver(folder: Path, others: dict[str, int] | None = None, off: tuple[str, ...] = ()) -> Host:
    """Describe a host with our two domains and ``others`` (MiB by name); those in ``off`` are shut off."""
    domains = {"proof": (MAX_MIB, PROOF_MIB), "wn": (MAX_MIB, WN_MIB)}
    domains |= {name: (mib, mib) for name, mib in (others or {}).items()}
    text = host_xml(16_384, CORES, domains)
    for name in off:
        namespace = "xmlns:test='http://libvirt.org/schemas/domain/test/1.0'"
        text = text.replace(
            f"<domain type='test'><name>{name}</name>",
            f"<domain type='test' {namespace}>{SHUT_OFF}<name>{name}</name>",
        )
    description = folder / "host.xml"
    description.write_text(text)
    return a_host(uri=f"test://{description}")
