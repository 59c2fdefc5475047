"""Where the window comes from: a Prometheus server, or the exporters themselves."""

from autoscaler.sources.make import make_source

__all__ = ["make_source"]
