"""Commands of a batch system that print what a test wants, in a folder of their own."""

import shlex
from pathlib import Path


def install(folder: Path, name: str, body: str) -> Path:
    """Write a shell script; return the folder it is in."""
    script = folder / name
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    return folder


def printing(output: bytes | Path, folder: Path) -> str:
    """Return the body of a script that prints this, or what is in this file."""
    file = output
    if isinstance(file, bytes):
        file = folder / f"output-{len(list(folder.iterdir()))}"
        file.write_bytes(bytes(output))
    return f"cat {shlex.quote(str(file))}"
