"""A file's name without the time that a platform puts there: exports of a report's months are one platform."""

from __future__ import annotations

from calendar import monthrange
from pathlib import Path

import pandas as pd
import pytest

from crossmix.sources.history.named_periods import is_month_name, without_period
from tests.unit.crossmix.sources.history.test_load import PLAIN, assert_same, taken

FR = ("janvier", "février", "mars", "avril", "mai", "juin", "juillet")
MONTHLY = {
    "english, as Meta": lambda d, e: f"Untitled-report-{d:%b}-{d.day}-{d.year}-to-{e:%b}-{e.day}-{e.year}",
    "day before month": lambda d, e: f"Report {d.day} {d:%B} {d.year} - {e.day} {e:%B} {e.year}",
    "french": lambda d, e: (
        f"Rapport-sans-titre-{d.day}-{FR[d.month - 1]}-{d.year}-au-{e.day}-{FR[e.month - 1]}-{e.year}"
    ),
    "german": lambda d, e: f"Bericht {d:%d.%m.}–{e:%d.%m.%Y}",
    "japanese": lambda d, e: f"レポート {d.year}年{d.month}月{d.day}日～{e.year}年{e.month}月{e.day}日",
    "compact, with the time of the export": lambda d, e: f"report_{d:%Y%m%d}_{e:%Y%m%d}_0912{e:%d}",
    "year of the last day alone": lambda d, e: f"report {d.day}-{e.day} {d:%B} {d.year}",
    "brackets and a copy": lambda d, e: f"report ({d:%Y-%m-%d} - {e:%Y-%m-%d}) (2)",
}


@pytest.mark.parametrize("kind", MONTHLY)
def test_a_report_for_each_month_is_one_platform(kind: str, tmp_path: Path) -> None:
    days = pd.to_datetime(PLAIN["date"])
    platforms = sorted(set(PLAIN["platform"]))
    for (platform, month), rows in PLAIN.groupby([PLAIN["platform"], days.dt.to_period("M")]):
        first = pd.Timestamp(month.start_time)
        last = first.replace(day=monthrange(first.year, first.month)[1])
        name = f"{platform} {MONTHLY[kind](first, last)}"
        rows.drop(columns="platform").to_csv(tmp_path / f"{name}.csv", index=False)
    history = taken(tmp_path)
    found = sorted(set(history.columns["platform"]))
    assert len(found) == len(platforms)
    assert all(name.startswith(platform) for name, platform in zip(found, platforms, strict=True))
    history.columns["platform"] = [platforms[found.index(name)] for name in history.columns["platform"]]
    assert_same(history)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("linkedin_01_Jun_2026", "linkedin"),
        ("meta June 1st 2026", "meta"),
        ("Microsoft 2026年06月", "Microsoft"),
        ("google Juni 26", "google"),
        ("meta_2026_1", "meta"),
        ("meta_06-2026 - Kopie", "meta"),
        ("meta 2026-11-30T09_12_33", "meta"),
        ("01Jun2026-30Jun2026_meta", "meta"),
        ("Informe de campaña 1 de junio de 2026 - 30 de junio de 2026", "Informe de campaña"),
    ],
)
def test_a_period_goes(name: str, plain: str) -> None:
    assert without_period(name) == plain


@pytest.mark.parametrize(
    "name", ["Channel 4", "24h", "Meta 1", "A1", "Mayday", "March Madness", "studio 54", "top 10", "Brand 11"]
)
def test_numbers_and_words_that_are_no_time_stay(name: str) -> None:
    assert without_period(name) == name
    assert without_period(f"{name} 2026-01-05") == name


def test_months_by_name() -> None:
    assert all(map(is_month_name, ("Jan", "März", "juil.", "setembro")))
    assert not any(map(is_month_name, ("Jan 2025", "Mayday", "1", "")))


@pytest.mark.parametrize("name", ["meta-Jun (1)", "meta Juni - Kopie", "meta_Jun_2026 (2)"])
def test_a_period_before_the_number_of_a_copy_is_one_too(name: str) -> None:
    assert without_period(name) == "meta"
