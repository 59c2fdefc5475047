"""The models of a site, in a folder beside its store: made, looked at, let act, taken back.

- ``current``: which model acts, and which ones acted before;
- ``0007/card.json``: what is known of it, with a seal that only this folder's key makes;
- ``0007/arrays.npz``: numbers only, nothing in it can run;
- ``excluded.json``: times that no model learns from;
- ``key``: makes the seals, readable to its owner only.
"""

import hashlib
import io
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from autoscaler.learning.card import MOST_BYTES, Card, CardError, Draft, sealed, unsealed
from autoscaler.learning.disk import remove_folder, write_file, write_folder, writing_alone
from autoscaler.learning.features import FEATURES
from autoscaler.learning.forest import QuantileForest

# The newest models are kept, with the one that acts and those that it can be taken back to.
KEPT = 10
KEPT_BEFORE = 3
# No forest is larger; what is, is not read into memory.
MOST_ARRAY_BYTES = 256 * 1024 * 1024
KEY_BYTES = 32

PACKAGES = ("scikit-learn", "numpy", "vaf-autoscaler")
ANEW = "train a model anew (autoscaler train)"


class ModelError(Exception):
    """A model cannot be had, or not be let act; the message names the file and says what to do."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model that is whole, was made here, and fits this program."""

    card: Card
    forest: QuantileForest


@dataclass(frozen=True, slots=True)
class Refused:
    """A model of the folder that may not act, and why."""

    number: int
    why: str


class Range(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stretch of time, its end not in it."""

    begin: Annotated[datetime, msgspec.Meta(tz=True)]
    end: Annotated[datetime, msgspec.Meta(tz=True)]


class Trail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which model acts, and which ones acted before it and were not taken back, the last one first."""

    acting: int | None = None
    before: tuple[int, ...] = ()


def versions_here() -> dict[str, str]:
    """The installed versions of what makes a model; what is not installed is left out."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


class Shelf:
    """The folder. Reading needs no lock: what is read is whole, whoever writes meanwhile and wherever they die."""

    def __init__(self, folder: Path, versions: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._versions = versions_here() if versions is None else versions

    def entries(self) -> list[Card | Refused]:
        """Every model by number: its card, or why it is refused."""
        return [self._entry(number) for number in self._numbers()]

    def read(self, number: int) -> Model:
        """A model that may act; raises ``ModelError`` for any other."""
        card = self.card(number)
        path = self._place(number) / "arrays.npz"
        content = _content(path, MOST_ARRAY_BYTES)
        if content is None or hashlib.sha256(content).hexdigest() != card.sha256:
            raise ModelError(f"{path}: is missing, or was altered since it was made: go back or {ANEW}")
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                forest = QuantileForest.from_arrays({name: file[name] for name in file.files})
        except Exception as error:  # noqa: BLE001 - whatever is in a file, it is a sentence
            raise ModelError(f"{path}: holds no model ({error}): go back or {ANEW}") from None
        return Model(card, forest)

    def card(self, number: int) -> Card:
        """The card of a model that fits this program; raises ``ModelError``. The arrays are not looked at."""
        path = self._place(number) / "card.json"
        with _told(self.folder):
            there = path.parent.is_dir()
        if not there:
            raise ModelError(f"{path.parent}: there is no model {number}: autoscaler model list shows those there are")
        written, key = _content(path, MOST_BYTES), self._key()
        if key is None:
            raise ModelError(
                f"{self.folder / 'key'}: is missing or cut off, and no model can be told from a foreign one: {ANEW}"
            )
        try:
            card = unsealed(written or b"", key)
        except CardError as error:
            raise ModelError(f"{path}: {error}: remove its folder, or {ANEW}") from None
        if card.number != number:
            raise ModelError(f"{path}: is the card of model {card.number}: remove its folder")
        self._check_fits(path, card)
        return card

    def _check_fits(self, path: Path, card: Card) -> None:
        made, here = (each.get("scikit-learn") for each in (card.versions, self._versions))
        # Without scikit-learn nothing of it has a part in a forecast, and no other version of it either.
        if here is not None and _minor(made) != _minor(here):
            raise ModelError(f"{path}: was made with scikit-learn {made}, here is {here}: {ANEW}")
        if card.features != FEATURES:
            raise ModelError(f"{path}: looks at other features than this program makes: {ANEW}")

    def trail(self) -> Trail:
        """Which model acts; raises ``ModelError``."""
        path = self.folder / "current"
        content = _content(path, MOST_BYTES)
        if content is None:
            return Trail()
        try:
            return msgspec.json.decode(content, type=Trail)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise ModelError(
                f"{path}: cannot be understood: autoscaler model promote or reset writes it anew"
            ) from None

    def stamp(self) -> tuple[int, int, int] | None:
        """Another one each time that another model is let act; costs one look at a file."""
        try:
            seen = (self.folder / "current").stat()
        except OSError:
            return None
        return seen.st_ino, seen.st_mtime_ns, seen.st_size

    def add(self, draft: Draft, forest: QuantileForest, made_at: datetime) -> Card:
        """Put a model on the shelf; it does not act. Older ones go, down to the number that is kept."""
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **forest.arrays())
        content = buffer.getvalue()
        with _told(self.folder), writing_alone(self.folder):
            number = 1 + max([0, *self._numbers(), *self._named()])
            sha256 = hashlib.sha256(content).hexdigest()
            said = {name: getattr(draft, name) for name in Draft.__struct_fields__}
            card = Card(**said, number=number, made_at=made_at, sha256=sha256)
            files = {"arrays.npz": content, "card.json": sealed(card, self._key() or self._make_key())}
            write_folder(self._place(number), files)
            self._prune()
        return card

    def check_writable(self) -> None:
        """Say before the long work that nothing could be put here; raises ``ModelError``."""
        with _told(self.folder):
            folder = self.folder if self.folder.exists() else self.folder.parent
            if not folder.is_dir():
                raise ModelError(f"{folder}: there is no such folder: the models belong beside the store")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ModelError(f"{folder}: this user may not write there: run this as the controller's user")

    def promote(self, number: int) -> Card:
        """Let a model act; raises ``ModelError`` for one that may not."""
        with _told(self.folder), writing_alone(self.folder):
            card = self.read(number).card
            was = self._trail_or_none()
            before = tuple(each for each in (was.acting, *was.before) if each not in (None, number))
            self._write_trail(Trail(number, before[:KEPT_BEFORE]))
        return card

    def rollback(self) -> Card:
        """Let the last model act that acted before and still may; raises ``ModelError`` when there is none."""
        with _told(self.folder), writing_alone(self.folder):
            before = self.trail().before
            for place, number in enumerate(before):
                found = self._entry(number)
                if isinstance(found, Card):
                    self._write_trail(Trail(number, before[place + 1 :]))
                    return found
        raise ModelError(f"{self.folder}: no earlier model can act: autoscaler model reset lets none act")

    def reset(self) -> None:
        """Let no model act."""
        with _told(self.folder), writing_alone(self.folder):
            was = self._trail_or_none()
            before = tuple(each for each in (was.acting, *was.before) if each is not None)
            self._write_trail(Trail(None, before[:KEPT_BEFORE]))

    def excluded(self) -> tuple[Range, ...]:
        """The times that no model learns from; raises ``ModelError``."""
        path = self.folder / "excluded.json"
        content = _content(path, MOST_BYTES)
        if content is None:
            return ()
        try:
            return msgspec.json.decode(content, type=tuple[Range, ...])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ModelError(f"{path}: cannot be understood ({error}): correct it, or remove it") from None

    def exclude(self, begin: datetime, end: datetime) -> tuple[Range, ...]:
        """Let no model learn from this time any more; return all of them."""
        if begin >= end:
            raise ModelError(f"{begin.isoformat()} is not before {end.isoformat()}")
        with _told(self.folder), writing_alone(self.folder):
            ranges = tuple(sorted({*self.excluded(), Range(begin, end)}, key=lambda each: (each.begin, each.end)))
            write_file(self.folder / "excluded.json", msgspec.json.format(msgspec.json.encode(ranges)))
        return ranges

    def _entry(self, number: int) -> Card | Refused:
        try:
            return self.read(number).card
        except ModelError as error:
            return Refused(number, str(error))

    def _place(self, number: int) -> Path:
        return self.folder / f"{number:04d}"

    def _numbers(self) -> list[int]:
        with _told(self.folder):
            try:
                names = [each.name for each in self.folder.iterdir() if each.name.isascii() and each.name.isdigit()]
            except FileNotFoundError:
                return []
        return sorted(int(name) for name in names if self._place(int(name)).name == name)

    def _named(self) -> list[int]:
        """What the trail names keeps its number, also where somebody has removed the folder."""
        was = self._trail_or_none()
        return [each for each in (was.acting, *was.before) if each is not None]

    def _prune(self) -> None:
        try:
            self.trail()
        except ModelError:
            # Nobody knows which one acts.
            return
        kept = {*self._numbers()[-KEPT:], *self._named()}
        for number in self._numbers():
            if number not in kept:
                remove_folder(self._place(number))

    def _trail_or_none(self) -> Trail:
        """A file that cannot be understood is written anew by whoever says what acts."""
        try:
            return self.trail()
        except ModelError:
            return Trail()

    def _write_trail(self, trail: Trail) -> None:
        write_file(self.folder / "current", msgspec.json.encode(trail))

    def _key(self) -> bytes | None:
        key = _content(self.folder / "key", MOST_BYTES)
        return key if key is not None and len(key) == KEY_BYTES else None

    def _make_key(self) -> bytes:
        key = secrets.token_bytes(KEY_BYTES)
        write_file(self.folder / "key", key, 0o600)
        return key


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What the file system refuses, as a sentence."""
    try:
        yield
    except OSError as error:
        raise ModelError(
            f"{error.filename or path}: {error.strerror}: check the folder of models, and who may write there"
        ) from None


def _content(path: Path, most: int) -> bytes | None:
    """What is in a file, ``None`` where there is none."""
    with _told(path):
        try:
            with path.open("rb") as file:
                content = file.read(most + 1)
        except FileNotFoundError:
            return None
    if len(content) > most:
        raise ModelError(f"{path}: is too large for what it should be: remove it, or {ANEW}")
    return content


def _minor(text: str | None) -> tuple[str, ...]:
    return tuple((text or "").split(".")[:2])
