"""Worker threads for batches: in order, each on one core, without side effects on other threads."""

import threading
from collections.abc import Iterator

import pytest
import torch

from sempa.models.workers import Workers


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def _threads_of_a_new_thread() -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.usefixtures("two_threads")
def test_items_come_back_in_order_each_computed_on_one_core() -> None:
    workers = Workers(torch.device("cpu"))
    assert workers.count == 2
    seen = list(workers.map(lambda item: (item, torch.get_num_threads(), threading.get_ident()), list(range(40))))
    assert [item for item, _, _ in seen] == list(range(40))
    assert {threads for _, threads, _ in seen} == {1}
    assert threading.get_ident() not in {thread for _, _, thread in seen}


@pytest.mark.usefixtures("two_threads")
def test_other_threads_keep_their_cores() -> None:
    workers = Workers(torch.device("cpu"))
    list(workers.map(lambda item: item, [1, 2, 3]))
    assert torch.get_num_threads() == 2
    assert _threads_of_a_new_thread() == 2


@pytest.mark.usefixtures("two_threads")
def test_a_single_item_is_the_caller_s() -> None:
    workers = Workers(torch.device("cpu"))
    assert list(workers.map(lambda _: (threading.get_ident(), torch.get_num_threads()), [0])) == [
        (threading.get_ident(), 2)
    ]


@pytest.mark.usefixtures("two_threads")
def test_an_error_reaches_the_caller() -> None:
    def refuse(item: int) -> int:
        if item == 2:
            raise ValueError("two")
        return item

    with pytest.raises(ValueError, match="two"):
        list(Workers(torch.device("cpu")).map(refuse, [1, 2, 3]))
