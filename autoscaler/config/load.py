"""Reads a configuration file; every problem of it is reported at once, by file, line, key and reason."""

from collections.abc import Mapping
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
    has,
    known_keys,
    place,
    read_document,
    sentence,
    without_wn_number,
)
from autoscaler.config.policies import PolicyError, make_policy
from autoscaler.config.schema import Config, PolicySection, PrometheusSection
from autoscaler.config.signals import missing_signals
from autoscaler.contracts import Policy
from autoscaler.core.decide import Rules
from autoscaler.core.voices import Canary

__all__ = ["ConfigError", "Loaded", "load"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid configuration and the policies it names."""

    config: Config
    policy: Policy
    shadows: Mapping[str, Policy] = field(default_factory=dict)

    @property
    def rules(self) -> Rules:
        """How it decides."""
        canary = self.config.canary
        return Rules(
            self.policy,
            self.config.guards.limits(),
            shadows=self.shadows,
            canary=None if canary is None else Canary(canary.policy, frozenset(canary.hosts)),
        )

    @property
    def history(self) -> timedelta:
        """How far back the policy looks that looks back furthest."""
        return max(policy.history for policy in (self.policy, *self.shadows.values()))


def load(path: Path) -> Loaded:
    """Read and validate ``path``; raises ``ConfigError``. Relative paths are beside the file."""
    document = read_document(path)
    hosts = _with_host_defaults(path, document)
    try:
        config = Config.model_validate({**{k: v for k, v in document.items() if k != "host_defaults"}, **hosts})
    except ValidationError as error:
        # One mistake in host_defaults is the same sentence of every host.
        raise ConfigError(list(dict.fromkeys(_sentence(path, document, each) for each in error.errors()))) from None
    policy = _made(path, document, config, config.policy, ("policy",))
    shadows = {
        name: _made(path, document, config, section, ("shadows", name)) for name, section in config.shadows.items()
    }
    folder = path.parent.absolute()
    controller = config.controller.model_copy(update={"store": folder / config.controller.store})
    source = config.source.beside(folder) if isinstance(config.source, PrometheusSection) else config.source
    return Loaded(config.model_copy(update={"controller": controller, "source": source}), policy, shadows)


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


def _with_host_defaults(path: Path, document: CommentedMap) -> dict[str, Any]:
    """The hosts with ``host_defaults`` under each of them."""
    defaults, hosts = document.get("host_defaults", {}), document.get("hosts")
    if not isinstance(defaults, Mapping):
        raise ConfigError([f"{place(path, document, ('host_defaults',))}: host_defaults: is not a mapping"])
    if not isinstance(hosts, list):
        return {}
    return {"hosts": [_merged(defaults, host) if isinstance(host, Mapping) else host for host in hosts]}


def _merged(defaults: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = {**defaults, **over}
    for key in defaults.keys() & over.keys():
        if isinstance(defaults[key], Mapping) and isinstance(over[key], Mapping):
            both[key] = _merged(defaults[key], over[key])
        elif isinstance(defaults[key], Mapping) and isinstance(over[key], list):
            # A host with several Worker Nodes lists them; the defaults are for each.
            items = over[key]
            both[key] = [_merged(defaults[key], item) if isinstance(item, Mapping) else item for item in items]
    return both


def _sentence(path: Path, document: CommentedMap, detail: ErrorDetails) -> str:
    # A tagged union puts its tag ("prometheus") into the location; the file has no such level.
    location = [part for level, part in enumerate(detail["loc"]) if (level, detail["loc"][0]) != (1, "source")]
    if detail["type"] in ("union_tag_invalid", "union_tag_not_found"):
        location = [*location, "kind"]
    location = without_wn_number(document, _in_host_defaults(document, location) or location)
    return sentence(path, document, location, detail, [*known_keys(Config), "host_defaults"])


def _in_host_defaults(document: CommentedMap, location: Location) -> list[str | int] | None:
    """Where in host_defaults a host's key comes from, ``None`` when it is the host's own or nobody's."""
    inherited: list[str | int] = ["host_defaults", *(part for part in location[2:] if not isinstance(part, int))]
    if len(inherited) == 1 or location[0] != "hosts" or has(document, without_wn_number(document, location)):
        return None
    return inherited if has(document, inherited) else None
