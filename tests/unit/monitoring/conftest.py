"""A ledger of the newest schema for each test, copied from one that was migrated once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from crossmix.ledger.store import Store


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
