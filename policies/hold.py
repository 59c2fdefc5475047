"""Keep whatever every host has: for maintenance, and to watch before trusting another policy."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from autoscaler.model import Demand, Window


@dataclass(frozen=True, slots=True)
class Hold:
    """Want nothing changed."""

    signals: ClassVar[tuple[str, ...]] = ()
    history: ClassVar[timedelta] = timedelta(0)
    timeless: ClassVar[bool] = True

    def decide(self, window: Window) -> Demand:  # noqa: ARG002 - the window is what every policy gets
        """Hold, whatever the window says."""
        return Demand(None, "policy hold keeps everything as it is")
