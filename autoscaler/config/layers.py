"""From where a host's keys come: ``host_defaults``, the groups that it is in, the host itself; later ones win."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap

from autoscaler.config.document import ConfigError, Location, dotted, has, nobody, place

# The key of a group that is no key of its hosts.
MEMBERS = "hosts"


@dataclass(frozen=True, slots=True)
class Layer:
    """One of these, what it is called, and where in the file it is."""

    name: str
    location: Location
    values: Mapping[str, Any]

    def has(self, key: Location) -> bool:
        """Whether it says something of this key; what it says of ``wn`` without a list, it says of every one."""
        return self.place_of(key) is not None

    def place_of(self, key: Location) -> list[str | int] | None:
        """Where in the file it says it."""
        for written in (list(key), [part for part in key if not isinstance(part, int)]):
            if has(self.values, written):
                return [*self.location, *written]
        return None


def host_layers(path: Path, document: CommentedMap) -> list[tuple[Layer, ...]]:
    """The layers of each host of the file, in the order of the hosts; raises ``ConfigError``."""
    defaults, groups = _mapping(path, document, "host_defaults"), _mapping(path, document, "groups")
    hosts = document.get("hosts")
    hosts = hosts if isinstance(hosts, list) else []
    _check_groups(path, document, groups, [host.get("name") for host in hosts if isinstance(host, Mapping)])
    found = []
    for number, host in enumerate(hosts):
        own = host if isinstance(host, Mapping) else {}
        mine = [Layer(f"group {name}", ("groups", name), _settings(groups[name])) for name in _of(own, groups)]
        _check_agreement(path, document, str(own.get("name")), mine)
        found.append(
            (Layer("host_defaults", ("host_defaults",), defaults), *mine, Layer("host", ("hosts", number), own))
        )
    return found


def merged(layers: Iterable[Layer]) -> dict[str, Any]:
    """What all layers say together."""
    values: dict[str, Any] = {}
    for layer in layers:
        values = _merged(values, layer.values)
    return values


def counting(layers: Sequence[Layer], key: Location) -> Iterator[Layer]:
    """The layers of a host that have a say in a key, the one that wins first.

    A list of Worker Nodes lies over what is under it for every one; whatever lies over a list takes its whole place.
    """
    section, covered = str(key[0]), False
    for layer in (each for each in reversed(layers) if section in each.values):
        if covered and isinstance(layer.values[section], list):
            return
        yield layer
        covered = True


def _of(host: Mapping[str, Any], groups: Mapping[str, Any]) -> list[str]:
    return [name for name, group in groups.items() if host.get("name") in group[MEMBERS]]


def _settings(group: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in group.items() if key != MEMBERS}


def _mapping(path: Path, document: CommentedMap, key: str) -> Mapping[str, Any]:
    values = document.get(key, {})
    if not isinstance(values, Mapping):
        raise ConfigError([f"{place(path, document, (key,))}: {key}: is not a mapping"])
    return values


def _check_groups(path: Path, document: CommentedMap, groups: Mapping[str, Any], hosts: Sequence[Any]) -> None:
    problems = [
        f"{place(path, document, where)}: {dotted(where)}: {reason}"
        for name, group in groups.items()
        for where, reason in _wrong_with(name, group, hosts)
    ]
    if problems:
        raise ConfigError(problems)


def _wrong_with(name: Any, group: Any, hosts: Sequence[Any]) -> Iterator[tuple[Location, str]]:
    if not isinstance(group, Mapping):
        yield ("groups", name), "is not a mapping"
        return
    if name in hosts:
        yield ("groups", name), "a host has this name, too"
    members = group.get(MEMBERS)
    if not isinstance(members, list) or not members:
        yield ("groups", name, MEMBERS), "is not a list of one or more hosts"
        return
    for number, member in enumerate(members):
        if member not in hosts:
            yield ("groups", name, MEMBERS, number), nobody(str(member), [str(host) for host in hosts], "host")


def _check_agreement(path: Path, document: CommentedMap, host: str, layers: Sequence[Layer]) -> None:
    """Refuse groups that say different things of one host: no order of them would be a good one."""
    for one, two in combinations(layers, 2):
        for key in _disagreed(one.values, two.values):
            where, other = (*two.location, *key), place(path, document, (*one.location, *key))
            raise ConfigError(
                [f"{place(path, document, where)}: {dotted(where)}: {one.name} says otherwise of {host} ({other})"]
            )


def _disagreed(one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for key in one.keys() & two.keys():
        if isinstance(one[key], Mapping) and isinstance(two[key], Mapping):
            yield from ((key, *rest) for rest in _disagreed(one[key], two[key]))
        elif one[key] != two[key]:
            yield (key,)


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
