"""What the API's description says of requests that are refused: the same for all paths."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel


class Refusal(BaseModel):
    """Nothing was changed; ``error`` is a sentence that says why."""

    error: str


_OF_THE_REQUEST = (
    "400 not understood, 401 no good token or signature, 403 a token of another scope, 404 not there,"
    " 405 another method, 408 the body is too slow, 413 it is too large, 429 too often"
)
_OF_THE_SERVER = "500 a fault of the API, 503 the store or a file fails, or too many are answered at once"

# Without these FastAPI describes a status 422, which is none of ours.
REFUSALS: Mapping[int | str, dict[str, Any]] = MappingProxyType(
    {
        "4XX": {"model": Refusal, "description": _OF_THE_REQUEST},
        "5XX": {"model": Refusal, "description": _OF_THE_SERVER},
    }
)
