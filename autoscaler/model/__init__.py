"""The values everything speaks: frozen, typed, units in the names.

Nothing here reads a clock or does I/O. The *worker* (one PROOF worker slot with its memory and its core) is the only
currency of demand. Missing is ``None``, never 0. All others import from here, whichever file a value is in.
"""

from autoscaler.model.decision import NO_MODEL, Cut, Decision, Demand, HostDecision, Opinion
from autoscaler.model.facility import Allocation, DomainState, Facility, Host, ProofDomain, WnDomain
from autoscaler.model.limits import GuardLimits
from autoscaler.model.observation import DomainObservation, HostObservation, HostReading, HostState, Pressure
from autoscaler.model.orders import Direction, Orders, Override, Pause
from autoscaler.model.situation import HostTimers, Quarantine, Quiet, Situation
from autoscaler.model.transfer import Outcome, Result, Step, StepKind, Transfer
from autoscaler.model.tuning import AlertIdentity, Change, Tuning, TuningKind
from autoscaler.model.window import (
    DOMAIN_SWAP_IN_BYTES_PER_SECOND,
    PROOF_QUEUED_SESSIONS,
    PROOF_RUNNING_SESSIONS,
    WN_RUNNING_JOBS,
    XROOTD_READ_BYTES_PER_SECOND,
    Memory,
    Sample,
    Series,
    Window,
)

__all__ = [
    "DOMAIN_SWAP_IN_BYTES_PER_SECOND",
    "NO_MODEL",
    "PROOF_QUEUED_SESSIONS",
    "PROOF_RUNNING_SESSIONS",
    "WN_RUNNING_JOBS",
    "XROOTD_READ_BYTES_PER_SECOND",
    "AlertIdentity",
    "Allocation",
    "Change",
    "Cut",
    "Decision",
    "Demand",
    "Direction",
    "DomainObservation",
    "DomainState",
    "Facility",
    "GuardLimits",
    "Host",
    "HostDecision",
    "HostObservation",
    "HostReading",
    "HostState",
    "HostTimers",
    "Memory",
    "Opinion",
    "Orders",
    "Outcome",
    "Override",
    "Pause",
    "Pressure",
    "ProofDomain",
    "Quarantine",
    "Quiet",
    "Result",
    "Sample",
    "Series",
    "Situation",
    "Step",
    "StepKind",
    "Transfer",
    "Tuning",
    "TuningKind",
    "Window",
    "WnDomain",
]
