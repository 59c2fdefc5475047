"""The API's web server, in a thread."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import uvicorn
from fastapi import FastAPI

from autoscaler.api.address import ApiError, refused_certificate
from autoscaler.config.api_section import ApiSection

# Open connections, most of which may be idle: below the files that a process may have open. Beyond it uvicorn refuses,
# in its own word and uncounted.
MOST_CONNECTIONS = 500
_START_S = 10.0
# What is under way when the controller stops gets so long to end.
_GRACE_S = 1
_GOODBYE_S = 0.1


@contextmanager
def served(api: ApiSection, app: FastAPI, listening: socket.socket) -> Iterator[None]:
    """Answer who connects to ``listening`` while the ``with`` block runs. Raises ``ApiError``."""
    server = uvicorn.Server(_settings(api, app))
    # In the main thread uvicorn would take the signals.
    thread = Thread(target=lambda: asyncio.run(_serve(server, listening)), name="api", daemon=True)
    thread.start()
    try:
        _wait_for(server, thread)
        yield
    finally:
        server.should_exit = True
        thread.join()


async def _serve(server: uvicorn.Server, listening: socket.socket) -> None:
    await server.serve(sockets=[listening])
    # With TLS asyncio waits half a minute for the good-bye of a client that has just gone.
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    await asyncio.sleep(_GOODBYE_S)


def _settings(api: ApiSection, app: FastAPI) -> uvicorn.Config:
    settings = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_S,
        ssl_certfile=api.tls_cert_file,
        ssl_keyfile=api.tls_key_file,
    )
    try:
        settings.load()
    except OSError as error:
        raise refused_certificate(api, error) from None
    return settings


def _wait_for(server: uvicorn.Server, thread: Thread) -> None:
    until = time.monotonic() + _START_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > until:
            raise ApiError("the API did not start: see the log above")
        time.sleep(0.01)
