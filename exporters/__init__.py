"""Exporters: each one reads one source of the facility and serves it as Prometheus metrics."""
