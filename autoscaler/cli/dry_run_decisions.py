"""A dry run over the stored decisions: each is decided again, and what is different then is shown."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from pydantic import TypeAdapter
from rich.table import Table

from autoscaler.cli.common import EXIT_DEGRADED, EXIT_DIFFERENT, StoreFailure, echo_json, local, open_store
from autoscaler.cli.dry_run_asked import Asked, Configured, configurations, only_in_one
from autoscaler.cli.progress import tracked
from autoscaler.cli.tables import WAITING, cap_text, console
from autoscaler.config.units import duration_text, seconds_text
from autoscaler.core.rules import Rules
from autoscaler.learning.shelf import ModelError
from autoscaler.model import Cut, Decision, Facility, Step, StepKind, Transfer
from autoscaler.service.models import PastModels, shelf_beside, take_a_model
from autoscaler.simulation.redecide import Difference, differences, missing_history, redecide
from autoscaler.store.records import Record, Unreadable
from autoscaler.store.sql import SqlStore

# What a difference is about may be of any type of the model.
_to_json: TypeAdapter[Any] = TypeAdapter(Any)


@dataclass(frozen=True, slots=True)
class Found:
    """A stored decision, and what is different when it is decided again."""

    number: int
    at: datetime
    differences: tuple[Difference, ...]


@dataclass(slots=True)
class Short:
    """Decisions that hold less history than a policy looks back; ``longest`` is the most that one of them holds."""

    decisions: int = 0
    longest: timedelta = timedelta(0)

    def add(self, held: timedelta) -> None:
        """One more that holds so much."""
        self.decisions += 1
        self.longest = max(self.longest, held)


@dataclass(slots=True)
class Account:
    """What was looked at. ``left_out`` counts decisions by host and reason; what cannot be read is in words.

    ``short`` is by the place of the configuration. ``model_gone`` counts decisions that are left out by why their model
    cannot be had, ``model_untold`` those that do not say with which model they were made.
    """

    decided: int = 0
    different: int = 0
    model_gone: Counter[str] = field(default_factory=Counter)
    model_untold: int = 0
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    short: dict[int, Short] = field(default_factory=lambda: defaultdict(Short))
    unreadable: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """Differences count more than what could not be compared."""
        if self.different:
            return EXIT_DIFFERENT
        return EXIT_DEGRADED if self.left_out or self.unreadable or self.model_gone else 0


def decide_again(asked: Asked) -> int:
    """Decide every stored decision again, show the differences; return the exit code."""
    configured = configurations(asked)
    account = Account()
    with open_store(configured[0].loaded) as store:
        if not store.count(_since(asked)):
            raise StoreFailure(f"store {store.name} holds no decision {_of_what_time(store, asked)}")
        found = _found(_entries(store, asked), configured, account)
        show = _print_lines if asked.output == "json" else partial(_print_table, limit=asked.limit)
        show(found, account, configured)
    return account.exit_code


def _since(asked: Asked) -> datetime | None:
    return None if asked.since is None else datetime.now(UTC) - asked.since


def _of_what_time(store: SqlStore, asked: Asked) -> str:
    newest = store.history(1, changes_only=False)
    if asked.since is None or not newest:
        return "yet"
    return f"of the last {duration_text(asked.since)}: its newest is of {local(newest[0].decision.at)}"


def _entries(store: SqlStore, asked: Asked) -> Iterator[Record | Unreadable]:
    since = _since(asked)
    return tracked(store.stream(since), store.count(since), "decisions")


@dataclass(frozen=True, slots=True)
class _Side:
    """One configuration, and how it decides a decision again: with the model that the decision was made with."""

    facility: Facility
    rules: Rules
    acting: Rules
    models: PastModels

    @classmethod
    def of(cls, one: Configured, models: PastModels) -> "_Side":
        side = one.side
        return cls(side.facility, one.loaded.rules, side.rules, models)

    @property
    def learns(self) -> bool:
        return take_a_model(self.rules)

    def rules_for(self, decision: Decision) -> Rules:
        """Raises ``ModelError``; where the decision does not name a model, it is the one that acts now."""
        given = self.models.given(self.rules, decision) if self.learns else None
        return self.acting if given is None else given


def _found(entries: Iterator[Record | Unreadable], configured: list[Configured], account: Account) -> Iterator[Found]:
    """The decisions that differ: as stored and as decided again, or as decided again by the two configurations."""
    # The models are those of the controller that made the decisions, whatever it is held against.
    models = PastModels(shelf_beside(configured[0].loaded.config.controller.store))
    sides = [_Side.of(one, models) for one in configured]
    for entry in entries:
        if isinstance(entry, Unreadable):
            account.unreadable.append(entry.problem)
            continue
        try:
            rules = [side.rules_for(entry.decision) for side in sides]
        except ModelError as error:
            account.model_gone[str(error)] += 1
            continue
        account.decided += 1
        account.model_untold += any(
            side.learns and each is side.acting for side, each in zip(sides, rules, strict=True)
        )
        readings = [entry.decision]
        for place, (side, its_rules) in enumerate(zip(sides, rules, strict=True)):
            again = redecide(entry.decision, side.facility, its_rules)
            account.left_out.update(again.left_out.items())
            readings.append(again.decision)
            # A policy that decides its own decisions again sees all that it saw.
            # Older versions told policies as Python does.
            if entry.decision.policy not in (again.decision.policy, repr(its_rules.policy)):
                held = missing_history(entry.decision, its_rules.policy)
                if held is not None:
                    account.short[place].add(held)
        one, two = readings[-2:]
        if found := differences(one, two):
            account.different += 1
            yield Found(entry.number, entry.decision.at, found)


def _print_lines(found: Iterator[Found], account: Account, configured: list[Configured]) -> None:
    for each in found:
        echo_json({"number": each.number, "at": each.at.isoformat(), "differences": _plain(each.differences)})
    left_out = [{"host": host, "why": why, "decisions": count} for (host, why), count in account.left_out.items()]
    echo_json(
        {
            "configs": [str(one.file) for one in configured],
            "decisions": account.decided,
            "different": account.different,
            "unreadable": account.unreadable,
            "left_out": left_out,
            "model_gone": [{"why": why, "decisions": count} for why, count in account.model_gone.items()],
            "model_untold": account.model_untold,
            "short_history": [
                {
                    "config": str(configured[place].file),
                    "decisions": short.decisions,
                    "looks_back_s": configured[place].loaded.policy.history.total_seconds(),
                    "longest_held_s": short.longest.total_seconds(),
                }
                for place, short in sorted(account.short.items())
            ],
        }
    )


def _plain(value: Any) -> Any:
    return _to_json.dump_python(value, mode="json")


def _print_table(found: Iterator[Found], account: Account, configured: list[Configured], limit: int) -> None:
    before, after = ("stored", "now") if len(configured) == 1 else [one.name for one in configured]
    newest: deque[tuple[str, ...]] = deque(maxlen=limit)
    count = 0
    for each in found:
        for row in _rows(each):
            newest.append(row)
            count += 1
    out = console()
    if newest:
        table = Table("No.", "Time", "Host", "What", before, after, f"Why {before}", f"Why {after}")
        for row in newest:
            table.add_row(*row)
        out.print(table)
    if count > len(newest):
        out.print(f"older differences that are not shown (--limit, --format json): {count - len(newest)}")
    for sentence in _sentences(account, configured):
        out.print(sentence)


def _sentences(account: Account, configured: list[Configured]) -> Iterator[str]:
    yield from only_in_one(configured)
    for (host, why), count in account.left_out.items():
        yield f"{host} is left out of {count} decisions: {why}"
    for place, short in sorted(account.short.items()):
        looks_back = duration_text(configured[place].loaded.policy.history)
        yield (
            f"{configured[place].name}: its policy looks back {looks_back}, but {short.decisions} decisions hold less "
            f"history, {seconds_text(short.longest.total_seconds())} at most: for it their past is not fully known, "
            "and it may hold where it would have decided otherwise"
        )
    for why, count in account.model_gone.items():
        yield f"{count} decisions are left out, because the model that they were made with cannot be had: {why}"
    if account.model_untold:
        yield f"decisions that name no model, decided again with the one that acts now: {account.model_untold}"
    yield from account.unreadable
    if account.unreadable:
        yield f"decisions that cannot be read: {len(account.unreadable)}"
    yield f"decisions decided again: {account.decided}, differently: {account.different or 'none'}"


def _rows(found: Found) -> Iterator[tuple[str, ...]]:
    told = ""
    for each in found.differences:
        host = each.host or "facility"
        # Reasons are of the host, and said once.
        whys = ("", "") if host == told else (each.why_one, each.why_two)
        told = host
        yield str(found.number), local(found.at), host, each.what, _text(each.one), _text(each.two), *whys


def _text(value: Any) -> str:
    match value:
        case None | ():
            return WAITING
        case Transfer():
            return f"{value.workers_from} -> {value.workers_to}: {'; '.join(map(_step, value.steps))}"
        case tuple():
            return ", ".join(f"{cut.guard} {cut.before} to {cut.after}" for cut in value if isinstance(cut, Cut))
        case _:
            return str(value)


def _step(step: Step) -> str:
    match step.kind:
        case StepKind.LEND | StepKind.CPU:
            return f"{step.kind} {step.domain} to weight {step.after.cpu_weight}, {cap_text(step.after)}"
        case StepKind.SHRINK | StepKind.GROW:
            return f"{step.kind} {step.domain} to {step.after.memory_mib} MiB"
        case StepKind.WAKE | StepKind.SLEEP:
            return f"{step.kind} {step.domain}"
