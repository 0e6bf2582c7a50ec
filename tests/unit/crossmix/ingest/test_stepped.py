"""A platform's rate that stepped and stayed is told in a run, with its day, size and what to do."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix.ingest.stepped import told
from tests.support.histories import ingested
from tests.unit.crossmix.ingest.test_unripe import DAYS, FIRST, history

AGO = 25
SINCE = FIRST + timedelta(days=DAYS - AGO)


def cut(times: float = 0.55) -> np.ndarray:
    part_PT = np.ones((3, DAYS))
    part_PT[1, -AGO:] = times
    return part_PT


def of(frame: pd.DataFrame, days: int = 1) -> list[str]:
    return told(frame.assign(campaign_id="all"), days)


@pytest.mark.parametrize("seed", [40_100, 40_101, 40_102])
def test_conversions_that_fell_on_one_platform_are_told(seed: int) -> None:
    (line,) = of(history(seed, cut()))
    assert line.startswith("Conversions per click on social fell by ")
    assert float(line.split("fell by ")[1].split("%")[0]) == pytest.approx(45, abs=7)
    day = date.fromisoformat(line.split("around ")[1].split()[0])
    assert abs((day - SINCE).days) <= 2
    assert f"bring the rows before {day} to the same measure" in line


def test_a_price_a_click_rate_or_a_value_that_moved_is_told() -> None:
    rows = history(40_103, np.ones((3, DAYS)))
    since = (rows["platform"] == "video") & (rows["date"] >= SINCE)
    dear, seen, worth = rows.copy(), rows.copy(), rows.copy()
    counted = ["impressions", "clicks", "conversions", "revenue"]
    dear[counted] = dear[counted].astype(float)
    dear.loc[since, counted] /= 2
    seen.loc[since, "impressions"] *= 2
    worth.loc[since, "revenue"] *= 0.6
    assert any(f"Revenue per conversion on video fell by 40% around {SINCE}" in one for one in of(worth))
    assert any("Clicks per impression on video fell by 50%" in one for one in of(seen))
    assert any("Impressions per money on video fell by 50%" in one for one in of(dear))


def test_where_there_is_one_platform_none_is_named_beside_it() -> None:
    rows = history(40_105, cut())
    (line,) = of(rows[rows["platform"] == "social"])
    assert "stayed, as at no time before. Today" in line


@pytest.mark.parametrize("seed", range(40_110, 40_122))
def test_an_account_as_it_always_was_is_left_alone(seed: int) -> None:
    assert of(history(seed, np.ones((3, DAYS)))) == []


def test_a_run_tells_it_and_keeps_every_row(tmp_path: Path) -> None:
    found = ingested(tmp_path / "run", history(40_104, cut()))
    assert sum("Conversions per click on social fell by " in one for one in found.meta.notes) == 1


def test_a_fortnight_without_a_sale_where_seven_were_usual_is_chance() -> None:
    """Of one on every other day none comes in a fortnight in one of 1,100; a history has many fortnights."""
    rows = history(40_106, np.ones((3, DAYS)))
    few = rows["platform"] == "video"
    ago = (max(rows["date"]) - rows["date"]).map(lambda gap: gap.days)
    sold = ((ago % 2 == 0) & (ago >= 20)) | (ago == 3)
    for name, worth in (("conversions", 1.0), ("revenue", 50.0)):
        rows[name] = rows[name].where(~few, worth * sold)
    assert not any("Conversions per click on video" in one for one in of(rows))
