"""An entity's numbers as one row online: the same bits as Feast's own store gives, in as many rows as entities."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crossmix.config import laptop
from crossmix.schema import Dataset
from crossmix.state import ALLOCATION
from feature_repo import features
from feature_repo.apart import apart
from feature_repo.sources import CAMPAIGN_VIEW, PLATFORM_VIEW
from tests.support.feature_logs import CAMPAIGNS, PLATFORMS, START, fake_encode, fake_statistics, write_log

OWN = {"type": "sqlite", "path": "online.db"}
"""Feast's store, of a folder that was built before this one was."""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_log(tmp_path_factory.mktemp("log") / "dataset")


def _built(log: Dataset, folder: Path, online: dict[str, str] | None = None) -> Path:
    folder.mkdir()
    features.build(laptop(), log.path, folder, online=online, encode=fake_encode, statistics=fake_statistics)
    return folder


@pytest.fixture(scope="module")
def folder(log: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _built(log, tmp_path_factory.mktemp("built") / "features")


def _frame(arms: tuple[str, ...], day: float, value: float) -> pd.DataFrame:
    keys = [(campaign, arm) for campaign in CAMPAIGNS for arm in arms]
    values = value + np.arange(len(keys) * ALLOCATION.statistics_size).reshape(len(keys), -1) / 10_000
    rows = pd.DataFrame(keys, columns=["campaign_id", "arm"])
    rows["event_timestamp"] = pd.Timestamp(START) + pd.Timedelta(days=day)
    return pd.concat([rows, pd.DataFrame(values, columns=list(ALLOCATION.names))], axis=1)


def _count(folder: Path, table: str) -> int:
    with sqlite3.connect(folder / "online.db") as connection:
        (count,) = connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()
    connection.close()
    return int(count)


def test_the_same_bits_as_feasts_own_store_in_a_row_for_each_entity(log: Dataset, folder: Path, tmp_path: Path) -> None:
    own = _built(log, tmp_path / "features", OWN)
    frame = _frame(("policy",), 100, 0.25)
    for one in (folder, own):
        assert features.push_statistics(one, frame) == {"offline": len(CAMPAIGNS), "online": len(CAMPAIGNS)}
    for arm in ("log", "policy"):
        first, second = (features.online_known(one, CAMPAIGNS, arm) for one in (folder, own))
        assert first[0].tobytes() == second[0].tobytes()
        assert first[1] == second[1]
        assert min(first[1]) > 0
    pushed = features.online_known(folder, CAMPAIGNS, "policy")[0]
    wanted = ALLOCATION.clamp(frame[list(ALLOCATION.names)].to_numpy("float32"), PLATFORMS)
    assert pushed.tobytes() == wanted.tobytes()
    for view, numbers in (
        (PLATFORM_VIEW, len(ALLOCATION.platform_names)),
        (CAMPAIGN_VIEW, len(ALLOCATION.campaign_names)),
    ):
        assert _count(folder, f"crossmix_{view}_rows") == 2 * len(CAMPAIGNS)
        assert _count(folder, f"crossmix_{view}") == 0
        assert _count(own, f"crossmix_{view}") == 2 * len(CAMPAIGNS) * numbers
    # What nobody pushed is told by its time.
    assert features.online_known(folder, ["nobody"], "policy")[1] == [0.0]


def test_a_push_reads_and_writes_so_many_rows_at_once_and_one_number_of_each_to_see_its_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = features.open_store(folder)
    asked: list[tuple[int, Any]] = []
    written: list[tuple[str, int]] = []
    read, write = store.get_online_features, store.write_to_online_store

    def reading(features: Any, entity_rows: dict[str, list[str]]) -> Any:
        asked.append((len(entity_rows["arm"]), features))
        return read(features=features, entity_rows=entity_rows)

    def writing(view: str, frame: pd.DataFrame) -> None:
        written.append((view, len(frame)))
        write(view, frame)

    monkeypatch.setattr(store, "get_online_features", reading)
    monkeypatch.setattr(store, "write_to_online_store", writing)
    monkeypatch.setattr(features, "TOGETHER", 3)
    frame = _frame(("policy", "control"), 101, 0.5).head(4)
    assert features.push_statistics(folder, frame) == {"offline": 4, "online": 4}
    firsts = [f"{PLATFORM_VIEW}:{ALLOCATION.platform_names[0]}", f"{CAMPAIGN_VIEW}:{ALLOCATION.campaign_names[0]}"]
    assert asked == [(3, firsts), (1, firsts)]
    assert written == [(PLATFORM_VIEW, 3), (CAMPAIGN_VIEW, 3), (PLATFORM_VIEW, 1), (CAMPAIGN_VIEW, 1)]
    # An older row reads its times and writes nothing.
    asked.clear()
    written.clear()
    assert features.push_statistics(folder, _frame(("policy",), 99, 0.75).head(1)) == {"offline": 1, "online": 0}
    assert (len(asked), written) == (1, [])


def test_a_damaged_row_is_not_there_and_the_next_push_replaces_it(folder: Path) -> None:
    frame = _frame(("damaged",), 200, 0.25)
    features.push_statistics(folder, frame)
    good, seconds = features.online_known(folder, CAMPAIGNS, "damaged")
    table, first = f"crossmix_{CAMPAIGN_VIEW}_rows", CAMPAIGNS[0]
    with sqlite3.connect(folder / "online.db") as connection:
        of_first = "event_seconds = ? AND instr(entity_key, CAST(? AS BLOB)) > 0"
        cut = f'UPDATE "{table}" SET numbers = substr(numbers, 1, 7) WHERE {of_first}'
        assert connection.execute(cut, (seconds[0], first)).rowcount == 1
    connection.close()
    found, faults = apart(CAMPAIGNS, lambda names: features.online_known(folder, names, "damaged"))
    assert (sorted(found), list(faults)) == (sorted(CAMPAIGNS[1:]), [first])
    features.push_statistics(folder, frame)
    again, stamps = features.online_known(folder, CAMPAIGNS, "damaged")
    assert (again.tobytes(), stamps) == (good.tobytes(), seconds)
