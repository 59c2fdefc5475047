"""The hook for a PROOF session that is about to be opened: it counts at once, and its first workers are waited for."""

import asyncio
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from autoscaler.api.access import Access, RefusedError
from autoscaler.api.tokens import Scope
from autoscaler.api.using import BEARER, Facilities, body_of, client_of
from autoscaler.config.document import dotted
from autoscaler.config.words import in_words
from autoscaler.core.allocation import workers_now
from autoscaler.core.sessions import Readiness, announced, readiness
from autoscaler.core.tuning import tuning_words
from autoscaler.model import Decision, Facility, HostState, Tuning
from autoscaler.store.records import Record

_log = logging.getLogger("autoscaler")

PATH = "/api/v1/sessions"
# Who comes while so many wait is answered at once.
MOST_WAITING = 100
# How often the store is looked into, for all who wait together.
LOOK_S = 0.5
# A host in a transfer is read again when the transfer is over: while somebody waits, the next cycle comes so soon.
RING_S = 2.0
# A facility that grants nothing may have a reason on each of its hosts.
_MOST_REASONS = 3


class Announcement(BaseModel):
    """What a session says of itself; told again under its ``id``, it is the same one."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:@-]{1,128}$")]
    workers: Annotated[int, Field(ge=1, le=100_000, strict=True)]
    user: Annotated[str, Field(pattern=r"^[A-Za-z0-9._@-]{0,64}$")] = ""
    wait_s: Annotated[float, Field(ge=0, le=120, allow_inf_nan=False, strict=True)] = 30


_schema = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": Announcement.model_json_schema()}}}
}


@dataclass(frozen=True, slots=True)
class _Answer:
    """How a session stands."""

    session: Tuning
    counts: bool
    record: Record | None
    readiness: Readiness
    reason: str

    @property
    def done(self) -> bool:
        """Whether there is nothing to wait for."""
        return self.readiness.ready > 0 or not self.counts

    @property
    def state(self) -> str:
        """In a word."""
        if self.readiness.ready:
            return "ready"
        return "waiting" if self.counts else "over"

    def values(self, waited_s: float) -> dict[str, Any]:
        """It as JSON values."""
        return {
            "id": self.session.name,
            "user": self.session.alert.group,
            "state": self.state,
            "workers_asked": self.session.workers,
            "workers_granted": self.readiness.granted,
            "workers_ready": self.readiness.ready,
            "counts_until": self.session.until.isoformat() if self.counts else None,
            "waited_s": round(waited_s, 3),
            "decision": None if self.record is None else self.record.number,
            "reason": self.reason,
        }


def add_sessions(app: FastAPI, using: Facilities, access: Access) -> None:
    """Add the path to the API."""
    present = _Present(using)
    waiting = _Waiting()

    @app.post(
        PATH,
        dependencies=[Depends(BEARER)],
        openapi_extra=_schema,
        responses={202: {"description": "No worker is ready yet"}},
    )
    async def sessions(request: Request) -> JSONResponse:
        """Announce a PROOF session; answer when its first workers are ready, or with 202 after ``wait_s``."""
        authorization = request.headers.get("Authorization")
        await run_in_threadpool(access.check, authorization, client_of(request), Scope.SESSIONS)
        said = _parsed(await body_of(request))
        session = await run_in_threadpool(_begin, using, present, said)
        began_s = time.monotonic()
        answer = await waiting.wait(request, using, present, session, said.wait_s)
        using.metrics.announced(answer.state)
        status = HTTPStatus.ACCEPTED if answer.state == "waiting" else HTTPStatus.OK
        return JSONResponse(answer.values(time.monotonic() - began_s), status)


def _parsed(body: bytes) -> Announcement:
    try:
        return Announcement.model_validate_json(body)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        sentence = f"{dotted(detail['loc']) or 'the body'}: {in_words(detail)}"
        raise RefusedError(HTTPStatus.BAD_REQUEST, sentence) from None


def _begin(using: Facilities, present: "_Present", said: Announcement) -> Tuning:
    """The session, which counts from now on unless it was announced before."""
    # What is there before the first cycle moves something is known to be there while it moves.
    present.look()
    now, span = using.clock(), using.loaded().config.api.session_for
    new = announced(said.id, said.user, said.workers, now, span)
    session = using.store.announce(new, now)
    present.expire()
    if session == new:
        _log.info("announced: %s", tuning_words(session))
        using.ring()
    return session


class _Waiting:
    """Those who wait: they hold a connection, and nothing else."""

    def __init__(self) -> None:
        self._number = 0

    async def wait(
        self, request: Request, using: Facilities, present: "_Present", session: Tuning, wait_s: float
    ) -> _Answer:
        """How a session stands when its first workers are ready, or when its time to wait is over."""
        until_s = time.monotonic() + (wait_s if self._number < MOST_WAITING else 0.0)
        rung_s = time.monotonic()
        self._number += 1
        try:
            while True:
                answer = await run_in_threadpool(present.answer, session)
                now_s = time.monotonic()
                if answer.done or now_s >= until_s or await request.is_disconnected():
                    return answer
                if present.moving and now_s - rung_s >= RING_S:
                    using.ring()
                    rung_s = now_s
                await asyncio.sleep(min(LOOK_S, until_s - now_s))
        finally:
            self._number -= 1


class _Present:
    """The newest decision, what counts now, and the workers that are there by host, for all who wait."""

    def __init__(self, using: Facilities) -> None:
        self._using = using
        self._lock = threading.Lock()
        self._looked_s = float("-inf")
        self._record: Record | None = None
        self._standing: frozenset[str] = frozenset()
        self._there: dict[str, int] = {}

    def look(self) -> None:
        """Look into the store, unless it was looked into just now."""
        with self._lock:
            if time.monotonic() - self._looked_s < LOOK_S:
                return
            store = self._using.store
            self._standing = frozenset(each.rule for each in store.tunings(self._using.clock()))
            self._record = store.latest()
            if self._record is not None:
                self._there = _there(self._record, self._using.loaded().config.facility(), self._there)
            self._looked_s = time.monotonic()

    def expire(self) -> None:
        """Look anew the next time, whenever that is."""
        with self._lock:
            self._looked_s = float("-inf")

    @property
    def moving(self) -> bool:
        """Whether a host is in a transfer by the newest decision, and so not read."""
        record = self._record
        return record is not None and any(seen.state is HostState.MOVING for seen in record.decision.situation.hosts)

    def answer(self, session: Tuning) -> _Answer:
        """How a session stands."""
        self.look()
        with self._lock:
            record, there, counts = self._record, self._there, session.rule in self._standing
        if record is None or (counts and session not in record.decision.situation.tunings):
            return _Answer(session, counts, None, Readiness(0, 0), "no cycle has heard of it yet")
        found = readiness(session, record.decision, there)
        return _Answer(session, counts, record, found, _reason(session, record.decision, found, counts=counts))


def _there(record: Record, facility: Facility, before: Mapping[str, int]) -> dict[str, int]:
    """The workers that each host has, as last read; a host in a transfer has what it had and keeps."""
    found = {}
    for seen in record.hosts_after():
        host = facility.by_name.get(seen.host)
        if host is None:
            continue
        if any(domain.name == host.proof.name for domain in seen.domains):
            found[seen.host] = workers_now(host, seen.domain(host.proof.name))
        elif seen.state is HostState.MOVING and seen.host in before:
            found[seen.host] = min(before[seen.host], seen.moving_to_workers or 0)
    return found


def _reason(session: Tuning, decision: Decision, found: Readiness, *, counts: bool) -> str:
    """Why it has what it has."""
    if not counts:
        return "it is no longer announced: the signals show it, it was undone, or its time is over"
    if found.granted == session.workers:
        return "all of its workers are granted"
    cuts = dict.fromkeys(f"{cut.guard}: {cut.reason}" for host in decision.hosts for cut in host.cuts)
    why = [*([] if decision.error is None else [decision.error]), *list(cuts)[:_MOST_REASONS]]
    if decision.unplaced_workers:
        why.append(f"{decision.unplaced_workers} workers find no place")
    return f"{found.granted} of its workers are granted: {'; '.join(why) or decision.demand.reason}"
