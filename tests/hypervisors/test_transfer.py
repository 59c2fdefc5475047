"""The transfer engine, step by step, on a host whose balloons move only when time passes."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from autoscaler.contracts import HypervisorError, StoreError
from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB
from autoscaler.core.plan import plan
from autoscaler.hypervisors.transfer import Edges, carry_out
from autoscaler.model import DomainState, Host, HostObservation, Outcome, Result, Transfer
from autoscaler.testing import A_SWAPPING_WN, NOW, FakeHost, a_host, observed

HOST = a_host(wns=(A_SWAPPING_WN,))
GUESTS_MIB = 7483
DORMANT_MIB, AWAKE_MIB = 572, 6908  # 572 MiB, and with 8 workers of 792 MiB
PATIENCE = timedelta(minutes=10)
WN_WHOLE_MIB, WN_REST_MIB = 6911, 575  # the rest of 7483 MiB with 0 and with 8 workers, at most 6911 MiB


@dataclass
class World:
    """Time that passes with every wait, and the ledger; ``events`` has calls and ledger entries in their order."""

    fake: FakeHost
    ledger: dict[str, int] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    waits: int = 0
    stop_after: int | None = None
    store_fails: bool = False

    def __post_init__(self) -> None:
        before = self.fake.before_call

        def log(call: str) -> None:
            before(call)
            self.events.append(call)

        self.fake.before_call = log

    def wait(self, _seconds: float) -> bool:
        self.waits += 1
        self.fake.step()
        return self.stop_after is not None and self.waits >= self.stop_after

    def record_asked(self, domain: str, memory_mib: int) -> None:
        if self.store_fails:
            raise StoreError("store /tmp/x: disk I/O error")
        self.events.append(f"ledger {domain} {memory_mib}")
        self.ledger[domain] = memory_mib

    def now(self) -> datetime:
        return NOW + self.waits * timedelta(seconds=0.5)

    def run(self, transfer: Transfer, stall: timedelta = timedelta(seconds=5)) -> Outcome:
        return carry_out(
            transfer, self.fake, self.ledger, Edges(self.now, self.wait, self.record_asked, stall, poll_s=0.5)
        )

    @property
    def writes(self) -> list[str]:
        return [event for event in self.events if event != "read"]

    @property
    def memory_writes(self) -> list[str]:
        return [event for event in self.writes if not event.startswith("set_cpu")]

    def memory(self, domain: str) -> int:
        return self.fake.domains[domain].memory_mib


def to(workers: int, seen: HostObservation, host: Host = HOST) -> Transfer:
    transfer = plan(host, seen, 0, workers)
    assert transfer is not None
    return transfer


def changed(seen: HostObservation, name: str, **changes: object) -> HostObservation:
    """The observation with fields of one domain changed."""
    domains = (replace(domain, **changes) if domain.name == name else domain for domain in seen.domains)
    return replace(seen, domains=tuple(domains))


def growing(**changes: object) -> tuple[World, Transfer]:
    """From dormant to eight workers."""
    seen = observed(HOST, workers=0)
    return World(FakeHost.of(seen, **changes)), to(8, seen)


def shrinking(**changes: object) -> tuple[World, Transfer]:
    """From eight workers to dormant."""
    seen = observed(HOST, workers=8)
    return World(FakeHost.of(seen, **changes)), to(0, seen)


def fails_at(word: str) -> Callable[[str], None]:
    """A host that refuses the calls which begin with ``word``."""

    def refuse(call: str) -> None:
        if call.startswith(word):
            raise HypervisorError(f"host-1: {call}: connection reset")

    return refuse


@pytest.mark.parametrize("speed_mib", [1, 100, 10_000])
def test_a_growth_is_done_when_it_is_read_back(speed_mib: int) -> None:
    world, transfer = growing(speed_mib=speed_mib)
    outcome = world.run(transfer, stall=PATIENCE)
    assert (outcome.result, outcome.reason) == (Result.DONE, "reached and read back")
    assert world.memory("proof") == pytest.approx(AWAKE_MIB, abs=BALLOON_TOLERANCE_MIB)
    assert world.memory("wn") == pytest.approx(WN_REST_MIB, abs=BALLOON_TOLERANCE_MIB)


@pytest.mark.parametrize("speed_mib", [1, 100, 10_000])
def test_a_return_is_done_when_it_is_read_back(speed_mib: int) -> None:
    world, transfer = shrinking(speed_mib=speed_mib)
    assert world.run(transfer, stall=PATIENCE).result is Result.DONE
    assert world.memory("proof") == pytest.approx(DORMANT_MIB, abs=BALLOON_TOLERANCE_MIB)
    assert world.memory("wn") == pytest.approx(WN_WHOLE_MIB, abs=BALLOON_TOLERANCE_MIB)


def test_weights_and_caps_follow_the_workers() -> None:
    world, transfer = growing()
    world.run(transfer)
    proof, wn = world.fake.domains["proof"], world.fake.domains["wn"]
    assert (proof.cpu_weight, proof.cpu_cap_cores) == (256, 8.0)
    assert (wn.cpu_weight, wn.cpu_cap_cores) == (32, None)


def test_the_donor_is_asked_first_and_cpu_comes_when_it_is_done() -> None:
    world, transfer = growing(speed_mib=10_000)
    world.run(transfer)
    assert [event for event in world.writes if not event.startswith("ledger")] == [
        "set_cpu proof 32 8.0",
        "set_memory wn 575",
        "set_cpu proof 256 8.0",
        "set_cpu wn 32 None",
        "set_memory proof 6908",
    ]


def test_on_the_way_back_proof_is_the_donor() -> None:
    world, transfer = shrinking(speed_mib=10_000)
    world.run(transfer)
    asked = [event.rsplit(" ", 1)[0] for event in world.writes if event.startswith("set_memory")]
    assert asked == ["set_memory proof", "set_memory wn"]


def test_the_acceptor_is_asked_only_for_what_was_read_back_as_free() -> None:
    world, transfer = growing(speed_mib=1000)
    free = []

    def look(call: str) -> None:
        if call.startswith("set_memory proof"):
            free.append(GUESTS_MIB - world.memory("wn") - int(call.split()[2]))

    before = world.fake.before_call
    world.fake.before_call = lambda call: (look(call), before(call))[1]
    world.run(transfer)
    assert len(free) > 1
    assert min(free) >= 0


def test_portions_are_worth_a_call_each_until_the_last_ones() -> None:
    world, transfer = growing(speed_mib=1)
    world.run(transfer)
    calls = [call for call in world.writes if call.startswith("set_memory proof")]
    assert len(calls) <= 6336 // 64 + 1 + BALLOON_TOLERANCE_MIB


def test_the_outcome_has_the_domains_as_read_back_at_the_end() -> None:
    world, transfer = growing()
    outcome = world.run(transfer)
    assert [domain.allocation.memory_mib for domain in outcome.observed] == [AWAKE_MIB, WN_REST_MIB]
    assert [domain.allocation.cpu_weight for domain in outcome.observed] == [256, 32]


def test_the_outcome_says_when_it_began_and_ended() -> None:
    world, transfer = growing(speed_mib=1000)
    outcome = world.run(transfer)
    assert (outcome.began_at, outcome.ended_at) == (NOW, NOW + world.waits * timedelta(seconds=0.5))
    assert world.waits > 0


def test_domains_that_are_not_ours_keep_their_memory() -> None:
    seen = observed(HOST, workers=0, unmanaged_mib=1000)
    world = World(FakeHost.of(seen))
    outcome = world.run(to(6, seen))
    assert outcome.result is Result.DONE
    assert world.fake.sum_mib == GUESTS_MIB


def test_a_domain_that_came_while_the_donor_shrank_is_not_pushed_out() -> None:
    world, transfer = growing()
    world.fake.unmanaged_mib = 700
    outcome = world.run(transfer)
    assert outcome.result is Result.PARTIAL
    assert world.fake.sum_mib <= GUESTS_MIB


def test_a_transfer_of_cpu_alone_touches_no_memory() -> None:
    seen = observed(HOST, workers=4)
    fake = FakeHost.of(seen)
    fake.domains["wn"].cpu_weight = 256
    domains = fake.read().domains
    world = World(fake)
    outcome = world.run(to(4, HostObservation("host-1", seen.state, domains)))
    assert outcome.result is Result.DONE
    assert world.writes == ["set_cpu wn 32 None"]


class TestAStuckDonor:
    """A guest without its balloon driver: the call succeeds, nothing moves."""

    def test_ends_the_transfer_as_partial_saying_what_is_missing(self) -> None:
        world, transfer = growing(stuck=frozenset({"wn"}))
        outcome = world.run(transfer)
        assert outcome.result is Result.PARTIAL
        assert outcome.reason == (
            "wn did not move, and was waited for long enough; "
            "wn has 6911 MiB, not 575 MiB; proof has 572 MiB, not 6908 MiB"
        )

    def test_gives_the_acceptor_nothing(self) -> None:
        world, transfer = growing(stuck=frozenset({"wn"}))
        world.run(transfer)
        assert world.fake.domains["proof"].target_mib == DORMANT_MIB

    def test_keeps_its_cpu_while_the_acceptors_is_raised(self) -> None:
        world, transfer = growing(stuck=frozenset({"wn"}))
        world.run(transfer)
        assert (world.fake.domains["wn"].cpu_weight, world.fake.domains["proof"].cpu_weight) == (256, 256)

    def test_that_stops_half_way_gives_what_was_verified(self) -> None:
        world, transfer = growing(speed_mib=1000)

        def stick(_call: str) -> None:
            if world.memory("wn") <= 3911:
                world.fake.stuck = frozenset({"wn"})

        world.fake.before_call = stick
        assert world.run(transfer).result is Result.PARTIAL
        assert world.fake.domains["proof"].target_mib == GUESTS_MIB - 3911

    def test_on_the_way_back_keeps_its_cpu_too(self) -> None:
        world, transfer = shrinking(stuck=frozenset({"proof"}))
        assert world.run(transfer).result is Result.PARTIAL
        assert world.fake.domains["proof"].cpu_weight == 256

    def test_is_waited_for_as_long_as_the_stall_time_and_no_longer(self) -> None:
        world, transfer = growing(stuck=frozenset({"wn"}))
        world.run(transfer, stall=timedelta(seconds=5))
        assert world.waits == 12  # 5 s in looks of 0.5 s, one that finds it where it is, and one that finds it too late

    def test_a_slow_one_is_not_given_up(self) -> None:
        """6336 MiB at 100 MiB each half second take 32 s, and 16 s without any movement would be too long."""
        world, transfer = growing(speed_mib=100)
        assert world.run(transfer, stall=timedelta(seconds=16)).result is Result.DONE

    def test_one_that_only_trembles_is_a_stuck_one(self) -> None:
        world, transfer = growing(stuck=frozenset({"wn"}))
        wn = world.fake.domains["wn"]

        def tremble(call: str) -> None:
            if call == "read":
                wn.memory_mib += 1 if wn.memory_mib % 2 else -1

        world.fake.before_call = tremble
        assert world.run(transfer, stall=timedelta(seconds=5)).result is Result.PARTIAL

    def test_one_that_gives_next_to_nothing_ends_by_the_deadline(self) -> None:
        """10 MiB in each 5 s is movement, but 10 x 5 s are the most for the donor; then the acceptor gets the rest."""
        world, transfer = growing(speed_mib=1)
        assert world.run(transfer, stall=timedelta(seconds=5)).result is Result.PARTIAL
        assert 100 <= world.waits <= 200


def test_a_donor_that_was_not_asked_because_it_fell_silent_is_not_stuck() -> None:
    seen = observed(a_host(), workers=0)
    world = World(FakeHost.of(seen))
    world.fake.domains["wn"].used_mib = None
    outcome = world.run(to(8, seen, a_host()))
    assert (outcome.result, outcome.stuck) == (Result.PARTIAL, None)
    assert outcome.reason.startswith("wn makes no reports, and was waited for long enough")
    assert world.memory_writes == []


def test_a_donor_that_does_not_move_is_named() -> None:
    world, transfer = growing(stuck=frozenset({"wn"}))
    assert world.run(transfer).stuck == "wn"


def test_an_acceptor_that_does_not_move_ends_as_partial() -> None:
    world, transfer = growing(stuck=frozenset({"proof"}))
    outcome = world.run(transfer)
    assert (outcome.result, outcome.stuck) == (Result.PARTIAL, "proof")


@pytest.mark.parametrize("short_mib", [1, 4, 8])
@pytest.mark.parametrize("speed_mib", [37, 64, 100, 6300, 6320])
def test_a_donor_that_settles_a_few_pages_above_its_target_is_good_enough(speed_mib: int, short_mib: int) -> None:
    world, transfer = growing(speed_mib=speed_mib)

    def settle(_call: str) -> None:
        wn = world.fake.domains["wn"]
        wn.memory_mib = max(wn.memory_mib, WN_REST_MIB + short_mib)

    world.fake.before_call = settle
    assert world.run(transfer, stall=PATIENCE).result is Result.DONE
    assert world.fake.sum_mib <= GUESTS_MIB


class TestAFailingCall:
    """A hypervisor that refuses or breaks ends the transfer where it is; nothing is raised."""

    @pytest.mark.parametrize("call", ["read", "set_memory wn", "set_memory proof", "set_cpu proof", "set_cpu wn"])
    def test_is_the_reason_of_the_outcome(self, call: str) -> None:
        world, transfer = growing(before_call=fails_at(call))
        outcome = world.run(transfer)
        assert outcome.result is Result.FAILED
        assert outcome.reason.startswith(f"host-1: {call}")

    def test_of_the_donor_leaves_the_acceptor_alone(self) -> None:
        world, transfer = growing(before_call=fails_at("set_memory wn"))
        world.run(transfer)
        assert not any("proof" in write for write in world.memory_writes)

    def test_leaves_the_larger_number_in_the_ledger_when_it_was_to_grow(self) -> None:
        world, transfer = growing(speed_mib=10_000, before_call=fails_at("set_memory proof"))
        world.run(transfer)
        assert world.ledger["proof"] == AWAKE_MIB

    def test_leaves_the_larger_number_in_the_ledger_when_it_was_to_shrink(self) -> None:
        world, transfer = growing(before_call=fails_at("set_memory wn"))
        world.ledger["wn"] = WN_WHOLE_MIB
        world.run(transfer)
        assert world.ledger["wn"] == WN_WHOLE_MIB

    def test_is_followed_by_a_run_that_finishes(self) -> None:
        world, transfer = growing(speed_mib=10_000, before_call=fails_at("set_memory proof"))
        world.run(transfer)
        world.fake.before_call = lambda _call: None
        assert world.run(transfer).result is Result.DONE
        assert world.memory("proof") == AWAKE_MIB


class TestTheLedger:
    """What each domain was asked for, so that a crash leaves the larger number."""

    def test_is_written_before_a_domain_is_asked_for_more(self) -> None:
        world, transfer = growing(speed_mib=10_000)
        world.run(transfer)
        assert world.writes.index("ledger proof 6908") == world.writes.index("set_memory proof 6908") - 1

    def test_is_written_after_a_domain_was_asked_for_less(self) -> None:
        world, transfer = growing(speed_mib=10_000)
        world.ledger["wn"] = WN_WHOLE_MIB
        world.run(transfer)
        assert world.writes.index("ledger wn 575") == world.writes.index("set_memory wn 575") + 1

    def test_is_written_first_where_a_domain_on_its_way_down_is_to_stop_earlier(self) -> None:
        """PROOF is on its way from 8 workers to 0 when 4 are wanted: its target rises, whatever its size is now."""
        seen = observed(HOST, workers=8)
        world = World(FakeHost.of(seen), {"proof": DORMANT_MIB, "wn": WN_REST_MIB})
        world.fake.domains["proof"].target_mib = DORMANT_MIB
        world.run(to(4, seen))
        assert world.writes[:2] == ["ledger proof 3740", "set_memory proof 3740"]

    def test_that_cannot_be_written_ends_the_transfer_as_failed(self) -> None:
        world, transfer = growing()
        world.store_fails = True
        outcome = world.run(transfer)
        assert (outcome.result, outcome.reason) == (Result.FAILED, "store /tmp/x: disk I/O error")

    def test_that_cannot_be_written_keeps_the_acceptor_from_being_asked(self) -> None:
        world, transfer = growing()
        world.store_fails = True
        world.run(transfer)
        assert world.fake.domains["proof"].target_mib == DORMANT_MIB

    def test_whose_growth_was_never_asked_for_is_asked_for_again(self) -> None:
        world, transfer = growing(speed_mib=10_000)
        world.fake.domains["wn"].memory_mib = world.fake.domains["wn"].target_mib = 2000
        world.ledger = {"proof": 5000, "wn": 2000}
        world.run(transfer)
        assert world.writes[0] == "set_memory proof 5000"

    def test_of_a_domains_former_life_is_taken_back_where_the_sum_does_not_allow_it(self) -> None:
        """PROOF had eight workers, then both domains were started anew, as on the first day."""
        world, transfer = growing(speed_mib=10_000)
        world.ledger = {"proof": AWAKE_MIB, "wn": WN_REST_MIB}
        outcome = world.run(transfer)
        assert world.writes[:2] == ["set_memory proof 572", "ledger proof 572"]
        assert outcome.result is Result.DONE

    def test_of_a_domains_former_life_does_not_let_a_smaller_growth_break_the_sum(self) -> None:
        """As above, but now fewer workers are wanted than the ledger says were asked for."""
        seen = observed(HOST, workers=0)
        proof, wn = seen.domains
        with_ledger = (replace(proof, asked_mib=AWAKE_MIB), replace(wn, asked_mib=WN_REST_MIB))
        transfer = to(4, HostObservation("host-1", seen.state, with_ledger))
        world = World(FakeHost.of(seen, speed_mib=1000), {"proof": AWAKE_MIB, "wn": WN_REST_MIB})
        sums = []
        world.fake.before_call = lambda _call: sums.append(world.fake.sum_mib)
        outcome = world.run(transfer)
        assert max(sums) <= GUESTS_MIB
        assert outcome.result is Result.DONE


class TestGoingToSleep:
    """The last step, when the memory is given."""

    HOST = replace(HOST, proof=replace(HOST.proof, dormant_state=DomainState.SAVED))

    def test_is_asked_for_when_the_memory_is_given(self) -> None:
        seen = observed(self.HOST, workers=8)
        world = World(FakeHost.of(seen))
        assert world.run(to(0, seen, self.HOST)).result is Result.DONE
        assert world.writes[-1] == "sleep proof saved"

    def test_is_not_asked_for_while_memory_is_missing(self) -> None:
        seen = observed(self.HOST, workers=8)
        world = World(FakeHost.of(seen, stuck=frozenset({"proof"})))
        world.run(to(0, seen, self.HOST))
        assert "sleep proof saved" not in world.writes

    def test_is_put_off_when_the_domain_has_become_larger_again(self) -> None:
        """Its guest was rebooted after the plan was made: saved like this it would need 6911 MiB to come back."""
        seen = observed(self.HOST, workers=0)
        world = World(FakeHost.of(seen))
        transfer = to(0, seen, self.HOST)
        world.fake.domains["proof"].memory_mib = world.fake.domains["proof"].target_mib = WN_WHOLE_MIB
        world.run(transfer)
        assert "sleep proof saved" not in world.writes


class TestLentCpu:
    """A donor weighs as much as any other until its memory is given."""

    def test_is_given_back_when_a_call_fails(self) -> None:
        seen = observed(HOST, workers=3)
        world = World(FakeHost.of(seen, before_call=fails_at("set_memory wn")))
        world.run(to(4, seen))
        assert [call for call in world.writes if call.startswith("set_cpu wn")] == [
            "set_cpu wn 256 None",
            "set_cpu wn 32 None",
        ]

    def test_is_not_given_back_to_below_what_the_donor_is_to_have(self) -> None:
        """Somebody else has set its weight to 1 and its cap to a tenth of a core."""
        seen = observed(HOST, workers=3)
        starved = changed(seen, "wn", allocation=replace(seen.domains[1].allocation, cpu_weight=1, cpu_cap_cores=0.1))
        world = World(FakeHost.of(starved, before_call=fails_at("set_memory wn")))
        world.run(to(4, starved))
        wn = world.fake.domains["wn"]
        assert (wn.cpu_weight, wn.cpu_cap_cores) == (32, None)


class TestTheFloorsOfAWorkerNode:
    """They hold by what it says during the transfer, not only by what it said before."""

    def test_an_unfinished_growth_is_stopped_where_it_is_not_at_the_goal(self) -> None:
        """It uses 3000 MiB since the plan was made, and must keep 3000 + 128."""
        seen = observed(a_host(), workers=0)
        world = World(FakeHost.of(seen, speed_mib=10_000), {"wn": WN_WHOLE_MIB})
        wn = world.fake.domains["wn"]
        wn.memory_mib = wn.target_mib = 5000
        wn.used_mib = 3000
        world.run(to(8, changed(seen, "wn", asked_mib=WN_WHOLE_MIB), a_host()))
        asked = [call for call in world.writes if call.startswith("set_memory wn")]
        assert list(dict.fromkeys(asked)) == ["set_memory wn 5000", "set_memory wn 3128"]

    def test_one_that_was_to_grow_and_is_found_too_large_keeps_what_it_uses(self) -> None:
        """Its guest was rebooted meanwhile, and has all of its memory."""
        seen = observed(a_host(), workers=8)
        world = World(FakeHost.of(seen, speed_mib=10_000))
        transfer = to(4, seen, a_host())
        wn = world.fake.domains["wn"]
        wn.memory_mib, wn.target_mib, wn.used_mib = WN_WHOLE_MIB, WN_WHOLE_MIB, 5000
        world.run(transfer)
        assert wn.target_mib == 5000 + 128


class TestStopping:
    """The controller ends while balloons move."""

    def test_ends_the_transfer_as_interrupted(self) -> None:
        world, transfer = growing()
        world.stop_after = 3
        outcome = world.run(transfer)
        assert outcome.result is Result.INTERRUPTED
        assert outcome.reason.startswith("the controller was stopped: wn has ")

    def test_leaves_the_donors_cpu_alone(self) -> None:
        world, transfer = growing()
        world.stop_after = 3
        world.run(transfer)
        assert world.fake.domains["wn"].cpu_weight == 256

    def test_is_followed_by_a_run_that_finishes(self) -> None:
        world, transfer = growing()
        world.stop_after = 3
        world.run(transfer)
        world.stop_after = None
        assert world.run(transfer).result is Result.DONE
