"""What the test bed's Xen host boots from, made once of Debian packages and kept outside the checkout.

``python -m tests.testbed.xen_image`` makes it ahead of the tests; it takes about two minutes, and root. To have it made
anew, of newer packages, remove its folder.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CACHE = Path("/var/cache/vaf-autoscaler")
SUITE = "bookworm"
HERE = Path(__file__).parent
SCRIPT = HERE / "xen-image.sh"
MADE_FROM = (SCRIPT, HERE / "xen-dom0-init", HERE / "guest-init")
UNFINISHED = "unfinished-"

# Nothing of a build outlives its runner, whatever ends it; mounts of debootstrap end with their namespace.
IN_A_ROOM = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"]


@dataclass(frozen=True)
class XenImage:
    """What QEMU boots: Xen itself, Domain-0's kernel and initramfs, and a disk which must not be written to."""

    folder: Path

    @property
    def xen(self) -> Path:
        return self.folder / "xen"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd"

    @property
    def disk(self) -> Path:
        return self.folder / "disk.img"


def xen_image(cache: Path = CACHE) -> XenImage:
    """Return the image, made now unless one of the same scripts is in the cache."""
    made = cache / f"xen-{_key()}"
    if not made.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with _alone(cache):
            if not made.exists():
                _make(made)
    return XenImage(made)


def _key() -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in MADE_FROM)).hexdigest()[:16]


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Keep other runs out; the lock goes with the process that holds it."""
    with (cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another run makes it: waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(made: Path) -> None:
    """Build in a folder beside, which becomes the image only when everything is in it."""
    for left in made.parent.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=made.parent))
    log = made.parent / "xen-image.log"
    try:
        with log.open("wb") as output:
            built = subprocess.run(
                [*IN_A_ROOM, "bash", SCRIPT, folder, _mirror(), SUITE],
                stdin=subprocess.DEVNULL,
                stdout=output,
                check=False,
            )
        if built.returncode:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
            raise RuntimeError(f"the Xen image could not be made (exit code {built.returncode}), see {log}:\n{tail}")
        folder.rename(made)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _mirror() -> str:
    """Where this machine's own apt has the Debian release from; its lists may not have been fetched yet."""
    found = _listed_mirror()
    if found is None:
        subprocess.run(["apt-get", "update", "-qq"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        found = _listed_mirror()
    if found is None:
        raise RuntimeError(f"the Xen image is made of Debian {SUITE}, which is not among this machine's apt sources")
    return found


def _listed_mirror() -> str | None:
    answer = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    )
    for line in answer.stdout.splitlines():
        release, component, address = line.split(maxsplit=2)
        if (release, component) == (SUITE, "main"):
            return address
    return None


def _say(what: str) -> None:
    sys.stderr.write(f"== Xen image: {what}\n")


if __name__ == "__main__":
    sys.stdout.write(f"{xen_image().folder}\n")
