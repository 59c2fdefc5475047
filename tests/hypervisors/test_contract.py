"""The contract of a hypervisor over libvirt's test driver, the dry run's recorder and the fake of the tests."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from autoscaler.contracts import Hypervisor, HypervisorError
from autoscaler.hypervisors import connect, supports
from autoscaler.hypervisors.recorder import Recorder
from autoscaler.model import DomainState
from autoscaler.testing import FakeHost, a_host, observed
from tests.hypervisors.contract import HypervisorContract, SleepContract, StrangerContract, domain
from tests.hypervisors.site import CORES, MAX_MIB, PROOF_MIB, WN_MIB, on_test_driver
from tests.testbed.processes import wait_until

REOPENED_DEADLINE_S = 60


class TestLibvirtHost(HypervisorContract, SleepContract, StrangerContract):
    @pytest.fixture
    def hypervisor(self, tmp_path: Path) -> Iterator[Hypervisor]:
        opened = connect(on_test_driver(tmp_path))
        yield opened
        opened.close()


class TestRecorder(HypervisorContract, SleepContract, StrangerContract):
    @pytest.fixture
    def hypervisor(self, tmp_path: Path) -> Iterator[Hypervisor]:
        opened = Recorder(connect(on_test_driver(tmp_path), read_only=True))
        yield opened
        opened.close()


class TestFakeHost(HypervisorContract, SleepContract, StrangerContract):
    @pytest.fixture
    def hypervisor(self) -> Hypervisor:
        return FakeHost.of(observed(a_host()))

    @pytest.fixture
    def let_pass(self, hypervisor: FakeHost) -> Callable[[], None]:
        return hypervisor.step


class TestAMisbehavingFakeHost:
    """The fake that other tests script: it misbehaves as a real hypervisor does."""

    def test_a_call_that_is_refused_changes_nothing(self) -> None:
        def refuse(call: str) -> None:
            if not call.startswith("read"):
                raise HypervisorError(f"host-1: {call}: timed out")

        fake = FakeHost.of(observed(a_host()), before_call=refuse)
        before = fake.read()
        for call in (
            lambda: fake.set_memory("wn", 1000),
            lambda: fake.set_cpu("wn", 32, None),
            lambda: fake.sleep("proof", DomainState.SAVED),
        ):
            with pytest.raises(HypervisorError, match="timed out"):
                call()
        assert fake.read() == before
        assert fake.calls == ["read", "read"]

    def test_a_stuck_balloon_accepts_and_does_not_move(self) -> None:
        fake = FakeHost.of(observed(a_host()), stuck=frozenset({"wn"}))
        before = domain(fake, "wn").allocation
        fake.set_memory("wn", 1000)
        for _ in range(100):
            fake.step()
        assert domain(fake, "wn").allocation == before

    def test_a_balloon_moves_at_its_speed_and_only_while_its_guest_runs(self) -> None:
        fake = FakeHost.of(observed(a_host()), speed_mib=100)
        fake.set_memory("wn", 1000)
        fake.step()
        fake.sleep("wn", DomainState.PAUSED)
        fake.step()
        assert domain(fake, "wn").allocation.memory_mib == 6911 - 100

    def test_a_guest_that_is_squeezed_into_memory_that_it_needs_reads_back_from_its_swap(self) -> None:
        fake = FakeHost.of(observed(a_host()), speed_mib=10_000)
        fake.domains["wn"] = replace(fake.domains["wn"], tells=True, hot_mib=3000)
        fake.set_memory("wn", 2000)
        fake.step()
        earlier = domain(fake, "wn").pressure
        fake.step()
        later = domain(fake, "wn").pressure
        assert earlier is not None
        assert later is not None
        assert later.told_at_s > earlier.told_at_s
        assert later.swap_in_mib > earlier.swap_in_mib


class TestLibvirtHostAlone:
    """What only a real connection can do or fail at."""

    def test_memory_is_read_in_mib(self, tmp_path: Path) -> None:
        hypervisor = connect(on_test_driver(tmp_path))
        assert [seen.allocation.memory_mib for seen in hypervisor.read().domains] == [PROOF_MIB, WN_MIB]
        assert [seen.memory_max_mib for seen in hypervisor.read().domains] == [MAX_MIB, MAX_MIB]
        assert [seen.vcpus for seen in hypervisor.read().domains] == [CORES, CORES]

    def test_an_untouched_domain_has_the_default_weight_and_no_cap(self, tmp_path: Path) -> None:
        seen = domain(connect(on_test_driver(tmp_path)), "wn").allocation
        assert (seen.cpu_weight, seen.cpu_cap_cores) == (256, None)

    def test_the_made_up_use_of_the_test_driver_counts_as_unknown(self, tmp_path: Path) -> None:
        assert domain(connect(on_test_driver(tmp_path)), "wn").used_mib is None

    def test_an_error_names_the_host(self, tmp_path: Path) -> None:
        hypervisor = connect(on_test_driver(tmp_path))
        with pytest.raises(HypervisorError, match=r"host-1.*wn.*higher than max memory"):
            hypervisor.set_memory("wn", MAX_MIB + 1)

    def test_running_domains_that_are_not_ours_are_summed(self, tmp_path: Path) -> None:
        seen = connect(on_test_driver(tmp_path, others={"monitor": 300, "squid": 512})).read()
        assert seen.unmanaged_mib == 812

    def test_domains_that_are_shut_off_take_no_memory(self, tmp_path: Path) -> None:
        seen = connect(on_test_driver(tmp_path, {"monitor": 300, "squid": 512}, off=("squid",))).read()
        assert seen.unmanaged_mib == 300

    def test_memory_and_cores_of_the_machine_are_read(self, tmp_path: Path) -> None:
        seen = connect(on_test_driver(tmp_path)).read()
        assert (seen.memory_total_mib, seen.cores, seen.control_mib) == (16_384, CORES, 0)

    def test_a_domain_that_is_shut_off_holds_nothing_and_says_what_a_start_takes(self, tmp_path: Path) -> None:
        proof = domain(connect(on_test_driver(tmp_path, off=("proof",))), "proof")
        assert (proof.state, proof.allocation.memory_mib, proof.start_mib) == (DomainState.SHUT_OFF, 0, PROOF_MIB)

    def test_the_memory_of_a_domain_that_is_shut_off_cannot_be_set(self, tmp_path: Path) -> None:
        hypervisor = connect(on_test_driver(tmp_path, off=("proof",)))
        with pytest.raises(HypervisorError, match=r"proof.*not running"):
            hypervisor.set_memory("proof", 1024)

    def test_a_domain_that_does_not_exist_is_absent(self, tmp_path: Path) -> None:
        host = on_test_driver(tmp_path)
        hypervisor = connect(replace(host, wns=(replace(host.wns[0], name="vaf-wn-007"),)))
        assert domain(hypervisor, "vaf-wn-007").state is DomainState.ABSENT

    @pytest.mark.parametrize("write", ["memory", "cpu"])
    def test_a_read_only_connection_refuses_to_write(self, tmp_path: Path, write: str) -> None:
        hypervisor = connect(on_test_driver(tmp_path), read_only=True)
        with pytest.raises(HypervisorError, match=r"host-1.*wn.*read only"):
            hypervisor.set_memory("wn", 1024) if write == "memory" else hypervisor.set_cpu("wn", 32, None)

    def test_a_read_only_connection_reads(self, tmp_path: Path) -> None:
        domains = connect(on_test_driver(tmp_path), read_only=True).read().domains
        assert [seen.name for seen in domains] == ["proof", "wn"]

    def test_a_description_that_is_missing_is_an_error_that_names_the_host(self, tmp_path: Path) -> None:
        with pytest.raises(HypervisorError, match=r"host-1 \(test://.*missing.xml\)"):
            connect(a_host(uri=f"test://{tmp_path}/missing.xml")).read()

    def test_a_hypervisor_that_does_not_listen_is_an_error_that_names_the_host(self, tmp_path: Path) -> None:
        uri = f"qemu+unix:///system?socket={tmp_path}/no-socket"
        with pytest.raises(HypervisorError, match=r"host-1.*no-socket"):
            connect(a_host(uri=uri)).read()

    def test_a_description_that_appears_later_is_opened_then(self, tmp_path: Path) -> None:
        host = on_test_driver(tmp_path)
        (tmp_path / "host.xml").rename(tmp_path / "away.xml")
        hypervisor = connect(host)
        with pytest.raises(HypervisorError):
            hypervisor.read()
        (tmp_path / "away.xml").rename(tmp_path / "host.xml")
        reading = wait_until(hypervisor.read, REOPENED_DEADLINE_S, "the next attempt to open it")
        assert len(reading.domains) == 2

    def test_a_closed_connection_is_opened_again_by_the_next_call(self, tmp_path: Path) -> None:
        hypervisor = connect(on_test_driver(tmp_path))
        hypervisor.close()
        assert len(hypervisor.read().domains) == 2

    def test_closing_what_was_never_opened_is_fine(self, tmp_path: Path) -> None:
        connect(a_host(uri=f"test://{tmp_path}/missing.xml")).close()

    def test_libvirt_prints_nothing_of_its_own(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(HypervisorError):
            connect(on_test_driver(tmp_path)).set_memory("nobody", 512)
        assert capfd.readouterr().err == ""


class TestConnect:
    """From a URI to a driver."""

    @pytest.mark.parametrize("uri", ["qemu:///system", "qemu+ssh://root@host/system", "test:///default"])
    def test_known_drivers_are_supported_over_every_transport(self, uri: str) -> None:
        assert supports(uri)

    @pytest.mark.parametrize("uri", ["vbox:///", "vbox+ssh://host/", "lxc:///", "qemus:///system", "", "/etc/passwd"])
    def test_unknown_drivers_are_not_supported(self, uri: str) -> None:
        assert not supports(uri)

    def test_an_unknown_driver_is_refused_naming_the_host_and_what_is_known(self) -> None:
        with pytest.raises(HypervisorError, match=r"host-1 \(vbox:///\): only qemu, xen and test are known, not vbox"):
            connect(a_host(uri="vbox:///"))


class TestTheRecorderAlone:
    """What a dry run is for."""

    def test_calls_are_remembered_in_order_and_in_words(self, tmp_path: Path) -> None:
        recorder = Recorder(connect(on_test_driver(tmp_path), read_only=True))
        recorder.read()
        recorder.set_memory("wn", 6000)
        recorder.set_cpu("proof", 256, 2.0)
        recorder.set_cpu("wn", 32, None)
        assert recorder.calls == [
            "wn: memory 6000 MiB",
            "proof: CPU weight 256, cap 2 cores",
            "wn: CPU weight 32, no cap",
        ]

    def test_the_real_host_is_not_changed(self, tmp_path: Path) -> None:
        real = connect(on_test_driver(tmp_path))
        recorder = Recorder(real)
        recorder.read()
        recorder.set_memory("wn", 6000)
        recorder.set_cpu("wn", 32, 1.0)
        seen = domain(real, "wn").allocation
        assert (seen.memory_mib, seen.cpu_weight, seen.cpu_cap_cores) == (WN_MIB, 256, None)

    def test_waking_and_sleeping_are_remembered_in_words(self, tmp_path: Path) -> None:
        recorder = Recorder(connect(on_test_driver(tmp_path), read_only=True))
        recorder.sleep("proof", DomainState.SHUT_OFF)
        recorder.wake("proof")
        assert recorder.calls == ["proof: sleep, it will be shut off", "proof: wake up, it is shut off"]

    def test_guests_show_no_pressure_because_they_make_no_new_reports(self) -> None:
        fake = FakeHost.of(observed(a_host()))
        fake.domains["wn"] = replace(fake.domains["wn"], tells=True)
        assert domain(fake, "wn").pressure is not None
        assert domain(Recorder(fake), "wn").pressure is None
