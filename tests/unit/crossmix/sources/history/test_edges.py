"""Days at a history's ends on which nothing happened on any platform."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from crossmix.config import load
from crossmix.ingest import checked
from tests.support.bent_histories import planted

WORLD = planted(60, seed=40120)
FIGURES = ["spend", "impressions", "clicks", "conversions", "revenue"]
LAST = "2025-03-06"


def days(first: str, count: int, value: object = 0, **columns: object) -> pd.DataFrame:
    dates = pd.date_range(first, periods=count).strftime("%Y-%m-%d")
    index = pd.MultiIndex.from_product([dates, WORLD["platform"].unique()], names=["date", "platform"])
    return pd.DataFrame(dict.fromkeys(FIGURES, value) | columns, index=index).reset_index()


def check(table: pd.DataFrame, folder: Path) -> checked.Checked:
    file = folder / "history.csv"
    table.to_csv(file, index=False)
    return checked.check(load("laptop", ["data.source=spend", f"data.path={file}"]))


@pytest.mark.parametrize("count", [1, 20])
def test_days_to_come_are_no_stop_of_all_spend(count: int, tmp_path: Path) -> None:
    found = check(pd.concat([WORLD.astype(object), days("2025-03-07", count)]), tmp_path)
    assert found.problem is None
    assert found.told == ()
    assert checked.headline(found).startswith(f"2025-01-06 to {LAST}, 240 rows")
    (note,) = [note for note in found.history.notes if "yet to come" in note]
    assert note.endswith(f"the history ends on {LAST}.")


def test_blank_days_to_come_are_no_days(tmp_path: Path) -> None:
    found = check(pd.concat([WORLD.astype(object), days("2025-03-07", 20, "")]), tmp_path)
    assert checked.headline(found).startswith(f"2025-01-06 to {LAST}, 240 rows")
    assert found.told == ("80 rows have no number at all: they count as absent.",)


def test_plans_of_days_to_come_stay(tmp_path: Path) -> None:
    table = pd.concat([WORLD.assign(planned=WORLD["spend"]), days("2025-03-07", 10, planned=250.0)])
    found = check(table, tmp_path)
    assert checked.headline(found).startswith(f"2025-01-06 to {LAST}, 240 rows")
    assert found.history.columns["planned"].count("250.0") == 40


def test_days_before_the_first_are_left_out(tmp_path: Path) -> None:
    found = check(pd.concat([days("2024-12-10", 27), WORLD]), tmp_path)
    assert checked.headline(found).startswith(f"2025-01-06 to {LAST}")
    assert any("2024-12-10 to 2025-01-05" in note for note in found.history.notes)


def test_a_channel_that_tells_no_delivery_makes_no_day_to_come_a_day(tmp_path: Path) -> None:
    whole = pd.concat([WORLD.astype(object), days("2025-03-07", 12)])
    tv = whole[["date"]].drop_duplicates().assign(platform="tv", spend=100.0)
    assert checked.headline(check(pd.concat([whole, tv]), tmp_path)).startswith(f"2025-01-06 to {LAST}")


def test_a_weekend_of_rest_ends_a_history(tmp_path: Path) -> None:
    resting = pd.to_datetime(WORLD["date"]).dt.weekday >= 5
    table = WORLD[WORLD["date"] <= "2025-03-02"].copy()
    table.loc[resting, FIGURES] = 0
    assert checked.headline(check(table, tmp_path)).startswith("2025-01-06 to 2025-03-02")


def test_a_last_day_with_money_and_no_results_yet_is_kept(tmp_path: Path) -> None:
    """Delivery of such a day may come later than its cost: what was paid is no day to come."""
    paid = days("2025-03-07", 1)
    paid.loc[paid["platform"] == "search", "spend"] = 120.0
    found = check(pd.concat([WORLD.astype(object), paid, days("2025-03-08", 12)]), tmp_path)
    assert checked.headline(found).startswith("2025-01-06 to 2025-03-07, 244 rows")
    (note,) = [note for note in found.history.notes if "yet to come" in note]
    assert note.endswith("the history ends on 2025-03-07.")
