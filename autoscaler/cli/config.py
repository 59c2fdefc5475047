"""``autoscaler config``: what the configuration comes to."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from autoscaler.cli.common import EXIT_CODES, config_option, echo_json, load_config
from autoscaler.config.document import dotted, nobody
from autoscaler.config.effective import Setting, settings_of


@click.group(epilog=EXIT_CODES)
def config() -> None:
    """Look at what the configuration comes to.

    \b
    Examples:
      autoscaler config show vaf-dom0-001
      autoscaler config show vaf-dom0-001 --format json
    """


@config.command(epilog=EXIT_CODES)
@click.argument("host")
@config_option
@click.option(
    "--format",
    "output",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="YAML as the configuration could say it, or JSON for scripts.",
)
def show(host: str, config_file: Path, output: str) -> None:
    """Show every key of HOST as it counts, and who says so: host, group, host_defaults, or the program's default.

    \b
    Examples:
      autoscaler config show vaf-dom0-001
      autoscaler config show vaf-dom0-001 --format json | jq '.settings[] | select(.from != "default")'
    """
    loaded = load_config(config_file)
    names = [each.name for each in loaded.config.hosts]
    if host not in names:
        raise click.BadParameter(nobody(host, names, "host"))
    settings = settings_of(loaded, host)
    if output == "yaml":
        click.echo("\n".join(_yaml(settings)))
        return
    groups = [name for name, members in loaded.config.groups.items() if host in members]
    values = [{"key": dotted(each.key), "value": each.value, "from": each.origin} for each in settings]
    echo_json({"host": host, "groups": groups, "settings": values})


def _yaml(settings: Sequence[Setting]) -> list[str]:
    """A host as the configuration could say it, with who says it behind each key."""
    tree: dict[str | int, Any] = {}
    for setting in settings:
        *sections, name = setting.key
        node = tree
        for section in sections:
            node = node.setdefault(section, {})
        node[name] = setting
    rows = list(_rows(tree, ""))
    width = max(len(text) for text, _ in rows)
    return [f"{text:<{width}}  # {origin}" if origin else text for text, origin in rows]


def _rows(node: Mapping[str | int, Any], indent: str) -> Iterator[tuple[str, str]]:
    """Lines, each with who says it; the numbers of a list are keys."""
    for key, value in node.items():
        if isinstance(value, Setting):
            # What JSON says of one value, YAML says alike.
            yield f"{indent}{key}: {json.dumps(value.value, ensure_ascii=False)}", value.origin
            continue
        if isinstance(key, int):
            (first, origin), *others = _rows(value, f"{indent}  ")
            yield f"{indent}- {first.lstrip()}", origin
            yield from others
            continue
        yield f"{indent}{key}:", ""
        yield from _rows(value, f"{indent}  ")
