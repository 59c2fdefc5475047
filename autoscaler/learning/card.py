"""The card of a model: what it was made from, with what, how it did, and the seal that says it was made here."""

import hashlib
import hmac
from datetime import datetime
from typing import Literal

import msgspec

# How much may be said of a model; more is no card.
MOST_BYTES = 1024 * 1024


class CardError(ValueError):
    """A card cannot be believed; the message says why."""


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model was trained on: so many minutes, of which so many without a known load; hours are of ``zone``."""

    source: str
    zone: str
    begin: datetime
    end: datetime
    minutes: int
    gap_minutes: int


class Score(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one policy did in the backtest. ``verdict`` and ``reason`` are of the learned policy against this one."""

    policy: str
    missed_arrivals_ratio: float | None
    spare_workers_mean: float
    changes_per_day: float
    cost_per_week: float
    verdict: Literal["better", "worse", "cannot tell"] | None = None
    reason: str = ""


class Backtest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the recipe did on days it had not seen: trained on what came before ``begin``, played to ``end``.

    In the ``open`` loop what a policy wants is there; in the ``closed`` one the facility model has its say. ``notes``
    are sentences: what it was played on, and what of that was assumed.
    """

    begin: datetime
    end: datetime
    scores: tuple[Score, ...]
    passed: bool
    verdict: str
    loop: Literal["open", "closed"] = "open"
    notes: tuple[str, ...] = ()


class Draft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the maker of a model says of it.

    ``importance`` is by how much the pinball loss grows when a feature's column is shuffled, as a share of the loss.
    """

    data: Data
    horizon_min: int
    levels: tuple[float, ...]
    features: tuple[str, ...]
    versions: dict[str, str]
    missed_arrivals_target: float
    backtest: Backtest
    importance: dict[str, float]


class Card(Draft, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A draft with what the shelf adds: the number, the time, and the sha256 of the file of arrays."""

    number: int
    made_at: datetime
    sha256: str


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    card: msgspec.Raw
    seal: str


def sealed(card: Card, key: bytes) -> bytes:
    """The card as it is written; only who has the key can write one."""
    text = msgspec.json.encode(card)
    return msgspec.json.encode(_Sealed(msgspec.Raw(text), _seal(text, key)))


def unsealed(written: bytes, key: bytes) -> Card:
    """The card that was written; raises ``CardError``. Nothing of it is looked at before the seal is."""
    try:
        whole = msgspec.json.decode(written, type=_Sealed)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise CardError("is no model card") from None
    text = bytes(whole.card)
    if not hmac.compare_digest(_seal(text, key).encode(), whole.seal.encode("utf-8", "replace")):
        raise CardError("was not made here, or was altered since")
    try:
        return msgspec.json.decode(text, type=Card)
    except msgspec.MsgspecError as error:
        raise CardError(f"is a card of another version of this program ({error})") from None


def _seal(text: bytes, key: bytes) -> str:
    return hmac.new(key, text, hashlib.sha256).hexdigest()
