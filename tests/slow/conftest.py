"""The default model with its adapter, opened once."""

import os

import pytest

from sempa.config import DEFAULT_BASE
from sempa.embedding.encoder import Encoder
from sempa.models.adapters import SHIPPED_ADAPTERS, shipped_adapters
from sempa.models.pair import ModelPair


@pytest.fixture(scope="session")
def adapter() -> str:
    named = os.environ.get("SEMPA_TEST_ADAPTER")
    if not (found := [named] if named else shipped_adapters()):
        pytest.skip(f"{SHIPPED_ADAPTERS} holds no adapter: train one, or name one in SEMPA_TEST_ADAPTER")
    return found[0]


@pytest.fixture(scope="session")
def encoder(adapter: str) -> Encoder:
    return Encoder(ModelPair.open(DEFAULT_BASE, adapter))
