"""A configuration file loads, or every mistake in it is named by file, line, key and reason."""

import re
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from autoscaler.config.hours import parse_hours
from autoscaler.config.load import ConfigError, Loaded, load
from autoscaler.config.schema import PrometheusSection, ScrapeSection
from autoscaler.core.calendar import CalendarEntry, Hours
from autoscaler.core.voices import Canary
from autoscaler.model import Allocation, Direction, Facility, GuardLimits, Pause
from autoscaler.testing import a_host
from policies.static import Static
from policies.threshold import Threshold

MINIMAL = """\
source:
  kind: prometheus
  url: http://127.0.0.1:9090/
policy:
  name: static
  workers: 4
hosts:
  - name: host-1
    uri: test:///default
    memory_total: 8056 MiB
    memory_reserve: 573 MiB
    proof:
      domain: proof
      dormant_memory: 572 MiB
      memory_per_worker: 792 MiB
      workers_max: 8
    wn:
      domain: wn
      memory_floor: 572 MiB
      memory_max: 6911 MiB
"""
SECOND_HOST = """\
  - name: host-2
    uri: test:///other
    memory_total: 8056 MiB
    memory_reserve: 573 MiB
    proof: {domain: proof, dormant_memory: 572 MiB, memory_per_worker: 792 MiB, workers_max: 8}
    wn: {domain: wn, memory_floor: 572 MiB, memory_max: 6911 MiB}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "autoscaler.yaml"


def loaded(file: Path, text: str) -> Loaded:
    file.write_text(text, encoding="utf-8")
    return load(file)


def problems(file: Path, text: str) -> list[str]:
    """What is wrong with the text, one sentence each, without the file's name."""
    with pytest.raises(ConfigError) as caught:
        loaded(file, text)
    assert str(caught.value) == "\n".join(caught.value.problems)
    assert all(problem.startswith(str(file)) for problem in caught.value.problems)
    return [problem.removeprefix(f"{file}:").removeprefix(f"{file}").strip() for problem in caught.value.problems]


def with_line(after: str, line: str) -> str:
    """The minimal file with one more line."""
    assert after in MINIMAL
    return MINIMAL.replace(after, f"{after}\n{line}", 1)


def replaced(old: str, new: str) -> str:
    """The minimal file with one thing changed."""
    assert old in MINIMAL
    return MINIMAL.replace(old, new, 1)


def test_a_minimal_file_gives_the_facility_the_policy_and_the_defaults(file: Path) -> None:
    config, policy = loaded(file, MINIMAL).config, loaded(file, MINIMAL).policy
    assert config.facility() == Facility((a_host("host-1"),))
    assert policy == Static(4)
    assert config.guards.limits() == GuardLimits()
    assert config.controller.interval == timedelta(seconds=15)
    assert config.controller.store == Path("/var/lib/vaf-autoscaler/decisions.sqlite")


def test_a_prometheus_source_has_its_url_and_signals(file: Path) -> None:
    signal = "  signals: {load: {query: sum(load), fresh_at: time()}}"
    source = loaded(file, with_line("  url: http://127.0.0.1:9090/", signal)).config.source
    assert isinstance(source, PrometheusSection)
    assert source.signals["load"].query == "sum(load)"


SCRAPE = replaced(
    "  kind: prometheus\n  url: http://127.0.0.1:9090/",
    """\
  kind: scrape
  targets: {proof: ["http://127.0.0.1:9820/metrics"]}
  signals: {load: {job: proof, metric: load, labels: {state: [busy]}}}""",
)


def test_a_scrape_source_has_its_targets_and_signals(file: Path) -> None:
    source = loaded(file, SCRAPE).config.source
    assert isinstance(source, ScrapeSection)
    assert source.targets == {"proof": ["http://127.0.0.1:9820/metrics"]}
    assert source.signals["load"].labels == {"state": ["busy"]}


def test_policy_parameters_reach_the_policy_with_their_units(file: Path) -> None:
    text = replaced("static\n  workers: 4", "threshold\n  workers_per_session: 3\n  grow_running: 1.5\n  idle: 10m")
    assert loaded(file, text).policy == Threshold(3, grow_running=1.5, idle=timedelta(minutes=10))


def test_guard_limits_are_read(file: Path) -> None:
    text = MINIMAL + "guards: {fresh_for: 1m, dead_band_workers: 2, grow_cooldown: 30s, shrink_cooldown: 10m}\n"
    assert loaded(file, text).config.guards.limits() == GuardLimits(
        timedelta(minutes=1), 2, timedelta(seconds=30), timedelta(minutes=10)
    )


@pytest.mark.parametrize(("text", "after"), [("1h", timedelta(hours=1)), ("null", None)])
def test_signals_may_lead_to_the_safe_split_after_a_time_or_never(
    file: Path, text: str, after: timedelta | None
) -> None:
    guards = loaded(file, MINIMAL + f"guards: {{unknown_to_safe: {text}}}\n").config.guards
    assert guards.limits() == GuardLimits(unknown_to_safe=after)


def test_a_dormant_domain_may_have_no_cap(file: Path) -> None:
    text = with_line("      domain: proof", "      dormant_cpu_cap_cores: null")
    assert loaded(file, text).config.facility().hosts[0].proof.dormant == Allocation(572, 32, None)


def test_host_defaults_lie_under_every_host_and_merge_deeply(file: Path) -> None:
    """host-1 has its own workers_max and takes everything else from the defaults."""
    source, _, _ = MINIMAL.partition("hosts:")
    text = f"""{source}
host_defaults:
  memory_total: 8056 MiB
  memory_reserve: 573 MiB
  proof: {{domain: proof, dormant_memory: 572 MiB, memory_per_worker: 792 MiB, workers_max: 8}}
  wn: {{domain: wn, memory_floor: 572 MiB, memory_max: 6911 MiB}}
hosts:
  - {{name: host-1, uri: "test:///one", proof: {{workers_max: 4}}}}
  - {{name: host-2, uri: "test:///two", memory_total: 9000 MiB}}
"""
    first, second = loaded(file, text).config.facility().hosts
    assert (first.proof.workers_max, first.proof.memory_per_worker_mib, first.memory_total_mib) == (4, 792, 8056)
    assert (second.proof.workers_max, second.wns[0].memory_max_mib, second.memory_total_mib) == (8, 6911, 9000)


def test_yaml_anchors_and_merges_work(file: Path) -> None:
    second = """\
  - <<: *first
    name: host-2
    uri: test:///other
"""
    text = replaced("  - name: host-1", "  - &first\n    name: host-1") + second
    assert [host.name for host in loaded(file, text).config.facility().hosts] == ["host-1", "host-2"]


def test_a_relative_store_lies_beside_the_file(file: Path) -> None:
    config = loaded(file, MINIMAL + "controller: {store: state/decisions.sqlite}\n").config
    assert config.controller.store == file.parent / "state" / "decisions.sqlite"


def test_a_relative_store_lies_beside_a_relative_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(MINIMAL + "controller: {store: decisions.sqlite}\n", encoding="utf-8")
    monkeypatch.chdir(file.parent)
    assert load(Path(file.name)).config.controller.store == file.parent / "decisions.sqlite"


def test_an_absolute_store_stays_where_it_is(file: Path) -> None:
    config = loaded(file, MINIMAL + "controller: {store: /srv/decisions.sqlite}\n").config
    assert config.controller.store == Path("/srv/decisions.sqlite")


def bad(old: str, new: str, problem: str) -> tuple[str, str]:
    return replaced(old, new), problem


MISTAKES = {
    "an unknown key of the file": (MINIMAL + "polcy: 1\n", "21: polcy: unknown key (did you mean 'policy'?)"),
    "an unknown key of a host": (
        with_line("    uri: test:///default", "    memory_totl: 1 GiB"),
        "10: hosts[0].memory_totl: unknown key (did you mean 'memory_total'?)",
    ),
    "an unknown key like no other": (MINIMAL + "zzz: 1\n", "21: zzz: unknown key"),
    "a key of another section": (
        with_line("      domain: wn", "      workers_max: 8"),
        "19: hosts[0].wn.workers_max: unknown key",
    ),
    "a missing section": (MINIMAL.partition("hosts:")[0], "1: hosts: is missing"),
    "a missing key": bad("      workers_max: 8\n", "", "12: hosts[0].proof.workers_max: is missing"),
    "a size without unit": bad(
        "573 MiB", "573", "11: hosts[0].memory_reserve: 573 has no unit: write a size such as '573 MiB' or '2 GiB'"
    ),
    "a size in another unit": bad(
        "573 MiB", "573 MB", "11: hosts[0].memory_reserve: '573 MB' is not a whole number of MiB"
    ),
    "a duration without unit": (
        MINIMAL + "controller:\n  interval: 15\n",
        "22: controller.interval: 15 has no unit: write a duration such as '30s', '5m', '1h30m' or '7d'",
    ),
    "a negative duration": (
        MINIMAL + "guards: {shrink_cooldown: -5m}\n",
        "21: guards.shrink_cooldown: '-5m' is negative",
    ),
    "an interval of nothing": (
        MINIMAL + "controller: {interval: 0s}\n",
        "21: controller.interval: must be longer than 0s",
    ),
    "an interval of ages": (
        MINIMAL + "controller: {interval: 1000000d}\n",
        "21: controller.interval: '1000000d' is longer than 366 days",
    ),
    "a host of all the memory in the world": bad(
        "8056 MiB",
        "99999999999999999999999999 GiB",
        "10: hosts[0].memory_total: '99999999999999999999999999 GiB' is more than 1 PiB",
    ),
    "a shadow policy that is unknown": (
        MINIMAL + "shadows:\n  next: {name: thresold}\n",
        "22: shadows.next.name: no policy is called 'thresold'",
    ),
    "a shadow policy with an unknown key": (
        MINIMAL + "shadows:\n  next: {name: threshold, idel: 5m}\n",
        "22: shadows.next.idel: unknown key",
    ),
    "a canary that is no shadow policy": (
        MINIMAL + "canary: {policy: next, hosts: [host-1]}\n",
        "21: canary.policy: no policy of shadows is called 'next'",
    ),
    "a canary on a host that is not there": (
        MINIMAL + "shadows: {next: {name: hold}}\ncanary: {policy: next, hosts: [host-9]}\n",
        "22: canary.hosts[0]: no host or group is called 'host-9' (did you mean 'host-1'?)",
    ),
    "a section that is no mapping": (MINIMAL + "controller: 5\n", "21: controller: 5 is not a mapping"),
    "a policy that is no mapping": bad("  name: static\n  workers: 4", "  [static]", "4: policy: is not a mapping"),
    "a source without a kind": bad("  kind: prometheus\n", "", "1: source.kind: is missing"),
    "a switch that is a number": (
        with_line("      domain: wn", "      swap_down_to: 1"),
        "19: hosts[0].wn.swap_down_to: 1 has no unit: write a size such as '573 MiB' or '2 GiB'",
    ),
    "a name that is a number": bad("name: host-1", "name: 1", "8: hosts[0].name: 1 is not a text"),
    "a name of nothing": bad("name: host-1", 'name: ""', "8: hosts[0].name: must have 1 or more characters"),
    "a count below its least": (
        with_line("      workers_max: 8", "      workers_min: -1"),
        "17: hosts[0].proof.workers_min: must be 0 or more",
    ),
    "a cap of nothing": (
        with_line("      domain: proof", "      dormant_cpu_cap_cores: 0"),
        "14: hosts[0].proof.dormant_cpu_cap_cores: must be more than 0",
    ),
    "a configured signal of a job without targets": (
        SCRAPE.replace("{job: proof,", "{job: prof,"),
        "4: source.signals.load.job: source.targets has no target of job 'prof'",
    ),
    "a quoted number": bad(
        "workers_max: 8", 'workers_max: "8"', "16: hosts[0].proof.workers_max: '8' is not a whole number"
    ),
    "an endless cap": (
        with_line("      domain: proof", "      dormant_cpu_cap_cores: .inf"),
        "14: hosts[0].proof.dormant_cpu_cap_cores: inf is not a finite number",
    ),
    "a weight outside of both schedulers": (
        with_line("      domain: wn", "      cpu_weight: 9999"),
        "19: hosts[0].wn.cpu_weight: must be 2500 or less",
    ),
    "a hypervisor that is not supported": bad(
        "test:///default",
        "vbox:///system",
        "9: hosts[0].uri: 'vbox:///system' is not a libvirt URI of driver qemu, xen or test, such as qemu+tls://HOST/system",
    ),
    "a source that is none": bad(
        "prometheus",
        "graphite",
        "2: source.kind: 'graphite' is not one of prometheus, scrape",
    ),
    "a source without a server": bad("http://127.0.0.1:9090/", "http://", "3: source.url: 'http://' is not a URL"),
    "no targets to scrape": (
        SCRAPE.replace('{proof: ["http://127.0.0.1:9820/metrics"]}', "{}"),
        "3: source.targets: must have 1 or more entries",
    ),
    "a job called as the kind": (
        SCRAPE.replace("{proof: [", "{scrape: [").replace("http://127.0.0.1:9820", "ftp://127.0.0.1"),
        "3: source.targets.scrape[0]: 'ftp://127.0.0.1/metrics' is not a URL",
    ),
    "no host": (MINIMAL.partition("  - name")[0], "7: hosts: is not a list"),
    "an empty list of hosts": (
        MINIMAL.partition("hosts:")[0] + "hosts: []\n",
        "7: hosts: must have 1 or more entries",
    ),
    "defaults that are no mapping": (MINIMAL + "host_defaults: 5\n", "21: host_defaults: is not a mapping"),
    "workers that do not fit": bad(
        "workers_max: 8",
        "workers_max: 9",
        # 572 + 9 * 792 + 572 = 8272
        "8: hosts[0]: PROOF with 9 workers and the floor of the Worker Nodes need 8272 MiB, but memory_total - "
        "memory_reserve is 7483 MiB: lower workers_max",
    ),
    "more workers at least than at most": (
        with_line("      workers_max: 8", "      workers_min: 9"),
        "8: hosts[0]: proof.workers_min is above proof.workers_max",
    ),
    "a floor above the maximum": bad("6911 MiB", "571 MiB", "17: hosts[0].wn: memory_floor is above memory_max"),
    "one domain for both roles": bad(
        "domain: wn", "domain: proof", "8: hosts[0]: the domain 'proof' is named more than once"
    ),
    "two hosts of one name": (
        MINIMAL + SECOND_HOST.replace("host-2", "host-1"),
        "1: file: hosts: the name 'host-1' is used more than once",
    ),
    "one hypervisor in two hosts": (
        MINIMAL + SECOND_HOST.replace("other", "default"),
        "1: file: hosts: test:///default is used more than once, but a hypervisor's memory can be planned only once",
    ),
    "a policy that is not installed": bad(
        "static", "oracle", "5: policy.name: no policy is called 'oracle'; installed are "
    ),
    "a policy parameter it does not have": bad(
        "workers: 4", "wokers: 4", "6: policy.wokers: unknown key; policy static has workers"
    ),
    "a parameter of a policy that has none": bad(
        "static", "hold", "6: policy.workers: unknown key; policy hold has no parameters"
    ),
    "a policy parameter of another type": bad(
        "workers: 4", "workers: 4.5", "6: policy.workers: 4.5 is not a whole number"
    ),
    "a policy parameter that is no number": bad(
        "workers: 4", "workers: yes", "6: policy.workers: 'yes' is not a whole number"
    ),
    "a policy parameter out of range": bad(
        "workers: 4", "workers: -4", "5: policy.name: policy static: workers must be 0 or more"
    ),
    "a policy duration without unit": bad(
        "static\n  workers: 4", "threshold\n  idle: 300", "6: policy.idle: 300 has no unit: write a duration such as"
    ),
    "a policy level that is no number": bad(
        "static\n  workers: 4",
        "threshold\n  grow_running: .nan",
        "5: policy.name: policy threshold: grow_queued, grow_running and shrink_load must be 0 or more",
    ),
    "a policy without a needed parameter": bad("  workers: 4\n", "", "5: policy.name: policy static needs workers"),
    "a key twice": (MINIMAL + "policy: {name: hold}\n", '21: not valid YAML: found duplicate key "policy"'),
    "a key that is no text": (MINIMAL + "5: 1\n", "21: [5]: 5 is a key that is not a text"),
    "no YAML": (MINIMAL + "x: [1\n", "22: not valid YAML: "),
    "a tab": ("\tsource: 1\n", "1: not valid YAML: found character '\\t' that cannot start any token"),
    "two documents": (MINIMAL + "---\na: 1\n", "21: not valid YAML: but found another document"),
    "a value that contradicts its tag": (MINIMAL + "controller: !!bool maybe\n", "not valid YAML: "),
    "a date there is not": (MINIMAL + "controller: {interval: 2026-99-99}\n", "not valid YAML: month must be in 1..12"),
    "nesting without end": ("[" * 600, "not valid YAML: "),
    "nothing": ("", "is empty or not a mapping of sections"),
    "only comments": ("# later\n", "is empty or not a mapping of sections"),
    "a list": ("- a\n", "is empty or not a mapping of sections"),
}


@pytest.mark.parametrize(("text", "problem"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_by_line_key_and_reason(file: Path, text: str, problem: str) -> None:
    (found,) = problems(file, text)
    assert found.startswith(problem.removeprefix(": "))


def with_threshold(text: str) -> str:
    """The file with the policy that needs both PROOF signals."""
    return text.replace("  name: static\n  workers: 4\n", "  name: threshold\n")


def test_a_job_without_targets_that_the_policy_needs_is_named_for_each_of_its_signals(file: Path) -> None:
    assert problems(
        file, with_threshold(SCRAPE.replace("{proof: [", "{prof: [").replace("{job: proof,", "{job: prof,"))
    ) == [
        f"3: source.targets: no target of job 'proof', which signal {name} of policy threshold needs"
        for name in ("proof_queued_sessions", "proof_running_sessions")
    ]


def test_a_built_in_signal_that_the_policy_does_not_need_needs_no_target(file: Path) -> None:
    assert loaded(file, SCRAPE.replace("{proof: [", "{prof: [").replace("{job: proof,", "{job: prof,"))


def test_a_configured_signal_may_stand_for_a_built_in_one_of_another_job(file: Path) -> None:
    own = "{proof_queued_sessions: {job: own, metric: q}, proof_running_sessions: {job: own, metric: r}}"
    text = re.sub(r"signals: .*", f"signals: {own}", SCRAPE.replace("{proof: [", "{own: ["))
    assert loaded(file, with_threshold(text))


SITE_POLICY = """\
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

@dataclass(frozen=True)
class Seats:
    signals = ("seats_taken",)
    history = timedelta(0)
"""


@pytest.fixture
def _site_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed policy that needs a signal of its own."""
    (tmp_path / "site_seats.py").write_text(SITE_POLICY)
    information = tmp_path / "site_seats-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: site-seats\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[vaf_autoscaler.policies]\nseats = site_seats:Seats\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("_site_policy")
@pytest.mark.parametrize("text", [MINIMAL, SCRAPE], ids=["prometheus", "scrape"])
def test_a_signal_that_nobody_defines_is_named_with_the_policy_that_needs_it(file: Path, text: str) -> None:
    (found,) = problems(file, text.replace("  name: static\n  workers: 4\n", "  name: seats\n"))
    assert found.endswith(": source.signals: no signal seats_taken, which policy seats needs")


@pytest.mark.usefixtures("_site_policy")
def test_a_signal_that_is_configured_is_enough_for_the_policy_that_needs_it(file: Path) -> None:
    text = MINIMAL.replace("  name: static\n  workers: 4\n", "  name: seats\n").replace(
        "policy:", "  signals: {seats_taken: {query: sum(seats), fresh_at: time()}}\npolicy:"
    )
    assert loaded(file, text)


def test_all_mistakes_are_named_at_once(file: Path) -> None:
    text = MINIMAL.replace("573 MiB", "573").replace("workers_max: 8", "workers_max: many") + "zzz: 1\n"
    assert [problem.partition(" ")[0] for problem in problems(file, text)] == ["11:", "16:", "21:"]


def test_a_mistake_in_host_defaults_is_named_once_and_where_it_stands(file: Path) -> None:
    other = MINIMAL[MINIMAL.index("  - name: host-1") :].replace("host-1", "host-2").replace("default", "other")
    text = "host_defaults: {wn: {memory_margin: 5}}\n" + MINIMAL + other
    assert problems(file, text) == [
        "1: host_defaults.wn.memory_margin: 5 has no unit: write a size such as '573 MiB' or '2 GiB'"
    ]


def test_a_mistake_of_a_host_is_not_blamed_on_the_defaults_it_overrides(file: Path) -> None:
    text = "host_defaults: {memory_reserve: 1 GiB}\n" + MINIMAL.replace("573 MiB", "573")
    assert problems(file, text) == [
        "12: hosts[0].memory_reserve: 573 has no unit: write a size such as '573 MiB' or '2 GiB'"
    ]


def test_a_mistake_that_comes_through_a_merge_is_named_at_the_mapping_that_merges(file: Path) -> None:
    text = with_line("    proof:", "      <<: {workers_min: none}")
    assert problems(file, text) == ["12: hosts[0].proof.workers_min: 'none' is not a whole number"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "none.yaml")
    assert str(caught.value) == f"{tmp_path}/none.yaml: cannot be read: No such file or directory"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_a_file_in_another_encoding_is_refused(file: Path) -> None:
    file.write_bytes("# für später\n".encode("latin-1"))
    with pytest.raises(ConfigError, match="is not a UTF-8 text file"):
        load(file)


def test_the_error_has_no_cause_to_print(file: Path) -> None:
    """An administrator reads sentences, not a traceback of validators."""
    file.write_text(MINIMAL + "zzz: 1\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.__suppress_context__


unhurried = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])

LINES = MINIMAL.splitlines()
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates()
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=4),
    max_leaves=8,
)
snippets = st.sampled_from(
    [
        "<<: *a",
        "&a",
        "*a",
        "!!bool x",
        "!!set {a, b}",
        "!!omap [a: b]",
        "? [a]",
        "|",
        "%TAG",
        "- ",
        "{",
        "]",
        '"\\ud800"',
        "=",
        "0x",
        "1_0",
        "~",
    ]
)


@st.composite
def damaged_files(draw: st.DrawFn) -> str:
    """The minimal file with a line replaced, as an editor might leave it."""
    lines = list(LINES)
    number = draw(st.integers(0, len(lines) - 1))
    indent = " " * (len(lines[number]) - len(lines[number].lstrip()))
    lines[number] = (
        draw(st.sampled_from([indent, ""]))
        + draw(st.sampled_from(["", "proof: ", "wn: ", "a: "]))
        + draw(snippets | st.text(max_size=12))
    )
    return "\n".join(lines)


@unhurried
@given(st.text() | damaged_files())
@example("a: !!omap [b: c]\nsource: !!omap [b: c]")
@example("host_defaults: &a\n  wn: *a\nhosts:\n- &b\n  wn: *b\n")
def test_any_text_loads_or_is_refused_with_sentences(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    with suppress(ConfigError):
        assert isinstance(load(file), Loaded)


SECTIONS = ["controller", "source", "policy", "guards", "hosts", "host_defaults"]
KEYS = ["name", "uri", "kind", "url", "targets", "signals", "proof", "wn", "domain", "interval", "workers", "store"]


@settings(unhurried, max_examples=50)
@given(st.dictionaries(st.sampled_from(SECTIONS), st.dictionaries(st.sampled_from(KEYS), anything) | anything))
def test_any_structure_loads_or_is_refused_with_sentences(file: Path, structure: dict[str, object]) -> None:
    good = YAML(typ="safe", pure=True).load(MINIMAL)
    YAML(typ="safe", pure=True).dump({**good, **structure}, file)
    with suppress(ConfigError):
        assert isinstance(load(file), Loaded)


def test_shadow_policies_and_the_canary_are_part_of_how_it_decides(file: Path) -> None:
    text = MINIMAL + "shadows: {next: {name: threshold, idle: 2h}}\ncanary: {policy: next, hosts: [host-1]}\n"
    rules = loaded(file, text).rules
    assert rules.shadows == {"next": Threshold(idle=timedelta(hours=2))}
    assert rules.canary == Canary("next", frozenset({"host-1"}))
    assert loaded(file, text).history == timedelta(hours=2)


TWO_HOSTS = """\
source: {kind: prometheus, url: "http://127.0.0.1:9090/"}
policy: {name: static, workers: 4}
host_defaults:
  memory_total: 8056 MiB
  memory_reserve: 573 MiB
  proof: {domain: proof, dormant_memory: 572 MiB, memory_per_worker: 792 MiB, workers_max: 8}
  wn: {domain: wn, memory_floor: 572 MiB, memory_max: 6911 MiB}
groups:
GROUPS
hosts:
  - {name: host-1, uri: "test:///one", proof: {workers_min: 1}}
  - {name: host-2, uri: "test:///two"}
"""


def grouped(*groups: str) -> str:
    return TWO_HOSTS.replace("GROUPS", "\n".join(f"  {group}" for group in groups))


def test_a_canary_acts_on_hosts_and_on_groups(file: Path) -> None:
    more = "shadows: {next: {name: hold}}\ncanary: {policy: next, hosts: [some, host-1]}\n"
    assert loaded(file, grouped("some: {hosts: [host-1, host-2]}") + more).rules.canary == Canary(
        "next", frozenset({"host-1", "host-2"})
    )


class TestGroups:
    """Hosts of one kind."""

    def test_lie_over_the_defaults_and_under_the_host(self, file: Path) -> None:
        text = grouped(
            "large: {hosts: [host-1, host-2], proof: {workers_max: 6, workers_min: 2}, wn: {cpu_weight: 512}}"
        )
        first, second = loaded(file, text).config.facility().hosts
        assert (first.proof.workers_max, first.proof.workers_min, first.wns[0].cpu_weight) == (6, 1, 512)
        assert (second.proof.workers_max, second.proof.workers_min) == (6, 2)
        assert second.proof.memory_per_worker_mib == 792

    def test_are_of_their_hosts_alone(self, file: Path) -> None:
        first, second = (
            loaded(file, grouped("small: {hosts: [host-2], proof: {workers_max: 3}}")).config.facility().hosts
        )
        assert (first.proof.workers_max, second.proof.workers_max) == (8, 3)

    def test_name_their_hosts(self, file: Path) -> None:
        config = loaded(file, grouped("rack: {hosts: [host-2, host-1]}")).config
        assert config.hosts_named("rack") == ("host-2", "host-1")
        assert config.hosts_named("host-1") == ("host-1",)
        assert config.hosts_named("nobody") == ()

    def test_may_say_the_same_of_a_host(self, file: Path) -> None:
        text = grouped(*(f"{name}: {{hosts: [host-2], proof: {{workers_max: 3}}}}" for name in ("one", "two")))
        assert loaded(file, text).config.facility().hosts[1].proof.workers_max == 3

    def test_that_say_different_things_of_a_host_are_refused(self, file: Path) -> None:
        text = grouped(
            "one: {hosts: [host-1, host-2], proof: {workers_max: 3}}",
            "two: {hosts: [host-2], proof: {workers_max: 4}}",
        )
        assert problems(file, text) == [
            f"10: groups.two.proof.workers_max: group one says otherwise of host-2 ({file}:9)"
        ]

    def test_may_say_different_things_of_different_hosts(self, file: Path) -> None:
        text = grouped(*(f"g{n}: {{hosts: [host-{n}], proof: {{workers_max: {n + 2}}}}}" for n in (1, 2)))
        assert [host.proof.workers_max for host in loaded(file, text).config.facility().hosts] == [3, 4]

    @pytest.mark.parametrize(
        ("group", "problem"),
        [
            ("g: {hosts: [host-3]}", "9: groups.g.hosts[0]: no host is called 'host-3' (did you mean 'host-2'?)"),
            ("g: {hosts: []}", "9: groups.g.hosts: is not a list of one or more hosts"),
            ("g: {proof: {workers_max: 3}}", "9: groups.g.hosts: is not a list of one or more hosts"),
            ("g: [host-1]", "9: groups.g: is not a mapping"),
            ("host-1: {hosts: [host-1]}", "9: groups.host-1: a host has this name, too"),
            (
                "g: {hosts: [host-2], proof: {workers_mox: 3}}",
                "9: groups.g.proof.workers_mox: unknown key (did you mean 'workers_max'?)",
            ),
            (
                "g: {hosts: [host-2], wn: {memory_floor: 3}}",
                "9: groups.g.wn.memory_floor: 3 has no unit: write a size such as '573 MiB' or '2 GiB'",
            ),
        ],
    )
    def test_a_mistake_is_named_where_it_is(self, file: Path, group: str, problem: str) -> None:
        assert problems(file, grouped(group)) == [problem]

    def test_that_are_no_mapping_are_refused(self, file: Path) -> None:
        assert problems(file, TWO_HOSTS.replace("\nGROUPS", " [rack]")) == ["8: groups: is not a mapping"]


def maintained(entry: str) -> str:
    return grouped("rack: {hosts: [host-1, host-2]}") + f"maintenance:\n  - {{{entry}}}\n"


class TestMaintenance:
    """Hosts that are paused at a stated time."""

    def test_pauses_its_hosts_in_both_directions(self, file: Path) -> None:
        times = 'from: "2026-12-01 08:00", to: 2026-12-01T12:00:00, timezone: Europe/Rome'
        config = loaded(file, maintained(f"hosts: [rack, host-1], {times}, reason: new disks")).config
        begin, end = datetime(2026, 12, 1, 7, tzinfo=UTC), datetime(2026, 12, 1, 11, tzinfo=UTC)
        assert config.pauses() == tuple(
            Pause(host, direction, begin, end, "maintenance", "new disks")
            for host in ("host-1", "host-2")
            for direction in Direction
        )

    def test_times_with_their_offset_need_no_zone(self, file: Path) -> None:
        times = 'from: 2026-12-01T08:00:00+01:00, to: "2026-12-01T12:00Z"'
        pause, *_ = loaded(file, maintained(f"hosts: [rack], {times}, reason: x")).config.pauses()
        assert (pause.since.hour, pause.until.hour) == (7, 12)

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"hosts": "[host-3]"}, ".hosts[0]: no host or group is called 'host-3' (did you mean 'host-2'?)"),
            ({"timezone": "null"}, ": give timezone, such as Europe/Rome, or times with their offset"),
            ({"to": "2026-12-01"}, ": it ends before it begins"),
            ({"from": "soon"}, ".from: 'soon' is not a time such as '2026-12-01 08:00'"),
            (
                {"timezone": "Europe/Roma"},
                ".timezone: the time zone 'Europe/Roma' is not known here: write one such as Europe/Rome",
            ),
            ({"reason": "''"}, ".reason: must have 1 or more characters"),
        ],
    )
    def test_a_mistake_is_named_where_it_is(self, file: Path, change: dict[str, str], problem: str) -> None:
        good = {"hosts": "[rack]", "from": "2026-12-01", "to": "2026-12-02", "timezone": "UTC", "reason": "x"}
        entry = ", ".join(f"{key}: {value}" for key, value in (good | change).items())
        assert problems(file, maintained(entry)) == [f"14: maintenance[0]{problem}"]


AS_SUCH = "write one such as 'Mon-Fri 08:00-20:00', 'Sat,Sun', '2026-12-24/2027-01-06' or '22:00-06:00'"


def scheduled(entry: str) -> str:
    return grouped("rack: {hosts: [host-1, host-2]}") + f"calendar:\n  - {{{entry}}}\n"


class TestCalendar:
    """Hours with limits."""

    def test_is_read(self, file: Path) -> None:
        text = scheduled(
            'when: "Mon-Fri 08:00-20:00", timezone: Europe/Rome, workers_min: 2, workers_max: 8, frozen: grow'
        )
        (entry,) = loaded(file, text).rules.calendar
        assert entry == CalendarEntry(
            "Mon-Fri 08:00-20:00",
            Hours(ZoneInfo("Europe/Rome"), frozenset(range(5)), begin=time(8), end=time(20)),
            None,
            "",
            2,
            8,
            frozenset({Direction.GROW}),
        )

    def test_names_hosts_and_groups(self, file: Path) -> None:
        (entry,) = loaded(file, scheduled("when: Sat, timezone: UTC, hosts: [rack], frozen: both")).rules.calendar
        assert (entry.hosts, entry.where) == (frozenset({"host-1", "host-2"}), "rack")
        assert entry.frozen == frozenset(Direction)

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"hosts": "[host-3]"}, ".hosts[0]: no host or group is called 'host-3' (did you mean 'host-2'?)"),
            ({"timezone": "CEST"}, ".timezone: the time zone 'CEST' is not known here: write one such as Europe/Rome"),
            ({"workers_min": "9"}, ": workers_min is above workers_max"),
            ({"workers_max": "null"}, ": it says nothing: give workers_min, workers_max or frozen"),
            ({"frozen": "up"}, ".frozen: 'up' is not one of 'grow', 'shrink' or 'both'"),
            ({"when": "weekdays"}, f": 'weekdays' is not a time of the calendar: {AS_SUCH}"),
        ],
    )
    def test_a_mistake_is_named_where_it_is(self, file: Path, change: dict[str, str], problem: str) -> None:
        good = {"when": "Mon", "timezone": "UTC", "workers_max": "8"}
        entry = ", ".join(f"{key}: {value}" for key, value in (good | change).items())
        assert problems(file, scheduled(entry)) == [f"14: calendar[0]{problem}"]


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("Mon-Fri 08:00-20:00", Hours(UTC, frozenset(range(5)), begin=time(8), end=time(20))),
        ("Sat,Sun", Hours(UTC, frozenset({5, 6}))),
        ("Fri-Mon,Wed", Hours(UTC, frozenset({4, 5, 6, 0, 2}))),
        ("22:00-06:00", Hours(UTC, begin=time(22), end=time(6))),
        ("Fri 18:00-24:00", Hours(UTC, frozenset({4}), begin=time(18))),
        ("2026-12-25", Hours(UTC, first=date(2026, 12, 25), last=date(2026, 12, 25))),
        (
            "2026-12-24/2027-01-06 00:00-12:00",
            Hours(UTC, first=date(2026, 12, 24), last=date(2027, 1, 6), end=time(12)),
        ),
    ],
)
def test_hours_are_what_they_say(text: str, hours: Hours) -> None:
    assert parse_hours(text, UTC) == hours


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "mon", "Mon-", "-Fri", "Mon..Fri", "Mon Fri", "Mon,,Tue", "Mon-Fri 08:00 - 20:00"),
        *("08:00", "8:00-20:00", "08:00-25:00", "08:60-09:00", "24:00-06:00x", "2026-12-24/2026-12-23", "2026-02-30"),
    ],
)
def test_what_is_no_time_of_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time of the calendar"):
        parse_hours(text, UTC)
