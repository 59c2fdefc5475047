"""Who is asked what the facility should have: the acting policy, the shadow policies, and one of these as a canary.

A shadow policy sees the same window with a memory of its own; what it says is recorded, and nothing it raises touches
anybody else. A canary is a shadow policy that acts on a group of hosts: they get what it would give them if all hosts
were its own, the others what the acting policy would give them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from numbers import Real

from autoscaler.contracts import Policy
from autoscaler.model import Decision, Demand, Memory, Opinion, Situation, Window
from autoscaler.value import Value

# What the acting policy is called beside the names of its shadows.
ACTING = "acting"


class Canary(Value, frozen=True):
    """The shadow policy that acts on these hosts."""

    name: str
    hosts: frozenset[str]


class Voice(Value, frozen=True):
    """A policy that acts on some hosts, by its ``name``, and what it wants; ``said`` begins its reasons."""

    name: str
    demand: Demand
    signals: tuple[str, ...]
    said: str = ""

    @property
    def words(self) -> str:
        """Why it wants that."""
        return f"{self.said}{self.demand.reason}"


def ask(policy: Policy, window: Window) -> tuple[Demand, Memory, str | None]:
    """What a policy wants, what it remembers, and what it raised; then it knows in the next cycle what it knew now."""
    try:
        demand = policy.decide(window)
        _check_demand(demand)
        # Not isinstance(policy, Remembering): that takes as long as many a decision.
        remember = getattr(policy, "remember", None)
        memory: Memory = {} if remember is None else remember(window, demand)
        _check_memory(memory)
    except Exception as problem:  # noqa: BLE001 - no exception of a policy ever reaches the loop
        error = f"policy failed: {type(problem).__name__}: {problem}"
        return Demand(None, error), window.memory, error
    return demand, memory, None


def _check_demand(demand: Demand) -> None:
    """Raise ``ValueError`` for what is none, or what could not be recorded: that would end everybody's cycle."""
    workers = demand.workers
    if workers is not None and (not isinstance(workers, int) or isinstance(workers, bool) or workers < 0):
        raise ValueError(f"demand of {workers!r} workers")
    if not isinstance(demand.may_shrink, bool) or not isinstance(demand.reason, str):
        raise ValueError(f"demand with may_shrink={demand.may_shrink!r} and reason={demand.reason!r}")


def _check_memory(memory: Memory) -> None:
    """Raise ``ValueError`` for what could not be recorded, or not be read again with its decision."""
    for name, numbers in memory.items():
        if not isinstance(name, str) or not isinstance(numbers, (tuple, list)) or not all(map(_is_number, numbers)):
            raise ValueError(f"what it remembers as {name!r} is no row of numbers")


def _is_number(value: object) -> bool:
    # Most are Python's own, and found without asking an abstract class.
    return value is None or type(value) in (float, int) or (isinstance(value, Real) and not isinstance(value, bool))


# What a decision calls a policy, by the name under which it speaks.
Telling = Callable[[str, Policy], str]


def as_python(_name: str, policy: Policy) -> str:
    """What it is called where no configuration has named it."""
    return repr(policy)


def opinions(shadows: Mapping[str, Policy], situation: Situation, told: Telling = as_python) -> tuple[Opinion, ...]:
    """What each of the shadow policies would have the facility do."""
    found = []
    for name, policy in shadows.items():
        window = replace(situation.window, memory=situation.memories.get(name, {}))
        demand, memory, error = ask(policy, window)
        found.append(Opinion(name, told(name, policy), demand, memory, error))
    return tuple(found)


def canary_voice(
    canary: Canary | None, shadows: Mapping[str, Policy], found: tuple[Opinion, ...]
) -> tuple[Voice | None, str | None]:
    """The voice of the canary, and why it has none: then the acting policy decides its hosts, too."""
    if canary is None:
        return None, None
    opinion = next(opinion for opinion in found if opinion.name == canary.name)
    if opinion.error is not None:
        return None, f"canary {canary.name} does not act: {opinion.error}"
    return Voice(canary.name, opinion.demand, shadows[canary.name].signals, f"canary {canary.name}: "), None


def remembering(situation: Situation, before: Decision | None) -> Situation:
    """The situation with what all policies were to know in the cycle after the decision ``before``."""
    if before is None:
        return situation
    window = replace(situation.window, memory=before.memory)
    return replace(situation, window=window, memories=before.memories)
