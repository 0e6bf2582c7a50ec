"""The real Criteo slice, where it lies beside the project."""

from __future__ import annotations

import json

import pytest

from crossmix.config import load
from crossmix.ingest.step import ingest
from crossmix.schema import Dataset
from tests.support.real_data import SLICE

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(
        not SLICE.exists(), reason="the Criteo slice is neither in $CROSSMIX_SHARED_DATA nor in ../shared/data"
    ),
]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    out = tmp_path_factory.mktemp("criteo")
    ingest(load("laptop", ["data.source=criteo", f"data.path={SLICE}"]), out)
    return Dataset(out)


def test_every_row_arrives(dataset: Dataset) -> None:
    frame = dataset.frame("impressions")
    assert len(frame) == dataset.meta.rows["ingested"] == 110_547
    assert frame["user_id"].nunique() == 7_478
    assert dataset.meta.rows["quarantined"] == {}
    assert frame["clicked"].sum() == 53_032
    assert frame["converted"].sum() == 6_670


def test_campaigns_play_the_platforms_in_cycles_of_an_hour(dataset: Dataset) -> None:
    meta = dataset.meta
    assert len(meta.platforms) == 10
    assert meta.platforms[:2] == ("c06", "c05")
    assert (meta.cycle_hours, meta.cycles) == (1, 34)
    assert not meta.weekday_pattern
    assert not meta.generated


def test_what_is_real_approximated_and_missing_is_told(dataset: Dataset) -> None:
    report = json.loads((dataset.path / "report.json").read_text())
    told = report["provenance"]
    assert told["price_paid"] == "real"
    assert told["timestamp"] == told["revenue"] == told["plans.planned_budget"] == "approximated"
    assert told["bid_price"] == told["creatives.image"] == told["conversion_timestamp"] == "missing"
    assert len(report["notes"]) >= 8


def test_small_platforms_stay_small(dataset: Dataset) -> None:
    frame = dataset.frame("impressions")
    test = frame[frame["split"] == "test"]
    few = test.groupby("platform")["converted"].sum().reindex(dataset.meta.platforms, fill_value=0)
    assert (few < 20).sum() >= 3
