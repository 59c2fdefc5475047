"""What all sections of a configuration file have in common."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from autoscaler.config.units import Duration

LARGEST_PORT = 65_535


def _host_and_port(address: object) -> tuple[str, int]:
    host, _, port = str(address).rpartition(":")
    if not host or not port.isdecimal() or int(port) > LARGEST_PORT:
        raise ValueError(f"{address!r} is not an address such as 127.0.0.1:9620")
    return host.strip("[]"), int(port)


def _http_url(url: str) -> str:
    if not re.match(r"https?://[^\s/]+", url):
        raise ValueError(f"{url!r} is not a URL such as http://127.0.0.1:9090")
    return url


def _positive(span: timedelta) -> timedelta:
    if span == timedelta(0):
        raise ValueError("must be longer than 0s")
    return span


Url = Annotated[str, AfterValidator(_http_url)]
Address = Annotated[tuple[str, int], BeforeValidator(_host_and_port)]
PositiveDuration = Annotated[Duration, AfterValidator(_positive)]
Name = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A mapping of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
