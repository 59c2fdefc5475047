"""The exposition of the batch systems over captured outputs."""

import pytest

from exporters.serving import Source
from exporters.wn.batch import BatchSystem
from exporters.wn.main import batch_sources
from exporters.wn.node_map import parse_node_map
from exporters.wn.slurm_json import parse_jobs, parse_nodes
from exporters.wn.slurm_usage import combine, parse_running, parse_use
from tests.exporters.exposition import assert_golden, exposition
from tests.exporters.wn.slurm_documents import sample

NODE_MAP = "wn01 host-a vm-wn01\nwn04 host-b vm-wn04\n"
RUNNING = b"1|1_N/A|2|1:00:00\n2|2_N/A|2|1:00:00\n3|3_N/A|2|30:00\n4|4_N/A|1|10:00\n"
STEPS = b"1.batch|1|01:54:00\n2.batch|1|01:00:00\n3.batch|1|00:00:00\n3.0|2|00:15:00\n"


def slurm(squeue: str, sinfo: str, steps: bytes = STEPS) -> dict[str, Source]:
    system = BatchSystem(
        jobs=lambda: parse_jobs("squeue", sample(squeue)),
        nodes=lambda: parse_nodes("sinfo", sample(sinfo)),
        usages=lambda: combine(parse_running(RUNNING), parse_use(steps)),
    )
    return {source.name: source for source in batch_sources(system, 8, placed=parse_node_map(NODE_MAP))}


SOURCES = ["wn", "wn_nodes", "wn_usage"]


@pytest.mark.parametrize("name", SOURCES)
def test_a_slurm_with_jobs(name: str) -> None:
    assert_golden(name, exposition(slurm("squeue.json", "sinfo-drain-down.json")[name]))


@pytest.mark.parametrize("name", SOURCES)
def test_a_slurm_that_is_down(name: str) -> None:
    down = slurm("squeue-ctld-down.json", "sinfo-ctld-down.json", steps=b"")
    assert_golden(f"{name}_down", exposition(down[name]))


def test_a_slurm_of_24_11() -> None:
    for name in SOURCES[:2]:
        source = slurm("squeue-24.11.FROM-DOCS.json", "sinfo-24.11.FROM-DOCS.json")[name]
        assert_golden(f"{name}_slurm_24_11", exposition(source))
