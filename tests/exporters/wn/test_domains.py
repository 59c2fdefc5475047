"""Reading hypervisors through the real libvirt: its ``test:`` driver, and addresses where nobody answers."""

import logging
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt
import pytest

from autoscaler.hypervisors.in_memory import host_xml
from exporters.serving import SourceUnavailable
from exporters.wn.domain_stats import STATISTICS_MAX_AGE_S
from exporters.wn.domains import CALLS_PER_HOST, DomainReader, _read_one_by_one, domain_source
from tests.exporters.exposition import assert_golden, exposition
from tests.exporters.running import EXPORTER
from tests.hypervisors.site import on_test_driver
from tests.testbed.processes import wait_until

DEAD = "qemu+tcp://127.0.0.1:1/system"
ENOUGH_S = 60
HANGING_S = 0.2
MIB = 2**20

Values = dict[tuple[str, ...], float]


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """The address of a host with the domains proof (572 of 6911 MiB) and wn (6911 MiB)."""
    return on_test_driver(tmp_path).uri


@pytest.fixture
def hanging() -> Iterator[str]:
    """The address of a hypervisor that takes connections and never says a word, as a libvirtd that is stopped."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"qemu+tcp://127.0.0.1:{listener.getsockname()[1]}/system"


def reader(*uris: str, max_domains: int = 200, timeout_s: float = ENOUGH_S) -> DomainReader:
    return DomainReader(uris, max_domains=max_domains, timeout_s=timeout_s)


def values(of: DomainReader) -> Values:
    """Read once; the values go by metric name and label values."""
    samples = [sample for metric in of.read() for sample in metric.samples]
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples}


def local_name() -> str:
    """Return what libvirt calls this machine."""
    return libvirt.openReadOnly("test:///default").getHostname()


def test_memory_is_read_domain_by_domain_where_the_driver_has_no_bulk(uri: str) -> None:
    seen, host = values(reader(uri)), local_name()
    assert seen["domain_memory_balloon_bytes", host, "proof"] == 572 * MIB
    assert seen["domain_memory_maximum_bytes", host, "proof"] == 6911 * MIB
    assert seen["domain_vcpus", host, "wn"] == 8
    assert seen["domain_cpu_seconds_total", host, "wn"] > 0
    assert seen["domain_host_up", host] == 1


def test_statistics_that_the_driver_dates_decades_back_are_not_the_guests_word(uri: str) -> None:
    seen, host = values(reader(uri)), local_name()
    assert seen["domain_memory_stats_age_seconds", host, "proof"] > STATISTICS_MAX_AGE_S
    assert not {name for name, *_ in seen} & {"domain_memory_used_bytes", "domain_memory_usable_bytes"}


def test_a_domain_without_balloon_has_its_size_and_no_statistics(tmp_path: Path) -> None:
    text = host_xml(8000, 4, {"wn": (6911, 6911)}).replace("<memballoon model='virtio'/>", "<memballoon model='none'/>")
    (tmp_path / "host.xml").write_text(text)
    seen, host = values(reader(f"test://{tmp_path}/host.xml")), local_name()
    assert seen["domain_memory_balloon_bytes", host, "wn"] == 6911 * MIB
    assert ("domain_memory_stats_age_seconds", host, "wn") not in seen


def test_a_domain_that_is_shut_off_is_listed_with_its_state_only(tmp_path: Path) -> None:
    seen, host = values(reader(on_test_driver(tmp_path, off=("proof",)).uri)), local_name()
    of_proof = {key for key in seen if "proof" in key}
    assert of_proof == {("domain_running", host, "proof"), ("domain_state_info", host, "proof", "shut_off")}
    assert seen["domain_running", host, "proof"] == 0


def test_more_domains_than_wanted_are_counted(tmp_path: Path) -> None:
    uri = on_test_driver(tmp_path, others={f"other-{number}": 64 for number in range(5)}).uri
    seen = values(reader(uri, max_domains=3))
    assert len([key for key in seen if key[0] == "domain_running"]) == 3
    assert seen["domain_left_out",] == 2 + 5 - 3


def test_a_domain_that_goes_between_listing_and_reading_is_left_out(tmp_path: Path) -> None:
    connection = libvirt.open(on_test_driver(tmp_path).uri)

    class Listed:
        """The connection, with the list of domains as it was before one of them went."""

        domains = connection.listAllDomains()
        isAlive = connection.isAlive  # noqa: N815 - libvirt's name

        def listAllDomains(self) -> Any:  # noqa: N802 - libvirt's name
            return self.domains

    gone = connection.lookupByName("proof")
    gone.destroy()
    gone.undefine()
    assert dict(_read_one_by_one(Listed())).keys() == {"wn"}


def test_a_dead_hypervisor_hides_only_its_own_domains(uri: str) -> None:
    seen, host = values(reader(DEAD, uri)), local_name()
    assert (seen["domain_host_up", "127.0.0.1"], seen["domain_host_up", host]) == (0, 1)
    assert seen["domain_running", host, "wn"] == 1


def test_why_a_hypervisor_cannot_be_read_is_logged_once_and_so_is_its_return(
    uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    file = tmp_path / "late.xml"
    hosts = reader(uri, f"test://{file}")
    values(hosts)
    values(hosts)
    file.write_text(host_xml(8000, 4, {"late": (512, 512)}))
    assert "late" in {key[2] for key in values(hosts) if key[0] == "domain_running"}
    values(hosts)
    warning, return_ = caplog.messages
    assert warning.startswith(f"domain: test://{file}: ")
    assert return_ == f"domain: test://{file}: can be read again"


def test_without_any_hypervisor_the_source_is_down_and_each_says_why() -> None:
    with pytest.raises(SourceUnavailable, match=r"qemu\+tcp://127.0.0.1:1/system: .*Connection refused; nonsense: "):
        values(reader(DEAD, "nonsense"))


def test_an_address_that_cannot_be_taken_apart_is_a_hypervisor_that_cannot_be_read(uri: str) -> None:
    assert values(reader("qemu://[::1/system", uri))["domain_host_up", "qemu://[::1/system"] == 0


def test_hosts_of_the_same_name_are_told_apart_by_their_addresses(uri: str) -> None:
    seen = values(reader(uri, "test:///default"))
    assert {key[1:] for key in seen if key[0] == "domain_running"} == {
        (uri, "proof"),
        (uri, "wn"),
        ("test:///default", "test"),
    }


def test_an_address_given_twice_is_one_host(uri: str) -> None:
    assert ("domain_running", local_name(), "wn") in values(reader(uri, uri))


def test_a_hypervisor_that_hangs_hides_only_its_own_domains(uri: str, hanging: str) -> None:
    hosts = reader(hanging, uri, timeout_s=HANGING_S)
    # On a slow machine the other one may need more time than this.
    seen = wait_until(lambda: values(hosts), ENOUGH_S, "the hypervisor that answers")
    assert (seen["domain_host_up", "127.0.0.1"], seen["domain_host_up", local_name()]) == (0, 1)


def test_a_hypervisor_that_hangs_never_has_more_than_two_calls_waiting(hanging: str) -> None:
    hosts = reader(hanging, timeout_s=HANGING_S)
    for _ in range(5):
        with pytest.raises(SourceUnavailable, match=r"no answer within 0\.2 s"):
            values(hosts)
    assert len([thread for thread in threading.enumerate() if thread.name == hanging]) == CALLS_PER_HOST


def test_calls_that_hung_leave_nothing_behind_when_the_other_end_is_gone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        uri = f"qemu+tcp://127.0.0.1:{listener.getsockname()[1]}/system"
        hosts = reader(uri, timeout_s=HANGING_S)
        with pytest.raises(SourceUnavailable, match="no answer"):
            values(hosts)
    wait_until(lambda: uri not in {thread.name for thread in threading.enumerate()}, ENOUGH_S, "the calls to end")
    with pytest.raises(SourceUnavailable, match="Connection refused"):
        values(hosts)


def test_a_dead_hypervisor_as_prometheus_sees_it() -> None:
    assert_golden("domain_down", exposition(domain_source([DEAD], max_domains=200, timeout_s=ENOUGH_S)))


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    argv = [str(word) for word in (EXPORTER, "wn", *arguments)]
    return subprocess.run(
        argv, env={**os.environ, **environment}, capture_output=True, text=True, timeout=ENOUGH_S, check=False
    )


def test_domains_are_exported_without_a_batch_system(uri: str) -> None:
    done = run("--libvirt", uri, "--once")
    assert (done.returncode, done.stderr) == (0, "")
    assert 'domain_running{domain="wn"' in done.stdout
    assert "wn_up" not in done.stdout


def test_a_batch_system_that_is_down_hides_no_domain(uri: str) -> None:
    done = run("--batch", "slurm", "--libvirt", uri, "--once", PATH="/nonexistent")
    assert done.returncode == 1
    assert {"wn_up 0.0", "domain_up 1.0"} <= set(done.stdout.splitlines())


def test_where_the_binding_is_missing_the_command_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "libvirt.py").write_text("raise ImportError\n")
    done = run("--libvirt", "test:///default", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (
        1,
        "Error: --libvirt needs libvirt's Python binding: pip install 'vaf-autoscaler[domains]'\n",
    )


def test_where_the_binding_is_missing_the_batch_system_is_exported(tmp_path: Path) -> None:
    (tmp_path / "libvirt.py").write_text("raise ImportError\n")
    done = run("--batch", "slurm", "--once", PATH="/nonexistent", PYTHONPATH=str(tmp_path))
    assert "wn_up 0.0" in done.stdout.splitlines()
