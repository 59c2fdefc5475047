"""The log as sentences, or as JSON, one object a line, with fields for what a change of a host's workers rests on."""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from autoscaler.model import Decision, HostDecision, Transfer

# The attribute under which a record carries the fields beside its message.
FIELDS = "fields"


TEXT = "%(asctime)s %(levelname)s %(message)s"


def formatter_of(kind: str) -> logging.Formatter:
    """For ``text`` or ``json``."""
    return JsonFormatter() if kind == "json" else logging.Formatter(TEXT)


class JsonFormatter(logging.Formatter):
    """``at``, ``level`` and ``message``, and the fields of a change; ``problem`` holds a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as one line."""
        values: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            values["problem"] = self.formatException(record.exc_info)
        return json.dumps(values)


def change_fields(cycle: int, decision: Decision, host: HostDecision, move: Transfer) -> Mapping[str, Any]:
    """What a log line about one host's transfer says to scripts."""
    return {
        "at": decision.at.isoformat(),
        "cycle": cycle,
        "host": host.host,
        "workers_from": move.workers_from,
        "workers_to": move.workers_to,
        "verb": verb(move),
        "reason": host.reason,
        "cuts": [
            {"guard": cut.guard, "before": cut.before, "after": cut.after, "reason": cut.reason} for cut in host.cuts
        ],
    }


def verb(move: Transfer) -> str:
    """What a transfer does."""
    if move.probe is not None:
        return "probe"
    if move.workers_to == move.workers_from:
        return "put right"
    return "grow" if move.workers_to > move.workers_from else "shrink"
