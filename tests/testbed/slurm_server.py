"""A real Slurm of one machine: a controller and nodes, without root, munge or cgroups, on the loopback only.

Only the one user it runs as can submit jobs (auth/none). Ends everything it started, jobs included.
"""

import getpass
import os
import pwd
import secrets
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import psutil

from tests.testbed.processes import Process, free_port, kill_marked, marked

START_DEADLINE_S = 300
COMMAND_DEADLINE_S = 180
TOKEN_LIFE_S = 3600

CONFIGURATION = """\
ClusterName=vaf
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
AuthType=auth/none
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key={folder}/jwt.key
CredType=cred/none
SlurmUser={user}
SlurmdUser={user}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.out
SlurmdLogFile={folder}/slurmd.%n.out
SlurmdTimeout=20
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/{gather}
JobCompType=jobcomp/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} RealMemory=100 State=UNKNOWN\n"
PARTITION = "PartitionName={name} Nodes={nodes} Default={default} MaxTime=60 State=UP\n"


class Slurm:
    """A Slurm in ``scratch`` with ``nodes`` nodes of ``cpus`` CPUs each; ``with`` starts it and ends it.

    All nodes are in the partition ``batch``, the last one in ``proof`` as well. ``gather`` is how the CPU time of jobs
    is measured: linux or none.
    """

    def __init__(self, scratch: Path, cpus: int = 2, nodes: int = 1, gather: str = "linux") -> None:
        self.folder = scratch / "slurm"
        # Slurm's daemons could be root, but then they would need root's way of authentication.
        self._account = pwd.getpwnam("nobody" if os.geteuid() == 0 else getpass.getuser())
        self.environment = {"SLURM_CONF": str(self.folder / "slurm.conf")}
        self._mark = f"SLURM_CONF={self.environment['SLURM_CONF']}"
        self.node_names = [f"wn{number:02}" for number in range(1, nodes + 1)]
        self._write_configuration(cpus, gather)
        self.controller = self._daemon("slurmctld", "-D")
        self.nodes = {node: self._daemon("slurmd", "-D", "-N", node, name=node) for node in self.node_names}
        self._children = ExitStack()

    def _write_configuration(self, cpus: int, gather: str) -> None:
        spools = [self.folder / "spool" / node for node in self.node_names]
        for folder in (self.folder, self.folder / "state", self.folder / "spool", *spools):
            folder.mkdir()
            os.chown(folder, self._account.pw_uid, self._account.pw_gid)
        host = socket.gethostname().partition(".")[0]
        configuration = CONFIGURATION.format(
            host=host, controller_port=free_port(), user=self._account.pw_name, folder=self.folder, gather=gather
        )
        for node in self.node_names:
            configuration += NODE.format(name=node, host=host, port=free_port(), cpus=cpus)
        configuration += PARTITION.format(name="batch", nodes=",".join(self.node_names), default="YES")
        configuration += PARTITION.format(name="proof", nodes=self.node_names[-1], default="NO")
        (self.folder / "slurm.conf").write_text(configuration)
        key = self.folder / "jwt.key"
        key.write_bytes(secrets.token_bytes(32))
        key.chmod(0o600)
        os.chown(key, self._account.pw_uid, self._account.pw_gid)

    def _daemon(self, command: str, *arguments: str, name: str | None = None, **environment: str) -> Process:
        user = self._account.pw_name if os.geteuid() == 0 else None
        env = {**self.environment, **environment}
        argv = [f"/usr/sbin/{command}", *arguments]
        return Process(argv, self.folder, name=name, env=env, cwd=self.folder, user=user)

    def __enter__(self) -> Self:
        with ExitStack() as children:
            children.callback(kill_marked, self._mark, COMMAND_DEADLINE_S)
            for process in (self.controller, *self.nodes.values()):
                children.enter_context(process)
            self.wait_for_nodes()
            self._children = children.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._children.close()

    def wait_for_nodes(self) -> None:
        """Wait until the controller answers and all nodes take jobs."""

        def take_jobs() -> bool:
            states = self.run("sinfo", "-h", "-N", "-p", "batch", "-o", "%T").split()
            return len(states) == len(self.nodes) and set(states) <= {"idle", "mixed", "allocated"}

        self.controller.wait_until(take_jobs, START_DEADLINE_S, "the nodes of Slurm")

    def rest_server(self, auth: str, address: str) -> Process:
        """Return a slurmrestd, not yet started: ``auth`` is jwt or local, ``address`` is HOST:PORT or unix:PATH."""
        return self._daemon(
            "slurmrestd", "-s", "openapi/v0.0.38", "-a", f"rest_auth/{auth}", address, SLURM_JWT="daemon"
        )

    def token(self) -> str:
        """Return a new token for slurmrestd, as ``scontrol`` prints it."""
        return self.run("scontrol", "token", f"lifespan={TOKEN_LIFE_S}")

    def run(self, command: str, *arguments: str) -> str:
        """Run one of Slurm's commands as its user; return what it prints."""
        # A job inherits the group too, and only its own can be given to its files.
        credentials = {"user": self._account.pw_uid, "group": self._account.pw_gid} if os.geteuid() == 0 else {}
        return subprocess.run(
            [command, *arguments],
            env={**os.environ, **self.environment},
            cwd=self.folder,
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

    def core_s(self) -> int:
        """Return the seconds since the start of all running jobs, each of one CPU, added up."""
        times = self.run("squeue", "--noheader", "--states=RUNNING", "--format=%M").split()
        return sum(60 * int(minutes) + int(seconds) for minutes, seconds in (time.split(":") for time in times))

    def busy_processes(self) -> list[psutil.Process]:
        """Return the processes of the jobs' scripts, without the daemons and those that only wait."""
        mine = [psutil.Process(pid) for pid in marked(self._mark)]
        return [process for process in mine if process.name() == "slurm_script" and process.status() != "sleeping"]
