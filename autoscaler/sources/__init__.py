"""Where the window comes from: a Prometheus server, or the exporters themselves."""

from autoscaler.sources.make import make_history, make_source
from autoscaler.sources.prometheus import UnreachableError

__all__ = ["UnreachableError", "make_history", "make_source"]
