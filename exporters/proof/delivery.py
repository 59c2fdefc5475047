"""Bringing a message to a URL that may not answer for a while: time-outs, back-off, one log line per outage."""

import logging
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import requests

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 5.0
HTTP_OK = range(200, 300)

# After the first failure in a row, the second and so on; the last one for all that follow.
RETRY_AFTER_S = (1.0, 2.0, 4.0, 8.0, 15.0)


class Delivery:
    """Posts JSON to ``url``; ``delivered`` and ``failed`` count the attempts. ``timer`` gives seconds from any start.

    It keeps no message: after a failure, whoever sends comes again with the newest one.
    """

    def __init__(
        self,
        url: str,
        retry_after_s: tuple[float, ...] = RETRY_AFTER_S,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.delivered = 0
        self.failed = 0
        self._url = url
        self._retry_after_s = retry_after_s
        self._timer = timer
        self._failed_in_a_row = 0
        self._not_before = 0.0

    @property
    def pause_s(self) -> float:
        """How many seconds to wait until the next attempt, 0 = none."""
        return max(0.0, self._not_before - self._timer()) if self._failed_in_a_row else 0.0

    def send(self, message: Mapping[str, object]) -> bool:
        """Post once, unless an earlier failure asks for patience; return whether it arrived."""
        if self.pause_s:
            return False
        reason = self._post(message)
        if reason is None:
            self._succeeded()
        else:
            self._failed(reason)
        return reason is None

    def _post(self, message: Mapping[str, object]) -> str | None:
        """Return why it failed, None if it did not."""
        timeout = (CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S)
        try:
            # A redirected POST would arrive as a GET; and nobody reads the answer's body, which may be endless.
            with requests.post(self._url, json=message, timeout=timeout, allow_redirects=False, stream=True) as answer:
                return None if answer.status_code in HTTP_OK else f"it answered {answer.status_code}"
        except (requests.RequestException, OSError, ValueError) as error:
            return type(error).__name__

    def _succeeded(self) -> None:
        if self._failed_in_a_row:
            log.info("%s can be notified again", self._where())
        self._failed_in_a_row = 0
        self.delivered += 1

    def _failed(self, reason: str) -> None:
        if not self._failed_in_a_row:
            log.warning("cannot notify %s: %s; trying again until it works", self._where(), reason)
        self._not_before = self._timer() + self._retry_after_s[min(self._failed_in_a_row, len(self._retry_after_s) - 1)]
        self._failed_in_a_row += 1
        self.failed += 1

    def _where(self) -> str:
        """Return the URL without what may be a password or a token in it."""
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
