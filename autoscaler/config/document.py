"""A YAML file as a person wrote it: reading it, and saying what is wrong with it by file, line, key and reason."""

import difflib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError

from autoscaler.config.words import in_words

Location = Sequence[str | int]


class ConfigError(Exception):
    """A configuration file cannot be used; ``problems`` holds one sentence per error."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def read_document(path: Path) -> CommentedMap:
    """Return the mapping of sections in ``path``, with the places of its keys; raises ``ConfigError``."""
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


def sentence(path: Path, document: CommentedMap, location: Location, detail: ErrorDetails, known: Sequence[str]) -> str:
    """One validation error, which the file has at ``location``; ``known`` are the keys that a file may have."""
    unknown = detail["type"] == "extra_forbidden"
    reason = f"unknown key{did_you_mean(str(location[-1]), known)}" if unknown else in_words(detail)
    return f"{place(path, document, location)}: {dotted(location) or 'file'}: {reason}"


def dotted(location: Location) -> str:
    """A location as ``hosts[0].proof.domain``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")


def without_wn_number(document: CommentedMap, location: Location) -> list[str | int]:
    """A single Worker Node is written without a list; the schema knows it as the first of a list."""
    written = list(location)
    for level in [level for level, part in enumerate(location) if part == "wn"]:
        if level + 1 < len(written) and not has(document, written[: level + 2]):
            del written[level + 1]
    return written


def has(document: Mapping[str, Any], location: Location) -> bool:
    """Whether the file, or this part of it, itself has something at this location."""
    node: Any = document
    for part in location:
        there = part < len(node) if isinstance(node, list) and isinstance(part, int) else part in _keys(node)
        if not there:
            return False
        node = node[part]
    return True


def _keys(node: object) -> Mapping[Any, Any]:
    return node if isinstance(node, Mapping) else {}


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """`` (did you mean 'policy'?)`` where one of the known names is close, else nothing."""
    # Half of a key looks to difflib less like it than some other word does.
    longer = [each for each in known if each.startswith(f"{name}_")]
    close = longer if len(longer) == 1 else difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close and close[0] != name else ""


def nobody(name: str, known: Sequence[str], kind: str = "host or group") -> str:
    """What is wrong with a name that is not there."""
    return f"no {kind} is called {name!r}{did_you_mean(name, known)}"


@cache
def known_keys(model: type[BaseModel]) -> list[str]:
    """Every key of a model and of the sections in it, in order."""
    schema: Mapping[str, Any] = model.model_json_schema()
    sections = [schema, *schema.get("$defs", {}).values()]
    return sorted({name for section in sections for name in section.get("properties", {})})


def place(path: Path, document: CommentedMap, location: Location) -> str:
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
