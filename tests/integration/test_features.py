"""The feature store, built once on a tiny log: what goes in offline comes out online, bit for bit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from crossmix import state
from crossmix.config import Fusion, laptop
from crossmix.schema import DataError, Dataset
from feature_repo import features, torn
from feature_repo.sources import LOG_ARM, SERVICE_FUSION, SERVICE_STATISTICS
from tests.support.feature_logs import (
    CAMPAIGNS,
    CYCLES,
    NAMES,
    PLATFORMS,
    START,
    fake_encode,
    fake_statistics,
    write_log,
)
from tests.support.parts import in_parts


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_log(tmp_path_factory.mktemp("log") / "dataset")


@pytest.fixture(scope="module")
def folder(log: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A feature folder that was moved after it was built; what was at the old place is gone."""
    built = tmp_path_factory.mktemp("build") / "features"
    built.mkdir()
    told = features.build(laptop(), log.path, built, encode=fake_encode, statistics=fake_statistics)
    assert told["rows"]["platform_statistics"] == len(CAMPAIGNS) * CYCLES
    moved = tmp_path_factory.mktemp("elsewhere") / "store"
    shutil.move(built, moved)
    for file in moved.rglob("*"):
        if file.is_file():
            assert str(built).encode() not in file.read_bytes(), f"{file.name} keeps the path it was built at"
    return moved


def test_a_dataset_in_parts_gives_the_same_files(log: Dataset, folder: Path, tmp_path: Path) -> None:
    """As Spark writes it: the sources, and what is online, are those of a dataset of single files."""
    rows = log.count("impressions")
    parts = in_parts(log.path, tmp_path / "dataset", {"impressions": [rows // 3], "sequences": [rows // 2]})
    out = tmp_path / "features"
    out.mkdir()
    features.build(laptop(), parts, out, encode=fake_encode, statistics=fake_statistics)
    files = {file.relative_to(folder) for kind in ("parquet", "json") for file in folder.rglob(f"*.{kind}")}
    assert len(files) >= 6
    for file in files:
        assert (out / file).read_bytes() == (folder / file).read_bytes(), file
    users = sorted(set(log.frame("impressions", ["user_id"])["user_id"]))
    creatives = [log.frame("creatives")["creative_id"].iloc[0]] * len(users)
    known = [features.online_fusion_inputs(path, users, creatives) for path in (folder, out)]
    pd.testing.assert_frame_equal(*known)
    assert known[0]["events"].map(len).max() > 0


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Path:
    """A copy to push into."""
    return Path(shutil.copytree(folder, tmp_path / "own"))


def entity_rows(moment: pd.Timestamp, campaigns: tuple[str, ...] = CAMPAIGNS) -> pd.DataFrame:
    return pd.DataFrame({"campaign_id": campaigns, "arm": LOG_ARM, "event_timestamp": moment})


def filled(rows: pd.DataFrame, value: float) -> pd.DataFrame:
    """The rows with every statistic at one value."""
    return pd.concat([rows, pd.DataFrame(value, index=rows.index, columns=NAMES)], axis=1)


def expected(log: Dataset, campaign: str, cycle: int) -> torch.Tensor:
    """The statistics of one cycle as `state` clamps them, straight from the source."""
    rows = fake_statistics(log, laptop()).set_index(["campaign_id", "cycle"])
    raw = torch.tensor(rows.loc[(campaign, cycle), NAMES].to_numpy(dtype="float32"))[None]
    return state.ALLOCATION.clamp(raw, PLATFORMS)[0]


def encoded(statistics: torch.Tensor) -> torch.Tensor:
    platform, campaign = statistics[:, :120].reshape(-1, PLATFORMS, 12), statistics[:, 120:]
    return state.ALLOCATION.encode(torch.zeros(len(statistics), 512), platform, campaign)


def test_offline_and_online_give_the_same_encoded_state(folder: Path, log: Dataset) -> None:
    last = START + pd.Timedelta(days=CYCLES)
    offline = torch.tensor(features.offline_states(folder, entity_rows(last))[NAMES].to_numpy())
    online = torch.from_numpy(features.online_statistics(folder, CAMPAIGNS))
    assert offline.dtype == online.dtype == torch.float32
    assert online.shape == (2, state.ALLOCATION.statistics_size)
    assert torch.equal(encoded(offline), encoded(online))
    assert torch.equal(online, torch.stack([expected(log, name, CYCLES - 1) for name in CAMPAIGNS]))
    assert torch.equal(state.ALLOCATION.statistics(encoded(online)), online)  # stored clamped: encoding changes nothing


def test_services_come_from_the_layout(folder: Path) -> None:
    store = features.open_store(folder)
    projections = store.get_feature_service(SERVICE_STATISTICS).feature_view_projections
    assert [field.name for view in projections for field in view.features] == NAMES
    assert [len(view.features) for view in projections] == [120, 8]
    fusion = store.get_feature_service(SERVICE_FUSION).feature_view_projections
    assert [field.name for view in fusion for field in view.features] == ["image", "text", "events"]
    assert {view.ttl.total_seconds() for view in store.list_feature_views()} == {0.0}


def test_every_cycle_is_found_and_none_before_its_end(folder: Path, log: Dataset) -> None:
    ends = [START + pd.Timedelta(days=cycle + 1) for cycle in range(CYCLES)]
    moments = [moment for end in ends for moment in (end - pd.Timedelta(microseconds=1), end)]
    rows = pd.concat([entity_rows(moment) for moment in moments[::-1]], ignore_index=True)
    rows["tag"] = np.arange(len(rows))[::-1]
    found = features.offline_states(folder, rows)
    assert list(found.columns) == [*rows.columns, *NAMES]
    assert (found[["campaign_id", "tag"]] == rows[["campaign_id", "tag"]]).all(axis=None)
    early = found["event_timestamp"] < ends[0]
    assert early.sum() == 2
    assert found.loc[early, NAMES].isna().all(axis=None)
    assert found.loc[~early, NAMES].notna().all(axis=None)
    for _, row in found[~early].iterrows():
        over = int(np.searchsorted(ends, row["event_timestamp"], side="right")) - 1
        want = expected(log, row["campaign_id"], over)
        assert torch.equal(torch.tensor(row[NAMES].to_numpy(dtype="float32")), want)


def test_repeated_entity_rows_and_times_without_a_zone(folder: Path) -> None:
    moment = (START + pd.Timedelta(days=4, hours=2)).tz_localize(None)
    found = features.offline_states(folder, entity_rows(moment, ("c1", "c0", "c1")))
    assert found["campaign_id"].tolist() == ["c1", "c0", "c1"]
    assert (found.loc[0, NAMES] == found.loc[2, NAMES]).all()


def test_unknown_campaign_arm_and_column(folder: Path) -> None:
    with pytest.raises(DataError, match=r"'nobody'.*known: c0, c1"):
        features.online_statistics(folder, ["c0", "nobody"])
    with pytest.raises(DataError, match=r"'nobody'.*known: c0, c1"):
        features.offline_states(folder, entity_rows(START, ("nobody",)))
    with pytest.raises(DataError, match=r"arm: 'policy' has no statistics.*log"):
        features.online_statistics(folder, ["c0"], arm="policy")
    with pytest.raises(DataError, match="'arm' is missing"):
        features.offline_states(folder, entity_rows(START).drop(columns="arm"))
    assert features.online_statistics(folder, []).shape == (0, state.ALLOCATION.statistics_size)


def test_fusion_inputs_online_and_offline(folder: Path, log: Dataset) -> None:
    vectors, _ = fake_encode(laptop().fusion, log.frame("creatives"), None)
    found = features.online_fusion_inputs(folder, ["u0", "u1", "u2", "stranger"], ["k0", "k0", "k1", "k1"])
    assert [row.tolist() for row in found["events"]] == [[1, 2, 7], [4], [], []]
    np.testing.assert_array_equal(found["image"][0], vectors["image"][0])
    np.testing.assert_array_equal(found["text"][2], vectors["text"][1])
    assert found["image"][2] is None
    assert found["image"][0].dtype == np.float32
    with pytest.raises(DataError, match="'lost'"):
        features.online_fusion_inputs(folder, ["u0"], ["lost"])

    hours = [29, 30, 2000]
    rows = pd.DataFrame({"user_id": "u0", "creative_id": ["k0", "k1", "k0"]})
    rows["event_timestamp"] = START + pd.to_timedelta(hours, unit="h")
    past = features.offline_fusion_inputs(folder, rows)
    assert [row.tolist() for row in past["events"]] == [[], [1, 2], [1, 2, 7]]
    np.testing.assert_array_equal(past["image"][2], vectors["image"][0])
    assert past["image"][1] is None
    assert past["text"][1].dtype == np.float32


def test_push_is_seen_online_and_offline_and_may_be_repeated(own: Path) -> None:
    now = START + pd.Timedelta(days=CYCLES + 1)
    before = features.online_statistics(own, CAMPAIGNS)
    rows = filled(entity_rows(now), 0.25)
    policy = rows.assign(arm="policy")
    both = pd.concat([rows[:1], policy], ignore_index=True)
    assert features.push_statistics(own, both) == {"offline": 3, "online": 3}
    assert features.push_statistics(own, both) == {"offline": 3, "online": 3}
    after = features.online_statistics(own, CAMPAIGNS)
    assert (after[0] == 0.25).all()
    assert np.array_equal(after[1], before[1])
    assert np.array_equal(features.online_statistics(own, CAMPAIGNS, "policy"), after[[0, 0]])
    found = features.offline_states(own, pd.concat([entity_rows(now), policy[list(entity_rows(now))]]))
    assert np.array_equal(found[NAMES].to_numpy(), after[[0, 1, 0, 0]])
    assert len(pd.read_parquet(own / "sources" / "campaign_statistics.parquet")) == len(CAMPAIGNS) * CYCLES + 3

    late = filled(entity_rows(START + pd.Timedelta(days=2, hours=3)), 0.75)
    assert features.push_statistics(own, late) == {"offline": 2, "online": 0}
    assert np.array_equal(features.online_statistics(own, CAMPAIGNS), after)
    assert (features.offline_states(own, late[["campaign_id", "arm", "event_timestamp"]])[NAMES] == 0.75).all(axis=None)


def test_a_push_that_does_not_fit_writes_nothing(own: Path) -> None:
    before = {file: file.read_bytes() for file in (own / "sources").iterdir()}
    rows = filled(entity_rows(START + pd.Timedelta(days=90)), 0.5)
    with pytest.raises(DataError, match="p3_min"):
        features.push_statistics(own, rows.drop(columns="p3_min"))
    with pytest.raises(DataError, match="two rows"):
        features.push_statistics(own, pd.concat([rows, rows]))
    assert {file: file.read_bytes() for file in (own / "sources").iterdir()} == before


def test_a_torn_push_is_told_and_repaired(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process killed between the two views leaves a mixture; nobody is served it, and the same push mends it."""
    rows = filled(entity_rows(START + pd.Timedelta(days=CYCLES + 1)), 0.5)
    store = features.open_store(own)
    names = [name for name in NAMES if not name.startswith("campaign_")]
    store.write_to_online_store("platform_statistics", rows[["campaign_id", "arm", "event_timestamp", *names]])
    monkeypatch.setattr(torn, "PAUSE", 0.0)
    with pytest.raises(DataError, match="push the last row again"):
        features.online_statistics(own, ["c0"])
    features.push_statistics(own, rows)
    assert (features.online_statistics(own, CAMPAIGNS) == 0.5).all()


def test_another_layout_or_an_empty_folder_is_refused(own: Path, tmp_path: Path) -> None:
    raw = json.loads((own / "features.json").read_text())
    (own / "features.json").write_text(json.dumps({**raw, "layout": "0" * 64}))
    with pytest.raises(DataError, match="run the features step again"):
        features.open_store(own)
    with pytest.raises(DataError, match=r"no registry\.db"):
        features.open_store(tmp_path)


def test_a_log_without_creatives_or_modalities(log: Dataset, tmp_path: Path) -> None:
    """Criteo: creatives without image or copy still give a store; both embeddings are null."""
    out = tmp_path / "features"
    out.mkdir()

    def blind(
        fusion: Fusion, creatives: pd.DataFrame, cache: Path | None
    ) -> tuple[pd.DataFrame, Mapping[str, Mapping[str, Any] | None]]:
        frame = pd.DataFrame({"creative_id": creatives["creative_id"], "image": None, "text": None})
        return frame, {"image": None, "text": None}

    features.build(laptop(), log.path, out, encode=blind, statistics=fake_statistics)
    found = features.online_fusion_inputs(out, ["u0"], ["k0"])
    assert found["image"][0] is None
    assert found["text"][0] is None
    assert json.loads((out / "embeddings" / "encoders.json").read_text()) == {"image": None, "text": None}
