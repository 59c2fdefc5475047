"""The paths of the API. Every refusal is a sentence, and nothing that is refused changes anything."""

import asyncio
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic_core import ErrorDetails
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from autoscaler.api.access import SIGNATURE, SIGNED_AT, Access, RefusedError
from autoscaler.api.crowd import COME_AGAIN_S, MOST_AT_ONCE, Crowd, Message, Receive, Send
from autoscaler.api.metrics import ApiMetrics
from autoscaler.api.refusals import REFUSALS
from autoscaler.api.sessions import MOST_WAITING, add_sessions
from autoscaler.api.tokens import Scope, Token
from autoscaler.api.using import BEARER, Facilities, body_of, client_of
from autoscaler.api.views import decision_values, state_values
from autoscaler.api.webhooks import ALERTMANAGER, GRAFANA, WebhookError, body_schema, parse_webhook
from autoscaler.config.words import in_words
from autoscaler.contracts import StoreError
from autoscaler.core.tuning import decide_tuning, tuning_words
from autoscaler.model import Tuning
from autoscaler.store.sql import NoDecisionError

_log = logging.getLogger("autoscaler")

MOST_DECISIONS = 100
# Of one webhook: it may have thousands of alerts, whose rules count once each.
MOST_LOGGED = 20
# Whoever sends them is known when they are there: so many that never end keep out Grafana, and nobody else.
MOST_SIGNED = 8
OTHER = "other"


def make_app(using: Facilities) -> FastAPI:
    """The API; its access is that of the configuration at the start, its rules are those in force."""
    access = Access(using.loaded().config.api, using.clock)
    app = FastAPI(
        title="autoscaler", docs_url=None, redoc_url=None, openapi_url="/api/v1/openapi.json", responses=dict(REFUSALS)
    )
    app.add_middleware(Crowd, most=MOST_AT_ONCE + MOST_WAITING)
    # Outermost, so that who is refused is counted.
    app.add_middleware(_Counted, metrics=using.metrics)
    _add_refusals(app)

    _add_webhooks(app, using, access)
    _add_views(app, using, access)
    _add_undo(app, using, access)
    add_sessions(app, using, access)
    return app


def _add_webhooks(app: FastAPI, using: Facilities, access: Access) -> None:
    @app.post("/api/v1/alerts/grafana", dependencies=[Depends(BEARER)], openapi_extra=_takes(GRAFANA))
    async def grafana(request: Request) -> dict[str, Any]:
        """Take Grafana's webhook, with a token or signed."""
        signature = request.headers.get(SIGNATURE)
        if signature is None or "Authorization" in request.headers:
            return await alerts(request, GRAFANA)
        signed_at = access.expect_signature(request.headers.get(SIGNED_AT))
        body = await signed_body(request)
        await run_in_threadpool(access.check_signature, signature, signed_at, body)
        return await run_in_threadpool(_hear, using, GRAFANA, body)

    @app.post("/api/v1/alerts/alertmanager", dependencies=[Depends(BEARER)], openapi_extra=_takes(ALERTMANAGER))
    async def alertmanager(request: Request) -> dict[str, Any]:
        """Take Alertmanager's webhook."""
        return await alerts(request, ALERTMANAGER)

    signed = asyncio.Semaphore(MOST_SIGNED)

    async def signed_body(request: Request) -> bytes:
        if signed.locked():
            raise RefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"too many signed bodies are being read: try again in {COME_AGAIN_S} s",
                {"Retry-After": str(COME_AGAIN_S)},
            )
        async with signed:
            return await body_of(request)

    async def alerts(request: Request, source: str) -> dict[str, Any]:
        authorization = request.headers.get("Authorization")
        # Before the body is read: it is large.
        await run_in_threadpool(access.check, authorization, client_of(request), Scope.ALERTS)
        return await run_in_threadpool(_hear, using, source, await body_of(request))


def _takes(source: str) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": body_schema(source)}}}}


def _add_views(app: FastAPI, using: Facilities, access: Access) -> None:
    def viewer(request: Request) -> None:
        access.check(request.headers.get("Authorization"), client_of(request), Scope.VIEWER)

    views = [Depends(BEARER), Depends(viewer)]

    @app.get("/api/v1/state", dependencies=views)
    def state() -> dict[str, Any]:
        """Tell how the facility stands."""
        record, now = using.store.latest(), using.clock()
        if record is None:
            raise RefusedError(HTTPStatus.NOT_FOUND, "there is no decision yet")
        return state_values(record, using.store.tunings(now), now)

    @app.get("/api/v1/decisions", dependencies=views)
    def decisions(limit: Annotated[int, Query(ge=1, le=MOST_DECISIONS)] = 20) -> list[dict[str, Any]]:
        """Tell the newest decisions in short, oldest first."""
        return [decision_values(record) for record in using.store.history(limit, changes_only=False)]

    @app.get("/api/v1/explain/{number}", dependencies=views)
    def explain(number: int) -> dict[str, Any]:
        """Tell one decision in full: inputs, demand, cuts, transfers, outcomes."""
        return using.store.record(number).json_values()

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """Tell that the API answers."""
        return {"status": "ok"}


def _add_undo(app: FastAPI, using: Facilities, access: Access) -> None:
    def operator(request: Request) -> Token:
        return access.check(request.headers.get("Authorization"), client_of(request), Scope.OPERATOR)

    @app.delete("/api/v1/tunings", dependencies=[Depends(BEARER)])
    def undo(token: Annotated[Token, Depends(operator)], name: Annotated[str, Query(min_length=1)]) -> dict[str, Any]:
        """End what the alert, or the announced session, of this name changes now."""
        now = using.clock()
        rules = {each.rule for each in using.store.tunings(now) if each.name == name}
        if not rules:
            raise RefusedError(
                HTTPStatus.NOT_FOUND, f"no alert and no session that is called {name!r} changes anything"
            )
        using.store.end_tunings(rules, f"token {token.name}", now)
        _log.info("undone by token %s: %s", token.name, "; ".join(sorted(rules)))
        using.ring()
        return {"undone": sorted(rules)}


def _hear(using: Facilities, source: str, body: bytes) -> dict[str, Any]:
    """Do what the alerts of a body say, and tell what came of each."""
    webhook, now = parse_webhook(source, body), using.clock()
    plan = decide_tuning(webhook.alerts, using.loaded().config.tuning_rules(), now)
    done = using.store.carry_out(plan, now)
    known, ignored = len(plan.begin) - len(done.begun), len(plan.ignored)
    using.metrics.heard(source, begun=len(done.begun), known=known, ended=len(done.ended), ignored=ignored)
    _tell("begun", done.begun)
    _tell("resolved", done.ended)
    if webhook.left_out:
        # Nobody reads the answer.
        _log.warning("%s left %d alerts out of a webhook: they begin and end nothing", source, webhook.left_out)
    if done.begun or done.ended:
        using.ring()
    return {
        "begun": [tuning_words(each) for each in done.begun],
        "known": known,
        "ended": [tuning_words(each) for each in done.ended],
        "ignored": [{"alert": each.alert, "reason": each.reason} for each in plan.ignored],
        "left_out": webhook.left_out,
    }


def _tell(what: str, tunings: Sequence[Tuning]) -> None:
    """Log some of them, and how many more there are."""
    for tuning in tunings[:MOST_LOGGED]:
        _log.info("%s: %s", what, tuning_words(tuning))
    if more := len(tunings[MOST_LOGGED:]):
        _log.info("%s: %d more", what, more)


def _add_refusals(app: FastAPI) -> None:
    @app.exception_handler(RefusedError)
    def _refused(_: Request, error: RefusedError) -> JSONResponse:
        return _sentence(error.status, str(error), error.headers)

    @app.exception_handler(WebhookError)
    def _no_webhook(_: Request, error: WebhookError) -> JSONResponse:
        return _sentence(HTTPStatus.BAD_REQUEST, str(error))

    @app.exception_handler(NoDecisionError)
    def _no_decision(_: Request, error: NoDecisionError) -> JSONResponse:
        return _sentence(HTTPStatus.NOT_FOUND, str(error))

    @app.exception_handler(StoreError)
    def _store_fails(_: Request, error: StoreError) -> JSONResponse:
        # Alertmanager comes again by itself after this one.
        return _sentence(HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    @app.exception_handler(Exception)
    def _unexpected(_: Request, error: Exception) -> JSONResponse:
        return _sentence(
            HTTPStatus.INTERNAL_SERVER_ERROR, f"unexpected {type(error).__name__}: see the controller's log"
        )

    @app.exception_handler(RequestValidationError)
    def _no_parameter(_: Request, error: RequestValidationError) -> JSONResponse:
        detail: ErrorDetails = error.errors()[0]
        return _sentence(HTTPStatus.BAD_REQUEST, f"{detail['loc'][-1]}: {in_words(detail)}")

    @app.exception_handler(HTTPException)
    def _of_http(request: Request, error: HTTPException) -> JSONResponse:
        return _sentence(error.status_code, f"{request.method} {request.url.path}: {error.detail}", error.headers)


def _sentence(status: int, sentence: str, headers: Any = None) -> JSONResponse:
    return JSONResponse({"error": sentence}, status, headers)


class _Counted:
    """Counts each answer, under the path of the API that it is of."""

    def __init__(self, app: Any, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        def count(status: int) -> None:
            self._metrics.answered(getattr(scope.get("route"), "path", OTHER), status)

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                count(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, counted)
        except Exception:
            # What answers then stands outside of this.
            count(HTTPStatus.INTERNAL_SERVER_ERROR)
            raise
