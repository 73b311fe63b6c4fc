"""The default model with its adapter, opened once."""

import os

import pytest

from sempa.config import DEFAULT_BASE
from sempa.models.adapters import SHIPPED, shipped_adapter
from sempa.models.pair import ModelPair
from sempa.reading.encoder import Encoder


@pytest.fixture(scope="session")
def adapter() -> str:
    found = os.environ.get("SEMPA_TEST_ADAPTER") or shipped_adapter()
    if found is None:
        pytest.skip(f"{SHIPPED} is not there: train it, or name one in SEMPA_TEST_ADAPTER")
    return found


@pytest.fixture(scope="session")
def encoder(adapter: str) -> Encoder:
    return Encoder(ModelPair.open(DEFAULT_BASE, adapter))
