"""The index store: private indexes stay private, public ones stay on disk, and memory is bounded."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from sempa.config import RECIPE_FILE, EncoderConfig
from sempa.data.corpora import Corpus
from sempa.embedding.index import SentenceIndex
from sempa.errors import InputError, StorageError
from sempa.service import index_store as module
from sempa.service.index_store import IndexStore

RECIPE = EncoderConfig()


def _index(*texts: str) -> SentenceIndex:
    index = SentenceIndex(Corpus(texts, tuple({} for _ in texts)))
    index.add(RECIPE, np.eye(len(texts), 4, dtype=np.float32))
    return index


def test_a_private_index_is_its_maker_s_alone(tmp_path: Path) -> None:
    store = IndexStore(tmp_path)
    key = store.put(_index("a", "b"), "notes", "ada", public=False)
    assert store.own_names("ada") == [key]
    assert store.own_names("bob") == []
    assert store.own_names("ad") == []  # a prefix of a name is another visitor
    assert store.open(key).corpus.texts == ("a", "b")
    assert store.names() == []
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="There is no index 'notes'"):
        store.open("notes")


def test_a_public_index_is_everybody_s_and_outlives_a_restart(tmp_path: Path) -> None:
    store = IndexStore(tmp_path)
    assert store.put(_index("a", "b"), "notes", "ada", public=True) == "notes"
    again = IndexStore(tmp_path)
    assert again.names() == ["notes"]
    assert again.open("notes").search(RECIPE, np.eye(1, 4, dtype=np.float32), 1)[0][0].text == "a"


@pytest.mark.parametrize("public", [True, False])
def test_a_name_that_is_taken_or_none_is_refused(tmp_path: Path, public: bool) -> None:
    store = IndexStore(tmp_path)
    store.put(_index("a"), "notes", "ada", public=public)
    with pytest.raises(InputError, match="An index named 'notes' already exists"):
        store.put(_index("b"), "notes", "ada", public=public)
    for name in ("../notes", "No", "", "a/b", "~x"):
        with pytest.raises(InputError, match="is not a valid index name"):
            store.put(_index("b"), name, "ada", public=public)
    if not public:
        store.put(_index("b"), "notes", "bob", public=False)  # another visitor may use the same name


def test_only_the_maker_deletes(tmp_path: Path) -> None:
    store = IndexStore(tmp_path)
    key = store.put(_index("a"), "mine", "ada", public=False)
    store.put(_index("a"), "ours", "ada", public=True)
    store.put(_index("a"), "theirs", "bob", public=True)
    for name in (key, "ours", "demo"):
        with pytest.raises(InputError, match="only indexes that you built"):
            store.delete(name, "bob")
    store.open("ours")
    store.delete(key, "ada")
    store.delete("ours", "ada")
    assert store.own_names("ada") == []
    assert store.names() == ["theirs"]
    with pytest.raises(InputError, match="no index 'ours'"):
        store.open("ours")


def test_a_visitor_s_oldest_index_goes_before_others_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EACH", 2)
    monkeypatch.setattr(module, "MAX_OWN", 3)
    store = IndexStore(tmp_path)
    store.put(_index("b"), "n", "bob", public=False)
    for number in range(4):
        store.put(_index("a"), f"n{number}", "ada", public=False)
    assert store.own_names("ada") == ["~ada/n2", "~ada/n3"]
    assert store.own_names("bob") == ["~bob/n"]
    store.put(_index("c"), "n", "cy", public=False)
    assert store.own_names("bob") == []
    with pytest.raises(InputError, match="Your index 'n' has expired. Build it again."):
        store.open("~bob/n")


def test_a_visitor_who_left_is_forgotten_and_nobody_else(tmp_path: Path) -> None:
    store = IndexStore(tmp_path)
    for visitor in ("ada", "bob"):
        store.put(_index("a"), "n", visitor, public=False)
    store.put(_index("a"), "ours", "ada", public=True)
    store.forget("ada")
    store.forget("")  # a page that never searched
    with pytest.raises(InputError, match="Your index 'n' has expired. Build it again."):
        store.open("~ada/n")
    assert len(store.open("~bob/n")) == len(store.open("ours")) == 1


class _Loading:
    """Stand in for a large index: loading blocks until released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.may_end, self.loads = threading.Event(), threading.Event(), 0
        load = SentenceIndex.load

        def slowly(folder: Path) -> SentenceIndex:
            self.loads += 1
            self.begun.set()
            assert self.may_end.wait(60)
            return load(folder)

        monkeypatch.setattr(module.SentenceIndex, "load", slowly)


def test_loading_an_index_keeps_nobody_waiting_who_asks_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = IndexStore(tmp_path)
    own = store.put(_index("a"), "mine", "ada", public=False)
    store.put(_index("a"), "open", "ada", public=True)
    store.put(_index("a"), "large", "ada", public=True)
    store.open("open")
    loading = _Loading(monkeypatch)
    with ThreadPoolExecutor(3) as pool:
        try:
            asked = [pool.submit(store.open, "large") for _ in range(2)]
            assert loading.begun.wait(60)
            assert pool.submit(lambda: (store.open(own), store.open("open"), store.own_names("ada"))).result(timeout=60)
            assert not any(future.done() for future in asked)
        finally:
            loading.may_end.set()
        assert asked[0].result() is asked[1].result()
    assert loading.loads == 1


def test_an_index_that_could_not_be_loaded_is_tried_again(tmp_path: Path) -> None:
    store = IndexStore(tmp_path)
    store.put(_index("a"), "n", "ada", public=True)
    recipe = tmp_path / "n" / RECIPE_FILE
    kept = recipe.read_text()
    recipe.write_text("{}")
    with pytest.raises(StorageError, match="damaged"):
        store.open("n")
    recipe.write_text(kept)
    assert len(store.open("n")) == 1


def test_public_indexes_are_bounded_in_number_and_not_all_held_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PUBLIC", 3)
    monkeypatch.setattr(module, "MAX_OPEN", 2)
    store = IndexStore(tmp_path)
    for name in ("demo", "n1", "n2"):
        store.put(_index("a"), name, "ada", public=True)
    with pytest.raises(InputError, match="There are already 3 public indexes, the limit"):
        store.put(_index("a"), "n3", "ada", public=True)
    first = {name: store.open(name) for name in ("demo", "n1")}
    store.open("n2")
    assert store.open("demo") is first["demo"]
    assert store.open("n1") is not first["n1"]


def test_who_waits_for_texts_being_embedded_is_told_so() -> None:
    index, told, done = _index("a"), threading.Event(), threading.Event()

    def wait() -> None:
        with index.adding(told.set):
            done.set()

    with index.adding():
        other = threading.Thread(target=wait)
        other.start()
        assert told.wait(30)
        assert not done.is_set()
    assert done.wait(30)
    other.join()
