"""A fixed number of workers: what a site without automation does, and the base line to compare with."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from autoscaler.model import Demand, Window


@dataclass(frozen=True, slots=True)
class Static:
    """Want ``workers`` in the whole facility, always."""

    signals: ClassVar[tuple[str, ...]] = ()
    history: ClassVar[timedelta] = timedelta(0)
    timeless: ClassVar[bool] = True

    workers: int

    def __post_init__(self) -> None:
        """Refuse a negative number: raises ``ValueError``."""
        if self.workers < 0:
            raise ValueError("workers must be 0 or more")

    def decide(self, window: Window) -> Demand:  # noqa: ARG002 - the window is what every policy gets
        """Want the fixed number."""
        return Demand(self.workers, f"always {self.workers} workers")
