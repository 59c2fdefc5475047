"""The benchmarks that need real guests run, so that they cannot rot; what they measure is for people to judge."""

from pathlib import Path

from tests.benchmarks import reaction
from tests.benchmarks.reaction_bed import running_bed
from tests.testbed.guests import Kernel


def test_the_benchmark_of_reaction_measures_the_controller_against_calls_by_hand(
    libvirt_uri: str, guest_kernel: Kernel, scratch: Path
) -> None:
    names = ("ours", "raw_weights_between")
    with running_bed(libvirt_uri, guest_kernel, scratch) as bed:
        found = reaction.measure(bed, names, rounds=1)
    assert tuple(found["contestants"]) == names
    assert [len(found["contestants"][name]["rounds"]) for name in names] == [1, 1]
    assert found["fastest_raw"] == "raw_weights_between"
    (ours,) = found["contestants"]["ours"]["rounds"]
    assert ours["outcome"] == "reached and read back"
    assert None not in ours["timeline_s"].values()
