"""How many requests are answered at the same time: who comes beyond that is told so at once, and counted."""

from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Beside those that wait for their workers. Each may hold a body, and a thread; more of them would only keep the loop
# from the interpreter.
MOST_AT_ONCE = 32
COME_AGAIN_S = 1


class Crowd:
    """Lets at most ``most`` requests in; runs in one thread, that of the event loop."""

    def __init__(self, app: Any, most: int) -> None:
        self._app = app
        self._most = most
        self._inside = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it."""
        if self._inside >= self._most:
            await _refusal(scope, receive, send)
            return
        self._inside += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._inside -= 1


_refusal = JSONResponse(
    {"error": f"too many requests are being answered: try again in {COME_AGAIN_S} s"},
    HTTPStatus.SERVICE_UNAVAILABLE,
    {"Retry-After": str(COME_AGAIN_S)},
)
