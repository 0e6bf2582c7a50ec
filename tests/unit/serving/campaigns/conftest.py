"""A store of campaigns, and a server that has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crossmix.ledger.store import Store
from tests.support.serving_live import FakeLive


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path}/serving.db")
    yield made
    made.close()


@pytest.fixture
def live(store: Store) -> FakeLive:
    return FakeLive(store)
