"""An alert on the real queue, from Prometheus by way of Alertmanager to the controller, and real guests that follow it.

PROOF gets one worker for the session that waits, by the policy, and one more while the alert fires.
"""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB
from tests.testbed.alertmanager_server import alertmanager
from tests.testbed.guests import Kernel
from tests.testbed.processes import free_port, scratch_folder
from tests.testbed.proof_area import Session, Status
from tests.testbed.site import AWAKE_MIB, DORMANT_MIB, GUESTS_MIB, WORKER_MIB, Site, SumWatch, running_site

DEADLINE_S = 600
CYCLES_HELD = 10

DORMANT, ONE_WORKER, BOOSTED = (
    (proof_mib, GUESTS_MIB - proof_mib) for proof_mib in (DORMANT_MIB, DORMANT_MIB + WORKER_MIB, AWAKE_MIB)
)

RULES = {
    "groups": [
        {
            "name": "proof",
            "interval": "1s",
            "rules": [{"alert": "ProofSessionsWait", "expr": "sum(proof_queue_depth) > 0"}],
        }
    ]
}
TUNED = """
policy: {name: threshold, workers_per_session: 1, idle: 5s}
tuning:
  - match: {alertname: ProofSessionsWait}
    action: {boost_workers: 1}
    for: 1h
"""
ALERTMANAGER = """
route: {{receiver: autoscaler, group_by: [alertname], group_wait: 100ms, group_interval: 1s}}
receivers:
  - name: autoscaler
    webhook_configs:
      - url: http://{api}/api/v1/alerts/alertmanager
        http_config: {{authorization: {{credentials: {token}}}}}
"""


class Facility:
    """A site whose controller hears alerts."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def waits(self, user: str) -> Session:
        """Let a user come whose session waits in the queue."""
        return self.site.area.open_session(user, status=Status.QUEUED)

    def boosted(self) -> bool:
        """Whether an alert changes something now."""
        return bool(json.loads(self.site.autoscaler("tuning", "list", "--format", "json").stdout))

    def has(self, sizes: tuple[int, int]) -> bool:
        """Whether the balloons of PROOF and the Worker Node have these sizes, as nearly as the controller wants it."""
        there = zip(self.site.sizes_mib(), sizes, strict=True)
        return all(abs(now_mib - size_mib) <= BALLOON_TOLERANCE_MIB for now_mib, size_mib in there)

    def sizes_become(self, sizes: tuple[int, int]) -> None:
        """Wait until they do."""
        self.until(lambda: self.has(sizes), f"sizes {sizes}")

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait, while the daemon asks its sessions now and then."""

        def met() -> bool:
            self.site.area.refresh()
            return condition()

        self.site.controller.wait_until(met, DEADLINE_S, what)


@contextmanager
def alerting(site: Site) -> Iterator[Facility]:
    """Let the controller hear alerts, Prometheus have the rule, and Alertmanager tell of it; then start."""
    folder, api = site.config.parent, f"127.0.0.1:{free_port()}"
    text = "\n".join(line for line in site.config.read_text().splitlines() if not line.startswith("policy:"))
    site.config.write_text(f'{text}\n{TUNED}api: {{listen: "{api}", tokens_file: tokens}}\n')
    token = site.autoscaler("token", "add", "alertmanager", "--scope", "alerts").stdout.split()[-1]
    told = folder / "alertmanager.yml"
    told.write_text(ALERTMANAGER.format(api=api, token=token))
    with alertmanager(folder, told) as address:
        load_rule(site, folder, address)
        site.controller.start()
        yield Facility(site)


def load_rule(site: Site, folder: Path, address: str) -> None:
    yaml, config = YAML(typ="safe"), folder / "prometheus.yml"
    yaml.dump(RULES, folder / "proof.rules.yml")
    alertmanagers = [{"static_configs": [{"targets": [address]}]}]
    more = {"rule_files": ["proof.rules.yml"], "alerting": {"alertmanagers": alertmanagers}}
    yaml.dump({**yaml.load(config), **more}, config)
    os.kill(site.prometheus.process.pid, signal.SIGHUP)
    site.prometheus.process.wait_until(site.prometheus.rules, DEADLINE_S, "the rule")


@pytest.fixture
def facility(libvirt_uri: str, guest_kernel: Kernel) -> Iterator[Facility]:
    """A site whose host sum is watched; it must never have been exceeded."""
    with (
        scratch_folder() as folder,
        running_site(libvirt_uri, guest_kernel, folder) as site,
        SumWatch(libvirt_uri).watching() as watch,
        alerting(site) as facility,
    ):
        yield facility
        assert watch.samples > 0
        assert watch.exceeded == []


def test_an_alert_on_the_queue_makes_the_guests_grow_and_its_end_undoes_it(facility: Facility) -> None:
    facility.sizes_become(DORMANT)
    session = facility.waits("alice")
    facility.sizes_become(BOOSTED)
    assert facility.boosted()
    assert any(
        "alert ProofSessionsWait" in host["reason"] for each in facility.site.history() for host in each["hosts"]
    )

    facility.site.area.set_status(session, Status.RUNNING)
    facility.sizes_become(ONE_WORKER)
    assert not facility.boosted()

    facility.site.area.close_session(session)
    facility.sizes_become(DORMANT)
    assert facility.site.controller.terminate() == 0


def test_an_alert_that_is_resolved_because_its_exporter_died_does_not_shrink_proof(facility: Facility) -> None:
    session = facility.waits("alice")
    facility.sizes_become(BOOSTED)
    facility.site.exporter.kill9()
    facility.until(lambda: not facility.boosted(), "the end of the boost")

    def unknown_cycles() -> int:
        newest = facility.site.history("--all")[-CYCLES_HELD:]
        return sum(each["demand"]["workers"] is None for each in newest)

    facility.until(lambda: unknown_cycles() == CYCLES_HELD, "cycles after the end of the boost")
    assert facility.has(BOOSTED)

    facility.site.exporter.start()
    facility.site.area.close_session(session)
    facility.sizes_become(DORMANT)
