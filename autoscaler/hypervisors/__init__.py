"""The only room that speaks libvirt: reads domains, resizes them, and verifies that it happened."""

from autoscaler.hypervisors.make import connect, supports

__all__ = ["connect", "supports"]
