"""What a look is told of what serves."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from crossmix.config import load
from crossmix.ledger.store import Store
from crossmix.registry.trained import KEPT_FOLDER
from pipelines.cli.monitor import champion_of, served_by, watching
from pipelines.environment import REGISTRY


def test_a_bundles_market_is_the_one_that_the_runs_folder_keeps_under_its_digest(tmp_path: Path) -> None:
    digest = "3f" * 32
    kept = tmp_path / KEPT_FOLDER / digest[:16]
    kept.mkdir(parents=True)
    served = served_by(load("laptop"), tmp_path)
    assert served.market is not None
    assert served.market(digest) == kept
    assert served_by(load("laptop"), None).market is None, "nobody knows where a registry is"


def test_what_was_imported_is_not_collected_while_looks_are_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'serving.db'}"
    Store(url).close()
    gc.unfreeze()  # what commands of this process left
    with watching(None, url, ['monitor.watch=["late_feed"]']) as once:
        assert gc.get_freeze_count() > 10_000
        assert once() == []
    assert gc.get_freeze_count() == 0


def test_a_look_waits_for_a_registry_by_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in REGISTRY:
        monkeypatch.setenv(name, "")  # so that it is unset again afterwards
        monkeypatch.delenv(name)
    with champion_of("http://registry.invalid", []):
        assert {name: os.environ.get(name) for name in REGISTRY} == REGISTRY
