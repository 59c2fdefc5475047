"""What a configuration file may say. Unknown keys are errors; every size and duration carries its unit."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from autoscaler.config.api_section import ApiSection
from autoscaler.config.grafana_section import GrafanaSection
from autoscaler.config.hours import parse_hours
from autoscaler.config.section import Address, Name, PositiveDuration, Section, Url
from autoscaler.config.store_section import StoreSection
from autoscaler.config.tuning_section import ALL_HOSTS, TuningSection
from autoscaler.config.units import Duration, Mebibytes, duration_text
from autoscaler.core.allocation import proof_memory_mib
from autoscaler.core.calendar import CalendarEntry
from autoscaler.core.orders import MAINTENANCE
from autoscaler.core.tuning import TuningRule
from autoscaler.core.unknown import QUIET_SPAN
from autoscaler.model import (
    Allocation,
    Direction,
    DomainState,
    Facility,
    GuardLimits,
    Host,
    Pause,
    ProofDomain,
    WnDomain,
)


def _libvirt_uri(uri: str) -> str:
    if not re.match(r"(qemu|xen|test)(\+[a-z0-9]+)?://", uri):
        raise ValueError(f"{uri!r} is not a libvirt URI of driver qemu, xen or test, such as qemu+tls://HOST/system")
    return uri


# An empty store has 100 KiB; below this a busy facility would forget what it did yesterday.
LEAST_KEEP_MIB = 16
# What is looked back on, four hours, must say something of what is looked ahead to.
LONGEST_HORIZON = timedelta(hours=1)
# A model is not trained on less: it shows each weekday a few times, to learn from and to be judged on.
LEAST_PAST = timedelta(days=28)

# Xen's credit scheduler takes 1..65535; above 2500 the weight would leave the range of cgroup v2 on KVM.
Weight = Annotated[int, Field(ge=1, le=2500, strict=True)]
Cores = Annotated[float, Field(gt=0, allow_inf_nan=False)]
DormantState = Literal[DomainState.RUNNING, DomainState.PAUSED, DomainState.SAVED, DomainState.SHUT_OFF]


class ControllerSection(Section):
    """The loop and its memory."""

    interval: PositiveDuration = timedelta(seconds=15)
    host_timeout: PositiveDuration = timedelta(seconds=10)
    transfer_stall: PositiveDuration = timedelta(seconds=60)
    store: Path = Path("/var/lib/vaf-autoscaler/decisions.sqlite")
    notify_listen: Address | None = None
    metrics_listen: Address | None = None
    failures_to_safe: Annotated[int, Field(ge=1, strict=True)] = 10
    keep: PositiveDuration = timedelta(days=90)
    keep_size: Annotated[Mebibytes, Field(ge=LEAST_KEEP_MIB)] = 2048


class PrometheusSignal(Section):
    """One signal by PromQL: its value, and the Unix time at which that value was true."""

    query: Name
    fresh_at: Name


class ScrapeSignal(Section):
    """One signal from scraped metrics: the sum over all series of ``metric`` with these label values."""

    job: Name
    metric: Name
    labels: dict[str, list[str]] = {}
    rate: bool = False


class PrometheusSection(Section):
    """Read signals from a Prometheus server's HTTP API."""

    kind: Literal["prometheus"]
    url: Url
    timeout: PositiveDuration = timedelta(seconds=5)
    step: PositiveDuration = timedelta(seconds=15)
    username: Name | None = None
    password_file: Path | None = None
    bearer_token_file: Path | None = None
    ca_file: Path | None = None
    signals: dict[str, PrometheusSignal] = {}

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and password_file go together")
        if self.username is not None and self.bearer_token_file is not None:
            raise ValueError("either username and password_file or bearer_token_file, not both")
        return self

    def beside(self, folder: Path) -> Self:
        """The section with relative paths to files in ``folder``."""
        files = {name: getattr(self, name) for name in ("password_file", "bearer_token_file", "ca_file")}
        return self.model_copy(update={name: folder / file for name, file in files.items() if file is not None})


class ScrapeSection(Section):
    """Read signals from the exporters themselves, by job; for sites and demonstrations without Prometheus."""

    kind: Literal["scrape"]
    targets: Annotated[
        dict[str, Annotated[list[Url], Field(min_length=1)]],
        Field(min_length=1),
    ]
    timeout: PositiveDuration = timedelta(seconds=5)
    signals: dict[str, ScrapeSignal] = {}


def _tells_work(span: timedelta) -> timedelta:
    if span < QUIET_SPAN:
        least = duration_text(QUIET_SPAN)
        raise ValueError(
            f"must be {least} or more, or null: in less time PROOF's CPU does not tell whether somebody works"
        )
    return span


class GuardsSection(Section):
    """How much, how fast."""

    fresh_for: PositiveDuration = timedelta(seconds=90)
    dead_band_workers: Annotated[int, Field(ge=1, strict=True)] = 1
    grow_cooldown: Duration = timedelta(0)
    shrink_cooldown: Duration = timedelta(minutes=5)
    strain_cooldown: Duration = timedelta(minutes=5)
    unknown_to_safe: Annotated[Duration, AfterValidator(_tells_work)] | None = timedelta(hours=2)

    def limits(self) -> GuardLimits:
        """The section as the guards know it."""
        return GuardLimits(**{name: getattr(self, name) for name in type(self).model_fields})


class ProofSizes(Section):
    """What a PROOF domain is like, whatever it is called."""

    dormant_memory: Mebibytes
    dormant_cpu_weight: Weight = 32
    dormant_cpu_cap_cores: Cores | None = 1.0
    memory_per_worker: Annotated[Mebibytes, Field(gt=0)]
    workers_min: Annotated[int, Field(ge=0, strict=True)] = 0
    workers_max: Annotated[int, Field(ge=1, strict=True)]
    cpu_weight: Weight = 256
    dormant_state: DormantState = DomainState.RUNNING

    def named(self, name: str) -> ProofDomain:
        """The section as the model knows it, under this name."""
        return ProofDomain(
            name=name,
            dormant=Allocation(self.dormant_memory, self.dormant_cpu_weight, self.dormant_cpu_cap_cores),
            memory_per_worker_mib=self.memory_per_worker,
            workers_min=self.workers_min,
            workers_max=self.workers_max,
            cpu_weight_awake=self.cpu_weight,
            dormant_state=self.dormant_state,
        )


class ProofSection(ProofSizes):
    """The PROOF domain of a host."""

    domain: Name


class WnSizes(Section):
    """What a Worker Node domain is like, whatever it is called."""

    memory_floor: Mebibytes
    memory_max: Mebibytes
    memory_margin: Mebibytes = 256
    swap_down_to: Mebibytes | None = None
    cpu_weight: Weight = 256
    cpu_weight_yielding: Weight = 32
    cpu_cap_cores_yielding: Cores | None = None
    cpu_weight_floor: Weight = 16
    cpu_cap_floor_cores: Cores = 0.5

    def named(self, name: str) -> WnDomain:
        """The section as the model knows it, under this name."""
        return WnDomain(
            name=name,
            memory_floor_mib=self.memory_floor,
            memory_max_mib=self.memory_max,
            memory_margin_mib=self.memory_margin,
            swap_down_to_mib=self.swap_down_to,
            cpu_weight=self.cpu_weight,
            cpu_weight_yielding=self.cpu_weight_yielding,
            cpu_cap_cores_yielding=self.cpu_cap_cores_yielding,
            cpu_weight_floor=self.cpu_weight_floor,
            cpu_cap_floor_cores=self.cpu_cap_floor_cores,
        )

    @model_validator(mode="after")
    def _floors(self) -> Self:
        if self.memory_floor > self.memory_max:
            raise ValueError("memory_floor is above memory_max")
        if self.cpu_weight_yielding < self.cpu_weight_floor:
            raise ValueError(f"cpu_weight_yielding is below cpu_weight_floor, which is {self.cpu_weight_floor}")
        return self


class WnSection(WnSizes):
    """A Worker Node domain of a host."""

    domain: Name


def one_or_many_wns(host: Any) -> Any:
    """Most hosts have one Worker Node, which needs no list."""
    if isinstance(host, Mapping) and isinstance(host.get("wn"), Mapping):
        return {**host, "wn": [host["wn"]]}
    return host


def check_host(host: Host) -> None:
    """Refuse a host whose numbers contradict each other, with ``ValueError``."""
    if host.proof.workers_min > host.proof.workers_max:
        raise ValueError("proof.workers_min is above proof.workers_max")
    if host.memory_total_mib is None:
        return
    guests = host.memory_total_mib - host.memory_reserve_mib
    most = proof_memory_mib(host, host.proof.workers_max) + sum(wn.memory_floor_mib for wn in host.wns)
    if most > guests:
        raise ValueError(
            f"PROOF with {host.proof.workers_max} workers and the floor of the Worker Nodes need {most} MiB, but "
            f"memory_total - memory_reserve is {guests} MiB: lower workers_max"
        )


class HostSection(Section):
    """One hypervisor."""

    name: Name
    uri: Annotated[str, AfterValidator(_libvirt_uri)]
    memory_total: Mebibytes | None = None
    memory_reserve: Mebibytes
    cpu_reserve_cores: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    proof: ProofSection
    wn: Annotated[list[WnSection], Field(min_length=1)]

    def value(self) -> Host:
        """The section as the model knows it."""
        return Host(
            name=self.name,
            uri=self.uri,
            memory_total_mib=self.memory_total,
            memory_reserve_mib=self.memory_reserve,
            proof=self.proof.named(self.proof.domain),
            wns=tuple(wn.named(wn.domain) for wn in self.wn),
            cpu_reserve_cores=self.cpu_reserve_cores,
        )

    @model_validator(mode="before")
    @classmethod
    def _one_or_many(cls, values: Any) -> Any:
        return one_or_many_wns(values)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        names = Counter([self.proof.domain, *(wn.domain for wn in self.wn)])
        for name in (name for name, count in names.items() if count > 1):
            raise ValueError(f"the domain {name!r} is named more than once")
        check_host(self.value())
        return self


class PolicySection(BaseModel):
    """Which policy, with its parameters beside its name."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: Name

    @property
    def parameters(self) -> dict[str, Any]:
        """The keys beside ``name``; the policy itself says what they may be."""
        return dict(self.model_extra or {})


class CanarySection(Section):
    """The shadow policy that acts on some hosts."""

    policy: Name
    hosts: Annotated[list[Name], Field(min_length=1)]


def _time_of_day(text: object) -> time:
    if not isinstance(text, str) or not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise ValueError(f"{text!r} is not a time of day: write one in quotes, such as '03:30'")
    return time.fromisoformat(text)


def _enough(past: timedelta) -> timedelta:
    if past < LEAST_PAST:
        raise ValueError(
            f"{duration_text(past)} is too little to train a model on: {duration_text(LEAST_PAST)} or more"
        )
    return past


class LearningSection(Section):
    """How a policy that takes a model gets one; for any other nothing of it is done."""

    refit_at: Annotated[time, BeforeValidator(_time_of_day)] | None = time(3, 30)
    since: Annotated[PositiveDuration, AfterValidator(_enough)] = timedelta(days=90)
    horizon: PositiveDuration = timedelta(minutes=2)

    @model_validator(mode="after")
    def _whole_minutes(self) -> Self:
        if self.horizon % timedelta(minutes=1) or self.horizon > LONGEST_HORIZON:
            raise ValueError(f"horizon is not whole minutes, {duration_text(LONGEST_HORIZON)} at most")
        return self


def _moment(value: object) -> datetime:
    text = value.isoformat() if isinstance(value, date) else str(value)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time such as '2026-12-01 08:00'") from None


def _zone(name: object) -> ZoneInfo:
    try:
        return ZoneInfo(str(name))
    except (OSError, KeyError, ValueError):
        raise ValueError(f"the time zone {name!r} is not known here: write one such as Europe/Rome") from None


Moment = Annotated[datetime, BeforeValidator(_moment)]
# Checked when the file is read, and kept by its name: a zone has no form in a schema.
ZoneName = Annotated[str, AfterValidator(lambda name: _zone(name).key)]


class CalendarSection(Section):
    """What holds in some hours; without hosts, for the whole facility."""

    when: Name
    timezone: ZoneName
    hosts: Annotated[list[Name], Field(min_length=1)] | None = None
    workers_min: Annotated[int, Field(ge=0, strict=True)] = 0
    workers_max: Annotated[int, Field(ge=0, strict=True)] | None = None
    frozen: Literal["grow", "shrink", "both"] | None = None

    def entry(self, hosts: frozenset[str] | None) -> CalendarEntry:
        """The section as the core knows it, for these hosts."""
        frozen = Direction if self.frozen == "both" else [each for each in Direction if each == self.frozen]
        return CalendarEntry(
            self.when,
            parse_hours(self.when, _zone(self.timezone)),
            hosts,
            ", ".join(self.hosts or ()),
            self.workers_min,
            self.workers_max,
            frozenset(frozen),
        )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        parse_hours(self.when, _zone(self.timezone))
        if not self.workers_min and self.workers_max is None and self.frozen is None:
            raise ValueError("it says nothing: give workers_min, workers_max or frozen")
        if self.workers_max is not None and self.workers_min > self.workers_max:
            raise ValueError("workers_min is above workers_max")
        return self


class MaintenanceSection(Section):
    """Hosts that are paused for a stated time; without an offset, times are those of the zone's clocks."""

    model_config = ConfigDict(populate_by_name=True)

    hosts: Annotated[list[Name], Field(min_length=1)]
    begin: Annotated[Moment, Field(alias="from")]
    end: Annotated[Moment, Field(alias="to")]
    timezone: ZoneName | None = None
    reason: Name

    def instant(self, at: datetime) -> datetime:
        """One of the two times, in UTC; a time that the clocks leave out, or show twice, is taken as in iCalendar."""
        zone = None if self.timezone is None else _zone(self.timezone)
        return (at.replace(tzinfo=zone) if at.tzinfo is None else at).astimezone(UTC)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.timezone is None and None in (self.begin.tzinfo, self.end.tzinfo):
            raise ValueError("give timezone, such as Europe/Rome, or times with their offset")
        if self.instant(self.end) <= self.instant(self.begin):
            raise ValueError("it ends before it begins")
        return self


class Config(Section):
    """The whole file."""

    controller: ControllerSection = ControllerSection()
    store: StoreSection = StoreSection()
    source: Annotated[PrometheusSection | ScrapeSection, Field(discriminator="kind")]
    policy: PolicySection
    shadows: dict[Name, PolicySection] = {}
    canary: CanarySection | None = None
    guards: GuardsSection = GuardsSection()
    learning: LearningSection = LearningSection()
    calendar: list[CalendarSection] = []
    maintenance: list[MaintenanceSection] = []
    tuning: list[TuningSection] = []
    api: ApiSection = ApiSection()
    grafana: GrafanaSection = GrafanaSection()
    groups: dict[Name, list[Name]] = {}
    hosts: Annotated[list[HostSection], Field(min_length=1)]

    def facility(self) -> Facility:
        """The hosts as the model knows them."""
        return Facility(tuple(host.value() for host in self.hosts))

    def hosts_named(self, name: str) -> tuple[str, ...]:
        """The host of this name, or the hosts of this group; none where nobody is called so."""
        return (name,) if name in {host.name for host in self.hosts} else tuple(self.groups.get(name, ()))

    def entries(self) -> tuple[CalendarEntry, ...]:
        """The calendar as the core knows it."""
        named = [
            (each, None if each.hosts is None else frozenset(self.all_named(each.hosts))) for each in self.calendar
        ]
        return tuple(each.entry(hosts) for each, hosts in named)

    def all_named(self, names: Iterable[str]) -> list[str]:
        """The hosts of these names, and those of groups of these names, each once."""
        return list(dict.fromkeys(host for name in names for host in self.hosts_named(name)))

    def pauses(self) -> tuple[Pause, ...]:
        """The maintenance as the controller knows it."""
        return tuple(
            Pause(host, direction, each.instant(each.begin), each.instant(each.end), MAINTENANCE, each.reason)
            for each in self.maintenance
            for host in self.all_named(each.hosts)
            for direction in Direction
        )

    def tuning_rules(self) -> tuple[TuningRule, ...]:
        """What alerts change, as the core knows it."""
        everybody = tuple(host.name for host in self.hosts)
        named = [(each, each.action.hosts or "") for each in self.tuning]
        return tuple(each.rule(everybody if name == ALL_HOSTS else self.hosts_named(name)) for each, name in named)

    @model_validator(mode="after")
    def _tunings_differ(self) -> Self:
        rules = Counter(rule.words for rule in self.tuning_rules())
        for words in (words for words, count in rules.items() if count > 1):
            raise ValueError(f"tuning: there are two rules for {words}")
        return self

    @model_validator(mode="after")
    def _unique(self) -> Self:
        names = Counter(host.name for host in self.hosts)
        uris = Counter(host.uri for host in self.hosts)
        for name in (name for name, count in names.items() if count > 1):
            raise ValueError(f"hosts: the name {name!r} is used more than once")
        for uri in (uri for uri, count in uris.items() if count > 1):
            raise ValueError(f"hosts: {uri} is used more than once, but a hypervisor's memory can be planned only once")
        return self
