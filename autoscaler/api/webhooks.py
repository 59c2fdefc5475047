"""The webhooks of Grafana (version 1) and Alertmanager (version 4), which differ in little, as alerts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, ValidationError

from autoscaler.config.document import dotted
from autoscaler.config.words import in_words
from autoscaler.core.tuning import Alert
from autoscaler.model import AlertIdentity

GRAFANA, ALERTMANAGER = "grafana", "alertmanager"
VERSIONS: Mapping[str, str] = MappingProxyType({GRAFANA: "1", ALERTMANAGER: "4"})

# Longer ones are not told, but told apart: every decision keeps them for as long as their alert changes something.
LONGEST_IDENTITY = 2048

# Where Grafana says why an alert is in its state.
_STATE_REASON = "grafana_state_reason"


class WebhookError(Exception):
    """The body is none that is understood; the message says why."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """The alerts of one, and how many more its sender left out."""

    alerts: tuple[Alert, ...]
    left_out: int


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("is not a time of these centuries") from None


class _Alert(BaseModel):
    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: Annotated[AwareDatetime, AfterValidator(_in_utc), Field(alias="startsAt")]
    fingerprint: Annotated[str, Field(min_length=1)]


class Body(BaseModel):
    """What both have in common, as far as it counts here."""

    version: Literal["1", "4"]
    group: Annotated[str, Field(alias="groupKey")]
    alerts: list[_Alert]
    left_out: Annotated[int, Field(alias="truncatedAlerts", ge=0, strict=True)] = 0


class _Version(BaseModel):
    version: Any = None


def body_schema(source: str) -> dict[str, Any]:
    """The JSON schema of a body in one piece: in OpenAPI's document, what pydantic refers to would lie elsewhere."""
    schema = Body.model_json_schema()
    schema["properties"]["version"]["enum"] = [VERSIONS[source]]
    schema["properties"]["alerts"]["items"] = schema.pop("$defs")[_Alert.__name__]
    return schema


def parse_webhook(source: str, body: bytes) -> Webhook:
    """The alerts of a body; raises ``WebhookError``."""
    try:
        version = _Version.model_validate_json(body).version
        if version is None:
            raise WebhookError(f"version: is missing: {source} sends {VERSIONS[source]!r}")
        if version != VERSIONS[source]:
            raise WebhookError(f"version {version!r} of the webhook is not known: {source} sends {VERSIONS[source]!r}")
        parsed = Body.model_validate_json(body)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        where = dotted(detail["loc"])
        raise WebhookError(f"{where}: {in_words(detail)}" if where else f"the body: {in_words(detail)}") from None
    return Webhook(tuple(_alert(source, parsed.group, each) for each in parsed.alerts), parsed.left_out)


def _alert(source: str, group: str, alert: _Alert) -> Alert:
    identity = AlertIdentity(source, _short(group), _short(alert.fingerprint), alert.starts_at)
    return Alert(identity, alert.status == "firing", alert.labels, alert.annotations.get(_STATE_REASON, ""))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_IDENTITY else f"sha256:{sha256(text.encode()).hexdigest()}"
