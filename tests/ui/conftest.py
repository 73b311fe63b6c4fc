"""A studio on the tiny pair with its own index, and a guard that blocks outside connections."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sempa.data.corpora import Corpus
from sempa.embedding.encoder import Encoder
from sempa.embedding.index import SentenceIndex
from sempa.models.pair import ModelPair
from sempa.service.adapters import Adapters
from sempa.service.index_store import IndexStore
from sempa.service.studio import Studio

TEXTS = tuple(f"The {animal} is {state}." for animal in ("hare", "hound", "cat") for state in ("fast", "ill", "old"))
HERE = ("127.0.0.1", "::1", "localhost", "0.0.0.0")


@pytest.fixture(scope="module")
def adapters(
    tmp_path_factory: pytest.TempPathFactory, model_folder: Path, adapter_folder: Path, other_adapter: Path
) -> Adapters:
    """Return a tiny model's two adapters, with the texts already embedded."""
    root = tmp_path_factory.mktemp("studio")
    SentenceIndex(Corpus(TEXTS, tuple({"topic": "animals"} for _ in TEXTS))).save(root / "index" / "demo")
    pair = ModelPair.open(str(model_folder), str(adapter_folder), precision="float32", device="cpu")
    made = Adapters([Encoder(pair), Encoder(pair.with_adapter(str(other_adapter)))], IndexStore(root / "index"), root)
    for name in made.names:
        made.choose(name).embed_index("demo")
    return made


@pytest.fixture(scope="module")
def studio(adapters: Adapters) -> Studio:
    """Return the studio of the first adapter."""
    return adapters.choose()


@pytest.fixture(scope="module")
def outside() -> Iterator[list[str]]:
    """Block all connections and look-ups beyond this machine and return the list of attempts."""
    tried: list[str] = []
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def refuse(host: Any) -> None:
        if isinstance(host, bytes):
            host = host.decode()
        if host and host not in HERE:
            tried.append(str(host))
            raise OSError(f"{host} is outside")

    def guarded(real: Any) -> Any:
        def connects(self: socket.socket, address: Any) -> Any:
            if isinstance(address, tuple):  # a local socket has a path instead
                refuse(address[0])
            return real(self, address)

        return connects

    def looks_up(host: Any, *args: Any, **options: Any) -> Any:
        refuse(host)
        return getaddrinfo(host, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded(connect))
        patch.setattr(socket.socket, "connect_ex", guarded(connect_ex))
        patch.setattr(socket, "getaddrinfo", looks_up)
        yield tried
