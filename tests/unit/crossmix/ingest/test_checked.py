"""What `check` says is missing of a history."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from crossmix.config import load
from crossmix.ingest import checked
from tests.support.bent_histories import planted

WORLD = planted(60, seed=40025)
DAY = pd.to_datetime(WORLD["date"])
FIGURES = ["spend", "impressions", "clicks", "conversions", "revenue"]


def missing(table: pd.DataFrame, folder: Path) -> list[str]:
    file = folder / "history.csv"
    table.to_csv(file, index=False)
    return checked.missing(checked.check(load("laptop", ["data.source=spend", f"data.path={file}"])))


def test_rows_of_zero_are_no_beginning_and_no_end(tmp_path: Path) -> None:
    before = (WORLD["platform"] == "video") & (DAY < "2025-02-10")
    after = (WORLD["platform"] == "display") & (DAY > "2025-02-09")
    table = WORLD.assign(**{name: WORLD[name].where(~before & ~after, 0) for name in FIGURES})
    told = missing(table, tmp_path)
    assert "video begins on 2025-02-10." in told
    assert "display ends on 2025-02-09." in told


def test_a_platform_that_rests_on_weekends_is_told(tmp_path: Path) -> None:
    table = WORLD[(WORLD["platform"] != "display") | (DAY.dt.weekday < 5)]
    assert "display has no row on any Saturday and Sunday: it counts as paused then." in missing(table, tmp_path)
