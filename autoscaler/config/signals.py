"""The built-in signals, and whether a configuration gives a policy the signals that it rests on."""

from collections.abc import Iterable, Iterator, Mapping

from autoscaler.config.schema import PrometheusSection, ScrapeSection, ScrapeSignal
from autoscaler.model import (
    DOMAIN_SWAP_IN_BYTES_PER_SECOND,
    PROOF_QUEUED_SESSIONS,
    PROOF_RUNNING_SESSIONS,
    WN_RUNNING_JOBS,
    XROOTD_READ_BYTES_PER_SECOND,
)

# A session that is starting, or of which an old ROOT does not tell the state, needs its workers as a running one does.
BUSY_STATES = ["running", "starting", "unknown"]

BUILT_IN: Mapping[str, ScrapeSignal] = {
    PROOF_QUEUED_SESSIONS: ScrapeSignal(job="proof", metric="proof_queue_depth"),
    PROOF_RUNNING_SESSIONS: ScrapeSignal(job="proof", metric="proof_sessions", labels={"state": BUSY_STATES}),
    WN_RUNNING_JOBS: ScrapeSignal(job="wn", metric="wn_jobs", labels={"state": ["running"]}),
    XROOTD_READ_BYTES_PER_SECOND: ScrapeSignal(job="xrootd", metric="xrootd_read_bytes_total", rate=True),
    DOMAIN_SWAP_IN_BYTES_PER_SECOND: ScrapeSignal(job="domain", metric="domain_swap_in_bytes_total", rate=True),
}

Location = tuple[str, ...]


def missing_signals(
    source: PrometheusSection | ScrapeSection, policy: str, needed: Iterable[str]
) -> Iterator[tuple[Location, str]]:
    """Where and why a signal would stay unknown for ever: one that ``policy`` needs, or a configured one."""
    for name in needed:
        if name not in BUILT_IN and name not in source.signals:
            yield ("source", "signals"), f"no signal {name}, which policy {policy} needs"
    if isinstance(source, PrometheusSection):
        return
    for name, signal in source.signals.items():
        if signal.job not in source.targets:
            yield ("source", "signals", name, "job"), f"source.targets has no target of job {signal.job!r}"
    for name in needed:
        built_in = BUILT_IN.get(name)
        if built_in and name not in source.signals and built_in.job not in source.targets:
            yield (
                ("source", "targets"),
                f"no target of job {built_in.job!r}, which signal {name} of policy {policy} needs",
            )
