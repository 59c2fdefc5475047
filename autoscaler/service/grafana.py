"""Tells Grafana of annotations, in a thread of its own: whoever hands one over never waits and never fails.

While Grafana does not take them they wait, the newest of them, and are tried again and again: an outage, or a token
that was renewed late, costs nothing. What it refuses for good is counted and left out, or it would keep the others
waiting.
"""

import json
import logging
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from autoscaler.config.grafana_section import GrafanaSection
from autoscaler.service.annotations import END, Body
from autoscaler.sources.access import Access, cause
from autoscaler.sources.values import in_words

_log = logging.getLogger("autoscaler")

PATH = "/api/annotations"

# A day with a change each minute.
MOST_WAITING = 1000
TIMEOUT_S = 5.0
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
# For what waits when the controller ends.
GRACE_S = 5.0

# Its answers are small; a page of a proxy need not be read.
LARGEST_ANSWER_BYTES = 65_536

# Of the login, of load, and of a proxy whose Grafana is down: they pass.
_NOT_NOW = frozenset({401, 403, 408, 429, 502, 503, 504})
# SQLite under Grafana may be locked, which passes; but it may also be this one annotation.
MOST_INTERNAL_ERRORS = 5

SENT, FAILED, DROPPED = "sent", "failed", "dropped"


class _NotNowError(Exception):
    """It is to be tried again; ``internal`` says that Grafana itself failed, maybe over this very annotation."""

    def __init__(self, problem: str, *, internal: bool = False) -> None:
        super().__init__(problem)
        self.internal = internal


class _RefusedError(Exception):
    """It will not be taken."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where Grafana is, and how it is logged in to; the files are read each time."""

    url: str
    token_file: Path
    ca_file: Path | None = None

    @classmethod
    def of(cls, section: GrafanaSection) -> "Address | None":
        """The one of the configuration, where it has one."""
        if section.url is None or section.token_file is None:
            return None
        return cls(section.url.rstrip("/"), section.token_file, section.ca_file)

    def send(self, body: Body, known: int | None) -> int:
        """Write an annotation, or change the one with a known id; return its id.

        Raises ``_NotNowError`` and ``_RefusedError``, whose messages do not hold the token.
        """
        method, path = ("POST", PATH) if known is None else ("PUT", f"{PATH}/{known}")
        access = Access(bearer_token_file=self.token_file, ca_file=self.ca_file)
        try:
            with (
                access.session() as session,
                session.request(
                    method,
                    self.url + path,
                    json=body,
                    timeout=TIMEOUT_S,
                    verify=access.verify,
                    # It would become a GET, whose answer is a good one.
                    allow_redirects=False,
                    stream=True,
                ) as answer,
            ):
                return _id(answer, known)
        except requests.RequestException as error:
            raise _NotNowError(f"it cannot be reached: {cause(error)}") from None
        except OSError as error:
            raise _NotNowError(f"{error.filename}: {error.strerror}") from None
        except (_NotNowError, _RefusedError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is about this one, the next one is told
            # Its words may hold what was sent.
            raise _RefusedError(f"{type(error).__name__} while it was told") from None


class Grafana(Collector):
    """Keeps what waits, sends it one after the other, and counts; without a ``url`` it does nothing.

    After ``start()`` comes ``end()``.
    """

    def __init__(self, section: GrafanaSection, first_wait_s: float = FIRST_WAIT_S) -> None:
        address = Address.of(section)
        thread = threading.Thread(target=self._run, args=(address,), name="grafana", daemon=True)
        self._thread = None if address is None else thread
        self._first_wait_s = first_wait_s
        self._turn = threading.Condition()
        # By the number of the decision: what is newer of one takes the place of what still waits.
        self._waiting: dict[int, Body] = {}
        self._counts = Counter({SENT: 0, FAILED: 0, DROPPED: 0})
        self._ending = threading.Event()
        # What Grafana calls those that are to be told once more.
        self._ids: dict[int, int] = {}
        # What only the thread knows: what was logged.
        self._told: str | None = None

    def put(self, number: int, body: Body) -> None:
        """Take over what is to be written of a decision, in place of what waits of it; neither waits nor raises."""
        if self._thread is None:
            return
        with self._turn:
            self._waiting[number] = body
            if len(self._waiting) > MOST_WAITING:
                oldest = next(iter(self._waiting))
                if END in self._waiting.pop(oldest):
                    # It is not told any more.
                    self._ids.pop(oldest, None)
                self._counts[DROPPED] += 1
            self._turn.notify()

    def start(self) -> None:
        """Begin to tell."""
        if self._thread is not None:
            self._thread.start()

    def end(self) -> None:
        """Tell what waits, as far as that is quick, and end."""
        if self._thread is None:
            return
        with self._turn:
            self._ending.set()
            self._turn.notify()
        self._thread.join(GRACE_S)
        if self._waiting:
            _log.warning("annotations that Grafana was not told of: %d", len(self._waiting))

    def collect(self) -> Iterator[Metric]:
        """What became of annotations, and how many wait."""
        with self._turn:
            counts, waiting = dict(self._counts), len(self._waiting)
        told = CounterMetricFamily(
            "autoscaler_annotations",
            "Annotations that Grafana took (sent) or refused (failed), and that were too many to wait (dropped).",
            labels=["result"],
        )
        for result, count in counts.items():
            told.add_metric([result], count)
        yield told
        yield GaugeMetricFamily("autoscaler_annotations_waiting", "Annotations that wait for Grafana.", waiting)

    def _run(self, address: Address) -> None:
        """Until the end; what waits then is still told, as long as Grafana takes it."""
        wait_s, internal = self._first_wait_s, 0
        while (waiting := self._next()) is not None:
            try:
                self._tell_one(address, *waiting)
            except _NotNowError as problem:
                self._log_once(f"Grafana takes no annotations, they wait: {problem}")
                internal += problem.internal
                if internal < MOST_INTERNAL_ERRORS:
                    if self._ending.wait(wait_s):
                        return
                    wait_s = min(2 * wait_s, LONGEST_WAIT_S)
                    continue
                self._done(*waiting, FAILED)
            wait_s, internal = self._first_wait_s, 0

    def _next(self) -> tuple[int, Body] | None:
        """Wait for what waits longest; ``None`` at the end."""
        with self._turn:
            self._turn.wait_for(lambda: self._waiting or self._ending.is_set())
            return next(iter(self._waiting.items()), None)

    def _tell_one(self, address: Address, number: int, body: Body) -> None:
        try:
            self._ids[number] = address.send(body, self._ids.get(number))
        except _RefusedError as problem:
            self._log_once(f"Grafana refuses annotations: {problem}")
            self._done(number, body, FAILED)
        else:
            self._log_once(None)
            self._done(number, body, SENT)

    def _done(self, number: int, body: Body, result: str) -> None:
        if END in body:
            self._ids.pop(number, None)
        with self._turn:
            self._counts[result] += 1
            # There may be a newer one of it already.
            if self._waiting.get(number) is body:
                del self._waiting[number]

    def _log_once(self, problem: str | None) -> None:
        if problem is None and self._told is not None:
            _log.info("Grafana takes annotations again")
        elif problem is not None and problem != self._told:
            _log.warning("%s", problem)
        self._told = problem


def _id(answer: requests.Response, known: int | None) -> int:
    """What an answer says, the id of a new annotation."""
    status = answer.status_code
    try:
        text = next(answer.iter_content(LARGEST_ANSWER_BYTES), b"")
    except requests.RequestException:
        # Written or not is what the status says; told again it could be there twice.
        text = b""
    says = f"HTTP {status} {_message(text)}".strip()
    internal = status == HTTPStatus.INTERNAL_SERVER_ERROR
    if status in _NOT_NOW or internal:
        raise _NotNowError(f"it answers {says}", internal=internal)
    if status // 100 != 2:  # noqa: PLR2004 - of all kinds of success
        raise _RefusedError(f"it answers {says}")
    found = known if known is not None and _message(text) else _object(text).get("id")
    if not isinstance(found, int):
        raise _RefusedError(f"it answers HTTP {status} and not what Grafana would: is grafana.url right?")
    return found


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _message(text: bytes) -> str:
    """Grafana's own word, empty where there is none."""
    message = _object(text).get("message")
    return in_words(" ".join(message.split())) if isinstance(message, str) else ""
