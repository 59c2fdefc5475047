"""What all paths of the API have in common: what they work with, and how a request is read."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from fastapi import Request
from fastapi.security import HTTPBearer

from autoscaler.api.access import RefusedError
from autoscaler.api.metrics import ApiMetrics
from autoscaler.config.load import Loaded
from autoscaler.store.sql import SqlStore

LARGEST_BODY = 1024**2
# Who sends slower than this holds a connection, and nothing else.
BODY_TIMEOUT_S = 10.0

BEARER = HTTPBearer(auto_error=False, description="A token of `autoscaler token add`; basic is fine, too.")


@dataclass(frozen=True, slots=True)
class Facilities:
    """What the API works with: the configuration in force, the store, the clock, and the loop's bell."""

    loaded: Callable[[], Loaded]
    store: SqlStore
    clock: Callable[[], datetime]
    ring: Callable[[], None]
    metrics: ApiMetrics


async def body_of(request: Request) -> bytes:
    """The body, which is not read further than it may be long."""
    too_large = RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has {LARGEST_BODY} bytes at most")
    length = request.headers.get("Content-Length", "0")
    if length.isdecimal() and int(length) > LARGEST_BODY:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for part in request.stream():
                body += part
                if len(body) > LARGEST_BODY:
                    raise too_large
    except TimeoutError:
        raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, f"the body did not come in {BODY_TIMEOUT_S:g} s") from None
    return bytes(body)


def client_of(request: Request) -> str:
    """Where a request comes from."""
    return "unknown" if request.client is None else request.client.host
