"""The iPinYou adapter on small files of the 27-column layout, and on the real sample where it is at hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix.ingest.engine import connect
from crossmix.ingest.step import ingest
from crossmix.schema import DataError, Dataset
from crossmix.sources import read
from crossmix.sources.ipinyou import COLUMNS
from tests.support.market_checks import fitted
from tests.support.public_logs import config, ipinyou, traffic, write
from tests.support.real_data import SHARED

SAMPLE = SHARED / "ipinyou" / "1458_train_first100.tsv"


def _ingest(path: Path, out: Path, *overrides: str) -> Dataset:
    out.mkdir()
    ingest(config("ipinyou", path, *overrides), out)
    return Dataset(out)


@pytest.mark.parametrize("name", ["train.log.txt", "train.log.txt.gz"])
def test_every_column_becomes_what_the_contract_wants(tmp_path: Path, name: str) -> None:
    log = traffic()
    table = ipinyou(log)
    table.loc[3, "ipinyouid"] = "null"
    path = write(tmp_path / name, pd.concat([table, table.head(1)]))
    dataset = _ingest(path, tmp_path / "out")
    meta, frame = dataset.meta, dataset.frame("impressions")
    assert (meta.source, meta.currency, meta.generated, meta.cycle_hours) == ("ipinyou", "CNY", False, 24)
    assert meta.campaigns == ("1458",)
    assert set(meta.platforms) == {"exchange 1", "exchange 2", "exchange 3"}
    assert meta.rows["duplicates"] == 1
    assert meta.rows["quarantined"] == {}
    np.testing.assert_allclose(frame["price_paid"], log["price"] / 100_000)
    np.testing.assert_allclose(frame["bid_price"], 0.003)
    assert (frame["timestamp"] == log["at"].dt.floor("ms")).all()
    assert frame["clicked"].tolist() == log["clicked"].astype(bool).tolist()
    assert frame.loc[3, "user_id"] == "of bid 1458b3", "a row without an ID is a user of its own"
    assert frame["region"].unique().tolist() == ["216"]
    creatives = dataset.frame("creatives").set_index("creative_id")
    assert set(frame["creative_id"]) == set(creatives.index)
    assert creatives["category"].unique().tolist() == ["336x280"]
    assert meta.provenance["price_paid"] == meta.provenance["bid_price"] == "real"
    assert meta.provenance["revenue"] == "imputed"
    assert any("conversion rate is not known" in note for note in meta.notes)


def test_clicks_earn_where_the_layout_has_no_conversions(tmp_path: Path) -> None:
    frame = _ingest(write(tmp_path / "a.tsv", ipinyou(traffic())), tmp_path / "out").frame("impressions")
    assert (frame["converted"] == frame["clicked"]).all()
    np.testing.assert_allclose(frame["revenue"], 0.2 * frame["clicked"])


def test_conversions_earn_where_the_layout_has_them(tmp_path: Path) -> None:
    log = traffic(400)
    table = ipinyou(log, conversions=True)
    twice = log.index[log["sold"] == 1][0]
    table.loc[twice, "nconversation"] = 2
    path = write(tmp_path / "test.log.txt", table)
    dataset = _ingest(path, tmp_path / "out", "data.value_per_click=null", "data.value_per_conversion=7")
    frame = dataset.frame("impressions")
    assert frame["converted"].sum() == log["sold"].sum()
    assert frame["revenue"].sum() == pytest.approx(7 * (log["sold"].sum() + 1)), "two conversions are worth twice one"
    assert dataset.meta.provenance["converted"] == "real"


def test_bad_rows_are_quarantined_each_with_its_reason(tmp_path: Path) -> None:
    table = ipinyou(traffic())
    bad = ipinyou(traffic()).assign(bidid=[f"bad{number}" for number in range(96)]).head(11).astype(object)
    bad.loc[0, "payprice"] = "nan"
    bad.loc[1, "payprice"] = -3
    bad.loc[2, "payprice"] = 301
    bad.loc[3, "bidprice"] = "null"
    bad.loc[4, "timestamp"] = "20221301000104828"
    bad.loc[5, "timestamp"] = "infinity"
    bad.loc[6, "logtype"] = 3
    bad.loc[7, "adexchange"] = "null"
    bad.loc[8, "click"] = 2
    bad.loc[9, "bidprice"] = "inf"
    bad.loc[10, "click"] = "null"
    dataset = _ingest(
        write(tmp_path / "a.tsv", pd.concat([table, bad])), tmp_path / "out", "data.accept_quarantine=true"
    )
    assert dataset.meta.rows["ingested"] == 96
    assert dataset.meta.rows["quarantined"] == {
        "payprice_not_finite": 1,
        "price_paid_negative": 1,
        "price_above_bid": 1,
        "bidprice_missing": 1,
        "timestamp_wrong_type": 2,
        "logtype_not_impression": 1,
        "platform_missing": 1,
        "click_wrong_type": 1,
        "bidprice_not_finite": 1,
        "click_missing": 1,
    }
    reasons = dataset.frame("quarantine").groupby("code")["reason"].first()
    assert reasons["payprice_not_finite"] == "payprice 'nan' must be a finite number"
    assert reasons["logtype_not_impression"] == "logtype '3' is not 1 (impression)"
    assert reasons["click_wrong_type"] == "click '2' is not 0 or 1"


def test_a_folder_is_several_campaigns_and_the_market_fits_where_one_skips_an_exchange(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    write(folder / "1458" / "train.log.txt", ipinyou(traffic(4_000, days=7, users=400)))
    other = traffic(4_000, days=7, users=400, seed=1)
    write(folder / "2997" / "train.log.txt", ipinyou(other[other["platform"] < 3], advertiser="2997"))
    (folder / "1458" / "train.yzx.txt").write_text("0 51 0:1 1:1\n")
    dataset = _ingest(folder, tmp_path / "out")
    assert dataset.meta.campaigns == ("1458", "2997")
    market, log = fitted(config("ipinyou", folder), dataset)
    absent = market.campaigns.index("2997"), market.platforms.index("exchange 3")
    assert float(market.value["requests"][absent]) == 0
    assert float(market.value["cvr"].min()) == 1, "a click is the conversion"
    np.testing.assert_allclose(market.value["value"], 0.2, rtol=1e-6)
    # The planted click rates, (0.5 + platform / 3) x 0.3, as far as the users fitted on can tell: within four
    # standard errors, and saturation (unknown here) lowers the later wins of a cycle.
    cell = log.frame[(log.frame["c"] == 0) & (log.frame["split"] == "train") & ~log.frame["holdout"]]
    for platform in (1, 2, 3):
        p = market.platforms.index(f"exchange {platform}")
        shown = (cell["p"] == p).sum()
        rate = 0.3 * (0.5 + platform / 3)
        kappa = float(market.value["saturation"][0, p])
        error = math.sqrt(rate * (1 - rate) / shown)
        assert rate - 4 * error < float(market.value["ctr"][0, p]) < rate * math.exp(kappa) + 4 * error


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "train.yzx.txt").write_text("0 51 0:1\n")
    with pytest.raises(DataError, match=r"data\.path: the folder .* has no \*\.log\.txt or \*\.tsv"):
        _ingest(tmp_path / "log", tmp_path / "out")


def test_campaigns_that_did_not_run_together_are_refused(tmp_path: Path) -> None:
    late = traffic(seed=1)
    late["at"] += pd.Timedelta(days=60)
    write(tmp_path / "log" / "a.tsv", ipinyou(traffic()))
    write(tmp_path / "log" / "b.tsv", ipinyou(late, advertiser="2997"))
    with pytest.raises(DataError, match=r"campaign_id: '2997' has no impression in the training period; take"):
        _ingest(tmp_path / "log", tmp_path / "out")


@pytest.mark.real_data
@pytest.mark.skipif(not SAMPLE.exists(), reason="the sample is neither in $CROSSMIX_SHARED_DATA nor in ../shared/data")
def test_the_real_sample(tmp_path: Path) -> None:
    raw = read(config("ipinyou", SAMPLE).data, connect("duckdb", tmp_path), tmp_path)
    frame = raw.impressions.to_pandas()
    assert SAMPLE.read_text().splitlines()[0].split("\t") == list(COLUMNS)
    assert len(frame) == 99
    assert frame["problem"].isna().all()
    assert frame["impression_id"].is_unique
    assert set(frame["platform"]) == {"exchange 1", "exchange 3"}
    assert (frame["price_paid"] <= frame["bid_price"]).all()
    first = frame.sort_values("timestamp").iloc[0]
    assert first["timestamp"] == pd.Timestamp("2013-06-06 00:01:04.828")
    assert (first["price_paid"], first["bid_price"]) == (pytest.approx(0.00051), pytest.approx(0.003))
    assert len(raw.creatives.to_pandas()) == 5
