"""A history as it is booked: blanks, money without delivery, refunds and credits, each with its right value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix.artifacts import IngestReport
from crossmix.ingest.bookings import carried
from crossmix.schema import DataError, Dataset
from tests.support.bent_histories import WORLD, blank_results, booked_late, planted, with_channel
from tests.support.histories import ingested


def _sums(dataset: Dataset) -> pd.DataFrame:
    return dataset.frame("outcomes").groupby("platform")[["spend", "impressions", "conversions", "revenue"]].sum()


def _told(dataset: Dataset) -> str:
    return "\n".join(IngestReport.load(dataset.path).told)


@pytest.mark.parametrize(
    ("columns", "missing"),
    [
        ({}, "impressions"),
        ({"impressions": 0, "clicks": 0, "conversions": 0, "revenue": 0}, "impressions"),
        ({"clicks": 40, "conversions": 3, "revenue": 90.0}, "impressions"),
        ({"impressions": 20_000}, "clicks"),
        ({"impressions": 20_000, "clicks": 0, "conversions": 2, "revenue": 60.0}, "clicks"),
    ],
    ids=["blank", "zero", "an affiliate's", "no clicks", "conversions without clicks"],
)
def test_a_channel_without_delivery_is_held_and_told(tmp_path: Path, columns: dict[str, object], missing: str) -> None:
    history = planted()
    dataset = ingested(tmp_path, with_channel(history, 0.39, **columns), 'data.accept=["conversions"]')
    meta = dataset.meta
    assert set(meta.platforms) == set(WORLD)
    (tv,) = meta.held
    assert (tv.platform, tv.missing) == ("tv", missing)
    assert tv.share == pytest.approx(0.39, abs=1e-4)
    assert tv.spend == pytest.approx(0.39 / 0.61 * history["spend"].sum(), rel=1e-4)
    assert tv.today == pytest.approx(tv.spend / 120, rel=0.1)
    assert tv.conversions == 120 * float(columns.get("conversions", 0))  # type: ignore[arg-type]
    assert meta.rows["quarantined"] == {}
    np.testing.assert_allclose(_sums(dataset)["spend"].sum(), history["spend"].sum())
    assert f"tv: {tv.spend:,.0f} of spend without {missing}, 39.0% of the money" in _told(dataset)


def test_fees_of_a_platform_that_delivers_are_held_beside_it(tmp_path: Path) -> None:
    history = planted()
    days = sorted(history["date"].unique())
    fees = pd.DataFrame({"date": days[::30], "platform": "social", "campaign": "fee", "spend": 900.0})
    dataset = ingested(tmp_path, pd.concat([history.assign(campaign="ads"), fees]))
    (fee,) = dataset.meta.held
    assert (fee.platform, fee.missing, fee.spend) == ("social", "fees", 3_600.0)
    own = history.loc[history["platform"] == "social", "spend"].sum()
    assert _sums(dataset).loc["social", "spend"] == pytest.approx(own)


def test_a_history_without_any_delivery_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"impressions: no platform tells its delivery .*'display'.*pass a history with"
    ):
        ingested(tmp_path, planted().assign(impressions="", clicks=""))


def test_one_platform_beside_a_held_one_is_no_choice(tmp_path: Path) -> None:
    one = planted().query("platform == 'search'")
    with pytest.raises(
        DataError, match=r"one platform \('search'\) beside 'tv', whose delivery or results are not told"
    ):
        ingested(tmp_path, with_channel(one))


def test_blank_results_beside_a_delivery_are_zero(tmp_path: Path) -> None:
    history = planted(scale=0.02)
    none = int((history["conversions"] == 0).sum())
    whole = ingested(tmp_path / "whole", history)
    blank = ingested(tmp_path / "blank", blank_results(history))
    assert none > 200
    assert blank.meta.rows["imputed"]["blank_results"] == none
    assert blank.meta.rows["quarantined"] == {}
    pd.testing.assert_frame_equal(blank.frame("outcomes"), whole.frame("outcomes"))
    assert f"{none} rows have blank conversions or revenue beside a delivery: taken as 0." in _told(blank)


@pytest.mark.parametrize(
    ("columns", "missing", "said"),
    [
        (["conversions", "revenue"], "results", "without conversions and revenue"),
        (["conversions"], "conversions", "without conversions"),
        (["revenue"], "revenue", "without revenue"),
    ],
)
def test_results_that_no_row_of_a_platform_tells_are_unknown(
    tmp_path: Path, columns: list[str], missing: str, said: str
) -> None:
    history = planted(60)
    own = history["platform"] == "social"
    blank = history.assign(**{name: history[name].astype(float).mask(own) for name in columns})
    dataset = ingested(tmp_path, blank)
    (held,) = dataset.meta.held
    assert (held.platform, held.missing) == ("social", missing)
    assert held.spend == pytest.approx(history.loc[own, "spend"].sum())
    assert set(dataset.meta.platforms) == set(WORLD) - {"social"}
    assert "blank_results" not in dataset.meta.rows["imputed"]
    assert dataset.meta.rows["quarantined"] == {}
    told = _told(dataset)
    assert f"of spend {said} (blank in every row is unknown; write 0 where there were none)" in told
    assert "held as it is" in told


def test_results_that_one_row_tells_are_zero_on_the_others(tmp_path: Path) -> None:
    history = planted(60)
    own = history["platform"] == "social"
    first = own & (history["date"] == history["date"].min())
    blank = history.assign(
        **{name: history[name].astype(float).mask(own & ~first) for name in ("conversions", "revenue")}
    )
    dataset = ingested(tmp_path, blank)
    assert dataset.meta.held == ()
    assert _sums(dataset).loc["social", "conversions"] == history.loc[first, "conversions"].sum()
    assert dataset.meta.rows["imputed"]["blank_results"] == 59


def test_rows_without_any_number_count_as_absent(tmp_path: Path) -> None:
    history = planted(60)
    ahead = pd.DataFrame([{"date": day, "platform": name} for day in ("2025-03-08", "2025-03-09") for name in WORLD])
    dataset = ingested(tmp_path, pd.concat([history, ahead]))
    pd.testing.assert_frame_equal(dataset.frame("outcomes"), ingested(tmp_path / "b", history).frame("outcomes"))
    assert dataset.meta.rows["imputed"]["rows_without_numbers"] == 8


def test_revenue_without_a_conversion_is_kept(tmp_path: Path) -> None:
    late = booked_late(planted(scale=0.02))
    rows = (late["conversions"] == 0) & (late["revenue"] > 0)
    dataset = ingested(tmp_path, late)
    assert rows.sum() > 40
    assert dataset.meta.rows["quarantined"] == {}
    np.testing.assert_allclose(_sums(dataset)["revenue"].sum(), late["revenue"].sum(), rtol=1e-9)
    assert f"{rows.sum()} rows have revenue without a conversion" in _told(dataset)


def test_refunds_and_credits_correct_their_cell(tmp_path: Path) -> None:
    history = planted()
    # On the day after the last, on which nothing else is booked for the platform.
    refund = {"date": "2025-05-06", "platform": "search", "spend": -30.0, "conversions": -1, "revenue": -20.0}
    dataset = ingested(tmp_path, pd.concat([history, pd.DataFrame([refund])]))
    search, before = _sums(dataset).loc["search"], history[history["platform"] == "search"]
    for name, amount in (("spend", 30.0), ("conversions", 1.0), ("revenue", 20.0)):
        assert search[name] == pytest.approx(before[name].sum() - amount)
    assert (dataset.frame("outcomes")[["spend", "conversions", "revenue"]] >= 0).all(axis=None)
    assert dataset.meta.rows["quarantined"] == {}
    assert "1 rows have spend below 0 (-30" in _told(dataset)


@pytest.mark.parametrize(
    ("amount", "most", "result", "rest"),
    [
        ([5, 5, -3, 4], [99] * 4, [5, 2, 0, 4], 0),
        ([1, 1, -3, 4], [99] * 4, [0, 0, 0, 3], 0),
        ([1, 0, -3, 1], [99] * 4, [0, 0, 0, 0], -1),
        ([1, 2, 9, 1], [4, 4, 4, 4], [4, 4, 4, 1], 0),
        ([9, 2, 1], [4, 4, 4], [4, 4, 4], 0),
        ([9, 9], [4, 4], [4, 4], 10),
        ([1, 2, 3], [3, 3, 3], [1, 2, 3], 0),
    ],
)
def test_what_is_beyond_goes_to_the_nearest_before_then_after(
    amount: list[float], most: list[float], result: list[float], rest: float
) -> None:
    found, left = carried(np.array(amount, float), np.array(most, float))
    assert (found.tolist(), left) == (result, rest)


def test_conversions_beyond_clicks_count_where_there_are_clicks_to_spare(tmp_path: Path) -> None:
    history = planted(60).set_index(["platform", "date"]).sort_index()
    row = ("video", "2025-02-10")
    history.loc[row, ["clicks", "conversions"]] = [3, 20]
    dataset = ingested(tmp_path, history.reset_index())
    cells = dataset.frame("outcomes").query("platform == 'video'").set_index("cycle")
    assert cells.loc[35, "conversions"] == 3
    assert cells["conversions"].sum() == history.loc["video", "conversions"].sum()
    assert cells["revenue"].sum() == pytest.approx(history.loc["video", "revenue"].sum())


def test_a_click_without_impressions_on_a_platform_that_tells_them_is_set_aside(tmp_path: Path) -> None:
    history = planted().astype({"impressions": object})
    history.loc[7, "impressions"] = ""
    assert ingested(tmp_path, history).meta.rows["quarantined"] == {"impressions_missing": 1}
