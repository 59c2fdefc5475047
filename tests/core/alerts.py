"""An alert and a rule as the tests of tunings want them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from autoscaler.core.tuning import Alert, TuningRule, decide_tuning
from autoscaler.model import AlertIdentity, Tuning, TuningKind
from autoscaler.testing import NOW

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
BOOST = TuningRule({"alertname": "HighQueue"}, TuningKind.BOOST, 2 * HOUR, 8)


def an_alert(
    labels: Mapping[str, str] | None = None,
    *,
    firing: bool = True,
    fingerprint: str = "9b395dd0ef7339de",
    starts_at: datetime = NOW - MINUTE,
    **more: Any,
) -> Alert:
    """One that fires for a minute."""
    identity = AlertIdentity("grafana", "{}:{}", fingerprint, starts_at)
    return Alert(identity, firing, {"alertname": "HighQueue"} if labels is None else labels, **more)


def a_tuning(rule: TuningRule = BOOST, now: datetime = NOW, **more: Any) -> Tuning:
    """What such an alert begins."""
    (tuning,) = decide_tuning([an_alert(dict(rule.match), **more)], [rule], now).begin
    return tuning
