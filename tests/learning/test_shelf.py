"""The folder of models: what is put there can be had again, what is foreign or altered is refused with a sentence."""

import hashlib
import io
import shutil
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.learning.card import sealed
from autoscaler.learning.features import FEATURES
from autoscaler.learning.shelf import KEPT, ModelError, Range, Refused, Shelf
from tests.learning.models import NOW, VERSIONS, a_draft, a_forest

HOUR = timedelta(hours=1)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "models", VERSIONS)


def added(shelf: Shelf, count: int = 1) -> list[int]:
    return [shelf.add(a_draft(), a_forest(), NOW).number for _ in range(count)]


def test_a_model_that_is_added_can_be_read_and_predicts_the_same(shelf: Shelf) -> None:
    card = shelf.add(a_draft(), a_forest(), NOW)
    model = shelf.read(card.number)
    row = np.ones(len(FEATURES))
    assert model.card == card
    assert np.array_equal(model.forest.predict(row), a_forest().predict(row))


def test_a_folder_that_is_not_there_yet_has_no_models_and_none_acts(shelf: Shelf) -> None:
    assert (shelf.entries(), shelf.trail().acting, shelf.excluded(), shelf.stamp()) == ([], None, (), None)
    assert not shelf.folder.exists()


def test_models_are_numbered_one_after_the_other(shelf: Shelf) -> None:
    assert added(shelf, 3) == [1, 2, 3]


def test_a_model_that_is_added_does_not_act(shelf: Shelf) -> None:
    added(shelf)
    assert shelf.trail().acting is None


def test_a_model_that_is_promoted_acts(shelf: Shelf) -> None:
    added(shelf, 2)
    assert shelf.promote(2).number == 2
    assert shelf.trail().acting == 2


def test_the_stamp_is_another_one_after_each_promotion(shelf: Shelf) -> None:
    added(shelf, 2)
    stamps = [shelf.stamp()]
    for number in (1, 2, 1, 1):
        shelf.promote(number)
        stamps.append(shelf.stamp())
    assert all(one != other for one, other in pairwise(stamps))


def test_rollback_lets_the_one_before_act_again(shelf: Shelf) -> None:
    added(shelf, 3)
    for number in (1, 2, 3):
        shelf.promote(number)
    assert [shelf.rollback().number, shelf.rollback().number] == [2, 1]


def test_rollback_passes_over_a_model_that_is_no_longer_whole(shelf: Shelf) -> None:
    added(shelf, 3)
    for number in (1, 2, 3):
        shelf.promote(number)
    (shelf.folder / "0002" / "arrays.npz").write_bytes(b"")
    assert shelf.rollback().number == 1


def test_rollback_without_an_earlier_model_says_what_to_do(shelf: Shelf) -> None:
    added(shelf)
    shelf.promote(1)
    with pytest.raises(ModelError, match="no earlier model can act: autoscaler model reset"):
        shelf.rollback()
    assert shelf.trail().acting == 1


def test_reset_lets_none_act_and_can_be_rolled_back(shelf: Shelf) -> None:
    added(shelf)
    shelf.promote(1)
    shelf.reset()
    assert shelf.trail().acting is None
    assert shelf.rollback().number == 1


def test_older_models_go_and_the_one_that_acts_stays_with_those_before_it(shelf: Shelf) -> None:
    added(shelf, 2)
    shelf.promote(1)
    shelf.promote(2)
    added(shelf, KEPT + 3)
    assert [entry.number for entry in shelf.entries()] == [1, 2, *range(6, 6 + KEPT)]


def test_a_number_is_never_given_twice_while_the_trail_names_it(shelf: Shelf) -> None:
    added(shelf, 2)
    shelf.promote(2)
    shutil.rmtree(shelf.folder / "0002")
    assert added(shelf) == [3]


def test_a_number_that_is_not_there_is_a_sentence(shelf: Shelf) -> None:
    with pytest.raises(ModelError, match="there is no model 7: autoscaler model list"):
        shelf.promote(7)


def card_file(shelf: Shelf, number: int = 1) -> Path:
    return shelf.folder / f"{number:04d}" / "card.json"


def alter_the_card(shelf: Shelf) -> None:
    card_file(shelf).write_text(card_file(shelf).read_text().replace("better than threshold", "best of all"))


def alter_the_arrays(shelf: Shelf) -> None:
    path = shelf.folder / "0001" / "arrays.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def take_the_key(shelf: Shelf) -> None:
    (shelf.folder / "key").unlink()


def take_another_key(shelf: Shelf) -> None:
    (shelf.folder / "key").write_bytes(b"k" * 32)


def empty_the_card(shelf: Shelf) -> None:
    card_file(shelf).write_text("")


def nest_the_card(shelf: Shelf) -> None:
    card_file(shelf).write_text("[" * 100_000)


def fill_the_card(shelf: Shelf) -> None:
    card_file(shelf).write_text(" " * 2_000_000)


def make_the_card_a_folder(shelf: Shelf) -> None:
    card_file(shelf).unlink()
    card_file(shelf).mkdir()


def take_the_arrays(shelf: Shelf) -> None:
    (shelf.folder / "0001" / "arrays.npz").unlink()


def bring_one_from_elsewhere(shelf: Shelf) -> None:
    other = Shelf(shelf.folder.with_name("other"), VERSIONS)
    added(other)
    shutil.rmtree(shelf.folder / "0001")
    shutil.copytree(other.folder / "0001", shelf.folder / "0001")


def copy_another_over_it(shelf: Shelf) -> None:
    added(shelf)
    shutil.rmtree(shelf.folder / "0001")
    shutil.copytree(shelf.folder / "0002", shelf.folder / "0001")


@pytest.mark.parametrize(
    ("harm", "file", "why"),
    [
        (alter_the_card, "card.json", "was not made here, or was altered since"),
        (alter_the_arrays, "arrays.npz", "is missing, or was altered"),
        (take_the_arrays, "arrays.npz", "is missing, or was altered"),
        (take_the_key, "key", "is missing"),
        (take_another_key, "card.json", "was not made here"),
        (empty_the_card, "card.json", "is no model card"),
        (nest_the_card, "card.json", "is no model card"),
        (fill_the_card, "card.json", "is too large"),
        (make_the_card_a_folder, "card.json", "Is a directory"),
        (bring_one_from_elsewhere, "card.json", "was not made here"),
        (copy_another_over_it, "card.json", "is the card of model 2"),
    ],
)
def test_what_is_foreign_or_altered_is_refused(
    shelf: Shelf, harm: Callable[[Shelf], None], file: str, why: str
) -> None:
    added(shelf)
    harm(shelf)
    with pytest.raises(ModelError) as told:
        shelf.promote(1)
    text = str(told.value)
    assert file in text
    assert why in text
    assert text.count(":") >= 2, "the file, what is wrong, what to do"
    assert Refused(1, text) in shelf.entries()


def test_a_model_of_another_minor_version_of_scikit_learn_is_refused(shelf: Shelf) -> None:
    added(shelf)
    newer = Shelf(shelf.folder, VERSIONS | {"scikit-learn": "1.8.0"})
    with pytest.raises(ModelError, match=r"was made with scikit-learn 1\.7\.2, here is 1\.8\.0: train a model anew"):
        newer.read(1)


def test_a_model_of_another_patch_of_scikit_learn_may_act(shelf: Shelf) -> None:
    added(shelf)
    assert Shelf(shelf.folder, VERSIONS | {"scikit-learn": "1.7.9"}).read(1)


def test_a_model_may_act_where_scikit_learn_is_not_installed(shelf: Shelf) -> None:
    added(shelf)
    assert Shelf(shelf.folder, {"numpy": "2.3.1"}).read(1)


def test_a_model_of_another_feature_list_is_refused(shelf: Shelf) -> None:
    shelf.add(a_draft(features=("load", "moon")), a_forest(), NOW)
    with pytest.raises(ModelError, match="looks at other features than this program makes"):
        shelf.read(1)


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return (Path.touch, (self.file,))


def test_what_is_pickled_among_the_arrays_does_not_run_even_under_our_own_seal(shelf: Shelf, tmp_path: Path) -> None:
    card = shelf.add(a_draft(), a_forest(), NOW)
    buffer = io.BytesIO()
    np.savez(buffer, levels=np.array([Bomb(tmp_path / "ran")], dtype=object))
    (shelf.folder / "0001" / "arrays.npz").write_bytes(buffer.getvalue())
    card = msgspec.structs.replace(card, sha256=hashlib.sha256(buffer.getvalue()).hexdigest())
    card_file(shelf).write_bytes(sealed(card, (shelf.folder / "key").read_bytes()))
    with pytest.raises(ModelError, match=r"arrays\.npz: holds no model"):
        shelf.read(1)
    assert not (tmp_path / "ran").exists()


def test_arrays_that_are_no_forest_are_refused_whoever_wrote_them(shelf: Shelf) -> None:
    class NoForest:
        def arrays(self) -> dict[str, object]:
            return {"levels": np.array([0.5])}

    shelf.add(a_draft(), NoForest(), NOW)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"arrays\.npz: holds no model"):
        shelf.read(1)


def test_a_file_current_that_cannot_be_understood_is_a_sentence_and_promote_writes_it_anew(shelf: Shelf) -> None:
    added(shelf)
    (shelf.folder / "current").write_text("model 1, please")
    with pytest.raises(ModelError, match="current: cannot be understood: autoscaler model promote or reset"):
        shelf.trail()
    shelf.promote(1)
    assert shelf.trail().acting == 1


def test_while_nobody_knows_which_model_acts_none_is_removed(shelf: Shelf) -> None:
    shelf.promote(added(shelf)[0])
    (shelf.folder / "current").write_text("muddle")
    for _ in range(KEPT + 2):
        added(shelf)
    assert len(shelf.entries()) == KEPT + 3


def test_a_folder_in_which_nobody_can_write_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(ModelError, match=r"models: .*: check the folder of models"):
        Shelf(tmp_path / "models").reset()


def test_a_place_where_nothing_could_be_put_is_told_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such folder: the models belong beside the store"):
        Shelf(tmp_path / "none" / "models").check_writable()
    Shelf(tmp_path / "models").check_writable()
    assert not (tmp_path / "models").exists()


def test_excluded_times_are_kept_in_order_and_once(shelf: Shelf) -> None:
    late, early = Range(NOW, NOW + HOUR), Range(NOW - 5 * HOUR, NOW - HOUR)
    for each in (late, early, late):
        shelf.exclude(each.begin, each.end)
    assert shelf.excluded() == (early, late)


def test_a_time_that_ends_before_it_begins_is_not_excluded(shelf: Shelf) -> None:
    with pytest.raises(ModelError, match="is not before"):
        shelf.exclude(NOW, NOW)


def test_excluded_times_that_cannot_be_understood_are_a_sentence(shelf: Shelf) -> None:
    shelf.exclude(NOW, NOW + HOUR)
    without_zone = '[{"begin": "2026-11-01T00:00:00", "end": "2026-11-02T00:00:00"}]'
    for text in ('[{"begin": "yesterday"}]', without_zone):
        (shelf.folder / "excluded.json").write_text(text)
        with pytest.raises(ModelError, match=r"excluded\.json: cannot be understood"):
            shelf.excluded()


@given(st.binary(max_size=300))
def test_no_bytes_in_the_place_of_a_card_are_more_than_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, written: bytes
) -> None:
    shelf = Shelf(tmp_path_factory.mktemp("site") / "models", VERSIONS)
    added(shelf)
    card_file(shelf).write_bytes(written)
    (entry,) = shelf.entries()
    assert isinstance(entry, Refused)


@given(st.data())
def test_no_altered_byte_of_a_card_goes_unseen(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    shelf = Shelf(tmp_path_factory.mktemp("site") / "models", VERSIONS)
    added(shelf)
    content = bytearray(card_file(shelf).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    card_file(shelf).write_bytes(bytes(content))
    (entry,) = shelf.entries()
    assert isinstance(entry, Refused)
