"""What a scenario file may say. Unknown keys are errors; every size, rate and duration carries its unit."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from autoscaler.config.schema import (
    GuardsSection,
    PolicySection,
    ProofSizes,
    WnSizes,
    check_host,
    one_or_many_wns,
)
from autoscaler.config.section import Name, PositiveDuration, Section
from autoscaler.config.units import BytesPerSecond, Duration, Mebibytes
from autoscaler.model import DomainState, Host
from autoscaler.simulation.constants import PHYSICS, Physics
from autoscaler.simulation.scenario import Machine, Price, Scenario


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ValueError(f"{name!r} is no time zone that is known here, such as Europe/Rome") from None
    return name


def _not_nothing(rate: int) -> int:
    if rate == 0:
        raise ValueError("must be more than 0")
    return rate


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10_000, strict=True)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Bandwidth = Annotated[BytesPerSecond, AfterValidator(_not_nothing)]


class HostsSection(Section):
    """A group of equal machines; hosts and domains get names made from that of the group."""

    name: Name
    count: Count = 1
    cores: Count
    memory_total: Mebibytes
    memory_reserve: Mebibytes
    cpu_reserve_cores: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    proof: ProofSizes
    wn: Annotated[list[WnSizes], Field(min_length=1)]
    wn_base_memory: Mebibytes = 256
    job_slots: Annotated[int, Field(ge=0, le=10_000, strict=True)]

    def machines(self) -> Iterator[Machine]:
        """Yield the machines of the group."""
        for number in range(1, self.count + 1):
            yield Machine(self._host(f"{self.name}-{number:03d}"), self.cores, self.job_slots, self.wn_base_memory)

    def _host(self, name: str) -> Host:
        one = len(self.wn) == 1
        return Host(
            name=name,
            uri=f"model:///{name}",
            memory_total_mib=self.memory_total,
            memory_reserve_mib=self.memory_reserve,
            proof=self.proof.named(f"{name}-proof"),
            wns=tuple(wn.named(f"{name}-wn" if one else f"{name}-wn-{at}") for at, wn in enumerate(self.wn, start=1)),
            cpu_reserve_cores=self.cpu_reserve_cores,
        )

    @model_validator(mode="before")
    @classmethod
    def _one_or_many(cls, values: Any) -> Any:
        return one_or_many_wns(values)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        check_host(self._host(self.name))
        if self.proof.dormant_state is not DomainState.RUNNING:
            raise ValueError("proof.dormant_state: the model knows only running")
        return self


class SessionsSection(Section):
    """What a PROOF session of the trace is; with ``None`` it wants as many workers as the trace says."""

    workers_per_session: Count | None = None
    read_rate_per_worker: BytesPerSecond = 0


class JobsSection(Section):
    """What a batch job of the trace is where the trace does not say it."""

    memory: Mebibytes = 700


class StorageSection(Section):
    """The storage that all read from, and where the trace of its throughput was recorded."""

    bandwidth: Bandwidth | None = None
    trace_time_zone: TimeZone | None = None


class PriceSection(Section):
    """What a second of waiting is worth."""

    wait_core_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class PieceSection(Section):
    """Which part of the PROOF trace's time is played, as shares of it."""

    from_: Annotated[Share, Field(alias="from")] = 0.0
    to: Share = 1.0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_ >= self.to:
            raise ValueError("from must be less than to")
        return self


class SpeedsSection(Section):
    """The constants of the model, for hardware of other speeds."""

    balloon_free_mib_per_s: Positive = PHYSICS.balloon_free_mib_per_s
    balloon_give_mib_per_s: Positive = PHYSICS.balloon_give_mib_per_s
    balloon_swap_mib_per_s: Positive = PHYSICS.balloon_swap_mib_per_s
    cpu_change_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = PHYSICS.cpu_change_s
    swapping_speed: Annotated[float, Field(gt=0, le=1)] = PHYSICS.swapping_speed
    thrash_slowdown: Annotated[float, Field(ge=1, allow_inf_nan=False)] = PHYSICS.thrash_slowdown
    cold_ratio: Share = PHYSICS.cold_ratio
    step_s: Positive = PHYSICS.step_s

    def physics(self) -> Physics:
        """The section as the model knows it."""
        return Physics(**self.model_dump())


class ScenarioFile(Section):
    """The whole file."""

    interval: PositiveDuration = timedelta(seconds=60)
    reading_age: Duration = timedelta(seconds=15)
    guards: GuardsSection = GuardsSection()
    hosts: Annotated[list[HostsSection], Field(min_length=1)]
    proof: SessionsSection = SessionsSection()
    jobs: JobsSection = JobsSection()
    storage: StorageSection = StorageSection()
    price: PriceSection
    piece: PieceSection = PieceSection()
    speeds: SpeedsSection = SpeedsSection()
    policies: Annotated[dict[Name, PolicySection], Field(default_factory=dict)]

    def scenario(self) -> Scenario:
        """The facility as the model knows it."""
        return Scenario(
            machines=tuple(machine for group in self.hosts for machine in group.machines()),
            price=Price(self.price.wait_core_seconds),
            interval=self.interval,
            reading_age=self.reading_age,
            limits=self.guards.limits(),
            storage_bytes_per_s=self.storage.bandwidth,
            physics=self.speeds.physics(),
        )

    @model_validator(mode="after")
    def _readings_are_fresh(self) -> Self:
        if self.reading_age > self.guards.fresh_for:
            raise ValueError("reading_age is above guards.fresh_for: every reading would be unknown, and nothing moves")
        return self
