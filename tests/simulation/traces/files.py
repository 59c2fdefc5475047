"""Small traces, written by hand in the formats of the published ones."""

import gzip
from pathlib import Path

SWF_HEADER = """\
; Version: 2.2
; Computer: A small cluster
;   UnixStartTime: 1091615532
;        TimeZone: 3600   # DEPRECATED; use TimeZoneString
;  TimeZoneString: Europe/Paris
;
"""


def swf_row(
    submit_s: object = 0,
    run_s: object = 60,
    processors: object = 1,
    *,
    cpu_s: object = -1,
    memory_kib: object = -1,
    requested: object = -1,
    status: object = 1,
    user: object = 7,
    queue: object = 0,
) -> str:
    """One job as SWF has it: the columns that are read, among those that are not."""
    front = f"1 {submit_s} 13 {run_s} {processors} {cpu_s} {memory_kib} {requested}"
    return f"{front} 64800 -1 {status} {user} -1 -1 {queue} -1 -1 -1"


def written(folder: Path, *rows: str, header: str = SWF_HEADER) -> Path:
    """A file with these rows."""
    file = folder / "trace"
    file.write_text(header + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return file


def packed(file: Path) -> Path:
    """The same file, compressed, under the same name."""
    file.write_bytes(gzip.compress(file.read_bytes()))
    return file
