"""Reads a configuration file; every problem of it is reported at once, by file, line, key and reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml.comments import CommentedMap

from autoscaler.config.document import (
    ConfigError,
    Location,
    dotted,
    known_keys,
    nobody,
    place,
    read_document,
    sentence,
    without_wn_number,
)
from autoscaler.config.layers import MEMBERS, Layer, counting, host_layers, merged
from autoscaler.config.policies import PolicyError, make_policy, policy_text
from autoscaler.config.schema import Config, PolicySection, PrometheusSection
from autoscaler.config.signals import missing_signals
from autoscaler.config.tuned import policies_at_bounds
from autoscaler.config.tuning_section import ALL_HOSTS
from autoscaler.contracts import Policy
from autoscaler.core.rules import Rules
from autoscaler.core.voices import ACTING, Canary

__all__ = ["ConfigError", "Loaded", "load"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid configuration, the policies it names, and from where the keys of each host come.

    ``at_bounds`` is the acting policy as alerts can make it at most.
    """

    config: Config
    policy: Policy
    shadows: Mapping[str, Policy] = field(default_factory=dict)
    layers: Mapping[str, tuple[Layer, ...]] = field(default_factory=dict)
    at_bounds: tuple[Policy, ...] = ()

    @property
    def rules(self) -> Rules:
        """How it decides."""
        canary = self.config.canary
        on = frozenset() if canary is None else frozenset(self.config.all_named(canary.hosts))
        return Rules(
            self.policy,
            self.config.guards.limits(),
            shadows=self.shadows,
            canary=None if canary is None else Canary(canary.policy, on),
            maintenance=self.config.pauses(),
            calendar=self.config.entries(),
            told=self._told,
        )

    def _told(self, name: str, policy: Policy) -> str:
        """A policy as this file would write it, by the name under which it speaks."""
        section = self.config.policy if name == ACTING else self.config.shadows[name]
        return policy_text(section.name, policy)

    @property
    def history(self) -> timedelta:
        """How far back the policy looks that looks back furthest."""
        return max(policy.history for policy in (self.policy, *self.shadows.values(), *self.at_bounds))


def load(path: Path) -> Loaded:
    """Read and validate ``path``; raises ``ConfigError``. Relative paths are beside the file."""
    document = read_document(path)
    layers = host_layers(path, document)
    try:
        config = Config.model_validate(_layered(document, layers))
    except ValidationError as error:
        # One mistake in host_defaults, or in a group, is the same sentence of every host.
        sentences = [_sentence(path, document, layers, each) for each in error.errors()]
        raise ConfigError(list(dict.fromkeys(sentences))) from None
    _check_names(path, document, config)
    policy = _made(path, document, config, config.policy, ("policy",))
    shadows = {
        name: _made(path, document, config, section, ("shadows", name)) for name, section in config.shadows.items()
    }
    at_bounds = _at_bounds(path, document, config, policy)
    folder = path.parent.absolute()
    controller = config.controller.model_copy(update={"store": folder / config.controller.store})
    source = config.source.beside(folder) if isinstance(config.source, PrometheusSection) else config.source
    api, grafana, store = config.api.beside(folder), config.grafana.beside(folder), config.store.beside(folder)
    by_host = {host.name: each for host, each in zip(config.hosts, layers, strict=True)}
    config = config.model_copy(
        update={"controller": controller, "store": store, "source": source, "api": api, "grafana": grafana}
    )
    return Loaded(config, policy, shadows, by_host, at_bounds)


def _check_names(path: Path, document: CommentedMap, config: Config) -> None:
    """Refuse what is said of hosts, groups and shadow policies that are not there, and a name that is taken."""
    known = [*(host.name for host in config.hosts), *config.groups]
    named = [
        *((("calendar", number), each.hosts or []) for number, each in enumerate(config.calendar)),
        *((("maintenance", number), each.hosts) for number, each in enumerate(config.maintenance)),
        *([] if config.canary is None else [(("canary",), config.canary.hosts)]),
    ]
    places: list[tuple[Location, str]] = [
        ((*entry, "hosts", item), name) for entry, names in named for item, name in enumerate(names)
    ]
    frozen = [(number, each.action.hosts) for number, each in enumerate(config.tuning)]
    places += [
        (("tuning", number, "action", "hosts"), name) for number, name in frozen if name not in (None, ALL_HOSTS)
    ]
    problems = [(where, nobody(name, known)) for where, name in places if name not in known]
    canary = config.canary
    if canary is not None and canary.policy not in config.shadows:
        problems.append((("canary", "policy"), nobody(canary.policy, [*config.shadows], "policy of shadows")))
    if ACTING in config.shadows:
        # Decisions, metrics and what is remembered tell policies apart by these names.
        problems.append((("shadows", ACTING), "the policy that acts is called so: give it another name"))
    if problems:
        raise ConfigError([f"{place(path, document, where)}: {dotted(where)}: {why}" for where, why in problems])


def _made(path: Path, document: CommentedMap, config: Config, section: PolicySection, key: Location) -> Policy:
    """The policy of a section, whose signals the source has."""
    try:
        policy = make_policy(section.name, section.parameters)
    except PolicyError as error:
        where = (*key, error.key)
        raise ConfigError([f"{place(path, document, where)}: {dotted(where)}: {error}"]) from None
    missing = list(missing_signals(config.source, section.name, policy.signals))
    if missing:
        raise ConfigError([f"{place(path, document, each)}: {dotted(each)}: {reason}" for each, reason in missing])
    return policy


def _at_bounds(path: Path, document: CommentedMap, config: Config, policy: Policy) -> tuple[Policy, ...]:
    """The policy at the bounds of what alerts change of it; raises ``ConfigError``."""
    found, problems = [], []
    for number, rule in enumerate(config.tuning):
        try:
            found += policies_at_bounds(config.policy, policy, rule.action)
        except PolicyError as error:
            where = ("tuning", number, "action", error.key)
            problems.append(f"{place(path, document, where)}: {dotted(where)}: {error}")
    if problems:
        raise ConfigError(problems)
    return tuple(found)


def _layered(document: CommentedMap, layers: Sequence[tuple[Layer, ...]]) -> dict[str, Any]:
    """The file with its hosts as all their layers say, and of the groups only who is in them."""
    values = {key: value for key, value in document.items() if key != "host_defaults"}
    if isinstance(document.get("hosts"), list):
        written = zip(document["hosts"], layers, strict=True)
        values["hosts"] = [merged(each) if isinstance(host, Mapping) else host for host, each in written]
    if "groups" in document:
        values["groups"] = {name: group[MEMBERS] for name, group in document["groups"].items()}
    return values


def _sentence(path: Path, document: CommentedMap, layers: Sequence[tuple[Layer, ...]], detail: ErrorDetails) -> str:
    # A tagged union puts its tag ("prometheus") into the location; the file has no such level.
    location = [part for level, part in enumerate(detail["loc"]) if (level, detail["loc"][0]) != (1, "source")]
    if detail["type"] in ("union_tag_invalid", "union_tag_not_found"):
        location = [*location, "kind"]
    location = without_wn_number(document, _inherited(layers, location) or location)
    return sentence(path, document, location, detail, [*known_keys(Config), "host_defaults"])


def _inherited(layers: Sequence[tuple[Layer, ...]], location: Location) -> list[str | int] | None:
    """Where a host's key is in the file, ``None`` when it is nobody's."""
    match location:
        case ("hosts", int(number), *key) if key and number < len(layers):
            places = [layer.place_of(key) for layer in counting(layers[number], key)]
            return next((each for each in places if each is not None), None)
    return None
