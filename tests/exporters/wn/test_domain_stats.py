"""Domains as a hypervisor's statistics tell of them, over what a real QEMU host said."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.serving import Source
from exporters.wn.domain_stats import (
    SERIES,
    STATISTICS_MAX_AGE_S,
    Domain,
    DomainState,
    GuestMemory,
    domain_metrics,
    parse_domain,
)
from tests.exporters.exposition import SAMPLES, assert_golden, exposition
from tests.exporters.fuzzing import anything, unhurried

CAPTURED: dict[str, dict[str, Any]] = json.loads((SAMPLES / "libvirt" / "qemu-domain-stats.json").read_text())
WN = CAPTURED["vaf-wn-001"]
LAST_UPDATE_S = WN["balloon.last-update"]
NOW = LAST_UPDATE_S + 2.5
KIB = 1024
UNKNOWN = 2**64 - 1
UNKNOWN_KIB = UNKNOWN // KIB


def wn(**changes: Any) -> Domain:
    """Parse the captured Worker Node with some statistics changed, or left out (``...``); ``__`` is for ``.``."""
    changed = {name.replace("__", "."): value for name, value in changes.items()}
    stats = {name: value for name, value in {**WN, **changed}.items() if value is not ...}
    return parse_domain("vaf-wn-001", stats, NOW)


def test_a_busy_guest_is_read_whole() -> None:
    assert wn() == Domain(
        "vaf-wn-001",
        DomainState.RUNNING,
        balloon_bytes=512 * KIB * KIB,
        maximum_bytes=1280 * KIB * KIB,
        guest=GuestMemory(
            total_bytes=466_460 * KIB,
            unused_bytes=324_244 * KIB,
            usable_bytes=256_568 * KIB,
            swap_in_bytes=0,
            swap_out_bytes=0,
            major_faults=0,
        ),
        statistics_age_s=2.5,
        vcpus=2,
        cpu_s=11.077193,
        steal_s=4.621420308 + 4.271873793,
    )


def test_use_is_what_the_guest_has_less_what_it_could_give() -> None:
    used = wn().guest.used_bytes
    assert used == (466_460 - 256_568) * KIB
    assert used < wn().balloon_bytes


@pytest.mark.parametrize("missing", ["balloon__available", "balloon__usable"])
def test_without_either_number_the_use_is_unknown(missing: str) -> None:
    assert wn(**{missing: ...}).guest.used_bytes is None


def test_a_guest_that_could_give_more_than_it_has_uses_an_unknown_amount() -> None:
    assert wn(balloon__usable=466_461).guest.used_bytes is None


def test_a_guest_without_balloon_driver_says_nothing_of_its_memory() -> None:
    domain = parse_domain("no-balloon", CAPTURED["no-balloon"], NOW)
    assert (domain.balloon_bytes, domain.guest, domain.statistics_age_s) == (256 * KIB * KIB, GuestMemory(), None)
    assert domain.cpu_s > 0


def test_what_a_guest_said_long_ago_is_unknown_and_its_age_is_seen() -> None:
    silent = parse_domain("wn", WN, LAST_UPDATE_S + STATISTICS_MAX_AGE_S + 1)
    assert (silent.guest, silent.statistics_age_s) == (GuestMemory(), STATISTICS_MAX_AGE_S + 1)
    assert silent.balloon_bytes == wn().balloon_bytes


def test_what_a_guest_said_just_within_the_limit_counts() -> None:
    assert parse_domain("wn", WN, LAST_UPDATE_S + STATISTICS_MAX_AGE_S).guest == wn().guest


def test_a_hosts_clock_a_little_ahead_makes_no_negative_age() -> None:
    ahead = parse_domain("wn", WN, LAST_UPDATE_S - 3)
    assert (ahead.guest, ahead.statistics_age_s) == (wn().guest, 0)


def test_a_hosts_clock_far_ahead_makes_the_guests_word_unknown() -> None:
    assert parse_domain("wn", WN, LAST_UPDATE_S - STATISTICS_MAX_AGE_S - 1).guest == GuestMemory()


def test_what_xen_calls_available_is_not_the_guests_word() -> None:
    # FROM-DOCS: libxlDomainMemoryStats in libvirt's libxl_driver.c gives the maximum by that name, and no date.
    xen = {"state.state": 2, "balloon.current": 585_728, "balloon.maximum": 7_077_888, "balloon.available": 7_077_888}
    domain = parse_domain("wn", xen, NOW)
    assert (domain.balloon_bytes, domain.guest) == (585_728 * KIB, GuestMemory())


def test_a_domain_that_is_shut_off_is_only_a_state() -> None:
    stats = CAPTURED["vaf-proof-001"]
    assert {"balloon.current", "cpu.time"} <= stats.keys()
    assert parse_domain("proof", stats, NOW) == Domain("proof", DomainState.SHUT_OFF)


def test_a_paused_domain_does_not_run_but_has_its_memory() -> None:
    paused = wn(state__state=DomainState.PAUSED)
    assert (paused.runs, paused.balloon_bytes) == (False, wn().balloon_bytes)


def test_what_xen_calls_blocked_runs() -> None:
    assert wn(state__state=DomainState.BLOCKED).runs


@pytest.mark.parametrize("state", [..., 8, -1, "1", None])
def test_a_state_that_libvirt_does_not_know_is_unknown(state: Any) -> None:
    domain = wn(state__state=state)
    assert (domain.state, domain.runs) == (None, None)
    assert domain.balloon_bytes == wn().balloon_bytes


@pytest.mark.parametrize("number", [-1, UNKNOWN, UNKNOWN_KIB, True, 1.5, "1", None])
def test_an_impossible_amount_of_memory_is_unknown(number: Any) -> None:
    domain = wn(balloon__current=number, balloon__usable=number, balloon__swap_in=number)
    assert (domain.balloon_bytes, domain.guest.usable_bytes, domain.guest.swap_in_bytes) == (None, None, None)


def test_steal_is_unknown_if_one_vcpu_does_not_tell_it() -> None:
    assert wn(vcpu__1__delay=...).steal_s is None


def test_a_vcpu_that_is_offline_has_no_part_in_the_steal() -> None:
    assert wn(vcpu__1__state=0, vcpu__1__delay=...).steal_s == 4.621420308


def test_steal_is_unknown_without_any_vcpu() -> None:
    assert parse_domain("wn", {"state.state": 1}, NOW).steal_s is None


def names(domains: dict[str, list[Domain]], limit: int = 200) -> dict[str, set[str]]:
    """Return the domains which have a series in each metric."""
    metrics = domain_metrics(domains, limit)
    return {metric.name: {sample.labels.get("domain", "") for sample in metric.samples} for metric in metrics}


def test_beyond_the_limit_running_domains_come_first_and_the_others_are_counted() -> None:
    off = [Domain(f"a{number}", DomainState.SHUT_OFF) for number in range(3)]
    metrics = list(domain_metrics({"host": [*off, Domain("wn", DomainState.RUNNING)]}, limit=2))
    shown = names({"host": [*off, Domain("wn", DomainState.RUNNING)]}, limit=2)
    assert shown["domain_running"] == {"a0", "wn"}
    assert [metric.samples[0].value for metric in metrics if metric.name == "domain_left_out"] == [2]


def test_what_is_unknown_has_no_series() -> None:
    shown = names({"host": [Domain("wn", None)]})
    assert {name for name, domains in shown.items() if "wn" in domains} == set()


def test_a_host_with_domains() -> None:
    domains = [parse_domain(name, stats, NOW) for name, stats in CAPTURED.items()]
    assert_golden("domain", exposition(Source("domain", lambda: domain_metrics({"vaf-dom0-001": domains}, 200))))


odd = st.integers(-(2**70), 2**70) | st.sampled_from([0, 1, UNKNOWN, UNKNOWN_KIB, LAST_UPDATE_S]) | anything
odd_stats = st.dictionaries(st.sampled_from(sorted(WN)) | st.from_regex(r"vcpu\.[0-9]{1,9}\.(state|delay)"), odd)


@unhurried
@given(st.dictionaries(st.text(), anything) | odd_stats | odd_stats.map(lambda changes: WN | changes))
def test_statistics_of_any_shape_give_no_negative_value(stats: dict[str, Any]) -> None:
    domain = parse_domain("wn", stats, NOW)
    values = [series.value(domain) for series in SERIES]
    assert all(0 <= value < 2**64 for value in values if value is not None)
    assert domain.guest.used_bytes is None or domain.guest.used_bytes <= domain.guest.total_bytes
    assert exposition(Source("domain", lambda: domain_metrics({"host": [domain]}, 200)))
