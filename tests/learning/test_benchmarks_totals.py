"""The histories of `benchmarks.totals` hold what the log holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.totals import daily_totals
from crossmix.config import load
from crossmix.ingest.step import ingest
from crossmix.schema import Dataset


def test_daily_totals_hold_all_of_a_log(tmp_path: Path) -> None:
    demo = ["days=12", "campaigns=2", "users=2000", "creatives=2", "requests_per_day=300"]
    ingest(load("laptop", [f"data.demo.{one}" for one in demo]), tmp_path)
    dataset = Dataset(tmp_path)
    whole, plans = dataset.frame("impressions"), dataset.frame("plans")
    totals = daily_totals(dataset, planned=True)
    assert not totals.duplicated(["date", "platform", "campaign"]).any()
    assert totals["impressions"].sum() == len(whole)
    assert totals["clicks"].sum() == whole["clicked"].sum()
    assert totals["spend"].sum() == pytest.approx(whole["price_paid"].sum(), abs=0.01 * len(totals))
    assert totals["revenue"].sum() == pytest.approx(whole["revenue"].sum(), abs=0.01 * len(totals))
    assert 0 < totals["planned"].sum() <= plans["planned_budget"].sum() + 0.01 * len(totals)
    assert "planned" not in daily_totals(dataset, planned=False)
