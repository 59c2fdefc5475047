"""The sections ``hosts``, ``host_defaults`` and ``groups``: what each machine has."""

from pathlib import Path

import pytest

from autoscaler.model import Allocation
from tests.config.texts import MINIMAL, SECOND_HOST, TWO_HOSTS, bad, grouped, loaded, problems, replaced, with_line


def test_a_dormant_domain_may_have_no_cap(file: Path) -> None:
    text = with_line("      domain: proof", "      dormant_cpu_cap_cores: null")
    assert loaded(file, text).config.facility().hosts[0].proof.dormant == Allocation(572, 32, None)


def test_host_defaults_lie_under_every_host_and_merge_deeply(file: Path) -> None:
    """host-1 has its own workers_max and takes everything else from the defaults."""
    source, _, _ = MINIMAL.partition("hosts:")
    text = f"""{source}
host_defaults:
  memory_total: 8056 MiB
  memory_reserve: 573 MiB
  proof: {{domain: proof, dormant_memory: 572 MiB, memory_per_worker: 792 MiB, workers_max: 8}}
  wn: {{domain: wn, memory_floor: 572 MiB, memory_max: 6911 MiB}}
hosts:
  - {{name: host-1, uri: "test:///one", proof: {{workers_max: 4}}}}
  - {{name: host-2, uri: "test:///two", memory_total: 9000 MiB}}
"""
    first, second = loaded(file, text).config.facility().hosts
    assert (first.proof.workers_max, first.proof.memory_per_worker_mib, first.memory_total_mib) == (4, 792, 8056)
    assert (second.proof.workers_max, second.wns[0].memory_max_mib, second.memory_total_mib) == (8, 6911, 9000)


def test_yaml_anchors_and_merges_work(file: Path) -> None:
    second = """\
  - <<: *first
    name: host-2
    uri: test:///other
"""
    text = replaced("  - name: host-1", "  - &first\n    name: host-1") + second
    assert [host.name for host in loaded(file, text).config.facility().hosts] == ["host-1", "host-2"]


MISTAKES = {
    "an unknown key of a host": (
        with_line("    uri: test:///default", "    memory_totl: 1 GiB"),
        "10: hosts[0].memory_totl: unknown key (did you mean 'memory_total'?)",
    ),
    "a key of another section": (
        with_line("      domain: wn", "      workers_max: 8"),
        "19: hosts[0].wn.workers_max: unknown key",
    ),
    "a missing key": bad("      workers_max: 8\n", "", "12: hosts[0].proof.workers_max: is missing"),
    "a size without unit": bad(
        "573 MiB", "573", "11: hosts[0].memory_reserve: 573 has no unit: write a size such as '573 MiB' or '2 GiB'"
    ),
    "a size in another unit": bad(
        "573 MiB", "573 MB", "11: hosts[0].memory_reserve: '573 MB' is not a whole number of MiB"
    ),
    "a host of all the memory in the world": bad(
        "8056 MiB",
        "99999999999999999999999999 GiB",
        "10: hosts[0].memory_total: '99999999999999999999999999 GiB' is more than 1 PiB",
    ),
    "a switch that is a number": (
        with_line("      domain: wn", "      swap_down_to: 1"),
        "19: hosts[0].wn.swap_down_to: 1 has no unit: write a size such as '573 MiB' or '2 GiB'",
    ),
    "a name that is a number": bad("name: host-1", "name: 1", "8: hosts[0].name: 1 is not a text"),
    "a name of nothing": bad("name: host-1", 'name: ""', "8: hosts[0].name: must have 1 or more characters"),
    "a count below its least": (
        with_line("      workers_max: 8", "      workers_min: -1"),
        "17: hosts[0].proof.workers_min: must be 0 or more",
    ),
    "a cap of nothing": (
        with_line("      domain: proof", "      dormant_cpu_cap_cores: 0"),
        "14: hosts[0].proof.dormant_cpu_cap_cores: must be more than 0",
    ),
    "a quoted number": bad(
        "workers_max: 8", 'workers_max: "8"', "16: hosts[0].proof.workers_max: '8' is not a whole number"
    ),
    "an endless cap": (
        with_line("      domain: proof", "      dormant_cpu_cap_cores: .inf"),
        "14: hosts[0].proof.dormant_cpu_cap_cores: inf is not a finite number",
    ),
    "a weight outside of both schedulers": (
        with_line("      domain: wn", "      cpu_weight: 9999"),
        "19: hosts[0].wn.cpu_weight: must be 2500 or less",
    ),
    "a hypervisor that is not supported": bad(
        "test:///default",
        "vbox:///system",
        "9: hosts[0].uri: 'vbox:///system' is not a libvirt URI of driver qemu, xen or test, such as qemu+tls://HOST/system",
    ),
    "no host": (MINIMAL.partition("  - name")[0], "7: hosts: is not a list"),
    "an empty list of hosts": (
        MINIMAL.partition("hosts:")[0] + "hosts: []\n",
        "7: hosts: must have 1 or more entries",
    ),
    "defaults that are no mapping": (MINIMAL + "host_defaults: 5\n", "21: host_defaults: is not a mapping"),
    "workers that do not fit": bad(
        "workers_max: 8",
        "workers_max: 9",
        # 572 + 9 * 792 + 572 = 8272
        "8: hosts[0]: PROOF with 9 workers and the floor of the Worker Nodes need 8272 MiB, but memory_total - "
        "memory_reserve is 7483 MiB: lower workers_max",
    ),
    "more workers at least than at most": (
        with_line("      workers_max: 8", "      workers_min: 9"),
        "8: hosts[0]: proof.workers_min is above proof.workers_max",
    ),
    "a floor above the maximum": bad("6911 MiB", "571 MiB", "17: hosts[0].wn: memory_floor is above memory_max"),
    "one domain for both roles": bad(
        "domain: wn", "domain: proof", "8: hosts[0]: the domain 'proof' is named more than once"
    ),
    "two hosts of one name": (
        MINIMAL + SECOND_HOST.replace("host-2", "host-1"),
        "1: file: hosts: the name 'host-1' is used more than once",
    ),
    "one hypervisor in two hosts": (
        MINIMAL + SECOND_HOST.replace("other", "default"),
        "1: file: hosts: test:///default is used more than once, but a hypervisor's memory can be planned only once",
    ),
}


@pytest.mark.parametrize(("text", "problem"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_by_line_key_and_reason(file: Path, text: str, problem: str) -> None:
    (found,) = problems(file, text)
    assert found.startswith(problem.removeprefix(": "))


def test_a_mistake_in_host_defaults_is_named_once_and_where_it_stands(file: Path) -> None:
    other = MINIMAL[MINIMAL.index("  - name: host-1") :].replace("host-1", "host-2").replace("default", "other")
    text = "host_defaults: {wn: {memory_margin: 5}}\n" + MINIMAL + other
    assert problems(file, text) == [
        "1: host_defaults.wn.memory_margin: 5 has no unit: write a size such as '573 MiB' or '2 GiB'"
    ]


def test_a_mistake_of_a_host_is_not_blamed_on_the_defaults_it_overrides(file: Path) -> None:
    text = "host_defaults: {memory_reserve: 1 GiB}\n" + MINIMAL.replace("573 MiB", "573")
    assert problems(file, text) == [
        "12: hosts[0].memory_reserve: 573 has no unit: write a size such as '573 MiB' or '2 GiB'"
    ]


def test_a_mistake_that_comes_through_a_merge_is_named_at_the_mapping_that_merges(file: Path) -> None:
    text = with_line("    proof:", "      <<: {workers_min: none}")
    assert problems(file, text) == ["12: hosts[0].proof.workers_min: 'none' is not a whole number"]


class TestGroups:
    """Hosts of one kind."""

    def test_lie_over_the_defaults_and_under_the_host(self, file: Path) -> None:
        text = grouped(
            "large: {hosts: [host-1, host-2], proof: {workers_max: 6, workers_min: 2}, wn: {cpu_weight: 512}}"
        )
        first, second = loaded(file, text).config.facility().hosts
        assert (first.proof.workers_max, first.proof.workers_min, first.wns[0].cpu_weight) == (6, 1, 512)
        assert (second.proof.workers_max, second.proof.workers_min) == (6, 2)
        assert second.proof.memory_per_worker_mib == 792

    def test_are_of_their_hosts_alone(self, file: Path) -> None:
        first, second = (
            loaded(file, grouped("small: {hosts: [host-2], proof: {workers_max: 3}}")).config.facility().hosts
        )
        assert (first.proof.workers_max, second.proof.workers_max) == (8, 3)

    def test_name_their_hosts(self, file: Path) -> None:
        config = loaded(file, grouped("rack: {hosts: [host-2, host-1]}")).config
        assert config.hosts_named("rack") == ("host-2", "host-1")
        assert config.hosts_named("host-1") == ("host-1",)
        assert config.hosts_named("nobody") == ()

    def test_may_say_the_same_of_a_host(self, file: Path) -> None:
        text = grouped(*(f"{name}: {{hosts: [host-2], proof: {{workers_max: 3}}}}" for name in ("one", "two")))
        assert loaded(file, text).config.facility().hosts[1].proof.workers_max == 3

    def test_that_say_different_things_of_a_host_are_refused(self, file: Path) -> None:
        text = grouped(
            "one: {hosts: [host-1, host-2], proof: {workers_max: 3}}",
            "two: {hosts: [host-2], proof: {workers_max: 4}}",
        )
        assert problems(file, text) == [
            f"10: groups.two.proof.workers_max: group one says otherwise of host-2 ({file}:9)"
        ]

    def test_may_say_different_things_of_different_hosts(self, file: Path) -> None:
        text = grouped(*(f"g{n}: {{hosts: [host-{n}], proof: {{workers_max: {n + 2}}}}}" for n in (1, 2)))
        assert [host.proof.workers_max for host in loaded(file, text).config.facility().hosts] == [3, 4]

    @pytest.mark.parametrize(
        ("group", "problem"),
        [
            ("g: {hosts: [host-3]}", "9: groups.g.hosts[0]: no host is called 'host-3' (did you mean 'host-2'?)"),
            ("g: {hosts: []}", "9: groups.g.hosts: is not a list of one or more hosts"),
            ("g: {proof: {workers_max: 3}}", "9: groups.g.hosts: is not a list of one or more hosts"),
            ("g: [host-1]", "9: groups.g: is not a mapping"),
            ("host-1: {hosts: [host-1]}", "9: groups.host-1: a host has this name, too"),
            (
                "g: {hosts: [host-2], proof: {workers_mox: 3}}",
                "9: groups.g.proof.workers_mox: unknown key (did you mean 'workers_max'?)",
            ),
            (
                "g: {hosts: [host-2], wn: {memory_floor: 3}}",
                "9: groups.g.wn.memory_floor: 3 has no unit: write a size such as '573 MiB' or '2 GiB'",
            ),
        ],
    )
    def test_a_mistake_is_named_where_it_is(self, file: Path, group: str, problem: str) -> None:
        assert problems(file, grouped(group)) == [problem]

    def test_that_are_no_mapping_are_refused(self, file: Path) -> None:
        assert problems(file, TWO_HOSTS.replace("\nGROUPS", " [rack]")) == ["8: groups: is not a mapping"]
