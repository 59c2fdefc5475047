"""What a peer has to be told of the facility; its own rules know nothing of PROOF."""

from dataclasses import dataclass

from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, Facility, ProofDomain, Window

UNKNOWN = "PROOF load is unknown"


@dataclass(frozen=True, slots=True)
class Site:
    """The PROOF domains that a peer resizes, and how many workers one session wants."""

    proofs: tuple[ProofDomain, ...]
    workers_per_session: int = 8

    @classmethod
    def of(cls, facility: Facility, workers_per_session: int = 8) -> "Site":
        """The site that a facility is."""
        return cls(tuple(host.proof for host in facility.hosts), workers_per_session)

    @property
    def workers_max(self) -> int:
        """How many workers the site can have at most."""
        return sum(proof.workers_max for proof in self.proofs)

    def wanted(self, window: Window) -> float | None:
        """The workers that sessions want now, queued or running, ``None`` when unknown."""
        queued, running = window.latest(PROOF_QUEUED_SESSIONS), window.latest(PROOF_RUNNING_SESSIONS)
        if queued is None or running is None:
            return None
        return (queued + running) * self.workers_per_session
