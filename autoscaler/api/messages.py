"""What the controller and the API's process tell each other.

The controller is trusted, and sends Python's values; the process talks with everybody, and sends numbers and words.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import msgspec

from autoscaler.api.metrics import Counts
from autoscaler.config.schema import Config
from autoscaler.store.database import Database


@dataclass(frozen=True, slots=True)
class Beginning:
    """What the process begins with; later it is told each configuration that is taken over."""

    config: Config
    place: Path | Database
    formatter: logging.Formatter


class Report(msgspec.Struct, frozen=True):
    """What there was since the last one; it also says that the process lives."""

    rings: bool
    counts: Counts
