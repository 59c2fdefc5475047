"""What a machine's guests read back from their swap.

No trace tells what jobs touch. What a squeeze put into swap is memory that its jobs do not miss meanwhile; here it is
read once, when the guests have room for it again, unless its job has ended by then: what has ended is dropped unread.
That is the most that can come of it, as real guests leave in swap what nobody touches.
"""


class Swap:
    """Memory in swap, and whose it is: that of all who were there when it went, in proportion to what they use.

    All in MiB. Jobs are numbered in the order in which they began.
    """

    def __init__(self) -> None:
        self._there_mib = 0.0
        self._owners_mib = 0
        self._last_owner = 0

    def put(self, mib: int, owners_mib: int, last_job: int) -> None:
        """So much went into swap, when so much was in use, and the newest job was this one."""
        self._there_mib += mib
        self._owners_mib, self._last_owner = owners_mib, last_job

    def job_ended(self, job: int, mib: int) -> None:
        """Drop what is in swap of a job that used so much."""
        if self._there_mib and job <= self._last_owner:
            self._there_mib -= self._there_mib * mib / self._owners_mib
            self._owners_mib -= mib

    def read(self, room_mib: int) -> float:
        """The guests have so much more room: return how much they read back into it."""
        read_mib = min(self._there_mib, max(0, room_mib))
        self._there_mib -= read_mib
        return read_mib
