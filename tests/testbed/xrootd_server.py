"""A real xrootd data server on the loopback, sending its summary reports; and files put on it and got from it.

xrootd has no option for the address it listens on and refuses to run as root. Hence a shim in front of bind(), compiled
here, and another user.
"""

import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Self

from tests.testbed.processes import Process, ProcessEndedError, free_port

START_DEADLINE_S = 180
TRANSFER_DEADLINE_S = 300
INSTANCE = "vaf"

# xrdcp waits between chunks to keep a rate; its own chunks of 8 MiB would make each transfer of a test one burst.
CHUNK_BYTES = 2**20

CONFIGURATION = """\
xrd.port {port}
xrd.network nodnr nokeepalive
xrd.protocol xroot *
all.export /
oss.localroot {folder}/data
all.adminpath {folder}/admin
all.pidpath {folder}/run
all.role server
xrootd.async off
xrd.report {report_to} every 1s all
"""

# As the exporter asks for it, but more often.
DETAILED_MONITORING = "xrootd.monitor all fstat 1s lfn ops xfr 1 ident 1s dest fstat user {address}\n"

# Without the variables, a client which comes before the server listens sleeps for 120 s.
CLIENT_ENVIRONMENT = {
    "XRD_CONNECTIONWINDOW": "2",
    "XRD_CONNECTIONRETRY": "1",
    "XRD_CPCHUNKSIZE": str(CHUNK_BYTES),
    "XRD_CPPARALLELCHUNKS": "1",
}

XRDCP = (shutil.which("xrdcp") or "xrdcp", "--force", "--nopbar")

LOOPBACK_BIND_C = """\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* Wildcard binds become loopback binds. */
int bind(int fd, const struct sockaddr *address, socklen_t length) {
  int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
  struct sockaddr_storage copy;
  struct sockaddr_in *v4 = (struct sockaddr_in *)&copy;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&copy;
  if (length > sizeof copy) return real(fd, address, length);
  memcpy(&copy, address, length);
  if (copy.ss_family == AF_INET && v4->sin_addr.s_addr == INADDR_ANY) v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (copy.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr)) v6->sin6_addr = in6addr_loopback;
  return real(fd, (struct sockaddr *)&copy, length);
}
"""


def compile_loopback_bind(folder: Path) -> Path:
    """Make the library for ``LD_PRELOAD`` with which a server listens on the loopback only."""
    source, library = folder / "loopback.c", folder / "loopback.so"
    source.write_text(LOOPBACK_BIND_C)
    argv = ["gcc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"]
    subprocess.run(argv, check=True, timeout=START_DEADLINE_S)
    return library


class Xrootd:
    """An xrootd in ``scratch`` that reports to ``report_to`` (ADDR:PORT, UDP); ``with`` starts it and ends it.

    ``name`` tells apart the folders of several servers. ``details_to`` is where its detailed monitoring goes, if any.
    """

    def __init__(self, scratch: Path, report_to: str, name: str = "xrootd", details_to: str | None = None) -> None:
        self._folder = scratch / name
        self.port = free_port()
        self.url = f"root://127.0.0.1:{self.port}/"
        self.server_name = f"{socket.gethostname().partition('.')[0]}:{self.port}"
        user = "nobody" if os.geteuid() == 0 else getpass.getuser()
        self._make_folders(pwd.getpwnam(user))
        configuration = self._folder / "xrootd.cfg"
        text = CONFIGURATION.format(port=self.port, folder=self._folder, report_to=report_to)
        text += DETAILED_MONITORING.format(address=details_to) if details_to else ""
        configuration.write_text(text)
        self.process = Process(
            [
                "/usr/bin/xrootd",
                "-c",
                configuration,
                "-l",
                self._folder / "log" / "xrootd.log",
                "-n",
                INSTANCE,
                "-I",
                "v4",
            ],
            self._folder,
            env={"LD_PRELOAD": str(compile_loopback_bind(self._folder))},
            cwd=self._folder,
            user=user if os.geteuid() == 0 else None,
        )

    def _make_folders(self, account: pwd.struct_passwd) -> None:
        for name in ("", "data", "admin", "run", "log"):
            folder = self._folder / name
            folder.mkdir()
            os.chown(folder, account.pw_uid, account.pw_gid)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill9()

    def start(self) -> None:
        """Start the server, for the first time or again, and wait until it takes connections."""
        for last in (False, False, True):
            self.process.start()
            try:
                self.process.wait_until(self._takes_connections, START_DEADLINE_S, "xrootd")
            except BaseException as error:
                # xrootd 5.5 was seen to crash while it started, once in some hundred times on a crowded machine.
                ended = self.process.kill9()
                if last or not (isinstance(error, ProcessEndedError) and ended == -signal.SIGSEGV):
                    raise
            else:
                return

    def _takes_connections(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5):
            return True

    def put(self, file: Path) -> None:
        """Upload a file."""
        subprocess.run(self._put(file), env=_client_environment(), check=True, timeout=TRANSFER_DEADLINE_S)

    def get(self, name: str, target: Path) -> None:
        """Download a file."""
        subprocess.run(self._get(name, target), env=_client_environment(), check=True, timeout=TRANSFER_DEADLINE_S)

    def putting(self, file: Path, rate: str) -> Process:
        """Return the upload of a file at a limited rate, as "10m" for 10 MiB per second; ``with`` starts it."""
        return self._limited(self._put(file), rate)

    def getting(self, name: str, target: Path, rate: str) -> Process:
        """Return the download of a file at a limited rate; ``with`` starts it."""
        return self._limited(self._get(name, target), rate)

    def _put(self, file: Path) -> list[str]:
        return [*XRDCP, str(file), f"{self.url}/{file.name}"]

    def _get(self, name: str, target: Path) -> list[str]:
        return [*XRDCP, f"{self.url}/{name}", str(target)]

    def _limited(self, argv: list[str], rate: str) -> Process:
        return Process([*argv[:1], "--xrate", rate, *argv[1:]], self._folder, env=CLIENT_ENVIRONMENT)


def _client_environment() -> dict[str, str]:
    return {**os.environ, **CLIENT_ENVIRONMENT}
