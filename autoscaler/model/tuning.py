"""What alerts change for a time, and the sessions that are announced."""

from datetime import datetime
from enum import StrEnum

from autoscaler.model.orders import Direction
from autoscaler.value import Value


class AlertIdentity(Value, frozen=True):
    """One firing of an alert, as whoever sends it knows it: told again, it is the same one."""

    source: str
    group: str
    fingerprint: str
    starts_at: datetime


class TuningKind(StrEnum):
    """What a tuning does to PROOF, or to the policy; ``session`` is one that is announced, and not yet opened."""

    BOOST = "boost"
    CAP = "cap"
    FREEZE = "freeze"
    SESSION = "session"
    STEP = "step"
    PRICE = "price"


class Change(Value, frozen=True):
    """What becomes of a parameter of the policy: ``by`` more, but not less than ``least`` and not more than ``most``.

    A span of time is in seconds; ``words`` has the numbers as the configuration writes them.
    """

    parameter: str
    by: float
    least: float
    most: float
    words: str


class Tuning(Value, frozen=True):
    """What an alert changes until ``until``, or until it is resolved, by a rule of the configuration.

    ``name`` is what the alert is called, ``rule`` what the rule matches. ``workers`` are those of a boost or a cap, of
    the whole facility, or of a session, which is announced instead of alerted, under its own ``name`` and ``rule``, and
    with its user as the group; ``direction`` is the one in which a freeze leaves ``hosts`` as they are, which ``where``
    names. A step or a price has the ``change`` of a parameter of the acting policy.
    """

    alert: AlertIdentity
    name: str
    rule: str
    kind: TuningKind
    begun_at: datetime
    until: datetime
    workers: int | None = None
    direction: Direction | None = None
    hosts: tuple[str, ...] = ()
    where: str = ""
    change: Change | None = None
