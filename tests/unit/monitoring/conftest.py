"""A ledger of the newest schema for each test: of SQLite a copy of one that was migrated once; or on both engines."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossmix.ledger.store import Store
from tests.support import services
from tests.support.services import Cluster


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("migrated") / "ledger.db"
    Store(f"sqlite:///{file}").close()
    return file


@pytest.fixture
def database(migrated: Path, tmp_path: Path) -> str:
    """URL of an SQLite ledger without rows."""
    shutil.copy(migrated, tmp_path / "ledger.db")
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL, shared: each test has a database of its own in it."""
    yield from services.postgres()


@pytest.fixture(params=["sqlite", "postgresql"])
def on_either(request: pytest.FixtureRequest) -> str:
    """URL of a ledger without rows, on either engine."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("database"))
    url = services.new_database(request.getfixturevalue("cluster"))
    Store(url).close()
    return url
