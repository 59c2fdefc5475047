"""Who gets how many cores: the work-conserving share by weight and cap, as Xen's and Linux's schedulers aim at it.

The model's machines share their cores by this rule; so does the demo, whose test driver makes its CPU times up.
"""

from collections.abc import Mapping

from autoscaler.value import Value


class Claim(Value, frozen=True):
    """What one domain could use, at most its cap, in cores, and its weight."""

    cores: float
    weight: int


def share_cores(cores: float, claims: Mapping[str, Claim]) -> dict[str, float]:
    """Divide ``cores`` by weight; what one cannot use goes to the others (water filling)."""
    if sum(claim.cores for claim in claims.values()) <= cores:
        return {name: claim.cores for name, claim in claims.items()}
    shares = dict.fromkeys(claims, 0.0)
    hungry = {name: claim for name, claim in claims.items() if claim.cores > 0}
    left = cores
    while hungry:
        per_weight = left / sum(claim.weight for claim in hungry.values())
        sated = [name for name, claim in hungry.items() if claim.cores <= per_weight * claim.weight]
        if not sated:
            return shares | {name: per_weight * claim.weight for name, claim in hungry.items()}
        for name in sated:
            shares[name] = hungry.pop(name).cores
            left -= shares[name]
    return shares
