"""Policies: one file is one policy. Each is a frozen dataclass that knows only ``autoscaler.model``."""
