"""What a configuration says of deciding."""

from collections.abc import Mapping

import msgspec

from autoscaler.contracts import Policy
from autoscaler.core.calendar import CalendarEntry
from autoscaler.core.guards import GUARDS, Guard
from autoscaler.core.voices import ACTING, Canary, Telling, as_python
from autoscaler.model import GuardLimits, Pause
from autoscaler.value import Value


class Rules(Value, frozen=True):
    """How to decide: the policy, the guards in their order, the numbers the guards work with, and the calendar.

    ``shadows`` are policies that are only asked, by their names; ``canary`` is the one of them that acts on some hosts.
    ``maintenance`` are pauses at stated times, for whoever makes a situation. ``tuned`` says whether alerts change the
    demand and the policy. ``told`` is what a decision calls a policy, by the name under which it speaks, and ``model``
    which model the policies have, as a decision says it.
    """

    policy: Policy
    limits: GuardLimits
    guards: tuple[Guard, ...] = GUARDS
    shadows: Mapping[str, Policy] = msgspec.field(default_factory=dict)
    canary: Canary | None = None
    maintenance: tuple[Pause, ...] = ()
    calendar: tuple[CalendarEntry, ...] = ()
    tuned: bool = True
    told: Telling = as_python
    model: str | None = None

    @property
    def acting_signals(self) -> dict[str, tuple[str, ...]]:
        """The signals of each policy that acts, by its name; what the others would like to know stops nothing."""
        found = {ACTING: self.policy.signals}
        if self.canary is not None:
            found[self.canary.name] = self.shadows[self.canary.name].signals
        return found
