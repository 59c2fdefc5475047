"""Who asks, and whether they may: tokens as bearer or basic, Grafana's signature, and how often."""

import base64
import binascii
import hashlib
import hmac
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus

from autoscaler.api.tokens import Scope, Token, TokenBook, TokensError
from autoscaler.config.api_section import ApiSection

SIGNATURE = "X-Grafana-Alerting-Signature"
# Grafana has no name of its own for it; its documentation takes this one.
SIGNED_AT = "X-Grafana-Alerting-Signature-Timestamp"
# What is signed earlier or later may be a replay.
SIGNED_WITHIN = timedelta(minutes=5)

# What a client may try in a minute that is no known token: each try costs a hash. For each name of the file, so that
# whoever shares an address with us (a proxy's, or the loopback's) locks out no other name; other names count together.
TRIES_PER_MINUTE = 10
# So many callers are told apart; beyond that the one that was silent longest is forgotten.
_MOST_CALLERS = 1000
_MINUTE_S = 60.0


class RefusedError(Exception):
    """A request that is not answered as asked; the message is the sentence that the caller reads."""

    def __init__(self, status: HTTPStatus, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = dict(headers or {})


class Rates:
    """How often each caller may come: so many at once, and so many a minute."""

    def __init__(self, per_minute: int, clock_s: Callable[[], float] = time.monotonic, of: str = "requests") -> None:
        self._per_minute = per_minute
        self._of = of
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """Count one more request; raises ``RefusedError`` for one too many."""
        with self._lock:
            left = self._take(caller, self._clock_s())
        if left < 1:
            wait_s = math.ceil((1 - left) * _MINUTE_S / self._per_minute)
            raise RefusedError(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"more than {self._per_minute} {self._of} a minute: try again in {wait_s} s",
                {"Retry-After": str(wait_s)},
            )

    def _take(self, caller: str, now_s: float) -> float:
        """What the caller had left before this request."""
        left, at_s = self._left.pop(caller, (float(self._per_minute), now_s))
        left = min(self._per_minute, left + (now_s - at_s) * self._per_minute / _MINUTE_S)
        self._left[caller] = (left - 1 if left >= 1 else left, now_s)
        if len(self._left) > _MOST_CALLERS:
            self._left.popitem(last=False)
        return left


class Access:
    """Lets requests in, or refuses them with ``RefusedError``."""

    def __init__(self, api: ApiSection, clock: Callable[[], datetime]) -> None:
        self._book = TokenBook(api.tokens_file)
        self._secret_file = api.grafana_secret_file
        self._clock = clock
        self._rates = Rates(api.requests_per_minute)
        self._tries = Rates(TRIES_PER_MINUTE, of="unknown tokens")
        # Hashes cost memory and time: one after the other.
        self._hashing = threading.Lock()

    def check(self, authorization: str | None, client: str, scope: Scope) -> Token:
        """Let in whoever has a token of this scope, and return it."""
        token = self._token(authorization, client)
        if not token.may(scope):
            raise RefusedError(HTTPStatus.FORBIDDEN, f"token {token.name} is not for this: its scope is not {scope}")
        self._rates.take(f"token {token.name}")
        return token

    def expect_signature(self, signed_at: str | None) -> str:
        """Refuse before the body is read what could not be checked anyway; return when it was signed."""
        if self._secret_file is None:
            raise _unknown("a signature cannot be checked: api.grafana_secret_file is not set")
        if signed_at is None:
            raise _unknown(f"the signature has no time: set Grafana's timestamp header to {SIGNED_AT}")
        return signed_at

    def check_signature(self, signature: str, signed_at: str, body: bytes) -> None:
        """Let in what Grafana has signed just now."""
        try:
            secret = self._secret()
        except OSError as error:
            sentence = f"{self._secret_file} cannot be read: {error.strerror}"
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, sentence) from None
        wanted = hmac.new(secret, signed_at.encode(errors="replace") + b":" + body, hashlib.sha256).hexdigest()
        if not secret or not hmac.compare_digest(wanted.encode(), signature.strip().lower().encode(errors="replace")):
            raise _unknown("the signature is not right")
        # Looked at after the signature: only what Grafana itself has said of the time counts.
        if (
            not signed_at.isdecimal()
            or abs(self._clock().timestamp() - float(signed_at)) > SIGNED_WITHIN.total_seconds()
        ):
            raise _unknown("the signature is not of the last 5 minutes: a clock is wrong, or this is a replay")
        self._rates.take("signature")

    def _secret(self) -> bytes:
        return b"" if self._secret_file is None else self._secret_file.read_bytes().strip()

    def _token(self, authorization: str | None, client: str) -> Token:
        text = _given(authorization)
        try:
            found = self._book.known(text)
            if found is None:
                found = self._find(text, client)
        except TokensError as error:
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from None
        if found is None:
            raise _unknown("the token is not known")
        return found

    def _find(self, text: str, client: str) -> Token | None:
        named = self._book.named(text)
        if named is None:
            self._tries.take(client)
            return None
        with self._hashing:
            # Many may come with a good token at the same time, after a restart: that is one try.
            found = self._book.known(text)
            if found is None:
                self._tries.take(f"{client} {named.name}")
                found = self._book.find(text)
        return found


def _given(authorization: str | None) -> str:
    """The token of a header; basic has it as the password, with its name as the user."""
    scheme, _, value = (authorization or "").partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip()
        case "basic":
            try:
                user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
            except (binascii.Error, ValueError):
                raise _unknown("the basic authorization cannot be read") from None
            if user != password.partition(".")[0]:
                raise _unknown("the user is not the name of the token")
            return password
        case _:
            raise _unknown("give a token, as bearer, or as basic with its name as the user")


def _unknown(sentence: str) -> RefusedError:
    return RefusedError(HTTPStatus.UNAUTHORIZED, sentence, {"WWW-Authenticate": 'Bearer realm="autoscaler"'})
