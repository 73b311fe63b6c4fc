"""The shelf: what is a visitor's stays the visitor's, what is public stays on disk, and memory has an end."""

import threading
from pathlib import Path

import numpy as np
import pytest

from sempa.config import EncoderConfig
from sempa.data.corpora import Corpus
from sempa.embedding.index import SentenceIndex
from sempa.errors import InputError
from sempa.service import index_store as module
from sempa.service.index_store import Shelf

RECIPE = EncoderConfig()


def _index(*texts: str) -> SentenceIndex:
    index = SentenceIndex(Corpus(texts, tuple({} for _ in texts)))
    index.add(RECIPE, np.eye(len(texts), 4, dtype=np.float32))
    return index


def test_a_private_index_is_its_maker_s_alone(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    key = shelf.put(_index("a", "b"), "notes", "ada", public=False)
    assert shelf.own_names("ada") == [key]
    assert shelf.own_names("bob") == []
    assert shelf.own_names("ad") == []  # the beginning of a name is another name
    assert shelf.index(key).corpus.texts == ("a", "b")
    assert shelf.index_names() == []
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="There is no index 'notes'"):
        shelf.index("notes")


def test_a_public_index_is_everybody_s_and_outlives_a_restart(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    assert shelf.put(_index("a", "b"), "notes", "ada", public=True) == "notes"
    again = Shelf(tmp_path)
    assert again.index_names() == ["notes"]
    assert again.index("notes").search(RECIPE, np.eye(1, 4, dtype=np.float32), 1)[0][0].text == "a"


@pytest.mark.parametrize("public", [True, False])
def test_a_name_that_is_taken_or_none_is_refused(tmp_path: Path, public: bool) -> None:
    shelf = Shelf(tmp_path)
    shelf.put(_index("a"), "notes", "ada", public=public)
    with pytest.raises(InputError, match="There is an index 'notes' already"):
        shelf.put(_index("b"), "notes", "ada", public=public)
    for name in ("../notes", "No", "", "a/b", "~x"):
        with pytest.raises(InputError, match="is no index name"):
            shelf.put(_index("b"), name, "ada", public=public)
    if not public:
        shelf.put(_index("b"), "notes", "bob", public=False)  # another visitor may call theirs the same


def test_only_the_maker_deletes(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    key = shelf.put(_index("a"), "mine", "ada", public=False)
    shelf.put(_index("a"), "ours", "ada", public=True)
    shelf.put(_index("a"), "theirs", "bob", public=True)
    for name in (key, "ours", "demo"):
        with pytest.raises(InputError, match="Only indexes made on this page"):
            shelf.drop(name, "bob")
    shelf.index("ours")
    shelf.drop(key, "ada")
    shelf.drop("ours", "ada")
    assert shelf.own_names("ada") == []
    assert shelf.index_names() == ["theirs"]
    with pytest.raises(InputError, match="no index 'ours'"):
        shelf.index("ours")


def test_a_visitor_s_oldest_index_goes_before_others_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EACH", 2)
    monkeypatch.setattr(module, "MAX_OWN", 3)
    shelf = Shelf(tmp_path)
    shelf.put(_index("b"), "n", "bob", public=False)
    for number in range(4):
        shelf.put(_index("a"), f"n{number}", "ada", public=False)
    assert shelf.own_names("ada") == ["~ada/n2", "~ada/n3"]
    assert shelf.own_names("bob") == ["~bob/n"]
    shelf.put(_index("c"), "n", "cy", public=False)
    assert shelf.own_names("bob") == []
    with pytest.raises(InputError, match="Your index 'n' is gone: .* Make it again"):
        shelf.index("~bob/n")


def test_who_has_left_is_forgotten_in_an_hour_and_who_has_not_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A phone that was locked breaks the connection; its page is still there and goes on."""
    now = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    shelf = Shelf(tmp_path)
    for visitor in ("ada", "bob", "cy"):
        shelf.put(_index("a"), "n", visitor, public=False)
    shelf.forget("ada")
    shelf.forget("bob")
    now = module.AWAY_SECONDS - 1
    shelf.forget("dan")
    assert len(shelf.index("~bob/n")) == 1
    now += 2
    shelf.forget("dan")
    with pytest.raises(InputError, match="is gone"):
        shelf.index("~ada/n")
    assert len(shelf.index("~bob/n")) == len(shelf.index("~cy/n")) == 1
    now += module.IDLE_SECONDS + 1
    shelf.forget("dan")
    for visitor in ("bob", "cy"):
        assert shelf.own_names(visitor) == []


def test_public_indexes_are_bounded_in_number_and_not_all_held_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PUBLIC", 3)
    monkeypatch.setattr(module, "MAX_OPEN", 2)
    shelf = Shelf(tmp_path)
    for name in ("demo", "n1", "n2"):
        shelf.put(_index("a"), name, "ada", public=True)
    with pytest.raises(InputError, match="There are 3 public indexes, the most there may be"):
        shelf.put(_index("a"), "n3", "ada", public=True)
    first = {name: shelf.index(name) for name in ("demo", "n1")}
    shelf.index("n2")
    assert shelf.index("demo") is first["demo"]
    assert shelf.index("n1") is not first["n1"]


def test_who_waits_for_texts_being_read_is_told_so(tmp_path: Path) -> None:
    shelf, told, done = Shelf(tmp_path), threading.Event(), threading.Event()

    def wait() -> None:
        with shelf.reading("demo", lambda line: told.set()):
            done.set()

    with shelf.reading("demo"):
        other = threading.Thread(target=wait)
        other.start()
        assert told.wait(30)
        assert not done.is_set()
    assert done.wait(30)
    other.join()
