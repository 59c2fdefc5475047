"""Who may use the API: a file with a line for each token, which holds what may be done and a hash, never the token.

A token begins with its name, so that only one hash is tried. Hashing is made slow for whoever finds the file; the
controller remembers what it found good.
"""

import hashlib
import hmac
import os
import re
import secrets
import threading
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

# scrypt's N, r and p: 16 MiB and some 50 ms.
_COST, _BLOCK, _PARALLEL = 2**14, 8, 1
_SALT_BYTES, _SECRET_BYTES = 16, 32
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LONGEST_TOKEN = 256


class Scope(StrEnum):
    """What a token is for; an operator may also read what a viewer may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ALERTS = "alerts"
    SESSIONS = "sessions"


class TokensError(Exception):
    """The file cannot be read or written, or a name cannot be used; the message says which."""


@dataclass(frozen=True, slots=True)
class Token:
    """One line of the file."""

    name: str
    scopes: frozenset[Scope]
    salt: bytes
    digest: bytes

    @property
    def line(self) -> str:
        """It as the file has it."""
        return f"{self.name} {','.join(sorted(self.scopes))} scrypt:{self.salt.hex()}:{self.digest.hex()}"

    def may(self, scope: Scope) -> bool:
        """Whether it is for this."""
        return scope in self.scopes or (scope is Scope.VIEWER and Scope.OPERATOR in self.scopes)

    def is_of(self, token: str) -> bool:
        """Whether this is the hash of a token."""
        return hmac.compare_digest(self.digest, _hash(token, self.salt))


def add_token(file: Path, name: str, scopes: frozenset[Scope]) -> str:
    """Write a token of this name into the file, and return it: nothing can tell it again; raises ``TokensError``."""
    if not _NAME.fullmatch(name):
        raise TokensError(f"{name!r} is not a name for a token: use letters, digits, - and _")
    tokens = read_tokens(file)
    if name in tokens:
        raise TokensError(f"{file} has a token {name!r} already: remove its line first")
    token, salt = f"{name}.{secrets.token_urlsafe(_SECRET_BYTES)}", secrets.token_bytes(_SALT_BYTES)
    new = Token(name, scopes, salt, _hash(token, salt))
    _write(file, "".join(f"{each.line}\n" for each in (*tokens.values(), new)))
    return token


def read_tokens(file: Path) -> dict[str, Token]:
    """The tokens of the file, by name, none where there is no file yet; raises ``TokensError``."""
    try:
        lines = file.read_text().splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise TokensError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TokensError(f"{file} is not a UTF-8 text file") from None
    found = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            token = _parsed(file, number, line)
            found[token.name] = token
    return found


class TokenBook:
    """The file as it is now: a line that is added or removed counts at once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._tokens: dict[str, Token] = {}
        self._good: dict[bytes, Token] = {}

    def known(self, token: str) -> Token | None:
        """The line of a token that was found good before; costs nothing. Raises ``TokensError``."""
        with self._lock:
            self._look()
            return self._good.get(_short(token))

    def find(self, token: str) -> Token | None:
        """The line of a token, ``None`` where there is none; raises ``TokensError``."""
        found = self.named(token)
        if found is None or len(token) > _LONGEST_TOKEN:
            return None
        # Without the lock: who has a known token does not wait for the hashes of those that have none.
        good = found.is_of(token)
        with self._lock:
            # Its line may have been removed meanwhile.
            if not good or self._tokens.get(found.name) != found:
                return None
            self._good[_short(token)] = found
            return found

    def named(self, token: str) -> Token | None:
        """The line that a token would have to be of, ``None`` where there is none; raises ``TokensError``."""
        with self._lock:
            self._look()
            return self._tokens.get(token.partition(".")[0])

    def _look(self) -> None:
        try:
            seen = self._file.stat()
        except FileNotFoundError:
            self._stamp, self._tokens, self._good = None, {}, {}
            return
        except OSError as error:
            raise TokensError(f"{self._file} cannot be read: {error.strerror}") from None
        stamp = (seen.st_ino, seen.st_mtime_ns, seen.st_size)
        if stamp != self._stamp:
            self._tokens = read_tokens(self._file)
            # Whose line is as it was need not be hashed again, or all would come with the first request after a change.
            self._good = {short: each for short, each in self._good.items() if self._tokens.get(each.name) == each}
            self._stamp = stamp


def _parsed(file: Path, number: int, line: str) -> Token:
    try:
        name, scopes, hashed = line.split()
        kind, salt, digest = hashed.split(":")
        if kind != "scrypt" or not _NAME.fullmatch(name):
            raise ValueError  # noqa: TRY301 - one sentence for whatever is wrong with a line
        return Token(name, frozenset(map(Scope, scopes.split(","))), bytes.fromhex(salt), bytes.fromhex(digest))
    except ValueError:
        raise TokensError(f"{file}:{number}: is not a line that `autoscaler token add` wrote") from None


def _write(file: Path, text: str) -> None:
    new = file.with_name(f"{file.name}.new")
    try:
        new.unlink(missing_ok=True)
        # Exclusive, so that root follows no link that the folder's owner has put there.
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(text)
            if os.geteuid() == 0:
                # Of whom the file, or its folder, is: a file of root's would lock out whoever has a token.
                owner = (file if file.exists() else file.parent).stat()
                os.fchown(opened.fileno(), owner.st_uid, owner.st_gid)
            opened.flush()
            os.fsync(opened.fileno())
        new.replace(file)
    except OSError as error:
        raise TokensError(f"{file} cannot be written: {error.strerror}") from None


def _hash(token: str, salt: bytes) -> bytes:
    return hashlib.scrypt(token.encode(errors="replace"), salt=salt, n=_COST, r=_BLOCK, p=_PARALLEL)


def _short(token: str) -> bytes:
    """What to remember instead of a token."""
    return hashlib.sha256(token.encode(errors="replace")).digest()
