"""A registry whose writers wait for those of other machines (two meet in tests/service/test_from_registry.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossmix.registry.mlflow_door import RegistryError
from crossmix.registry.refusing import RefusingRegistry
from crossmix.registry.shared import shared
from crossmix.registry.store import Registry

NOBODY = "postgresql+psycopg://somebody:secret@127.0.0.1:1/ledger"


def test_one_machine_has_its_folders_lock_alone(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    assert shared(registry, None) is registry
    assert shared(registry, f"sqlite:///{tmp_path / 'serving.db'}") is registry


def test_without_the_lock_nothing_is_changed(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed; pip install 'crossmix[dev]'")
    registry = shared(RefusingRegistry(tmp_path), NOBODY)
    for change in (registry.promote, registry.refuse):
        with pytest.raises(
            RegistryError, match=r"nothing was changed, for its lock is in the ledger: .*127\.0\.0\.1"
        ) as told:
            change(1, actor="ann", reason="")
        assert "secret" not in str(told.value)
    assert not (tmp_path / "mlflow.db").exists()
