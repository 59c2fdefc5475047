"""The exporter ``proof`` with ``--tcp`` and ``--log``, against a stand-in for xproofd, scraped over HTTP."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exporters.running import Exporter, Values, running_exporter
from tests.testbed.fake_xproofd import FakeXproofd, Worker
from tests.testbed.proof_area import ProofArea, Status


@pytest.fixture
def xproofd(scratch: Path, proof_area: ProofArea) -> Iterator[FakeXproofd]:
    with FakeXproofd(log=scratch / "xproofd.log", area=proof_area) as xproofd:
        yield xproofd


@pytest.fixture
def exporter(scratch: Path, xproofd: FakeXproofd) -> Iterator[Exporter]:
    sources = ("--admin-path", scratch, "--tcp", xproofd.address, "--log", xproofd.log)
    with running_exporter("proof", *sources, scratch=scratch) as exporter:
        yield exporter


def of(values: Values, source: str) -> Values:
    """Return the values of one source, without those about the reading itself."""
    about = ("up", "last_success_timestamp_seconds", "scrape_duration_seconds", "read_failures_total")
    names = {f"{source}_{name}" for name in about}
    return {name: value for name, value in values.items() if name.startswith(f"{source}_") and name not in names}


def network(values: Values) -> Values:
    return of(values, "proof_network")


def log(values: Values) -> Values:
    return of(values, "proof_log")


def rotate(file: Path) -> Path:
    return file.rename(file.with_name(f"{file.name}.20261122"))


def test_a_day_of_two_users_is_seen_by_all_three_sources(
    xproofd: FakeXproofd, proof_area: ProofArea, exporter: Exporter
) -> None:
    xproofd.check_sessions(0)
    values = exporter.scrape()
    assert (values["proof_up"], values["proof_network_up"], values["proof_log_up"]) == (1, 1, 1)
    assert log(values) == {"proof_log_sessions": 0, "proof_log_running_sessions": 0}

    proof_area.open_session("ganis", status=Status.RUNNING)
    xproofd.workers = [Worker("vaf-m", 1, kind="M"), Worker("vaf-w1", 1), Worker("vaf-w1", 1), Worker("vaf-w2", 1)]
    xproofd.broadcast(1, 1)
    values = exporter.scrape()
    assert values["proof_sessions running"] == 1
    assert values["proof_log_running_sessions"] == 1
    assert network(values) == {
        "proof_network_worker_slots vaf-w1:1093": 2,
        "proof_network_worker_slots vaf-w2:1093": 1,
        "proof_network_assigned_sessions vaf-w1:1093": 2,
        "proof_network_assigned_sessions vaf-w2:1093": 1,
        "proof_network_master_sessions": 1,
    }

    proof_area.open_session("alice", status=Status.QUEUED)
    xproofd.check_sessions(2)
    xproofd.dump_queue({"alice": 1}, "Enqueue")
    values = exporter.scrape()
    assert values["proof_queue_depth"] == 1
    assert log(values) == {
        "proof_log_sessions": 2,
        "proof_log_running_sessions": 1,
        "proof_log_waiting_sessions": 1,
        "proof_log_waiting_queries": 1,
    }

    for session in list(proof_area.sessions):
        proof_area.close_session(session)
    xproofd.dump_queue({})
    xproofd.check_sessions(0)
    values = exporter.scrape()
    assert set(log(values).values()) == {0}
    assert values["proof_demand_sessions"] == 0
    assert xproofd.logins == 1


def test_a_restarted_xproofd_is_asked_again_at_once_and_its_old_log_counts_no_more(
    xproofd: FakeXproofd, exporter: Exporter
) -> None:
    xproofd.check_sessions(3)
    xproofd.broadcast(3, 2)
    before = exporter.scrape()
    assert log(before) == {"proof_log_sessions": 3, "proof_log_running_sessions": 2}

    xproofd.restart()
    after = exporter.scrape()
    assert after["proof_network_up"] == 1
    assert after["proof_network_read_failures_total"] == 0
    assert network(after) == network(before)
    assert log(after) == {}
    assert after["proof_log_up"] == 1

    xproofd.check_sessions(1)
    assert log(exporter.scrape()) == {"proof_log_sessions": 1}


def test_an_xproofd_that_is_down_is_absent_and_comes_back(xproofd: FakeXproofd, exporter: Exporter) -> None:
    assert network(exporter.scrape())
    xproofd.stop()
    down = exporter.scrape()
    assert (down["proof_network_up"], network(down)) == (0, {})
    assert down["proof_up"] == 1
    xproofd.start()
    up = exporter.scrape_until(lambda values: values["proof_network_up"] == 1, "xproofd")[-1]
    assert network(up)
    assert exporter.process.log_tail().count("cannot connect to xproofd at") == 1


def test_an_xproofd_that_hangs_makes_no_other_source_late_and_comes_back(
    xproofd: FakeXproofd, exporter: Exporter
) -> None:
    assert network(exporter.scrape())
    xproofd.hangs = True
    xproofd.check_sessions(1)
    hanging = exporter.scrape()
    assert (hanging["proof_network_up"], network(hanging)) == (0, {})
    assert (hanging["proof_up"], hanging["proof_log_sessions"]) == (1, 1)
    xproofd.hangs = False
    exporter.scrape_until(lambda values: values["proof_network_up"] == 1, "xproofd")
    assert "gave no answer within 4 s" in exporter.process.log_tail()


@pytest.mark.parametrize(
    ("fault", "value"),
    [("raw", b"HTTP/1.1 400 Bad Request\r\n\r\n"), ("refuses", "no"), ("wants_authentication", True)],
)
def test_an_xproofd_that_does_not_answer_well_is_absent_and_comes_back(
    xproofd: FakeXproofd, exporter: Exporter, fault: str, value: object
) -> None:
    usual = getattr(xproofd, fault)
    setattr(xproofd, fault, value)
    faulty = exporter.scrape()
    assert (faulty["proof_network_up"], network(faulty)) == (0, {})
    setattr(xproofd, fault, usual)
    assert network(exporter.scrape_until(lambda values: values["proof_network_up"] == 1, "xproofd")[-1])


def test_a_rotated_log_loses_nothing(xproofd: FakeXproofd, exporter: Exporter) -> None:
    xproofd.broadcast(3, 2)
    exporter.scrape()
    xproofd.broadcast(3, 1)
    rotate(xproofd.log)
    xproofd.check_sessions(3)
    assert log(exporter.scrape()) == {"proof_log_sessions": 3, "proof_log_running_sessions": 1}
    xproofd.check_sessions(4)
    assert exporter.scrape()["proof_log_sessions"] == 4


def test_a_log_truncated_in_place_is_unknown_until_it_is_written_again(
    xproofd: FakeXproofd, exporter: Exporter
) -> None:
    xproofd.check_sessions(3)
    xproofd.broadcast(3, 2)
    exporter.scrape()
    os.truncate(xproofd.log, 0)
    assert log(exporter.scrape()) == {}
    xproofd.check_sessions(3)
    assert log(exporter.scrape()) == {"proof_log_sessions": 3}


@pytest.mark.usefixtures("proof_area")
def test_a_log_that_is_missing_at_first_is_read_when_it_comes(scratch: Path) -> None:
    late = FakeXproofd(log=scratch / "late.log")
    sources = ("--admin-path", scratch, "--log", late.log)
    with running_exporter("proof", *sources, scratch=scratch) as exporter:
        values = exporter.scrape()
        assert (values["proof_up"], values["proof_log_up"]) == (1, 0)
        assert "No such file or directory; --log must be the file xproofd writes to" in exporter.process.log_tail()
        late.check_sessions(1)
        assert exporter.scrape()["proof_log_sessions"] == 1


@pytest.mark.usefixtures("proof_area")
def test_without_the_options_there_is_neither_source(scratch: Path) -> None:
    with running_exporter("proof", "--admin-path", scratch, scratch=scratch) as exporter:
        values = exporter.scrape()
    assert values["proof_up"] == 1
    assert not any(name.startswith(("proof_network", "proof_log")) for name in values)
