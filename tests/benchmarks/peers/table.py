"""The peers by name, with their defaults, and the settings that a tuning may try on other weeks than it reports."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from itertools import product
from typing import Any

from autoscaler.contracts import Policy
from policies.queue_length import QueueLength
from policies.static import Static
from policies.target_tracking import TargetTracking
from tests.benchmarks.peers.cobald_linear import CobaldLinear
from tests.benchmarks.peers.elastiq import Elastiq
from tests.benchmarks.peers.mom import Mom
from tests.benchmarks.peers.site import Site
from tests.benchmarks.peers.vpa import Vpa


def static_split(site: Site, *, share: float = 1.0) -> Policy:
    """The dedicated PROOF cluster: always the same share of what the site can have."""
    return Static(workers=math.ceil(share * site.workers_max))


def target_tracking(site: Site, **parameters: Any) -> Policy:
    """Kubernetes' HPA."""
    return TargetTracking(workers_per_session=site.workers_per_session, **parameters)


def queue_length(site: Site, **parameters: Any) -> Policy:
    """KEDA."""
    return QueueLength(workers_per_session=site.workers_per_session, **parameters)


# Called as PEERS[name](site, **parameters); each call is a peer that remembers nothing yet, one for each run.
PEERS: Mapping[str, Callable[..., Policy]] = {
    "static": static_split,
    "target_tracking": target_tracking,
    "queue_length": queue_length,
    "cobald_linear": CobaldLinear,
    "mom": Mom,
    "elastiq": Elastiq,
    "vpa": Vpa,
}


def _grid(**values: Sequence[Any]) -> tuple[Mapping[str, Any], ...]:
    return tuple(dict(zip(values, setting, strict=True)) for setting in product(*values.values()))


# Each holds the peer's own defaults, so that a tuned peer is never worse on the weeks it was tuned on.
GRIDS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "static": _grid(share=[0.125, 0.25, 0.5, 0.75, 1.0]),
    "target_tracking": _grid(
        target_utilisation=[0.5, 0.8, 1.0],
        stabilisation=[timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=20)],
    ),
    "queue_length": _grid(
        sessions_per_replica=[0.5, 1, 2], cooldown=[timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=20)]
    ),
    "cobald_linear": tuple(
        {"low_utilisation": low, "high_allocation": high, "rate": rate}
        for (low, high), rate in product([(0.5, 0.5), (0.5, 0.9), (0.7, 0.9), (0.8, 0.95)], [1, 0.1])
    ),
    "mom": _grid(min_guest_free=[0.1, 0.2, 0.3], max_balloon_change=[0.05, 0.1, 0.2]),
    "elastiq": _grid(waiting_jobs_time_s=[0, 40, 100], idle_for_time_s=[300, 1200, 3600]),
    "vpa": _grid(
        target_percentile=[0.9, 0.95, 0.99], half_life=[timedelta(hours=1), timedelta(hours=6), timedelta(hours=24)]
    ),
}
