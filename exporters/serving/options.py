"""What the commands of the exporters have in common: addresses, time spans, and the options of serving."""

import functools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from exporters.serving.web_config import BadWebConfig, WebConfig, load_web_config

PORT = re.compile(r"[0-9]{1,5}")
HIGHEST_PORT = 65535
OPEN = WebConfig()


class Seconds(click.FloatRange):
    """The type of an option that is a time span in seconds: more than 0, at most 366 days."""

    def __init__(self) -> None:
        super().__init__(min=0, max=366 * 86400, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it, or fail with a sentence; NaN is in no range, but no comparison refuses it."""
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return seconds


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen or to connect to: a host name or an IP address, and a port (0 = any free one)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read ``ADDR:PORT``, an IPv6 address in brackets; raises :class:`click.BadParameter` for anything else."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not PORT.fullmatch(port) or int(port) > HIGHEST_PORT:
        raise click.BadParameter(f"{text!r} is not ADDR:PORT, for example 127.0.0.1:9611.")
    return Address(host, int(port))


@dataclass(frozen=True, slots=True)
class Serving:
    """How an exporter serves: where, once to standard output or for ever, and who may read."""

    listen: Address
    once: bool = False
    web: WebConfig = OPEN


def serving_options(default_port: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of serving; it gets them as its argument ``serving`` and hands them to ``serve``."""
    options = [
        click.option(
            "--listen",
            type=parse_address,
            metavar="ADDR:PORT",
            default=f"127.0.0.1:{default_port}",
            show_default=True,
            help="Where to serve /metrics. Beyond loopback, keep it on a trusted network or give --web-config.",
        ),
        click.option(
            "--web-config",
            "web",
            type=_web_config,
            metavar="FILE",
            help="TLS and basic authentication, in the format of Prometheus' own exporters (web-config.yml).",
        ),
        click.option(
            "--once", is_flag=True, help="Print the metrics once and exit: 0 if every source is up, 1 if one is down."
        ),
    ]

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def command(*, listen: Address, web: WebConfig | None, once: bool, **others: Any) -> None:
            function(serving=Serving(listen, once, web or OPEN), **others)

        decorated: Callable[..., None] = command
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


def timeout_option(what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command ``--timeout``; it gets as ``timeout_s`` after how many seconds to give up on ``what``."""
    return click.option(
        "--timeout",
        "timeout_s",
        type=Seconds(),
        default=8.0,
        show_default=True,
        metavar="SECONDS",
        help=f"Give up on {what} after this long; keep it below Prometheus' scrape_timeout (10 s by default).",
    )


def require(needed: str, *parameters: str) -> None:
    """Refuse those ``parameters`` of the present command that were given without the one they mean something for.

    All are names of parameters. Raises :class:`click.UsageError`.
    """
    context = click.get_current_context()
    option = {each.name: each.opts[0] for each in context.command.params}
    given = {name for name in option if context.get_parameter_source(str(name)) is ParameterSource.COMMANDLINE}
    for name in parameters:
        if name in given and needed not in given:
            raise click.UsageError(f"'{option[name]}' needs '{option[needed]}'.")


def _web_config(file: str) -> WebConfig:
    if not file:
        # An unset variable in a unit must not open the door.
        raise click.BadParameter("the name of the file is empty.")
    try:
        return load_web_config(Path(file))
    except BadWebConfig as error:
        raise click.BadParameter(str(error)) from error
