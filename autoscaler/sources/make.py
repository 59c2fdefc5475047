"""From the ``source`` section to the source."""

from datetime import timedelta

from autoscaler.config.schema import PrometheusSection, ScrapeSection
from autoscaler.contracts import Source
from autoscaler.sources.history import PrometheusHistory
from autoscaler.sources.prometheus import PrometheusSource
from autoscaler.sources.scrape import ScrapeSource


def make_source(section: PrometheusSection | ScrapeSection, history: timedelta, interval: timedelta) -> Source:
    """Return the configured source, keeping ``history`` and read every ``interval``."""
    if isinstance(section, PrometheusSection):
        return PrometheusSource.from_config(section, history)
    return ScrapeSource.from_config(section, history, interval)


def make_history(section: PrometheusSection, history: timedelta, interval: timedelta) -> PrometheusHistory:
    """Return what reads the past of the configured source, as a controller would have, every ``interval``."""
    return PrometheusHistory(PrometheusSource.from_config(section, history), interval)
