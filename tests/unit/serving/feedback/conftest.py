"""A feature folder, a world over a copy of it, and what is pushed to it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from crossmix.config import laptop
from crossmix.ledger.store import Store
from feature_repo import features
from serving.campaigns import service as campaigns
from tests.support.feature_logs import fake_encode, write_log
from tests.support.pushing import PLATFORMS, SHARE, World, log_statistics
from tests.support.serving_live import FakeLive, raw


@pytest.fixture(scope="package")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features") / "store"
    folder.mkdir()
    log = write_log(tmp_path_factory.mktemp("log") / "dataset")
    features.build(laptop(), log.path, folder, encode=fake_encode, statistics=log_statistics)
    return folder


@pytest.fixture
def world(built: Path, tmp_path: Path) -> Iterator[World]:
    folder = Path(shutil.copytree(built, tmp_path / "features"))
    store = Store(f"sqlite:///{tmp_path}/serving.db")
    limits = {"platform0": {"max": 0.6}, "platform1": {"min": 0.05}}
    planned = {"share": SHARE, "limits": limits, "cycles": 10}
    campaigns.import_(store, [raw("c0", **planned), raw("c1", **planned), raw("new", **planned)], "ann", PLATFORMS)
    yield World(FakeLive(store), folder)
    store.close()


@pytest.fixture
def pushed_frames(monkeypatch: pytest.MonkeyPatch) -> list[pd.DataFrame]:
    """Every push to the feature store."""
    frames: list[pd.DataFrame] = []
    original = features.push_statistics

    def counted(path: Path, frame: pd.DataFrame, *more: Any, **named: Any) -> Any:
        frames.append(frame)
        return original(path, frame, *more, **named)

    monkeypatch.setattr(features, "push_statistics", counted)
    return frames
