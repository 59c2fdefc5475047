"""Three hosts as in the 2007 prototype's monitor (INFN Torino), on libvirt's test driver."""

from pathlib import Path

from autoscaler.hypervisors.in_memory import host_xml
from autoscaler.model import Allocation, Facility, Host, ProofDomain, WnDomain

# The prototype's settings: Domain-0 at 573 MiB; the domain that sleeps at 572 MiB with weight 32 and one core, the one
# that works at 6911 MiB with weight 256 and eight cores.
CORES = 8
MEMORY_TOTAL_MIB = 8056
DOMAIN_0_MIB = 573
AWAKE_MIB = 6911
DORMANT_MIB = 572
WEIGHT_HIGH = 256
WEIGHT_LOW = 32

# (6911 - 572) / 8 cores, rounded down: eight workers fill what the prototype gave to PROOF.
MEMORY_PER_WORKER_MIB = 792

HOSTS = ("vaf-dom0-001", "vaf-dom0-002", "vaf-dom0-003")


def demo_facility(folder: Path) -> Facility:
    """Write the hosts' descriptions for the test driver into ``folder`` and return the facility."""
    return Facility(tuple(_host(name, folder) for name in HOSTS))


def _host(name: str, folder: Path) -> Host:
    number = name.rpartition("-")[2]
    proof, wn = f"vaf-proof-{number}", f"vaf-wn-{number}"
    description = folder / f"{name}.xml"
    domains = {proof: (AWAKE_MIB, DORMANT_MIB), wn: (AWAKE_MIB, AWAKE_MIB)}
    description.write_text(host_xml(MEMORY_TOTAL_MIB, CORES, domains), encoding="utf-8")
    return Host(
        name=name,
        uri=f"test://{description}",
        memory_total_mib=MEMORY_TOTAL_MIB,
        memory_reserve_mib=DOMAIN_0_MIB,
        proof=ProofDomain(
            name=proof,
            dormant=Allocation(DORMANT_MIB, WEIGHT_LOW, 1.0),
            memory_per_worker_mib=MEMORY_PER_WORKER_MIB,
            workers_min=0,
            workers_max=CORES,
            cpu_weight_awake=WEIGHT_HIGH,
        ),
        wns=(
            WnDomain(
                name=wn,
                memory_floor_mib=DORMANT_MIB,
                memory_max_mib=AWAKE_MIB,
                memory_margin_mib=0,
                swap_down_to_mib=DORMANT_MIB,  # as the prototype did
                cpu_weight=WEIGHT_HIGH,
                cpu_weight_yielding=WEIGHT_LOW,
            ),
        ),
    )
