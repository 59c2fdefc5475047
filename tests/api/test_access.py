"""Who is let in: tokens as bearer or basic, Grafana's signature, scopes; and that no token is in the file."""

import errno
import hashlib
import hmac
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from autoscaler.api import tokens
from autoscaler.api.access import SIGNATURE, SIGNED_AT, Access, Rates, RefusedError
from autoscaler.api.tokens import Scope, Token, TokenBook, TokensError, add_token, read_tokens
from tests.api.facility import ALERTMANAGER, GRAFANA, NOW, SECRET, ApiUnderTest, basic, bearer, sample

BODY = json.dumps(sample("grafana")).encode()
NOW_S = int(NOW.timestamp())


def signed(at_s: int | None = NOW_S, secret: str = SECRET, body: bytes = BODY) -> dict[str, str]:
    """The headers of Grafana's signature."""
    text = body if at_s is None else f"{at_s}:".encode() + body
    headers = {SIGNATURE: hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()}
    return headers if at_s is None else {**headers, SIGNED_AT: str(at_s)}


def post(api: ApiUnderTest, headers: dict[str, str], path: str = GRAFANA) -> tuple[int, Any]:
    answer = api.client.post(path, content=BODY, headers=headers)
    return answer.status_code, answer.json().get("error")


class TestTokens:
    """Bearer and basic."""

    def test_a_token_is_let_in_as_bearer_and_as_basic_under_its_name(self, api: ApiUnderTest) -> None:
        assert post(api, bearer(api.alerts)) == (200, None)
        assert post(api, basic("grafana", api.alerts)) == (200, None)

    @pytest.mark.parametrize(
        ("headers", "sentence"),
        [
            ({}, "give a token, as bearer, or as basic with its name as the user"),
            ({"Authorization": "Digest x"}, "give a token, as bearer, or as basic with its name as the user"),
            (bearer(""), "the token is not known"),
            (bearer("grafana.wrong"), "the token is not known"),
            (bearer("nobody.wrong"), "the token is not known"),
            (bearer("x" * 10_000), "the token is not known"),
            (basic("grafana", "grafana.wrong"), "the token is not known"),
            (basic("maria", "grafana.wrong"), "the user is not the name of the token"),
            ({"Authorization": "Basic !"}, "the basic authorization cannot be read"),
        ],
    )
    def test_others_are_401_with_a_sentence_and_change_nothing(
        self, api: ApiUnderTest, headers: dict[str, str], sentence: str
    ) -> None:
        assert post(api, headers) == (401, sentence)
        assert api.boosts() == []
        assert api.counted("api_requests", path=GRAFANA, status="401") == 1

    def test_a_token_of_another_scope_is_403(self, api: ApiUnderTest) -> None:
        assert post(api, bearer(api.viewer)) == (403, "token wall is not for this: its scope is not alerts")
        assert api.get("/api/v1/state", api.alerts).status_code == 403

    def test_who_tries_many_tokens_is_429_while_known_tokens_go_on(self, api: ApiUnderTest) -> None:
        post(api, bearer(api.alerts))
        statuses = [post(api, bearer(f"grafana.{number}"))[0] for number in range(10)]
        assert statuses == [401] * 9 + [429]
        _, sentence = post(api, bearer("grafana.11"))
        assert sentence is not None
        assert sentence.startswith("more than 10 unknown tokens a minute: try again in ")
        assert post(api, bearer(api.alerts)) == (200, None)

    def test_who_tries_many_tokens_of_a_name_keeps_out_no_other_name(self, api: ApiUnderTest) -> None:
        for name in ("wall", "nobody"):
            statuses = [post(api, bearer(f"{name}.{number}"))[0] for number in range(11)]
            assert statuses == [401] * 10 + [429]
        assert post(api, bearer(api.alerts)) == (200, None)

    def test_many_who_come_at_once_with_a_good_token_are_all_let_in(self, api: ApiUnderTest) -> None:
        access = Access(api.loaded.config.api.model_copy(update={"requests_per_minute": 100}), lambda: NOW)
        with ThreadPoolExecutor(20) as beside:
            came = [beside.submit(access.check, f"Bearer {api.alerts}", "127.0.0.1", Scope.ALERTS) for _ in range(20)]
        assert {each.result().name for each in came} == {"grafana"}

    def test_a_token_whose_line_is_removed_is_refused_at_once(self, api: ApiUnderTest) -> None:
        assert post(api, bearer(api.alerts))[0] == 200
        (api.folder / "tokens").write_text("")
        assert post(api, bearer(api.alerts)) == (401, "the token is not known")

    def test_a_file_that_is_damaged_lets_nobody_in(self, api: ApiUnderTest) -> None:
        (api.folder / "tokens").write_text("grafana alerts plain:secret\n")
        status, sentence = post(api, bearer(api.alerts))
        assert status == 503
        assert sentence == f"{api.folder / 'tokens'}:1: is not a line that `autoscaler token add` wrote"


class TestTokensFile:
    """What is kept of a token."""

    def test_has_a_hash_and_not_the_token_and_is_for_its_owner_only(self, tmp_path: Path) -> None:
        file = tmp_path / "tokens"
        token = add_token(file, "grafana", frozenset({Scope.ALERTS, Scope.VIEWER}))
        name, _, secret = token.partition(".")
        assert name == "grafana"
        assert secret not in file.read_text()
        assert file.stat().st_mode & 0o777 == 0o600
        assert read_tokens(file)["grafana"].scopes == {Scope.ALERTS, Scope.VIEWER}

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
    def test_stays_readable_for_the_controller_when_root_adds_to_it(self, tmp_path: Path) -> None:
        os.chown(tmp_path, 65534, 65534)
        add_token(tmp_path / "tokens", "grafana", frozenset({Scope.ALERTS}))
        os.chown(tmp_path, 0, 0)
        add_token(tmp_path / "tokens", "wall", frozenset({Scope.VIEWER}))
        seen = (tmp_path / "tokens").stat()
        assert (seen.st_uid, seen.st_gid, seen.st_mode & 0o777) == (65534, 65534, 0o600)

    def test_in_a_folder_that_this_user_may_not_read_is_a_sentence(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(*_: object, **__: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        for name in ("stat", "read_text"):
            monkeypatch.setattr(Path, name, refused)
        with pytest.raises(TokensError, match="tokens cannot be read: Permission denied"):
            add_token(tmp_path / "tokens", "grafana", frozenset({Scope.ALERTS}))

    def test_a_name_is_there_once(self, tmp_path: Path) -> None:
        add_token(tmp_path / "tokens", "grafana", frozenset({Scope.ALERTS}))
        with pytest.raises(TokensError, match="has a token 'grafana' already: remove its line first"):
            add_token(tmp_path / "tokens", "grafana", frozenset({Scope.ALERTS}))

    def test_a_name_that_would_break_a_line_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(TokensError, match="is not a name for a token"):
            add_token(tmp_path / "tokens", "a b", frozenset({Scope.ALERTS}))


class TestTokenBook:
    """What is remembered of good tokens."""

    def test_a_good_token_stays_known_when_another_line_is_added(self, tmp_path: Path) -> None:
        file = tmp_path / "tokens"
        token, book = add_token(file, "grafana", frozenset({Scope.ALERTS})), TokenBook(file)
        assert book.known(token) is None
        found = book.find(token)
        add_token(file, "wall", frozenset({Scope.VIEWER}))
        assert found is not None
        assert book.known(token) == found

    def test_a_good_token_is_unknown_when_its_line_is_another(self, tmp_path: Path) -> None:
        file = tmp_path / "tokens"
        token, book = add_token(file, "grafana", frozenset({Scope.ALERTS})), TokenBook(file)
        assert book.find(token) is not None
        file.write_text(file.read_text().replace(" alerts ", " viewer "))
        assert book.known(token) is None

    def test_a_known_token_does_not_wait_for_the_hash_of_another(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "tokens"
        token, book = add_token(file, "grafana", frozenset({Scope.ALERTS})), TokenBook(file)
        found = book.find(token)
        began, go_on = threading.Event(), threading.Event()

        def slow(_token: str, _salt: bytes) -> bytes:
            began.set()
            go_on.wait(60)
            return b""

        monkeypatch.setattr(tokens, "_hash", slow)
        with ThreadPoolExecutor(1) as beside:
            other = beside.submit(book.find, "grafana.wrong")
            try:
                assert began.wait(60)
                assert beside_known(book, token) == found
            finally:
                go_on.set()
            assert other.result(60) is None


def beside_known(book: TokenBook, token: str) -> Token | None:
    """What a book knows, by a thread that may be given up."""
    known: list[Token | None] = []
    asking = threading.Thread(target=lambda: known.append(book.known(token)), daemon=True)
    asking.start()
    asking.join(30)
    return known[0] if known else None


class TestRates:
    """How often a caller may come."""

    def test_some_at_once_and_then_as_many_a_minute(self) -> None:
        now_s = 0.0
        rates = Rates(2, lambda: now_s)
        rates.take("a")
        rates.take("a")
        with pytest.raises(RefusedError, match="more than 2 requests a minute: try again in 30 s"):
            rates.take("a")
        now_s = 30.0
        rates.take("a")
        with pytest.raises(RefusedError):
            rates.take("a")

    def test_one_caller_takes_nothing_from_another(self) -> None:
        rates = Rates(1, lambda: 0.0)
        rates.take("a")
        rates.take("b")


class TestSignature:
    """Grafana's HMAC with its time."""

    def test_what_grafana_has_signed_just_now_is_let_in(self, api: ApiUnderTest) -> None:
        assert post(api, signed()) == (200, None)
        assert api.boosts() == [8]

    @pytest.mark.parametrize(
        ("headers", "sentence"),
        [
            (signed(None), f"the signature has no time: set Grafana's timestamp header to {SIGNED_AT}"),
            (signed(secret="another"), "the signature is not right"),
            (signed(body=BODY + b" "), "the signature is not right"),
            ({**signed(), SIGNED_AT: str(NOW_S + 1)}, "the signature is not right"),
            (signed(NOW_S - 301), "the signature is not of the last 5 minutes: a clock is wrong, or this is a replay"),
            (signed(NOW_S + 301), "the signature is not of the last 5 minutes: a clock is wrong, or this is a replay"),
        ],
    )
    def test_others_are_401_with_a_sentence_and_change_nothing(
        self, api: ApiUnderTest, headers: dict[str, str], sentence: str
    ) -> None:
        assert post(api, headers) == (401, sentence)
        assert api.boosts() == []

    def test_without_a_secret_it_cannot_be_checked(self, api: ApiUnderTest) -> None:
        (api.folder / "secret").unlink()
        assert post(api, signed())[0] == 503

    def test_an_empty_secret_signs_nothing(self, api: ApiUnderTest) -> None:
        (api.folder / "secret").write_text("\n")
        assert post(api, signed(secret="")) == (401, "the signature is not right")

    def test_it_is_grafanas_and_lets_nobody_into_alertmanagers_path(self, api: ApiUnderTest) -> None:
        assert post(api, signed(), ALERTMANAGER)[0] == 401
