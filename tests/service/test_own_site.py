"""The site as the facility model has it: its hosts as they were seen, and what the counts say came."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from autoscaler.config.load import load
from autoscaler.config.schema import Config
from autoscaler.model import (
    DOMAIN_SWAP_IN_BYTES_PER_SECOND,
    DomainObservation,
    DomainState,
    HostObservation,
    Sample,
    Series,
    Situation,
    Window,
)
from autoscaler.service.backtest import ClosedLoop, OfCounts
from autoscaler.service.minutes import Minutes
from autoscaler.service.own_site import Seen, UnseenError, own_site
from autoscaler.simulation.scenario import Price
from autoscaler.testing import observed

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CONFIG = """
controller: {interval: 15s, store: decisions.sqlite}
source: {kind: prometheus, url: "http://127.0.0.1:9"}
policy: {name: threshold, workers_per_session: 4}
guards: {shrink_cooldown: 7m}
host_defaults:
  memory_reserve: 573 MiB
  proof: {dormant_memory: 572 MiB, memory_per_worker: 792 MiB, workers_max: 8, dormant_state: saved}
  wn: {memory_floor: 572 MiB, memory_max: 6911 MiB}
hosts:
  - {name: one, uri: "qemu+tls://one/system", memory_total: 8056 MiB, proof: {domain: proof}, wn: {domain: wn}}
  - {name: two, uri: "qemu+tls://two/system", memory_total: 8056 MiB, proof: {domain: proof}, wn: {domain: wn}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    file = tmp_path / "autoscaler.yaml"
    file.write_text(CONFIG)
    return load(file).config


def reading(config: Config, name: str, **changes: object) -> HostObservation:
    """What was read of a host with eight cores whose Worker Node uses 3 056 MiB."""
    seen = observed(config.facility().host(name), wn_used_mib=3056)
    return replace(seen, **{"cores": 8, **changes})  # type: ignore[arg-type]


def readings(config: Config) -> Iterator[HostObservation]:
    return (reading(config, name) for name in ("one", "two"))


def minutes(loads: Sequence[float], jobs: Sequence[float] | None) -> Minutes:
    ran = None if jobs is None else np.array(jobs, dtype=float)
    return Minutes("here", START, UTC, np.array(loads, dtype=float), None, ran)


def made(
    config: Config,
    seen: Iterator[HostObservation],
    jobs: Sequence[float] | None = (7.0, 7.0, 7.0),
    swap_in: float | None = 0.0,
) -> ClosedLoop:
    loads = [0.0] * (3 if jobs is None else len(jobs))
    samples = () if swap_in is None else (Sample(START, swap_in),)
    window = Window(START, (Series(DOMAIN_SWAP_IN_BYTES_PER_SECOND, samples, START),))
    situations = (Situation(window, (each,)) for each in seen)
    return own_site(config, Seen.of(config.facility(), situations), minutes(loads, jobs), Price(8), 4)


def test_each_host_that_was_seen_is_a_machine_with_its_cores_and_a_slot_for_each_of_its_worker_nodes(
    config: Config,
) -> None:
    scenario = made(config, readings(config)).scenario
    assert [(machine.host.name, machine.cores, machine.job_slots) for machine in scenario.machines] == [
        ("one", 8, 8),
        ("two", 8, 8),
    ]


def test_the_controllers_rules_and_the_sites_price_hold_there(config: Config) -> None:
    scenario = made(config, readings(config)).scenario
    assert scenario.limits == config.guards.limits()
    assert scenario.price == Price(8)


def test_the_model_cycles_once_a_minute_as_the_load_is_known_or_as_slowly_as_the_controller(config: Config) -> None:
    assert made(config, readings(config)).scenario.interval == timedelta(minutes=1)
    slow = config.model_copy(
        update={"controller": config.controller.model_copy(update={"interval": timedelta(minutes=2)})}
    )
    assert made(slow, readings(config)).scenario.interval == timedelta(minutes=2)


def test_a_host_has_what_is_left_of_its_memory_by_others(config: Config) -> None:
    seen = iter([reading(config, "one", memory_total_mib=8000, unmanaged_mib=1000, control_mib=700)])
    (machine,) = made(config, seen).scenario.machines
    assert machine.host.memory_total_mib == 8000 - 700 - 1000 + 573


def test_a_proof_domain_that_sleeps_runs_there(config: Config) -> None:
    (first, _) = made(config, readings(config)).scenario.machines
    assert first.host.proof.dormant_state is DomainState.RUNNING


def test_there_are_slots_for_as_many_jobs_as_ever_ran(config: Config) -> None:
    machines = made(config, readings(config), jobs=(3, 3, 21)).scenario.machines
    assert [machine.job_slots for machine in machines] == [11, 11]


def test_a_small_machine_has_no_slots_of_a_large_one(config: Config) -> None:
    seen = iter([replace(reading(config, "one", cores=24), domains=_with_vcpus(config, 24)), reading(config, "two")])
    machines = made(config, seen, jobs=(3, 3, 32)).scenario.machines
    assert [machine.job_slots for machine in machines] == [24, 8]


def _with_vcpus(config: Config, vcpus: int) -> tuple[DomainObservation, ...]:
    return tuple(replace(domain, vcpus=vcpus) for domain in reading(config, "one").domains)


def test_worker_nodes_that_do_not_tell_their_vcpus_have_slots_by_the_cores_of_their_machines(config: Config) -> None:
    domains = _with_vcpus(config, 0)
    seen = iter([reading(config, "one", cores=24, domains=domains), reading(config, "two", domains=domains)])
    machines = made(config, seen, jobs=(3, 3, 32)).scenario.machines
    assert [machine.job_slots for machine in machines] == [24, 8]


def test_a_job_uses_what_worker_nodes_used_beyond_their_base_by_the_jobs_that_ran(config: Config) -> None:
    assert made(config, readings(config)).came == OfCounts(4, round(2 * (3056 - 256) / 7))


def test_where_worker_nodes_do_not_tell_a_job_has_its_slots_share_of_their_memory(config: Config) -> None:
    silent = (observed(config.facility().host(name), wn_used_mib=None) for name in ("one", "two"))
    told = made(config, (replace(each, cores=8) for each in silent)).came
    assert told == OfCounts(4, (6911 - 256) * 2 // 16)


def test_where_hardly_a_job_runs_what_worker_nodes_use_is_their_own(config: Config) -> None:
    assert made(config, readings(config), jobs=(1, 1, 2)).came == OfCounts(4, (6911 - 256) * 2 // 16)


def test_jobs_use_at_most_so_much_that_all_that_ever_ran_had_room(config: Config) -> None:
    assert made(config, readings(config), jobs=(30, 2, 2)).came == OfCounts(4, (6911 - 256) * 2 // 30)


def test_worker_nodes_have_no_more_than_their_host_has_for_them(config: Config) -> None:
    seen = (reading(config, name, memory_total_mib=4000) for name in ("one", "two"))
    assert made(config, seen, jobs=(30, 2, 2)).came == OfCounts(4, (4000 - 573 - 572 - 256) * 2 // 30)


def test_what_it_is_played_on_is_told_with_what_a_job_uses_and_what_of_the_site_is_not_there(config: Config) -> None:
    seen = iter([reading(config, "one")])
    assert made(config, seen, jobs=(7.0, 7.0, 7.0, math.nan, 7.0)).notes == (
        "played on a model of this site: 1 hosts, 8 cores, 8 batch jobs at once",
        "a batch job uses 400 MiB there, as the Worker Nodes of the last day did",
        "left out, as no controller has stored a reading, with cores, in the last day: two",
        "a dormant PROOF domain runs on there, whatever dormant_state says",
        "how many batch jobs ran is unknown for 20.0% of the time, a line between what was known",
    )


@pytest.mark.parametrize(
    ("wn_used_mib", "jobs", "why"),
    [(None, 7.0, "Worker Nodes do not tell what they use"), (3056, 0.5, "hardly a job ran in the last day")],
)
def test_what_a_job_uses_is_told_to_be_assumed_where_it_is_not_known(
    config: Config, wn_used_mib: int | None, jobs: float, why: str
) -> None:
    seen = (replace(observed(config.facility().host("one"), wn_used_mib=wn_used_mib), cores=8) for _ in "1")
    told = f"a batch job uses 831 MiB there, its share of what Worker Nodes have at most: {why}"
    assert told in made(config, seen, jobs=(jobs, jobs, jobs)).notes


def test_a_policy_knows_there_what_guests_read_from_swap_only_if_the_controller_did(config: Config) -> None:
    assert made(config, readings(config)).scenario.unheard == ()
    deaf = made(config, readings(config), swap_in=None)
    assert deaf.scenario.unheard == (DOMAIN_SWAP_IN_BYTES_PER_SECOND,)
    assert (
        f"{DOMAIN_SWAP_IN_BYTES_PER_SECOND} is unknown there, as it was to the controller in the last day" in deaf.notes
    )


def test_the_newest_reading_counts_and_one_without_its_domains_does_not(config: Config) -> None:
    seen = [reading(config, "one", cores=8), reading(config, "one", cores=16), reading(config, "one", domains=())]
    (machine,) = made(config, iter(seen)).scenario.machines
    assert machine.cores == 16


@pytest.mark.parametrize("jobs", [None, (1.0, 1.0, 1.0, math.nan, math.nan), (math.nan,) * 3])
def test_without_batch_jobs_that_are_known_for_half_of_the_judged_time_there_is_no_model(
    config: Config, jobs: Sequence[float] | None
) -> None:
    with pytest.raises(UnseenError, match="wn_running_jobs"):
        made(config, readings(config), jobs)


@pytest.mark.parametrize("jobs", [(1e30, 0.0, 0.0), (2_000_001.0,) * 3, (math.inf, 1.0, 1.0), (0.0, 1_000_001.0) * 2])
def test_counts_that_no_site_has_are_told_and_played_by_nobody(config: Config, jobs: Sequence[float]) -> None:
    with pytest.raises(UnseenError, match="sessions and jobs came by the counts: no more than 2000000 are played"):
        made(config, readings(config), jobs)


def test_without_sessions_that_are_known_for_half_of_the_judged_time_there_is_no_model(config: Config) -> None:
    gap = minutes([1.0, 1.0, 1.0, math.nan, math.nan], [7.0] * 5)
    with pytest.raises(UnseenError, match="how many sessions there were is unknown, or excluded"):
        own_site(config, Seen(), gap, Price(8), 4)


def test_batch_jobs_that_are_counted_since_lately_are_enough(config: Config) -> None:
    assert made(config, readings(config), (math.nan, math.nan, math.nan, 7.0, 7.0)).came == OfCounts(4, 800)


def test_without_half_of_the_hosts_the_load_of_all_says_nothing(config: Config) -> None:
    host = config.hosts[0]
    more = config.model_copy(update={"hosts": [*config.hosts, host.model_copy(update={"name": "three"})]})
    with pytest.raises(UnseenError, match="the last day has a reading, with cores, of only 1 of 3 hosts"):
        made(more, iter([reading(config, "one")]))


@pytest.mark.parametrize("cores", [None, 8])
def test_without_a_host_that_was_seen_with_its_cores_there_is_no_model(config: Config, cores: int | None) -> None:
    seen = () if cores is not None else (reading(config, "one", cores=None),)
    with pytest.raises(UnseenError, match="no controller has stored a reading of one of these hosts"):
        made(config, iter(seen))


class TestWhatTheCountsSayCame:
    """From minute two on, of sessions with four workers, and of batch jobs with 700 MiB."""

    def test_sessions_that_are_there_before_are_left_out(self) -> None:
        found = OfCounts(4, 700).workload(minutes([1, 1, 1, 2, 2, 0], None), 2)
        (session,) = found.sessions
        assert 0 < session.submit_s <= 60
        assert (session.run_s, session.workers) == (120, 4)

    def test_jobs_that_run_already_are_there_from_the_beginning_with_what_is_left_of_them(self) -> None:
        found = OfCounts(4, 700).workload(minutes([0, 0, 0, 0], [2, 2, 2, 1]), 2)
        assert [(job.submit_s, job.run_s, job.memory_mib) for job in found.jobs] == [(0, 60, 700), (0, 120, 700)]

    def test_it_lasts_from_the_split_to_the_end(self) -> None:
        found = OfCounts(4, 700).workload(minutes([0, 0, 0, 1, 0], None), 2)
        assert found.start == START + timedelta(minutes=2)
        assert found.duration_s == 180
