"""The ``vaf-exporter`` command: one subcommand per exporter, found by entry points.

The built-in exporters enter by the same door as a site's own: a :class:`click.Command` in the group
``vaf_autoscaler.exporters``. Only the exporter that is started is imported, so a broken one harms nobody else.
"""

import logging
from importlib.metadata import EntryPoint, entry_points

import click

ENTRY_POINT_GROUP = "vaf_autoscaler.exporters"


class ExporterGroup(click.Group):
    """A click group whose subcommands are the installed exporters."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the installed exporters, sorted."""
        return sorted(entry_points(group=ENTRY_POINT_GROUP).names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Return the exporter of that name; None when there is none or it cannot be loaded."""
        found = entry_points(group=ENTRY_POINT_GROUP, name=cmd_name)
        return next((_load(entry) for entry in found), None)


def _load(entry: EntryPoint) -> click.Command | None:
    try:
        command = entry.load()
    except Exception as error:  # noqa: BLE001 - a site's own exporter may fail in any way; the others must go on
        _warn(entry, f"{type(error).__name__}: {error}")
        return None
    if isinstance(command, click.Command):
        return command
    _warn(entry, "it is not a click command")
    return None


def _warn(entry: EntryPoint, reason: str) -> None:
    one_line = " ".join(reason.split())
    click.echo(f"Warning: the exporter {entry.name!r} ({entry.value}) is left out: {one_line}", err=True)


@click.group(cls=ExporterGroup)
@click.version_option(package_name="vaf-autoscaler", prog_name="vaf-exporter")
def cli() -> None:
    """Serve one source of the facility as Prometheus metrics."""


def main() -> None:
    """Run ``vaf-exporter``; the log goes to stderr."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    cli(prog_name="vaf-exporter")


if __name__ == "__main__":
    main()
