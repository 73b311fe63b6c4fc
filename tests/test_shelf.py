"""The shelf: what is a visitor's stays the visitor's, what is public stays on disk, and memory has an end."""

from pathlib import Path

import numpy as np
import pytest

from sempa import shelf as module
from sempa.config import EncoderConfig
from sempa.errors import InputError
from sempa.reading.index import SentenceIndex
from sempa.reading.texts import Corpus
from sempa.shelf import Shelf

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


def test_who_leaves_is_forgotten_and_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OWN", 3)
    shelf = Shelf(tmp_path)
    for number in range(5):
        shelf.put(_index("a"), f"n{number}", "ada", public=False)
    assert shelf.own_names("ada") == ["~ada/n2", "~ada/n3", "~ada/n4"]
    shelf.put(_index("b"), "n", "bob", public=False)
    shelf.forget("ada")
    assert shelf.own_names("ada") == []
    assert shelf.own_names("bob") == ["~bob/n"]
