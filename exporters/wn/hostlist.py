"""Slurm's way to write many host names in one word: "wn[01-04,7],gpu1" (scontrol(1), "show hostnames")."""

import re

# Slurm's own limit for one expression (MAX_RANGE in hostlist.c).
MOST_HOSTS = 2**16

# A host name, or several with ranges of numbers in brackets; no comma but between names and inside brackets.
NAME = r"(?:[^\[\],\s]|\[[0-9,-]+\])+"
LIST = re.compile(rf"{NAME}(?:,{NAME})*")
WORD = re.compile(NAME)
PIECE = re.compile(r"\[([0-9,-]+)\]|([^\[\]]+)")
RANGE = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")


class BadHostlist(ValueError):  # noqa: N818 - named after what it is about
    """The text is no host list, or one of more hosts than Slurm itself allows."""


def expand_hostlist(text: str) -> list[str]:
    """Return the names of the hosts in ``text``, none for an empty one; raises :class:`BadHostlist`."""
    if not text:
        return []
    if not LIST.fullmatch(text):
        raise BadHostlist("it is not a list of hosts")
    hosts: list[str] = []
    for word in WORD.findall(text):
        hosts.extend(_expand(word, MOST_HOSTS - len(hosts)))
    return hosts


def _expand(word: str, most: int) -> list[str]:
    names = [""]
    for ranges, literal in PIECE.findall(word):
        endings = _numbers(ranges, most) if ranges else [literal]
        if len(names) * len(endings) > most:
            raise BadHostlist("it has too many hosts")
        names = [name + ending for name in names for ending in endings]
    return names


def _numbers(ranges: str, most: int) -> list[str]:
    """Return the numbers in "01-03,7", each as wide as the first of its range is written."""
    numbers: list[str] = []
    for part in ranges.split(","):
        match = RANGE.fullmatch(part)
        if match is None:
            raise BadHostlist("it has a range that is none")
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < first + most - len(numbers):
            raise BadHostlist("it has too many hosts, or a range that is none")
        numbers.extend(f"{number:0{len(match[1])}}" for number in range(first, last + 1))
    return numbers
