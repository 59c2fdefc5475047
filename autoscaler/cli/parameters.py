"""What options and arguments may be: spans and times as people write them."""

from datetime import datetime, timedelta

import click

from autoscaler.config.units import parse_duration


class Span(click.ParamType[timedelta]):
    """A time span such as 7d, longer than nothing."""

    name = "span"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Parse it, or fail with an example."""
        try:
            span = parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return span or self.fail("must be longer than 0s", param, ctx)


class Moment(click.ParamType[datetime]):
    """An ISO 8601 time; without an offset it is local."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Parse it, or fail with an example."""
        try:
            return datetime.fromisoformat(value).astimezone()
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a time such as 2026-11-23T14:30 or 2026-11-23T13:30:00+00:00", param, ctx)
