"""No input makes a parser of PROOF's files and command lines raise anything but its documented error."""

import os

import click
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exporters.proof.formats import Role, parse_integer, parse_session_name
from exporters.proof.formats import parse_role as parse_role_of_body
from exporters.proof.main import parse_url
from exporters.proof.metrics import session_metrics
from exporters.proof.process_table import is_daemon, parse_admin_area, parse_role
from exporters.proof.sessions import STATES, Session
from tests.exporters.fuzzing import unhurried

# Any bytes may be in a file name, as os.scandir shows them.
file_names = st.binary(max_size=255).map(os.fsdecode) | st.text()
SESSION_BODY = b"nobody alice\n/sock\n18019 1 2\n0 localhost-1795347464-18019 \n/log\n32 5.28/00\n"
PROOF_WORDS = st.sampled_from(["proofserv", "/opt/bin/proofserv.exe", "proofslave", "xpd", "xpdpath:/x", "xproofd"])

sessions = st.builds(
    Session,
    user=file_names.map(lambda name: name.encode(errors="replace").decode()),
    group=st.sampled_from(["alice", "cms", ""]),
    role=st.sampled_from(Role),
    begun_at_s=st.floats(0, 2e9),
    status=st.none() | st.integers(0, 9),
    status_at_s=st.none() | st.floats(0, 2e9),
)


@unhurried
@given(file_names | st.from_regex(r"[a-z.0-9\n]{0,20}\.[0-9]{1,12}(\.status)?", fullmatch=True))
@example("ganis.alice.4711\n")
def test_any_file_name_is_a_session_or_not(name: str) -> None:
    parsed = parse_session_name(name)
    if parsed is not None:
        assert parsed.user.encode()
        assert "." not in parsed.group
        assert name.endswith(f".{str(parsed.pid).zfill(len(name.rpartition('.')[2]))}")


@unhurried
@given(st.binary(), st.binary() | st.from_regex(rb"[0-9]{0,12}", fullmatch=True), st.floats(0, 2e9))
def test_any_session_has_a_state(body: bytes, status: bytes, now: float) -> None:
    role = parse_role_of_body(body)
    session = Session("u", "g", role, begun_at_s=1e9, status=parse_integer(status), status_at_s=1e9)
    assert session.state(now) in STATES


@unhurried
@given(st.integers(0, len(SESSION_BODY)), st.binary(max_size=8))
def test_a_session_file_that_is_cut_or_changed_is_of_some_role(at: int, new: bytes) -> None:
    assert parse_role_of_body(SESSION_BODY[:at] + new) in Role
    assert parse_role_of_body(SESSION_BODY[:at] + new + SESSION_BODY[at + len(new) :]) in Role


@unhurried
@given(st.lists(sessions, max_size=12), st.floats(0, 2e9), st.integers(0, 5))
def test_any_sessions_give_an_exposition_whose_users_add_up(some: list[Session], now: float, max_users: int) -> None:
    registry = CollectorRegistry()
    registry.register(_Fixed(list(session_metrics(some, now, max_users=max_users))))
    families = {f.name: f for f in text_string_to_metric_families(generate_latest(registry).decode())}
    by_user = families["proof_user_sessions"].samples if max_users else []
    assert len({(s.labels["user"], s.labels["group"]) for s in by_user}) <= max_users + 1
    for sample in families["proof_sessions"].samples if max_users else []:
        state = sample.labels["state"]
        assert sample.value == sum(s.value for s in by_user if s.labels["state"] == state)


class _Fixed:
    def __init__(self, metrics: list) -> None:
        self.metrics = metrics

    def collect(self) -> list:
        return self.metrics


@unhurried
@given(st.lists(file_names | PROOF_WORDS, max_size=5))
def test_any_command_line_is_of_a_session_or_not(arguments: list[str]) -> None:
    role = parse_role(arguments)
    assert role in {None, Role.MASTER, Role.WORKER}
    assert role or parse_admin_area(arguments) is None
    assert not (role and is_daemon(arguments))


@unhurried
@given(st.text() | st.from_regex(r"https?://[a-z@:\[\]0-9/%]{0,20}", fullmatch=True))
def test_any_url_is_taken_or_refused_with_a_sentence(text: str) -> None:
    try:
        assert parse_url(text) == text
    except click.BadParameter as refused:
        sentence = refused.message
        assert sentence.endswith(" is not a URL, for example http://controller:9610/notify.")
