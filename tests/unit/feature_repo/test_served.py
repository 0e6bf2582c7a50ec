"""What lies beside the bundle: small, and with an online store of its own all that a server asks of features."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from crossmix.config import laptop
from crossmix.state import ALLOCATION
from feature_repo import features, served, sources
from tests.support.feature_logs import CAMPAIGNS, CYCLES, START, fake_encode, fake_statistics, write_log


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features")
    log = write_log(tmp_path_factory.mktemp("log") / "dataset")
    features.build(laptop(), log.path, folder, encode=fake_encode, statistics=fake_statistics)
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """As a server fetched it, with an online store that is new."""
    made = Path(shutil.copytree(built / served.FOLDER, tmp_path / "own"))
    features.write_store_config(made)
    return made


def test_it_holds_the_newest_row_of_each_campaign(built: Path) -> None:
    files = sorted(file.relative_to(built / "served").as_posix() for file in (built / "served").rglob("*.*"))
    assert files == sorted(served.FILES)
    end = pd.Timestamp(START) + pd.Timedelta(days=CYCLES)
    for view in sources.statistic_names():
        table = pq.read_table(built / "served" / sources.SOURCES[view]).to_pandas()
        assert table["campaign_id"].tolist() == list(CAMPAIGNS)
        assert set(table["event_timestamp"]) == {end}


def test_a_fresh_online_store_is_seeded_with_what_the_log_said(built: Path, folder: Path) -> None:
    assert features.seed(folder) == len(CAMPAIGNS)
    expected, seconds = features.online_known(built, CAMPAIGNS)
    found, found_seconds = features.online_known(folder, CAMPAIGNS)
    np.testing.assert_array_equal(found, expected)
    assert found_seconds == seconds
    assert features.seed(folder) == 0, "it is there already"


def test_what_is_newer_online_stays(folder: Path) -> None:
    newest = pd.Timestamp(START) + pd.Timedelta(days=CYCLES)
    features.seed(folder)
    rows = pd.DataFrame(
        {"campaign_id": ["c0"], "arm": sources.LOG_ARM, "event_timestamp": [newest + pd.Timedelta(days=1)]}
    )
    values = pd.DataFrame(np.full((1, ALLOCATION.statistics_size), 0.25), columns=list(ALLOCATION.names))
    pushed = features.push_statistics(folder, pd.concat([rows, values], axis=1), offline=False)
    assert pushed == {"offline": 0, "online": 1}
    assert features.seed(folder) == 0
    seconds = features.online_known(folder, CAMPAIGNS)[1]
    assert seconds == [(newest + pd.Timedelta(days=1)).timestamp(), newest.timestamp()]


def test_a_push_that_is_online_alone_leaves_the_files(folder: Path) -> None:
    features.seed(folder)
    before = {name: (folder / name).read_bytes() for name in served.FILES}
    rows = pd.DataFrame({"campaign_id": ["c0"], "arm": ["policy"]})
    rows["event_timestamp"] = pd.Timestamp(START) + pd.Timedelta(days=60)
    values = pd.DataFrame(np.full((1, ALLOCATION.statistics_size), 0.25), columns=list(ALLOCATION.names))
    pushed = features.push_statistics(folder, pd.concat([rows, values], axis=1), offline=False)
    assert pushed == {"offline": 0, "online": 1}
    assert features.online_known(folder, ["c0"], "policy")[1] == [rows["event_timestamp"][0].timestamp()]
    assert {name: (folder / name).read_bytes() for name in served.FILES} == before
