"""Summary rows are set aside and told wherever they stand and whatever they are called; days never are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix.sources.history.load import History
from crossmix.sources.history.summaries import found
from tests.support.bent_histories import planted
from tests.support.exports import FIGURES, HEADERS, daily, folder, placed, summed
from tests.unit.crossmix.sources.history.test_load import taken

DAYS = daily()
FIRST = "2025-01-06"
WORDS = ("Total", "Gesamt", "Summe", "Totale", "Total general", "Total général", "Итого", "合計", "Total: Account",
         "Gesamt – Konto", "Total of 3 campaigns")  # fmt: skip


def assert_days_alone(history: History, platform: str, rows: pd.DataFrame = DAYS) -> str:
    """The platform has its days' figures and no more; what was told of it."""
    frame = pd.DataFrame(history.columns)
    mine = frame[frame["platform"] == platform]
    assert len(mine) == len(rows)
    for name in FIGURES:
        assert mine[name].astype(float).sum() == pytest.approx(rows[name].sum(), abs=0.01), name
    told = [note for note in history.notes if "left out" in note]
    assert told, history.notes
    return " ".join(told)


@pytest.mark.parametrize("where", ["top", "bottom"])
@pytest.mark.parametrize("date", [FIRST, "", "--", "All"])
@pytest.mark.parametrize("platform", HEADERS)
def test_a_summary_without_a_name(platform: str, date: str, where: str, tmp_path: Path) -> None:
    summary = summed(DAYS, date=date, campaign="")
    history = taken(folder(tmp_path, platform, placed(DAYS, summary, where)))
    assert f"of {platform!r}" in assert_days_alone(history, platform)


@pytest.mark.parametrize("where", ["top", "bottom"])
@pytest.mark.parametrize("date", [FIRST, ""])
@pytest.mark.parametrize("word", WORDS)
def test_a_summary_in_other_words(word: str, date: str, where: str, tmp_path: Path) -> None:
    for platform, campaign in (("meta", word), ("google", word)):
        summary = summed(DAYS, date=date, campaign=campaign)
        assert_days_alone(taken(folder(tmp_path / platform, platform, placed(DAYS, summary, where))), platform)
    if not date:
        summary = summed(DAYS, date=word, campaign="")
        assert_days_alone(taken(folder(tmp_path / "tiktok", "tiktok", placed(DAYS, summary, where))), "tiktok")


@pytest.mark.parametrize("word", ["Summe {}", "Total week {}", "{} total", "Subtotal {}", "Итого {}"])
def test_subtotals_named_where_the_date_would_be(word: str, tmp_path: Path) -> None:
    """A sheet of weeks with a row below each week."""
    parts = []
    for week, rows in DAYS.groupby(pd.to_datetime(DAYS["date"]).dt.isocalendar().week):
        parts += [rows, summed(rows, date=word.format(f"KW {week}/2025"), campaign="")]
    assert_days_alone(taken(folder(tmp_path, "google", pd.concat(parts))), "google")


def _filtered() -> pd.DataFrame:
    """The summary has a campaign that was deleted, and clicks of its own kind."""
    whole = summed(DAYS, date=FIRST, campaign="")
    return whole.assign(spend=whole["spend"] * 1.07, clicks=whole["clicks"] * 2)


def _of_each_campaign() -> pd.DataFrame:
    parts = [summed(rows, date=FIRST, campaign=name) for name, rows in DAYS.groupby("campaign")]
    return pd.concat([summed(DAYS, date=FIRST, campaign=""), *parts])


def _of_each_day() -> pd.DataFrame:
    return pd.concat([summed(rows, date=day, campaign="Gesamt") for day, rows in DAYS.groupby("date")])


BENT: dict[str, tuple[Callable[[], pd.DataFrame], int, str]] = {
    "results blank in it": (lambda: summed(DAYS, date=FIRST, campaign="", conversions="", revenue=""), 1, "all other"),
    "a part is filtered out": (_filtered, 1, "most other rows"),
    "of each campaign and of all": (_of_each_campaign, 4, "the other rows of their name"),
    "of each day": (_of_each_day, 40, "the other rows of their day"),
}


@pytest.mark.parametrize("where", ["top", "bottom"])
@pytest.mark.parametrize("kind", BENT)
def test_a_summary_of_a_part(kind: str, where: str, tmp_path: Path) -> None:
    made, count, said = BENT[kind]
    assert len(made()) == count
    told = assert_days_alone(taken(folder(tmp_path, "meta", placed(DAYS, made(), where))), "meta")
    assert said in told


@pytest.mark.parametrize("where", ["top", "bottom"])
@pytest.mark.parametrize("more", [1.0, 1.03])
@pytest.mark.parametrize("date", [FIRST, "", "All"])
def test_a_summary_of_an_export_without_campaigns(date: str, more: float, where: str, tmp_path: Path) -> None:
    rows = DAYS.groupby("date", as_index=False)[FIGURES].sum()
    summary = summed(rows, date=date)
    table = placed(rows, summary.assign(spend=(summary["spend"] * more).round(2)), where)
    assert_days_alone(taken(folder(tmp_path, "meta", table)), "meta", rows)


def test_a_row_from_the_first_day_to_the_last_is_a_summary(tmp_path: Path) -> None:
    last = DAYS["date"].max()
    summary = summed(DAYS, date=FIRST, campaign="spring", **{"Reporting ends": last})
    summary["spend"] *= 0.3  # nothing else gives it away
    table = placed(DAYS.assign(**{"Reporting ends": DAYS["date"]}), summary, "top")
    told = assert_days_alone(taken(folder(tmp_path, "meta", table)), "meta")
    assert "1 summary row(s) of 'meta' that cover the whole period are left out (2025-01-06: spend" in told


def test_a_part_that_is_the_sum_of_the_others_every_day(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    parts = pd.concat([daily(seed=seed).assign(device=f"device {seed}") for seed in range(3)], ignore_index=True)
    whole = parts.groupby(["date", "campaign"], as_index=False)[FIGURES].sum().assign(device="any").round(2)
    mixed = pd.concat([parts, whole]).sample(frac=1, random_state=rng.integers(99))
    frame = pd.DataFrame(taken(folder(tmp_path, "google", mixed)).columns)
    own = frame[frame["platform"] == "google"]
    assert own["spend"].astype(float).sum() == pytest.approx(parts["spend"].sum(), abs=0.01)


def test_days_are_no_summaries() -> None:
    """Bursts, single days, quiet months, campaigns of a few days and equal budgets."""
    rng = np.random.default_rng(5)
    for seed in range(60):
        rows = daily(days=int(rng.integers(5, 60)), campaigns=["a", "b", "c"][: rng.integers(1, 4)], seed=seed)
        burst = rng.random(len(rows)) < 0.03
        rows.loc[burst, ["spend", "impressions", "clicks"]] *= 50
        rows.loc[rng.random(len(rows)) < 0.2, FIGURES] = 0
        if seed % 3 == 0:
            rows["spend"] = 100.0
        for names in (["campaign"], []):
            columns = {name: [f"{value}" for value in rows[name]] for name in rows.columns}
            assert found(columns, names, None, "x") == ([], []), seed
    plain = planted().astype(str)
    assert found({name: list(plain[name]) for name in plain}, ["platform"], None, "x") == ([], [])


@pytest.mark.parametrize("where", ["above", "below"])
@pytest.mark.parametrize("day", ["first", "last", "28"])
def test_subtotals_with_a_date_of_their_own(where: str, day: str, tmp_path: Path) -> None:
    """A month's sum of each campaign among its days, and of all months below them."""
    rows = daily(days=70)
    parts = []
    for _, one in rows.groupby("campaign"):
        for month, own in one.groupby(one["date"].str[:7]):
            date = {"first": own["date"].min(), "last": own["date"].max(), "28": f"{month}-28"}[day]
            subtotal = summed(own, date=date, campaign=own["campaign"].iloc[0])
            parts += [subtotal, own] if where == "above" else [own, subtotal]
    path = folder(tmp_path / "x", "google", pd.concat(parts, ignore_index=True))
    history = taken(path)
    own_days = history.days[history.days["platform"] == "google"]
    assert len(own_days) == len(rows)
    for name in FIGURES:
        assert own_days[name].sum() == pytest.approx(rows[name].sum(), abs=0.01)
    assert any("9 summary row(s) of 'google' that add up the rows next to them" in note for note in history.notes)


def test_a_day_that_is_the_sum_of_those_before_it_stays(tmp_path: Path) -> None:
    """The same every day, and three times as much on Sundays: in order, and each day once."""
    rows = daily(days=70, campaigns=["brand"]).assign(spend=100.0, impressions=5000, clicks=100, conversions=10)
    sunday = pd.to_datetime(rows["date"]).dt.weekday == 6
    rows[FIGURES] = rows[FIGURES].astype(float).where(~sunday, rows[FIGURES] * 3.0)
    history = taken(folder(tmp_path / "x", "google", rows))
    assert history.days.groupby("platform")["spend"].sum()["google"] == 100.0 * (60 + 3 * 10)
