"""Decisions that changed something, as annotations of Grafana: one each, from its moment until its last transfer ended.

It is told at once, and again when all is over, then as a region with what became of the transfers.
"""

import html
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any

from autoscaler.model import Decision, HostDecision, Outcome, Result, Transfer
from autoscaler.service.log_format import verb

# What dashboards look for.
TAG = "vaf-autoscaler"

# Grafana refuses more, by its default (annotations.tags_length), with brackets, quotes and commas; and of one tag.
LONGEST_TAGS, LONGEST_TAG = 500, 100

# Only what is over has it.
END = "timeEnd"

# A mark is read in a small window.
MOST_HOSTS = 20

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """The hosts that a decision moves, and what became of their transfers so far; ``number`` is the decision's."""

    number: int
    at: datetime
    hosts: tuple[HostDecision, ...]
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether all of its transfers have ended."""
        return len(self.outcomes) == len(self.hosts)

    def body(self) -> Body:
        """What ``POST /api/annotations`` takes; times are milliseconds."""
        ended = {END: max(map(_ms, self._ends()))} if self.over else {}
        return {"time": _ms(self.at), **ended, "tags": self._tags(), "text": self._text()}

    def _ends(self) -> Iterator[datetime]:
        # A clock may have been set back meanwhile.
        yield from (max(self.at, each.ended_at) for each in self.outcomes.values())

    def _tags(self) -> list[str]:
        """Ours, what is done, and the hosts, as many as Grafana takes."""
        doings = dict.fromkeys(verb(move) for _, move in self._moves())
        tags, length = [], 1
        for tag in (TAG, *doings, *(host.host for host in self.hosts)):
            length += len(tag.encode()) + 3
            if length <= LONGEST_TAGS and len(tag) <= LONGEST_TAG:
                tags.append(tag)
        return tags

    def _text(self) -> str:
        """A line for each host; Grafana shows it as HTML."""
        lines = [self._line(host, move) for host, move in islice(self._moves(), MOST_HOSTS)]
        if more := len(self.hosts) - len(lines):
            lines.append(f"and {more} more hosts")
        return "<br>".join([*(html.escape(line, quote=False) for line in lines), f"decision {self.number}"])

    def _line(self, host: HostDecision, move: Transfer) -> str:
        words = f"{host.host}: {move.workers_from} to {move.workers_to} workers: {host.reason}"
        outcome = self.outcomes.get(host.host)
        if outcome is None:
            return words
        why = "" if outcome.result is Result.DONE else f": {outcome.reason}"
        return f"{words} ({outcome.result} after {(outcome.ended_at - outcome.began_at).total_seconds():.1f} s{why})"

    def _moves(self) -> Iterator[tuple[HostDecision, Transfer]]:
        yield from ((host, host.transfer) for host in self.hosts if host.transfer is not None)


class Annotations:
    """Hands each change to ``put``, by its number: when it is decided, and when it is over. Safe for all threads."""

    def __init__(self, put: Callable[[int, Body], None]) -> None:
        self._put = put
        self._lock = threading.Lock()
        # By host, as each has one transfer at a time.
        self._moving: dict[str, Change] = {}
        self._ended: dict[int, dict[str, Outcome]] = {}

    def decided(self, number: int, decision: Decision) -> None:
        """A decision was recorded, and its transfers are about to begin."""
        change = Change(number, decision.at, tuple(host for host in decision.hosts if host.transfer is not None))
        if not change.hosts:
            return
        with self._lock:
            self._ended[number] = {}
            self._moving |= {host.host: change for host in change.hosts}
        self._put(number, change.body())

    def ended(self, outcome: Outcome) -> None:
        """A transfer has ended."""
        with self._lock:
            change = self._moving.pop(outcome.host, None)
            if change is None:
                return
            outcomes = self._ended[change.number]
            outcomes[outcome.host] = outcome
            if len(outcomes) < len(change.hosts):
                return
            del self._ended[change.number]
        self._put(change.number, replace(change, outcomes=outcomes).body())


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
