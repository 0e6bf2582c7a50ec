"""Rows of averages, medians, extremes and counts are no days, in any language; what is really called so is."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from crossmix.sources.history import summaries
from crossmix.sources.history.averages import kind
from tests.support.exports import FIGURES, daily, folder, summed
from tests.unit.crossmix.sources.history.test_load import taken, written
from tests.unit.crossmix.sources.history.test_summaries import assert_days_alone

DAYS = daily()
FIRST = "2025-01-06"
OF = {"Average": "mean", "Median": "median", "Min": "min", "Max": "max", "Count": "count"}
UNITS = {"spend": 1.0, "impressions": 100.0, "clicks": 2.0}
WORDS = ("Average", "Durchschnitt", "Moyenne journalière", "Promedio diario", "Media", "Média", "Avg. per day",
         "Ø pro Tag", "Mittelwert:", "Gemiddelde", "Średnia", "Среднее значение", "平均", "Daily average",
         "meta Durchschnitt", "Median", "Mediana", "Minimum", "Max.", "Anzahl", "Nombre", "Std dev")  # fmt: skip


def statistic(rows: pd.DataFrame, how: str, **columns: object) -> pd.DataFrame:
    """One row of a statistic of others, rounded as a report shows it."""
    return pd.DataFrame([getattr(rows[FIGURES], how)().round(2).to_dict() | columns])


@pytest.mark.parametrize("word", WORDS)
def test_words_of_statistics(word: str, tmp_path: Path) -> None:
    """Below the total row, in the place of a campaign or of a date."""
    for at, names in enumerate(({"date": "", "campaign": word}, {"date": word, "campaign": ""})):
        total = summed(DAYS, date="", campaign="Total")
        table = pd.concat([DAYS, total, statistic(DAYS, "mean", **names)])
        told = assert_days_alone(taken(folder(tmp_path / str(at), "google", table)), "google")
        assert f"1 row(s) of 'google' with an average or another statistic are left out ({word!r})." in told


@pytest.mark.parametrize("place", ["above", "below"])
@pytest.mark.parametrize("word", [*OF, ""])
def test_a_statistic_with_the_periods_first_day(word: str, place: str, tmp_path: Path) -> None:
    for how in [OF[word]] if word else ["mean", "median"]:
        rows = [statistic(DAYS, how, date=FIRST, campaign=word), summed(DAYS, date=FIRST, campaign="")]
        table = pd.concat([*rows, DAYS] if place == "above" else [DAYS, *rows])
        told = assert_days_alone(taken(folder(tmp_path / how, "meta", table)), "meta")
        assert "of all other rows are left out" in told


def test_a_dated_mean_of_each_campaign_and_of_days(tmp_path: Path) -> None:
    own = [statistic(rows, "mean", date=FIRST, campaign=f"{name} Average") for name, rows in DAYS.groupby("campaign")]
    by_day = DAYS.groupby("date", as_index=False)[FIGURES].sum()
    table = pd.concat([DAYS, statistic(by_day, "mean", date=FIRST, campaign="Average per day")])
    told = assert_days_alone(taken(folder(tmp_path, "meta", table)), "meta")
    assert "are the mean of all other days" in told
    undated = [row.assign(date="") for row in own]
    assert "3 row(s)" in assert_days_alone(taken(folder(tmp_path / "own", "meta", pd.concat([DAYS, *undated]))), "meta")


def test_what_pandas_describe_adds_is_left_out(tmp_path: Path) -> None:
    described = DAYS[FIGURES].describe().round(2).rename_axis("campaign").reset_index().assign(date="")
    told = assert_days_alone(taken(folder(tmp_path, "google", pd.concat([DAYS, described]))), "google")
    assert "8 row(s) of 'google' with an average or another statistic" in told


@pytest.mark.parametrize("name", ["Max", "Media", "Average", "Count", "Median", "Social Media", "Performance Max"])
def test_a_campaign_or_platform_that_is_called_so_stays(name: str, tmp_path: Path) -> None:
    table = DAYS.replace({"campaign": {"brand": name}})
    kept = pd.DataFrame(taken(folder(tmp_path, "google", table)).columns)
    mine = kept[kept["campaign"] == name]
    assert mine["spend"].astype(float).sum() == pytest.approx(DAYS.loc[DAYS["campaign"] == "brand", "spend"].sum())
    platforms = table.assign(platform=name, campaign="one").groupby(["date", "platform"], as_index=False)[FIGURES].sum()
    both = pd.concat([platforms, daily(seed=3, campaigns=("one",)).assign(platform="search")])
    kept = pd.DataFrame(taken(written(tmp_path, both.drop(columns="campaign").to_csv(index=False))).columns)
    assert (kept["platform"] == name).sum() == len(platforms)


def test_one_day_of_a_campaign_that_is_called_so_stays(tmp_path: Path) -> None:
    """Its figures are no statistic of the others."""
    one = DAYS.iloc[[7]].assign(campaign="Max", spend=41.17)
    kept = pd.DataFrame(taken(folder(tmp_path, "google", pd.concat([DAYS, one]))).columns)
    assert kept.loc[kept["campaign"] == "Max", "spend"].tolist() == ["41.17"]


@pytest.mark.parametrize("days", [10, 40])
@pytest.mark.parametrize("name", ["Max", "Media", "Count"])
def test_sums_and_means_hold_what_is_called_so(name: str, days: int, tmp_path: Path) -> None:
    """A campaign with such a name is a part of totals and means, however few days it has."""
    table = DAYS.replace({"campaign": {"brand": name}})
    first = sorted(set(table["date"]))[:days]
    table = table[(table["campaign"] != name) | table["date"].isin(first)].reset_index(drop=True)
    by_month = [summed(rows, date=min(rows["date"]), campaign="") for _, rows in table.groupby(table["date"].str[:7])]
    above = {
        "all": [summed(table, date=FIRST, campaign="All campaigns")],
        "month": by_month,
        "mean": [statistic(table, "mean", date=FIRST, campaign="Durchschnitt")],
        "both": [statistic(table, "mean", date=FIRST, campaign="Ø"), summed(table, date=FIRST, campaign="")],
    }
    for kept, rows in above.items():
        history = taken(folder(tmp_path / kept, "google", pd.concat([table, *rows])))
        frame = pd.DataFrame(history.columns).query("platform == 'google'")
        spent = frame["spend"].astype(float).groupby(frame["campaign"]).sum().round(2).to_dict()
        assert spent == table.groupby("campaign")["spend"].sum().round(2).to_dict(), kept


def test_a_days_figures_may_be_the_mean_of_others_by_chance() -> None:
    """Of round figures; a statistic in a language that is not known bears the first or the last day of the others."""
    spend = [*[5.0, 10.0, 20.0, 25.0] * 9, 15.0]
    columns = {name: [f"{value * unit:g}" for value in spend] for name, unit in UNITS.items()}
    columns |= {"campaign": ["a"] * 36 + ["b"], "date": [f"2025-01-{6 + at // 2:02d}" for at in range(36)]}
    for day, dropped in (("2025-01-24", []), ("2025-01-15", []), ("2025-01-06", [36]), ("2025-01-23", [36])):
        dated = columns | {"date": [*columns["date"], day]}
        assert summaries.found(dated, ["campaign"], None, "one")[0] == dropped


def test_days_of_what_has_no_name_are_no_statistics() -> None:
    """A budget that never changes, and a quarter of the rows without a campaign."""
    count = 60
    table = pd.DataFrame({"date": pd.date_range("2025-01-06", periods=count).strftime("%Y-%m-%d"), "spend": 20.0})
    table["campaign"] = ["a"] * 45 + [""] * 15
    table["impressions"] = [1774 + (at * 7) % 11 for at in range(count)]
    table["clicks"] = [15 + (at * 7) % 11 // 3 for at in range(count)]
    columns = {name: [str(value) for value in table[name]] for name in table}
    assert summaries.found(columns, ["campaign"], None, "one")[0] == []


def test_names_below_merged_dates_stay(tmp_path: Path) -> None:
    """Dates that stand in the first row of their day alone: a name below is no statistic for want of one."""
    table = DAYS.replace({"campaign": {"brand": "Max"}})
    merged = table.assign(date=table["date"].where(~table["date"].duplicated(), ""))
    kept = pd.DataFrame(taken(folder(tmp_path, "google", merged)).columns)
    assert (kept["campaign"] == "Max").sum() == 40


@pytest.mark.parametrize("how", ["mean", "median", "min", "max"])
def test_a_platform_that_is_a_statistic_of_the_others_every_day(how: str, tmp_path: Path) -> None:
    names = ("search", "social", "video", "display")
    rows = [daily(campaigns=("one",), seed=at).assign(platform=name) for at, name in enumerate(names)]
    table = pd.concat(rows).drop(columns="campaign")
    word = {"mean": "Average"}.get(how, how.title())
    each = getattr(table.groupby("date", as_index=False)[FIGURES], how)().round(2).assign(platform=word)
    history = taken(written(tmp_path, pd.concat([table, each]).to_csv(index=False)))
    assert set(history.columns["platform"]) == set(names)
    assert any("of their day's others are left out" in note for note in history.notes)


@pytest.mark.parametrize(
    "text", ["Performance Max", "Social Media", "Maximal GmbH", "Minis", "2025-01-06", "Medianet", ""]
)
def test_other_words_are_none(text: str) -> None:
    assert kind(text) is None
