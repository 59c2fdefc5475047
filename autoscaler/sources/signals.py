"""From a signal's job and metric to PromQL, and to the metrics that say whether and when it was read.

Every exporter job has ``<job>_up`` and ``<job>_last_success_timestamp_seconds`` (exporters/serving.py); a sum counts
only while every target of its job is up, because a sum of which a part is missing looks like less load.
"""

from autoscaler.config.schema import PrometheusSignal, ScrapeSignal

# The shortest range that holds two scrapes at Prometheus's default interval of 15 s even when one is lost.
RATE_RANGE = "1m"

# Two scrapes at an interval of one minute; a longer stretch without a sample was not watched.
LOOKBACK_S = 120


def up_metric(job: str) -> str:
    """The gauge an exporter sets to 1 while it can read its source."""
    return f"{job}_up"


def fresh_at_metric(job: str) -> str:
    """The Unix time at which an exporter last read its source."""
    return f"{job}_last_success_timestamp_seconds"


def promql(signal: ScrapeSignal) -> PrometheusSignal:
    """The PromQL that reads a signal from Prometheus, empty unless every target of its job is up and has the metric."""
    labels = "".join(f',{name}=~"{"|".join(values)}"' for name, values in signal.labels.items())
    selector = f'{signal.metric}{{job="{signal.job}"{labels}}}'
    value = f"rate({selector}[{RATE_RANGE}])" if signal.rate else selector
    targets = f'count(up{{job="{signal.job}"}})'
    all_up = f'count({up_metric(signal.job)}{{job="{signal.job}"}} == 1) == {targets}'
    all_there = f"count(count by (instance) ({selector})) == {targets}"
    # Prometheus goes on showing a sample for five minutes, and for a time in which it was itself down.
    watched = f'time() - min(timestamp({up_metric(signal.job)}{{job="{signal.job}"}})) < {LOOKBACK_S}'
    fresh_at = f'{fresh_at_metric(signal.job)}{{job="{signal.job}"}}'
    return PrometheusSignal(
        query=f"sum({value}) and ({all_up}) and ({all_there}) and ({watched})",
        fresh_at=f"min({fresh_at}) and (count({fresh_at}) == {targets})",
    )
