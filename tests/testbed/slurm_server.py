"""A real Slurm of one machine: a controller and one node, without root, munge or cgroups, on the loopback only.

Only the one user it runs as can submit jobs (auth/none). Ends everything it started, jobs included.
"""

import getpass
import os
import pwd
import signal
import socket
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from tests.testbed.processes import Process, free_port, wait_until

START_DEADLINE_S = 120
COMMAND_DEADLINE_S = 60

CONFIGURATION = """\
ClusterName=vaf
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
AuthType=auth/none
CredType=cred/none
SlurmUser={user}
SlurmdUser={user}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.out
SlurmdLogFile={folder}/slurmd.out
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
NodeName=wn01 NodeHostname={host} NodeAddr=127.0.0.1 Port={node_port} CPUs={cpus} RealMemory=100 State=UNKNOWN
PartitionName=batch Nodes=wn01 Default=YES MaxTime=60 State=UP
"""


class Slurm:
    """A Slurm in ``scratch`` whose only node has ``cpus`` CPUs; ``with`` starts it and ends it."""

    def __init__(self, scratch: Path, cpus: int = 2) -> None:
        self._folder = scratch / "slurm"
        # Slurm's daemons could be root, but then they would need root's way of authentication.
        self._account = pwd.getpwnam("nobody" if os.geteuid() == 0 else getpass.getuser())
        self.environment = {"SLURM_CONF": str(self._folder / "slurm.conf")}
        self._write_configuration(cpus)
        self.controller = self._daemon(["/usr/sbin/slurmctld", "-D"])
        self._node = self._daemon(["/usr/sbin/slurmd", "-D", "-N", "wn01"])
        self._children = ExitStack()

    def _write_configuration(self, cpus: int) -> None:
        for folder in (self._folder, self._folder / "state", self._folder / "spool"):
            folder.mkdir()
            os.chown(folder, self._account.pw_uid, self._account.pw_gid)
        configuration = CONFIGURATION.format(
            host=socket.gethostname().partition(".")[0],
            controller_port=free_port(),
            node_port=free_port(),
            user=self._account.pw_name,
            folder=self._folder,
            cpus=cpus,
        )
        (self._folder / "slurm.conf").write_text(configuration)

    def _daemon(self, argv: list[str]) -> Process:
        user = self._account.pw_name if os.geteuid() == 0 else None
        return Process(argv, self._folder, env=self.environment, cwd=self._folder, user=user)

    def __enter__(self) -> Self:
        with ExitStack() as children:
            children.callback(self._kill_jobs)
            children.enter_context(self.controller)
            children.enter_context(self._node)
            self.wait_for_node()
            self._children = children.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._children.close()

    def wait_for_node(self) -> None:
        """Wait until the controller answers and its node takes jobs."""

        def takes_jobs() -> bool:
            return self.run("sinfo", "-h", "-o", "%T").strip() in {"idle", "mixed", "allocated"}

        self._node.wait_until(takes_jobs, START_DEADLINE_S, "the node of Slurm")

    def run(self, command: str, *arguments: str) -> str:
        """Run one of Slurm's commands as its user; return what it prints."""
        # A job inherits the group too, and only its own can be given to its files.
        credentials = {"user": self._account.pw_uid, "group": self._account.pw_gid} if os.geteuid() == 0 else {}
        return subprocess.run(
            [command, *arguments],
            env={**os.environ, **self.environment},
            cwd=self._folder,
            **credentials,
            check=True,
            capture_output=True,
            text=True,
            timeout=COMMAND_DEADLINE_S,
        ).stdout

    def submit(self, *options: str, script: str = "exec sleep 600") -> int:
        """Submit a job of one CPU, by default one that outlasts any test; return its id."""
        printed = self.run("sbatch", "--parsable", "-n1", "-o", "/dev/null", *options, "--wrap", script)
        return int(printed.strip())

    def _kill_jobs(self) -> None:
        """Kill what the node started: jobs run in sessions of their own and outlive their slurmd."""
        wait_until(lambda: not any(self._kill(pid) for pid in self._pids()), COMMAND_DEADLINE_S, "the end of all jobs")

    def _pids(self) -> list[int]:
        """Return the processes whose environment names this Slurm's own configuration file."""
        mark = f"SLURM_CONF={self.environment['SLURM_CONF']}\0".encode()
        return [int(entry.parent.name) for entry in Path("/proc").glob("[0-9]*/environ") if mark in _environ(entry)]

    def _kill(self, pid: int) -> int:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return pid


def _environ(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
