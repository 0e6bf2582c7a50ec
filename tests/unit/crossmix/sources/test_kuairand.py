"""The KuaiRand adapter on small files of the published format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix.ingest.step import ingest
from crossmix.schema import DataError, Dataset
from tests.support.market_checks import fitted
from tests.support.public_logs import FILES, config, kuairand, traffic, write


def _ingest(path: Path, out: Path, *overrides: str) -> Dataset:
    out.mkdir()
    ingest(config("kuairand", path, *overrides), out)
    return Dataset(out)


def test_every_column_becomes_what_the_contract_wants(tmp_path: Path) -> None:
    log = traffic()
    table = kuairand(log)
    dataset = _ingest(write(tmp_path / FILES["kuairand"], pd.concat([table, table.head(1)])), tmp_path / "out")
    meta, frame = dataset.meta, dataset.frame("impressions")
    assert meta.campaigns == ("kuairand",)
    assert set(meta.platforms) == {"tab 0", "tab 1", "tab 2"}
    assert meta.rows["duplicates"] == 1
    assert meta.rows["ingested"] == 96
    assert (frame["timestamp"] == log["at"].dt.floor("ms")).all(), "time_ms counts from 1970, UTC"
    assert frame["user_id"].tolist() == log["user"].astype(str).tolist()
    assert frame["creative_id"].tolist() == log["item"].astype(str).tolist()
    assert set(dataset.frame("creatives")["creative_id"]) == set(frame["creative_id"])
    assert frame["clicked"].sum() == log["clicked"].sum()
    np.testing.assert_allclose(frame["revenue"], 0.3 * log["sold"])
    np.testing.assert_allclose(frame["price_paid"], 0.002)
    assert meta.provenance["price_paid"] == meta.provenance["revenue"] == "imputed"
    assert any("long_view = 1" in note for note in meta.notes)


def test_another_signal_may_be_the_conversion_and_it_needs_the_click(tmp_path: Path) -> None:
    log = traffic()
    table = kuairand(log).assign(is_follow=1)
    path = write(tmp_path / FILES["kuairand"], table)
    frame = _ingest(path, tmp_path / "out", "data.conversion_column=is_follow").frame("impressions")
    assert (frame["converted"] == frame["clicked"]).all()
    with pytest.raises(DataError, match=r"is_like: column is missing from .*: restore it"):
        _ingest(write(path, table.drop(columns="is_like")), tmp_path / "no", "data.conversion_column=is_like")


def test_a_folder_is_its_standard_logs(tmp_path: Path) -> None:
    log = traffic(192)
    write(tmp_path / "data" / "log_standard_4_08_to_4_21_pure.csv", kuairand(log.head(96)))
    write(tmp_path / "data" / "log_standard_4_22_to_5_08_pure.csv.gz", kuairand(log.tail(96)).drop(columns="is_rand"))
    write(tmp_path / "data" / "log_random_4_22_to_5_08_pure.csv", kuairand(traffic(seed=3)).assign(is_rand=1))
    dataset = _ingest(tmp_path / "data", tmp_path / "out")
    assert dataset.meta.rows["ingested"] == 192
    assert dataset.meta.rows["quarantined"] == {}


def test_bad_rows_are_quarantined_each_with_its_reason(tmp_path: Path) -> None:
    bad = kuairand(traffic(seed=5)).head(7).astype(object)
    bad.loc[0, "time_ms"] = "nan"
    bad.loc[1, "time_ms"] = -5
    bad.loc[2, "time_ms"] = 10**17
    bad.loc[3, "is_click"] = 3
    bad.loc[4, "is_rand"] = 1
    bad.loc[5, "tab"] = None
    bad.loc[6, "long_view"] = None
    dataset = _ingest(
        write(tmp_path / "log.csv", pd.concat([kuairand(traffic()), bad])),
        tmp_path / "out",
        "data.accept_quarantine=true",
    )
    assert dataset.meta.rows["quarantined"] == {
        "time_ms_wrong_type": 1,
        "time_ms_out_of_range": 2,
        "is_click_wrong_type": 1,
        "is_rand_not_standard": 1,
        "platform_missing": 1,
        "long_view_missing": 1,
    }
    assert dataset.meta.rows["ingested"] == 96


def test_fourteen_tabs_are_grouped_and_the_market_fits(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", kuairand(traffic(6_000, days=7, platforms=14, users=500)))
    groups = 'data.platform_groups={"tab 0":"feed","tab 1":"feed","tab 2":"feed"}'
    dataset = _ingest(path, tmp_path / "out", groups)
    assert len(dataset.meta.platforms) == 10
    assert dataset.meta.platforms[0] == "feed"
    assert dataset.meta.platforms[-1] == "other"
    market, _ = fitted(config("kuairand", path, groups), dataset)
    assert market.platforms == dataset.meta.platforms
    assert 0.2 < float(market.value["cvr"].mean()) < 0.6, "0.4 was planted"
    np.testing.assert_allclose(market.value["value"], 0.3, rtol=1e-6)


def test_few_conversions_fit_without_nan_and_are_told(tmp_path: Path) -> None:
    log = traffic(5_000, days=7, users=500).assign(sold=0)
    path = write(tmp_path / "log.csv", kuairand(log))
    with pytest.raises(DataError, match=r"revenue: the users fitted on earned nothing .*let clicks earn"):
        _ingest(path, tmp_path / "none")
    few = log.index[log["clicked"] == 1][:60:4]
    path = write(path, kuairand(log.assign(sold=log.index.isin(few).astype(int))))
    dataset = _ingest(path, tmp_path / "few")
    assert any(note.startswith("Only ") and "conversions of the training period" in note for note in dataset.meta.notes)
    market, _ = fitted(config("kuairand", path), dataset)
    assert float(market.value["cvr"].min()) > 0, "a platform without a conversion leans on the others"
