"""The benchmarks that need real guests run, so that they cannot rot; what they measure is for people to judge."""

from pathlib import Path
from xml.etree.ElementTree import fromstring

from tests.benchmarks import fidelity, reaction, settings
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


def test_the_benchmark_of_fidelity_sets_the_model_beside_the_guests(
    libvirt_uri: str, guest_kernel: Kernel, scratch: Path
) -> None:
    with running_bed(libvirt_uri, guest_kernel, scratch, fidelity.PROOF_WORKS_FROM_MIB) as bed:
        found = fidelity.measure(bed, rounds=1, seconds=5)
    (one,) = found["rounds"]
    assert one["outcomes"] == ["reached and read back"] * 2
    assert set(found["compared"]) == set(one["measured"]) == set(one["modelled"])
    rows = found["compared"]
    assert min(row[clock]["measured"] for row in rows.values() for clock in ("wall", "undisturbed")) > 0
    assert min(rows[what]["modelled"] for what in ("up_s", "down_s", "proof_awake_cpu_ratio")) > 0


def test_the_benchmark_of_settings_measures_and_draws_all_four() -> None:
    measured = settings.measure(seconds=10)
    assert [found["memory_mib"] for found in measured["settings"]] == [1792, 192, 896, 256]
    assert min(found["events_per_s"] for found in measured["settings"]) > 0
    assert fromstring(settings.draw(measured)).tag.endswith("svg")
