"""The API in its process: it has a store of its own, and lives as long as the controller that started it."""

import logging
import os
import signal
import socket
import sys
import threading
from contextlib import closing, suppress
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

from autoscaler.api.address import ApiError
from autoscaler.api.app import make_app
from autoscaler.api.messages import Beginning
from autoscaler.api.metrics import ApiMetrics
from autoscaler.api.reporter import Reporter
from autoscaler.api.serve import served
from autoscaler.api.using import Facilities
from autoscaler.config.load import Loaded
from autoscaler.config.schema import Config
from autoscaler.contracts import StoreError
from autoscaler.store.sql import SqlStore
from policies.hold import Hold

_log = logging.getLogger("autoscaler")

# The loop, and the hypervisor's guests, come first.
NICER = 10
# SQLite lets in one writer at a time, and who finds it taken asks again later and later: in a storm of alerts the loop
# would seldom find it free.
PAUSE_S = 0.02
# Whoever writes waits so long for the interpreter after each statement while others want it, and keeps the file taken.
SWITCH_S = 0.0005
# Where memory runs out, this process is ended first.
OOM_SCORE = "500"
# Whatever hangs at the end: who is left alone must not keep the address.
END_S = 5.0


class _Configuration:
    """The one in force."""

    def __init__(self, config: Config) -> None:
        self.take_over(config)

    def take_over(self, config: Config) -> None:
        # No policy is asked here, and that of the site may take long to import.
        self.loaded = Loaded(config, Hold())


def main() -> None:
    """Serve until the controller closes the line, or SIGTERM comes."""
    listening, line = socket.socket(fileno=int(sys.argv[1])), Connection(int(sys.argv[2]))
    try:
        beginning: Beginning = line.recv()
    except EOFError:
        return
    _log_by(beginning.formatter)
    _step_back()
    try:
        with closing(SqlStore(beginning.place, pause_s=PAUSE_S)) as store:
            _serve(beginning.config, store, listening, line)
    except (StoreError, ApiError) as error:
        _log.error("the API cannot be served: %s", error)
        sys.exit(1)


def _serve(config: Config, store: SqlStore, listening: socket.socket, line: Connection) -> None:
    configuration, metrics = _Configuration(config), ApiMetrics()
    reporter = Reporter(line, metrics)
    using = Facilities(lambda: configuration.loaded, store, lambda: datetime.now(UTC), reporter.ring, metrics)
    with reporter.reporting(), served(config.api, make_app(using), listening):
        _hear(line, configuration)
        _end_in_time()


def _hear(line: Connection, configuration: _Configuration) -> None:
    """Take over what the controller sends, until it is gone or wants an end."""
    with suppress(EOFError, OSError, _EndError):
        signal.signal(signal.SIGTERM, _end)
        while True:
            configuration.take_over(line.recv())


class _EndError(Exception):
    """SIGTERM came."""


def _end(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _EndError


def _end_in_time() -> None:
    timer = threading.Timer(END_S, os._exit, (1,))
    timer.daemon = True
    timer.start()


def _log_by(formatter: logging.Formatter) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    _log.setLevel(logging.INFO)


def _step_back() -> None:
    os.nice(NICER)
    sys.setswitchinterval(SWITCH_S)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
