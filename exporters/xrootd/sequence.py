"""Which of a stream's numbered datagrams are lost, where some overtake others on their way.

The numbers are those of xrootd's detailed monitoring: one byte, so 255 is followed by 0.
"""

MODULUS = 256

# A datagram that comes up to this many behind its turn is late; what has not come by then is lost.
PATIENCE = 16


class Sequence:
    """Follows the numbers of one stream; ``lost`` counts what is lost and never falls.

    A number that comes twice is not counted as a loss, but many in a row (240 or more) look like fewer.
    """

    def __init__(self) -> None:
        self.lost = 0
        self._next: int | None = None
        self._missing: set[int] = set()

    def take(self, number: int) -> bool:
        """Take the number of the next datagram to arrive; return whether it is late: behind one with a later number."""
        expected = number if self._next is None else self._next
        ahead = (number - expected) % MODULUS
        if ahead >= MODULUS - PATIENCE:
            self._missing.discard(expected + ahead - MODULUS)
            return True
        if ahead:
            self._missing.update(range(expected, expected + ahead))
        self._next = expected + ahead + 1
        if self._missing:
            self._give_up(self._next - PATIENCE)
        return False

    def _give_up(self, before: int) -> None:
        lost = {number for number in self._missing if number < before}
        self.lost += len(lost)
        self._missing -= lost
