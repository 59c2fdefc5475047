"""Starts the ``autoscaler`` command, or says what has to be installed first."""

import sys

# What the extra ``controller`` installs, by the names under which it is imported.
EXTRA = frozenset({"apscheduler", "libvirt", "numpy", "plotly", "rich", "sqlalchemy", "tzlocal"})


def main() -> None:
    """Run the command line; where the extra ``controller`` is not installed, end with one sentence and exit code 1."""
    try:
        from autoscaler.cli.commands import autoscaler  # noqa: PLC0415 - what may be missing is imported there
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRA:
            raise
        sys.exit(
            f"error: the autoscaler command needs more packages (no module named {missing}): "
            "pip install 'vaf-autoscaler[controller]'"
        )
    autoscaler(prog_name="autoscaler")


if __name__ == "__main__":
    main()
