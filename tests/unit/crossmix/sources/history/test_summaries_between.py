"""Summaries that stand between the days: of the rows beside them, of a month, a mean, or two parts and their sum."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.unit.crossmix.sources.history.test_load import FIGURES, PLAIN, assert_same, taken, written

NUMBERS = PLAIN.assign(**{name: PLAIN[name].astype(float) for name in FIGURES})
SOUND = NUMBERS.assign(campaign="one")[["date", "platform", "campaign", *FIGURES]].sort_values(["date", "platform"])
MONTH = SOUND["date"].str[:7]
WEEK = pd.to_datetime(SOUND["date"]).dt.isocalendar().week


def summed(rows: pd.DataFrame, date: str, platform: str = "", campaign: str = "") -> pd.DataFrame:
    return pd.DataFrame([rows[FIGURES].sum().to_dict() | {"date": date, "platform": platform, "campaign": campaign}])


def by_platform(rows: pd.DataFrame, date: str) -> pd.DataFrame:
    return pd.concat([summed(own, date, str(name)) for name, own in rows.groupby("platform")])


def below(by: pd.Series, row: Callable[[str, pd.DataFrame], pd.DataFrame], *, above: bool = False) -> pd.DataFrame:
    """The rows with one for each group below it, or above."""
    parts = [[rows, row(str(key), rows)] for key, rows in SOUND.groupby(by)]
    return pd.concat([one for pair in parts for one in (pair[::-1] if above else pair)])


def named(month: str) -> str:
    return str(pd.Timestamp(f"{month}-01").strftime("%B %Y"))


BETWEEN = {
    "months by number": below(MONTH, lambda month, rows: summed(rows, month)),
    "months by name": below(MONTH, lambda month, rows: summed(rows, named(month))),
    "months above, dated": below(MONTH, lambda month, rows: summed(rows, f"{month}-01"), above=True),
    "months, dated, as a platform": below(MONTH, lambda _, rows: summed(rows, rows["date"].max(), "All", "one")),
    "months by platform, dated": below(MONTH, lambda _, rows: by_platform(rows, rows["date"].max())),
    "months by platform": below(MONTH, lambda month, rows: by_platform(rows, month), above=True),
    "months behind all days": pd.concat([SOUND, *(summed(rows, str(key)) for key, rows in SOUND.groupby(MONTH))]),
    "weeks by number": below(WEEK, lambda week, rows: summed(rows, f"Woche {week}")),
    "weeks as periods": below(WEEK, lambda _, rows: summed(rows, f"{rows['date'].min()} - {rows['date'].max()}")),
}


@pytest.mark.parametrize("kind", BETWEEN)
def test_a_summary_of_the_rows_beside_it_is_no_day(kind: str, tmp_path: Path) -> None:
    table = BETWEEN[kind]
    history = taken(written(tmp_path, table.to_csv(index=False)))
    assert_same(history)
    told = [note for note in history.notes if "summary row(s)" in note]
    assert sum(int(note.split()[0]) for note in told) == len(table) - len(SOUND)


def test_a_platform_that_is_the_mean_of_the_others_is_none(tmp_path: Path) -> None:
    third = SOUND[SOUND["platform"] == "search"].assign(platform="video", spend=lambda t: (t["spend"] * 1.7).round(2))
    three = pd.concat([SOUND, third.assign(impressions=third["impressions"] * 2)])
    means = three.groupby("date", as_index=False)[FIGURES].mean().round(2).assign(platform="Average", campaign="one")
    history = taken(written(tmp_path, pd.concat([three, means]).to_csv(index=False)))
    assert_same(history, three)
    assert any("are the mean of their day's others" in note for note in history.notes)


def test_platforms_that_are_alike_are_no_means(tmp_path: Path) -> None:
    one = SOUND[SOUND["platform"] == "search"].assign(spend=100.0, impressions=9000, clicks=200)
    alike = pd.concat([one.assign(platform=name) for name in ("a", "b", "c")])
    assert_same(taken(written(tmp_path, alike.to_csv(index=False)), 'data.accept=["twice","revenue"]'), alike)


@pytest.mark.parametrize("word", ["both", "Total"])
def test_two_parts_and_their_sum_count_once(word: str, tmp_path: Path) -> None:
    """On some days one part alone was paid, and its row and the sum's are equal."""
    alone = np.arange(len(SOUND)) % 19 == 0
    first = SOUND.assign(device="m", **{name: SOUND[name].where(alone, SOUND[name] // 3) for name in FIGURES})
    second = SOUND.assign(device="d", **{name: (SOUND[name] - first[name]).round(2) for name in FIGURES})
    table = pd.concat([first, second, SOUND.assign(device=word)])
    assert_same(taken(written(tmp_path, table.to_csv(index=False))), SOUND)


HEADERS = {
    "Japanese, in 10,000": (
        ["日", "媒体", "費用（万円）", "表示回数", "クリック数", "購入", "購入額（円）"], 1e4, "JPY",
    ),
    "Chinese": (["日期", "渠道", "消耗(元)", "展现量", "点击量", "转化数", "成交金额(元)"], 1, "CNY"),
    "Korean": (["일자", "매체", "광고비(원)", "노출수", "클릭수", "전환수", "전환매출액(원)"], 1, "KRW"),
    "Indian, in lakhs": (
        ["Date", "Platform", "Spend (in lakhs)", "Impressions", "Clicks", "Conversions", "Revenue (INR)"], 1e5, "INR",
    ),
    "Norwegian": (["Dag", "Plattform", "Kostnad", "Visninger", "Klikk", "Konverteringer", "Konv.verdi"], 1, ""),
    "Dutch": (
        ["Dag", "Platform", "Besteed bedrag (EUR)", "Weergaven", "Klikken op link", "Aankopen",
         "Conversiewaarde van aankopen"], 1, "EUR",
    ),
    "Polish": (
        ["Data", "Platforma", "Wydana kwota (PLN)", "Wyświetlenia", "Kliknięcia linku", "Zakupy",
         "Wartość konwersji zakupu"], 1, "PLN",
    ),
}  # fmt: skip


@pytest.mark.parametrize("country", HEADERS)
def test_units_and_currencies_in_words(country: str, tmp_path: Path) -> None:
    header, unit, currency = HEADERS[country]
    table = NUMBERS.assign(spend=NUMBERS["spend"] / unit)[["date", "platform", *FIGURES]].set_axis(header, axis=1)
    history = taken(written(tmp_path, table.to_csv(index=False, float_format="%.7f")))
    assert_same(history, NUMBERS)
    if currency:
        assert history.currency == currency
