"""``python -m autoscaler.cli``: the command, also where its script is not on the path."""

from autoscaler.cli.main import main

main()
