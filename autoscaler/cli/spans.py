"""Time spans as options have them."""

from datetime import timedelta

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
