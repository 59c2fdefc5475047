"""The controllers that others have, each with its own rule and numbers, as policies for the facility model."""

from tests.benchmarks.peers.site import Site
from tests.benchmarks.peers.table import GRIDS, PEERS

__all__ = ["GRIDS", "PEERS", "Site"]
