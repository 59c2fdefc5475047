"""The API's process, which ``autoscaler run`` starts: ``python -m autoscaler.api LISTENING_FD LINE_FD``."""

import signal

# Meant for the controller, though a terminal sends them to all; before what takes long to import.
for _number in (signal.SIGINT, signal.SIGHUP):
    signal.signal(_number, signal.SIG_IGN)

from autoscaler.api.child import main  # noqa: E402

if __name__ == "__main__":
    main()
