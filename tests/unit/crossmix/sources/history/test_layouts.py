"""Layouts of people and tools: titles that name the platform, remarks, pivots, columns twice, other languages."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from crossmix.schema import DataError
from tests.support.exports import FIGURES, daily
from tests.support.workbooks import Cell, write
from tests.unit.crossmix.sources.history.test_load import assert_same, taken, written

NAMES = ("google", "meta", "tiktok")
ROWS = pd.concat([daily(campaigns=("one",), seed=at).assign(platform=name) for at, name in enumerate(NAMES)])
PLAIN = ROWS.sort_values(["date", "platform"], ignore_index=True)[["date", "platform", *FIGURES]]
TITLES = {"google": "Google Ads campaign report", "meta": "Meta Ads Manager report", "tiktok": "TikTok: account 17"}


def reports(folder: Path, titles: dict[str, str]) -> Path:
    """`report (1).csv` and so on, of a platform each, as a browser saves them."""
    folder.mkdir()
    for at, (name, rows) in enumerate(PLAIN.groupby("platform"), 1):
        text = rows.drop(columns="platform").to_csv(index=False)
        (folder / f"report ({at}).csv").write_text(f'"{titles[str(name)]}"\n"January 6 - February 14, 2025"\n{text}')
    return folder


def test_reports_of_one_name_are_the_platforms_of_their_titles(tmp_path: Path) -> None:
    history = taken(reports(tmp_path / "titled", TITLES))
    assert_same(history, PLAIN)
    with pytest.raises(DataError, match=r"if files are of several platforms, call each after its own \(google\.csv"):
        taken(reports(tmp_path / "untitled", dict.fromkeys(NAMES, "Campaign report")))


@pytest.mark.parametrize(
    "remarks",
    [
        '\n"Note: 2,314 conversions are modelled",,,,,,\nExported by,Ada,on,2025-03-11,10:00,,\nCurrency:,USD\n',
        "Source,Warehouse,,,,,\nTime zone:,Europe/Berlin,,,,,\n",
    ],
    ids=["notes", "two cells"],
)
def test_remarks_below_the_rows_are_no_rows(remarks: str, tmp_path: Path) -> None:
    history = taken(written(tmp_path, PLAIN.to_csv(index=False) + remarks))
    assert_same(history, PLAIN)
    assert any("below the rows of 'history' are remarks and left out" in note for note in history.notes)


def test_a_last_row_with_a_figure_is_no_remark(tmp_path: Path) -> None:
    """Its date cannot be read: it is set aside by name, with its money."""
    history = taken(written(tmp_path, PLAIN.to_csv(index=False) + "tomorrow,google,12.5,900,10,1,30\n"))
    assert (history.columns["date"][-1], history.columns["spend"][-1]) == ("tomorrow", "12.5")


def test_a_pivot_table_of_figures_above_platforms(tmp_path: Path) -> None:
    wide = PLAIN.pivot(index="date", columns="platform", values=FIGURES)
    above: list[Cell] = [None]
    for name in FIGURES:
        above += [f"Sum of {name}", *[None] * (len(NAMES) - 1)]
    sums = [f"Total Sum of {name}" for name in FIGURES]
    days: list[list[Cell]] = [
        [pd.Timestamp(str(day)).date(), *map(float, row), *(float(row[name].sum()) for name in FIGURES)]
        for day, row in wide.iterrows()
    ]
    whole: list[Cell] = [
        "Grand Total",
        *(round(sum(float(day[at]) for day in days), 2) for at in range(1, len(days[0]))),
    ]  # type: ignore[arg-type]
    header: list[Cell] = ["Row Labels", *NAMES * len(FIGURES)]
    book = write(tmp_path / "p.xlsx", {"Pivot": [[None, "Column Labels"], [*above, *sums], header, *days, whole]})
    history = taken(book)
    assert_same(history, PLAIN)
    assert "The column 'Row Labels' of 'p' is its only one of dates, and is read as date." in history.notes


def test_days_across_with_platforms_under_no_name(tmp_path: Path) -> None:
    days = sorted(set(PLAIN["date"]))
    lines = [",".join(["", "Metric", *days])]
    for name in NAMES:
        own = PLAIN[PLAIN["platform"] == name]
        lines += [",".join([name, figure.title(), *map(str, own[figure])]) for figure in FIGURES]
    assert_same(taken(written(tmp_path, "\n".join(lines))), PLAIN)


def test_a_column_that_is_there_twice_cell_by_cell_is_read_once(tmp_path: Path) -> None:
    twice = pd.concat([PLAIN, PLAIN[["conversions"]]], axis=1)
    history = taken(written(tmp_path, twice.to_csv(index=False)))
    assert_same(history, PLAIN)
    assert any("twice, cell by cell, are read once: 'conversions'" in note for note in history.notes)
    twice.iloc[3, -1] += 1
    with pytest.raises(DataError, match=r"conversions: column appears twice"):
        taken(written(tmp_path, twice.to_csv(index=False)))


def test_columns_of_months_without_a_year_are_named(tmp_path: Path) -> None:
    months = pd.DataFrame({"Platform": NAMES, "Jan": [1, 2, 3], "Feb": [4, 5, 6], "März": [7, 8, 9]})
    with pytest.raises(DataError, match=r"has a column for each month \('Jan', 'Feb', 'März'\)"):
        taken(written(tmp_path, months.to_csv(index=False)))


HEADERS = {
    "Arabic": ["التاريخ", "المنصة", "الإنفاق", "مرات الظهور", "النقرات", "التحويلات", "قيمة التحويل"],
    "Vietnamese": ["Ngày", "Nền tảng", "Chi phí", "Lượt hiển thị", "Lượt nhấp", "Chuyển đổi", "Giá trị chuyển đổi"],
}


@pytest.mark.parametrize("language", HEADERS)
def test_names_of_columns_in_more_languages(language: str, tmp_path: Path) -> None:
    assert_same(taken(written(tmp_path, PLAIN.set_axis(HEADERS[language], axis=1).to_csv(index=False))), PLAIN)
