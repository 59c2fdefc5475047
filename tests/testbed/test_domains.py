"""The exporter of domains against a real libvirtd with QEMU guests, scraped over HTTP as Prometheus would."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import libvirt
import psutil
import pytest

from autoscaler.hypervisors.in_memory import host_xml
from tests.exporters.running import Exporter, Values, running_exporter
from tests.testbed.guests import Guest, Kernel
from tests.testbed.libvirtd import Libvirtd
from tests.testbed.processes import scratch_folder

MIB = 2**20
MEMORY_MAX_MIB, MEMORY_MIB, USED_MIB = 640, 512, 100
SMALLER_MIB = 384
STUCK_MIB = 192
TIMEOUT_S = 6

GUESTS_OWN = {
    "domain_memory_guest_total_bytes",
    "domain_memory_unused_bytes",
    "domain_memory_usable_bytes",
    "domain_memory_used_bytes",
    "domain_swap_in_bytes_total",
    "domain_swap_out_bytes_total",
    "domain_major_faults_total",
    "domain_memory_stats_age_seconds",
}


@pytest.fixture(scope="module")
def guests(libvirt_uri: str, guest_kernel: Kernel) -> Iterator[dict[str, Guest]]:
    """Two busy guests that share one CPU, one of them with memory in use, and an idle one without balloon driver."""
    with scratch_folder() as folder, ExitStack() as stack:

        def boot(name: str, memory_max_mib: int, memory_mib: int, **others: object) -> Guest:
            guest = Guest(
                libvirt_uri, guest_kernel, folder, name, memory_max_mib=memory_max_mib, memory_mib=memory_mib, **others
            )
            guest.start()
            stack.callback(guest.destroy)
            return guest

        booted = [
            boot("wn", MEMORY_MAX_MIB, MEMORY_MIB, cpuset="0", use_mib=USED_MIB),
            boot("proof", MEMORY_MAX_MIB, MEMORY_MIB, cpuset="0"),
            boot("stuck", STUCK_MIB, STUCK_MIB, idle=True, balloon_driver=False),
        ]
        for guest in booted:
            guest.wait_booted()
        yield {guest.name: guest for guest in booted}


@contextmanager
def exporting(*uris: str, scratch: Path) -> Iterator[Exporter]:
    arguments = [word for uri in uris for word in ("--libvirt", uri)]
    with running_exporter("wn", *arguments, "--timeout", TIMEOUT_S, scratch=scratch) as exporter:
        yield exporter


@pytest.fixture
def exporter(libvirt_uri: str, guests: dict[str, Guest], scratch: Path) -> Iterator[Exporter]:
    """The exporter of this hypervisor alone."""
    assert guests
    with exporting(libvirt_uri, scratch=scratch) as exporter:
        yield exporter


def of(domain: str, values: Values) -> Values:
    """Return the values of one domain by metric name; its name comes first, before the host's."""
    split = {name: name.split(" ") for name in values}
    return {words[0]: values[name] for name, words in split.items() if len(words) >= 3 and words[1] == domain}


def until(exporter: Exporter, domain: str, metric: str, least: float) -> Values:
    """Scrape until a value of a domain has come to ``least``; the domain's values."""
    seen = exporter.scrape_until(lambda values: of(domain, values).get(metric, 0) >= least, f"{metric} of {domain}")
    return of(domain, seen[-1])


def shown(values: Values) -> set[str]:
    """Return the names of the metrics that tell of domains, apart from the source's own health."""
    names = {name.split(" ")[0] for name in values if len(name.split(" ")) >= 3}
    return {name for name in names if name.startswith("domain_")}


def test_the_balloon_follows_and_the_use_is_told_apart(guests: dict[str, Guest], exporter: Exporter) -> None:
    before = of("wn", exporter.scrape())
    assert before["domain_memory_balloon_bytes"] == MEMORY_MIB * MIB
    assert before["domain_memory_maximum_bytes"] == MEMORY_MAX_MIB * MIB
    assert USED_MIB * MIB < before["domain_memory_used_bytes"] < SMALLER_MIB * MIB

    guests["wn"].set_memory_mib(SMALLER_MIB)
    moved = exporter.scrape_until(
        lambda values: of("wn", values)["domain_memory_balloon_bytes"] == SMALLER_MIB * MIB, "the smaller balloon"
    )
    least = moved[-1]["domain_last_success_timestamp_seconds"]
    given_up = (MEMORY_MIB - SMALLER_MIB) * MIB

    def told_apart(values: Values) -> bool:
        """Say whether statistics from after the move show less memory, of which the guest uses about as much.

        While its balloon moves and for some seconds after, its own bookkeeping is in motion.
        """
        wn = of("wn", values)
        fresh = wn["domain_memory_stats_age_seconds"] < values["domain_last_success_timestamp_seconds"] - least
        less = before["domain_memory_guest_total_bytes"] - wn["domain_memory_guest_total_bytes"]
        other_use = abs(wn["domain_memory_used_bytes"] - before["domain_memory_used_bytes"])
        return fresh and less == given_up and other_use < given_up / 4

    exporter.scrape_until(told_apart, "statistics from after the move")
    guests["wn"].set_memory_mib(MEMORY_MIB)
    guests["wn"].wait_memory_mib(MEMORY_MIB)


def test_the_use_is_the_guests_own_word(guests: dict[str, Guest], exporter: Exporter) -> None:
    def agrees(values: Values) -> bool:
        report = guests["wn"].next_report()
        said = (report.memtotal_kib - report.memavailable_kib) * 1024
        return abs(of("wn", values)["domain_memory_used_bytes"] - said) < 16 * MIB

    # The two are asked one after the other, and the guest's use is in motion after its balloon has moved.
    exporter.scrape_until(agrees, "the guest's own word")


def test_a_guest_without_balloon_driver_has_no_figures_of_its_own(exporter: Exporter) -> None:
    values = exporter.scrape()
    stuck = of("stuck", values)
    assert stuck.keys() & GUESTS_OWN == set()
    assert of("wn", values).keys() >= GUESTS_OWN
    assert stuck["domain_memory_balloon_bytes"] == STUCK_MIB * MIB
    assert stuck["domain_cpu_seconds_total"] > 0


def test_cpu_time_and_steal_grow_while_two_busy_guests_share_a_cpu(exporter: Exporter) -> None:
    values = exporter.scrape()
    for name in ("wn", "proof"):
        before = of(name, values)
        after = until(exporter, name, "domain_cpu_seconds_total", before["domain_cpu_seconds_total"] + 2)
        cpu_s = after["domain_cpu_seconds_total"] - before["domain_cpu_seconds_total"]
        steal_s = after["domain_steal_seconds_total"] - before["domain_steal_seconds_total"]
        # Each gets about half of the CPU and waits for it as long; another process may take some from both.
        assert cpu_s / 3 < steal_s
    idle = of("stuck", exporter.scrape())
    assert idle["domain_steal_seconds_total"] < after["domain_steal_seconds_total"]


def test_a_domain_that_is_only_defined_is_a_state(
    libvirt_uri: str, guests: dict[str, Guest], exporter: Exporter
) -> None:
    with closing(libvirt.open(libvirt_uri)) as connection:
        defined = connection.defineXML(guests["wn"]._xml.replace("<name>wn</name>", "<name>off</name>"))
        try:
            values = exporter.scrape()
        finally:
            defined.undefine()
    assert of("off", values) == {"domain_running": 0, "domain_state_info": 1}
    assert any(name.startswith("domain_state_info ") and name.endswith(" shut_off") for name in values)
    assert of("off", exporter.scrape()) == {}


def qemu_of(guest: Guest, kernel: Kernel) -> psutil.Process:
    """Return the process of one of our guests; a guest of this name elsewhere boots from another file."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if str(kernel.initramfs) in words and any(word.startswith(f"guest={guest.name},") for word in words):
            return process
    raise AssertionError(f"no QEMU runs {guest.name}")


def test_a_guest_that_hangs_hides_only_what_it_would_have_said(
    guests: dict[str, Guest], guest_kernel: Kernel, exporter: Exporter
) -> None:
    exporter.scrape()
    qemu = qemu_of(guests["proof"], guest_kernel)
    qemu.suspend()
    try:
        seen = exporter.scrape_until(lambda values: "domain_memory_used_bytes" not in of("proof", values), "the hang")
        assert all(values["domain_up"] == 1 for values in seen)
        assert of("wn", seen[-1]).keys() >= GUESTS_OWN
        assert of("proof", seen[-1])["domain_memory_balloon_bytes"] == MEMORY_MIB * MIB
    finally:
        qemu.resume()
    exporter.scrape_until(lambda values: "domain_memory_used_bytes" in of("proof", values), "its own word again")


@pytest.mark.parametrize("failure", ["killed", "paused"])
def test_without_libvirtd_nothing_is_known_until_it_is_back(
    libvirtd: Libvirtd, exporter: Exporter, failure: str
) -> None:
    assert exporter.scrape()["domain_up"] == 1
    with failing(libvirtd, failure):
        down = exporter.scrape_until(lambda values: values["domain_up"] == 0, "the outage")[-1]
        assert shown(down) == set()
        assert [value for name, value in down.items() if name.startswith("domain_host_up ")] == [0]
        exporter.scrape()
        exporter.scrape()
    exporter.scrape_until(lambda values: of("wn", values).keys() >= GUESTS_OWN, "the end of the outage")
    assert exporter.process.terminate() == 0


@pytest.mark.parametrize("failure", ["killed", "paused"])
def test_a_libvirtd_that_fails_hides_no_other_hypervisor(
    libvirtd: Libvirtd, guests: dict[str, Guest], scratch: Path, failure: str
) -> None:
    assert guests
    (scratch / "other.xml").write_text(host_xml(8000, 4, {"calm": (512, 512)}))
    libvirt_uri, other = libvirtd.uri, f"test://{scratch}/other.xml"
    with exporting(libvirt_uri, other, scratch=scratch) as exporter:
        both = exporter.scrape()
        assert (of("wn", both)["domain_running"], of("calm", both)["domain_running"]) == (1, 1)
        with failing(libvirtd, failure):
            # They are the same machine by name, so they go by their addresses.
            half = exporter.scrape_until(lambda values: values[f"domain_host_up {libvirt_uri}"] == 0, "the outage")[-1]
            assert (half["domain_up"], half[f"domain_host_up {other}"]) == (1, 1)
            assert of("calm", half)["domain_memory_balloon_bytes"] == 512 * MIB
            assert of("wn", half) == {}
        exporter.scrape_until(lambda values: of("wn", values) != {}, "the end of the outage")
        assert f"domain: {libvirt_uri}: can be read again" in exporter.process.log_tail()


def test_an_exporter_ends_when_told_so_while_libvirtd_hangs(libvirtd: Libvirtd, exporter: Exporter) -> None:
    assert exporter.scrape()["domain_up"] == 1
    with failing(libvirtd, "paused"):
        exporter.scrape()
        assert exporter.process.terminate(deadline_s=60) == 0


@contextmanager
def failing(libvirtd: Libvirtd, failure: str) -> Iterator[None]:
    """Kill or stop the daemon for the ``with`` block; it answers again afterwards."""
    if failure == "killed":
        libvirtd.daemon.kill9()
        try:
            yield
        finally:
            libvirtd.start()
    else:
        libvirtd.daemon.pause()
        try:
            yield
        finally:
            libvirtd.daemon.resume()
