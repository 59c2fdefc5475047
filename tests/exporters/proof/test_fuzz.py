"""No input makes a parser of PROOF's files raise anything but its documented error."""

from hypothesis import given
from hypothesis import strategies as st

from exporters.proof.admin_area import Session, is_alive, parse_integer, parse_role, parse_session_pid
from tests.exporters.fuzzing import unhurried


@unhurried
@given(st.text() | st.from_regex(r"[a-z.0-9]{0,20}(\.status)?", fullmatch=True))
def test_any_file_name_is_a_session_or_not(name: str) -> None:
    pid = parse_session_pid(name)
    assert pid is None or isinstance(is_alive(pid), bool)


@unhurried
@given(st.binary(), st.binary() | st.from_regex(rb"[0-9]{0,12}", fullmatch=True), st.floats(0, 2e9))
def test_any_session_has_a_state(body: bytes, status: bytes, now: float) -> None:
    session = Session("u.g.1", parse_role(body), begun_at_s=1e9, status=parse_integer(status), status_at_s=1e9)
    assert session.state(now) in {"idle", "running", "queued", "starting", "terminating", "unknown"}
