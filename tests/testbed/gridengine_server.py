"""A real Grid Engine of one machine: a master and one execution host, in a scratch folder and on the loopback only.

All runs as one unprivileged user, who is also the only one to submit jobs. Only the execution daemon is root where the
tests are: without a group of its own for each job, which takes root, it cannot tell how much CPU time the job used.
"""

import getpass
import os
import pwd
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.testbed.processes import Process, free_port, kill_marked
from tests.testbed.xrootd_server import compile_loopback_bind

START_DEADLINE_S = 300
COMMAND_DEADLINE_S = 180

PROGRAMS = Path("/usr/lib/gridengine")
SHARE = Path("/usr/share/gridengine")
INSTALLED = Path("/var/lib/gridengine")

BOOTSTRAP = """\
admin_user {user}
default_domain none
ignore_fqdn true
spooling_method classic
spooling_lib libspoolc
spooling_params {spool}
binary_path {programs}
qmaster_spool_dir {folder}/spool/qmaster
security_mode none
listener_threads 2
worker_threads 2
scheduler_threads 1
"""

# How soon things are seen: a load report brings the CPU time of jobs, a silent host is unknown after max_unheard.
CONFIGURATION = {
    "load_report_time": "00:00:02",
    "max_unheard": "00:00:20",
    "mailer": "/bin/true",
    "min_uid": "0",
    "min_gid": "0",
}

HOST = """\
hostname {host}
load_scaling NONE
complex_values NONE
user_lists NONE
xuser_lists NONE
projects NONE
xprojects NONE
usage_scaling NONE
report_variables NONE
"""

PARALLEL_ENVIRONMENT = """\
pe_name {name}
slots 99
user_lists NONE
xuser_lists NONE
start_proc_args NONE
stop_proc_args NONE
allocation_rule $pe_slots
control_slaves TRUE
job_is_first_task FALSE
urgency_slots min
accounting_summary FALSE
qsort_args NONE
"""


class GridEngine:
    """A Grid Engine in ``scratch``, with queues of one host and their slots; ``with`` starts it and ends it."""

    def __init__(self, scratch: Path, **queues: int) -> None:
        self._folder = scratch / "gridengine"
        self._queues = queues
        self.host = "localhost"  # whatever the machine is called, and whether or not that name is on the loopback
        # The daemons take no commands from root, and run no jobs for it.
        self._account = pwd.getpwnam("nobody" if os.geteuid() == 0 else getpass.getuser())
        self.environment = {
            "SGE_ROOT": str(self._folder),
            "SGE_CELL": "default",
            "SGE_QMASTER_PORT": str(free_port()),
            "SGE_EXECD_PORT": str(free_port()),
        }
        self._lay_out()
        self.master = self._daemon("sge_qmaster", self._account.pw_name)
        self.node = self._daemon("sge_execd", None)
        self._children = ExitStack()

    def _lay_out(self) -> None:
        common, spool = self._folder / "default" / "common", self._folder / "spool"
        for folder in (common, spool / "qmaster" / "job_scripts", spool / "execd", self._folder / "tmp"):
            folder.mkdir(parents=True)
        for name in ("bin", "lib", "util", "utilbin"):
            (self._folder / name).symlink_to(INSTALLED / name)
        self._spool = f"{common};{spool}/qmaster"
        values = {"user": self._account.pw_name, "programs": PROGRAMS, "folder": self._folder, "spool": self._spool}
        (common / "bootstrap").write_text(BOOTSTRAP.format(**values))
        (common / "act_qmaster").write_text(f"{self.host}\n")
        (common / "host_aliases").write_text(f"{self.host} {socket.gethostname()}\n")
        self._write("configuration", self._configuration(SHARE / "default-configuration"))
        self._shim = compile_loopback_bind(self._folder)
        for folder, names, files in os.walk(self._folder):
            for path in (folder, *(Path(folder, name) for name in [*names, *files])):
                os.chown(path, self._account.pw_uid, self._account.pw_gid, follow_symlinks=False)

    def _configuration(self, default: Path) -> str:
        values = {**CONFIGURATION, "execd_spool_dir": f"{self._folder}/spool/execd"}
        lines = [line for line in default.read_text().splitlines() if line.partition(" ")[0] not in values]
        return "\n".join([*lines, *(f"{name} {value}" for name, value in values.items())]) + "\n"

    def _write(self, name: str, text: str) -> Path:
        file = self._folder / name
        file.write_text(text)
        return file

    def _daemon(self, name: str, user: str | None) -> Process:
        # SGE_ND: it stays in the foreground.
        environment = {**self._all_environment(), "SGE_ND": "1", "LD_PRELOAD": str(self._shim)}
        return Process([PROGRAMS / name], self._folder, env=environment, cwd=self._folder, user=user)

    def _all_environment(self) -> dict[str, str]:
        return {**self.environment, "LD_LIBRARY_PATH": str(PROGRAMS)}

    def __enter__(self) -> Self:
        self._initialise_spool()
        with ExitStack() as children:
            children.callback(kill_marked, f"SGE_ROOT={self._folder}", COMMAND_DEADLINE_S)
            children.enter_context(self.master)
            self.wait_for_master()
            self._configure()
            children.enter_context(self.node)
            self.wait_for_node()
            self._children = children.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._children.close()

    def _initialise_spool(self) -> None:
        self.run(PROGRAMS / "spoolinit", "classic", "libspoolc", self._spool, "init")
        resources = SHARE / "util" / "resources"
        for arguments in (
            ("configuration", self._folder / "configuration"),
            ("complexes", resources / "centry"),
            ("usersets", resources / "usersets"),
            ("managers", self._account.pw_name),
        ):
            self.run(PROGRAMS / "spooldefaults", *arguments)

    def _configure(self) -> None:
        self.run("qconf", "-as", self.host)
        self.run("qconf", "-Ae", self._write("host", HOST.format(host=self.host)))
        self.run("qconf", "-Ap", self._write("parallel", PARALLEL_ENVIRONMENT.format(name="parallel")))
        scheduler = _with(self.run("qconf", "-ssconf"), schedule_interval="0:0:1")
        self.run("qconf", "-Msconf", self._write("scheduler", scheduler))
        for name, slots in self._queues.items():
            text = _with(
                self.run("qconf", "-sq"),
                qname=name,
                hostlist=self.host,
                slots=str(slots),
                pe_list="parallel",
                shell="/bin/sh",
                tmpdir=str(self._folder / "tmp"),
                load_thresholds="NONE",  # a busy machine is no reason to leave a test's jobs waiting
            )
            self.run("qconf", "-Aq", self._write("queue", text))

    def wait_for_master(self) -> None:
        """Wait until the master answers."""
        self.master.wait_until(lambda: self.run("qconf", "-sm"), START_DEADLINE_S, "the master of Grid Engine")

    def wait_for_node(self) -> None:
        """Wait until the master hears from its node."""

        def is_heard() -> bool:
            lines = self.run("qstat", "-f").splitlines()
            return any("lx-" in line and not set("auE") & set(line.split()[5:]) for line in lines)

        self.node.wait_until(is_heard, START_DEADLINE_S, "the execution host of Grid Engine")

    def run(self, command: str | Path, *arguments: str | Path) -> str:
        """Run one of Grid Engine's commands as its user; return what it prints."""
        credentials = {"user": self._account.pw_uid, "group": self._account.pw_gid} if os.geteuid() == 0 else {}
        return subprocess.run(
            [str(word) for word in (command, *arguments)],
            env={**os.environ, **self._all_environment()},
            cwd=self._folder,
            **credentials,
            check=True,
            capture_output=True,
            text=True,
            timeout=COMMAND_DEADLINE_S,
        ).stdout

    def submit(self, *options: str, job: tuple[str, ...] = ("sleep", "600")) -> str:
        """Submit a job, by default one of one slot that outlasts any test; return its number."""
        fixed = ("-terse", "-b", "y", "-o", "/dev/null", "-e", "/dev/null")
        folder = () if "-wd" in options else ("-wd", str(self._folder))
        return self.run("qsub", *fixed, *folder, *options, *job).strip().partition(".")[0]


def _with(text: str, **values: str) -> str:
    """Return a configuration of qconf with some of its values replaced."""
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return "".join(f"{name} {values.get(name, value)}\n" for name, value in lines)
