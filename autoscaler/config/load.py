"""Reads a configuration file; every problem of it is reported at once, by file, line, key and reason."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError

from autoscaler.config.policies import PolicyError, make_policy
from autoscaler.config.schema import Config
from autoscaler.config.signals import missing_signals
from autoscaler.config.words import in_words
from autoscaler.contracts import Policy


class ConfigError(Exception):
    """A configuration file cannot be used; ``problems`` holds one sentence per error."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid configuration and the policy it names."""

    config: Config
    policy: Policy


def load(path: Path) -> Loaded:
    """Read and validate ``path``; raises ``ConfigError``. A relative ``controller.store`` is beside the file."""
    document = _read(path)
    hosts = _with_host_defaults(path, document)
    try:
        config = Config.model_validate({**{k: v for k, v in document.items() if k != "host_defaults"}, **hosts})
    except ValidationError as error:
        # One mistake in host_defaults is the same sentence of every host.
        raise ConfigError(list(dict.fromkeys(_sentence(path, document, each) for each in error.errors()))) from None
    try:
        policy = make_policy(config.policy.name, config.policy.parameters)
    except PolicyError as error:
        place = _place(path, document, ("policy", error.key))
        raise ConfigError([f"{place}: policy.{error.key}: {error}"]) from None
    missing = list(missing_signals(config.source, config.policy.name, policy.signals))
    if missing:
        raise ConfigError([f"{_place(path, document, key)}: {'.'.join(key)}: {reason}" for key, reason in missing])
    store = path.parent.absolute() / config.controller.store
    controller = config.controller.model_copy(update={"store": store})
    return Loaded(config.model_copy(update={"controller": controller}), policy)


def _read(path: Path) -> CommentedMap:
    try:
        document = YAML(typ="rt", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: is not a UTF-8 text file"]) from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError([f"{path}:{line}: not valid YAML: {_first_line(error.problem)}"]) from None
    except Exception as error:  # noqa: BLE001 - for a value that contradicts its tag ruamel raises whatever comes
        raise ConfigError([f"{path}: not valid YAML: {_first_line(error) or type(error).__name__}"]) from None
    if not isinstance(document, CommentedMap):
        raise ConfigError([f"{path}: is empty or not a mapping of sections"])
    return document


def _first_line(message: object) -> str:
    return str(message).partition("\n")[0]


def _with_host_defaults(path: Path, document: CommentedMap) -> dict[str, Any]:
    """The hosts with ``host_defaults`` under each of them."""
    defaults, hosts = document.get("host_defaults", {}), document.get("hosts")
    if not isinstance(defaults, Mapping):
        raise ConfigError([f"{_place(path, document, ('host_defaults',))}: host_defaults: is not a mapping"])
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
    location = _in_host_defaults(document, location) or location
    location = _without_wn_number(document, location)
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    unknown = detail["type"] == "extra_forbidden"
    reason = f"unknown key{_suggestion(str(location[-1]))}" if unknown else in_words(detail)
    return f"{_place(path, document, location)}: {key or 'file'}: {reason}"


def _without_wn_number(document: CommentedMap, location: Sequence[str | int]) -> list[str | int]:
    """A single Worker Node is written without a list; the schema knows it as the first of a list."""
    written = list(location)
    for level in [level for level, part in enumerate(location) if part == "wn"]:
        if level + 1 < len(written) and not _has(document, written[: level + 2]):
            del written[level + 1]
    return written


def _in_host_defaults(document: CommentedMap, location: Sequence[str | int]) -> list[str | int] | None:
    """Where in host_defaults a host's key comes from, ``None`` when it is the host's own or nobody's."""
    inherited: list[str | int] = ["host_defaults", *(part for part in location[2:] if not isinstance(part, int))]
    if len(inherited) == 1 or location[0] != "hosts" or _has(document, _without_wn_number(document, location)):
        return None
    return inherited if _has(document, inherited) else None


def _has(document: CommentedMap, location: Sequence[str | int]) -> bool:
    node: Any = document
    for part in location:
        if (isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node)) or (
            isinstance(node, CommentedMap) and part in node
        ):
            node = node[part]
        else:
            return False
    return True


def _suggestion(key: str) -> str:
    close = difflib.get_close_matches(key, _known_keys(Config.model_json_schema()), n=1)
    return f" (did you mean {close[0]!r}?)" if close and close[0] != key else ""


def _known_keys(schema: Mapping[str, Any]) -> list[str]:
    sections = [schema, *schema.get("$defs", {}).values()]
    return sorted({"host_defaults", *(name for section in sections for name in section.get("properties", {}))})


def _place(path: Path, document: CommentedMap, location: Sequence[str | int]) -> str:
    """``FILE:LINE`` of the deepest part of a location that the file has."""
    node: Any = document
    line = 1
    for part in location:
        if isinstance(node, CommentedMap) and part in node:
            # A key that comes from elsewhere through a merge ("<<") has no place of its own.
            line = (node.lc.data or {}).get(part, [line - 1])[0] + 1
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            line = node.lc.item(part)[0] + 1
        else:
            break
        node = node[part]
    return f"{path}:{line}"
