"""The Parquet files behind the feature store, without Feast."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from crossmix import state
from crossmix.config import ConfigError
from crossmix.schema import DataError
from feature_repo import features, sources

NAMES = list(state.ALLOCATION.names)
END = pd.Timestamp("2024-03-02", tz="UTC")


def rows(campaigns: list[str], value: float = 0.5) -> pd.DataFrame:
    frame = pd.DataFrame({"campaign_id": campaigns, "arm": "log", "event_timestamp": END})
    return pd.concat([frame, pd.DataFrame(value, index=frame.index, columns=NAMES)], axis=1)


def test_views_split_the_layout_in_order() -> None:
    views = sources.statistic_names()
    assert [name for names in views.values() for name in names] == NAMES
    assert [len(names) for names in views.values()] == [120, 8]


def test_importing_the_store_imports_no_framework() -> None:
    code = "import sys, feature_repo.features; print({'feast', 'torch', 'pandas', 'ibis'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "set()"


def test_clean_clamps_as_the_state_does_and_sorts() -> None:
    frame = rows(["b", "a"])
    frame.loc[0, ["p0_win_rate", "p1_windowed_roi", "p2_log_price", "p9_max"]] = [7.0, np.inf, np.nan, 0.5]
    clean = sources.clean_statistics(frame, platforms=3)
    assert clean["campaign_id"].tolist() == ["a", "b"]
    assert clean.loc[1, ["p0_win_rate", "p1_windowed_roi", "p2_log_price", "p9_max"]].tolist() == [1.0, 0.0, -20.0, 0.0]
    assert {str(kind) for kind in clean[NAMES].dtypes} == {"float32"}
    assert str(clean["event_timestamp"].dtype) == "datetime64[us, UTC]"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda frame: frame.drop(columns="campaign_pace"), "campaign_pace"),
        (lambda frame: frame.drop(columns="event_timestamp"), "event_timestamp"),
        (lambda frame: frame.assign(arm=[None, "log"]), "arm is empty in row 0"),
        (lambda frame: frame.assign(event_timestamp=[pd.NaT, END]), "row 0 has no time"),
        (lambda frame: frame.assign(event_timestamp="soon"), "pass UTC timestamps"),
        (lambda frame: frame.assign(campaign_id="a"), "two rows for"),
    ],
)
def test_a_frame_that_does_not_fit_is_told(spoil: object, told: str) -> None:
    with pytest.raises(DataError, match=told):
        sources.clean_statistics(spoil(rows(["a", "b"])), 10)  # type: ignore[operator]


def test_append_replaces_the_same_cycle_and_keeps_the_rest(tmp_path: Path) -> None:
    sources.write_statistics(tmp_path, sources.clean_statistics(rows(["a", "b"], 0.25), 10))
    sources.append_statistics(tmp_path, sources.clean_statistics(rows(["b", "c"], 0.75), 10))
    for view, names in sources.statistic_names().items():
        table = pq.read_table(tmp_path / sources.SOURCES[view])
        assert table.schema.field("event_timestamp").type == pa.timestamp("us", tz="UTC")
        assert {table.schema.field(name).type for name in names} == {pa.float32()}
        found = table.to_pandas()
        assert found["campaign_id"].tolist() == ["a", "b", "c"]
        assert found[names[0]].tolist() == [0.25, 0.75, 0.75]
    assert sources.known_arms(tmp_path) == {("a", "log"), ("b", "log"), ("c", "log")}


def test_append_drops_what_is_newer_than_it_may_be(tmp_path: Path) -> None:
    ahead = rows(["a", "b"], 0.5).assign(event_timestamp=END + pd.Timedelta(days=365))
    sources.write_statistics(tmp_path, sources.clean_statistics(rows(["a", "b"], 0.25), 10))
    sources.append_statistics(tmp_path, sources.clean_statistics(ahead, 10))
    bounds = pd.DataFrame({"campaign_id": ["a", "b"], "arm": "log", "last": [END.timestamp(), float("inf")]})
    sources.append_statistics(tmp_path, sources.clean_statistics(rows(["a"], 0.75), 10), bounds)
    for view, names in sources.statistic_names().items():
        found = pq.read_table(tmp_path / sources.SOURCES[view]).to_pandas()
        assert found["campaign_id"].tolist() == ["a", "b", "b"]
        assert found[names[0]].tolist() == [0.75, 0.25, 0.5]


def test_a_creative_twice_is_told(tmp_path: Path) -> None:
    vectors = pd.DataFrame({"creative_id": ["k", "k"], "image": None, "text": None})
    with pytest.raises(DataError, match="'k' comes twice"):
        sources.write_embeddings(tmp_path, vectors, ["image", "text"], END.isoformat())


def test_redis_replaces_the_online_store_and_nothing_else(tmp_path: Path) -> None:
    features.write_store_config(tmp_path)
    local = yaml.safe_load((tmp_path / "feature_store.yaml").read_text())
    redis = {"type": "redis", "connection_string": "${CROSSMIX_REDIS}"}
    features.write_store_config(tmp_path, redis)
    cluster = yaml.safe_load((tmp_path / "feature_store.yaml").read_text())
    assert cluster.pop("online_store") == redis
    assert local.pop("online_store") == {"type": "feature_repo.online.RowSqliteOnlineStore", "path": "online.db"}
    assert json.dumps(cluster) == json.dumps(local)
    with pytest.raises(ConfigError, match="has no type"):
        features.write_store_config(tmp_path, {"connection_string": "x"})
