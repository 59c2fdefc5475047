"""The built-in signals: which exporter job and metric each one is, and the PromQL that follows from it.

Every exporter job has ``<job>_up`` and ``<job>_last_success_timestamp_seconds`` (exporters/serving.py); a sum counts
only while every target of its job is up, because a sum of which a part is missing looks like less load.
"""

from collections.abc import Mapping

from autoscaler.config.schema import PrometheusSignal, ScrapeSignal
from autoscaler.model import (
    PROOF_QUEUED_SESSIONS,
    PROOF_RUNNING_SESSIONS,
    WN_RUNNING_JOBS,
    XROOTD_READ_BYTES_PER_SECOND,
)

# A session that is starting, or of which an old ROOT does not tell the state, needs its workers as a running one does.
BUSY_STATES = ["running", "starting", "unknown"]

# The shortest range that holds two scrapes at Prometheus's default interval of 15 s even when one is lost.
RATE_RANGE = "1m"

BUILT_IN: Mapping[str, ScrapeSignal] = {
    PROOF_QUEUED_SESSIONS: ScrapeSignal(job="proof", metric="proof_queue_depth"),
    PROOF_RUNNING_SESSIONS: ScrapeSignal(job="proof", metric="proof_sessions", labels={"state": BUSY_STATES}),
    WN_RUNNING_JOBS: ScrapeSignal(job="wn", metric="wn_jobs", labels={"state": ["running"]}),
    XROOTD_READ_BYTES_PER_SECOND: ScrapeSignal(job="xrootd", metric="xrootd_read_bytes_total", rate=True),
}


def up_metric(job: str) -> str:
    """The gauge an exporter sets to 1 while it can read its source."""
    return f"{job}_up"


def fresh_at_metric(job: str) -> str:
    """The Unix time at which an exporter last read its source."""
    return f"{job}_last_success_timestamp_seconds"


def promql(signal: ScrapeSignal) -> PrometheusSignal:
    """The PromQL that reads a signal from Prometheus, empty unless every target of its job is up and has the metric."""
    labels = "".join(f',{name}=~"{"|".join(values)}"' for name, values in signal.labels.items())
    selector = f'{signal.metric}{{job="{signal.job}"{labels}}}'
    value = f"rate({selector}[{RATE_RANGE}])" if signal.rate else selector
    targets = f'count(up{{job="{signal.job}"}})'
    all_up = f'count({up_metric(signal.job)}{{job="{signal.job}"}} == 1) == {targets}'
    all_there = f"count(count by (instance) ({selector})) == {targets}"
    return PrometheusSignal(
        query=f"sum({value}) and ({all_up}) and ({all_there})",
        fresh_at=f'min({fresh_at_metric(signal.job)}{{job="{signal.job}"}})',
    )
