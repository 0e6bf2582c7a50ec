"""Last days whose results are not all in: told where they lack more than any days before them did, and only there."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix.ingest.unripe import told
from tests.support.histories import ingested

DAYS = 210
FIRST = date(2025, 1, 6)
COME = np.array([0.3, 0.42, 0.52, 0.62, 0.7, 0.77, 0.84, 0.9, 0.94, 0.97])
"""Part of a day's conversions that is in so many days later."""


def history(seed: int, part_PT: np.ndarray, *, each: float = 40.0) -> pd.DataFrame:
    """Totals of three platforms whose conversions per click stray by 10 % a day, and have a week's pattern.

    Args:
        part_PT: of the conversions, what is booked.
        each: conversions a day and platform.
    """
    rng, tables = np.random.default_rng(seed), []
    week = np.where(np.arange(DAYS) % 7 >= 5, 0.7, 1.0) * np.exp(0.06 * rng.standard_normal(DAYS))
    for name, part_T in zip(("search", "social", "video"), part_PT, strict=True):
        clicks = rng.poisson(800 * np.exp(0.25 * np.repeat(rng.standard_normal(DAYS // 7 + 1), 7)[:DAYS]))
        rate = each / 800 * week * np.exp(0.1 * rng.standard_normal(DAYS))
        tables.append(
            pd.DataFrame(
                {
                    "date": [FIRST + timedelta(days=at) for at in range(DAYS)],
                    "platform": name,
                    "spend": 0.5 * clicks,
                    "impressions": 50 * clicks,
                    "clicks": clicks,
                    "conversions": rng.poisson(clicks * rate * part_T),
                }
            )
        )
    table = pd.concat(tables, ignore_index=True)
    return table.assign(revenue=40.0 * table["conversions"])


def parts(*late: int) -> np.ndarray:
    """Of three platforms, those whose last days are not all in."""
    part_PT = np.ones((3, DAYS))
    part_PT[list(late), -len(COME) :] = COME[::-1]
    return part_PT


@pytest.mark.parametrize("seed", [40_100, 40_101, 40_102])
def test_results_that_are_still_to_come_are_told(seed: int) -> None:
    (line,) = told(history(seed, parts(0, 1, 2)))
    days = int(line.split()[2])
    assert 4 <= days <= 13
    assert f"end the history on {FIRST + timedelta(days=DAYS - 1 - days)}" in line
    share = int(line.split("all platforms together by ")[1].split("%")[0]) / 100
    assert days * share == pytest.approx((1 - COME).sum(), rel=0.4)


def test_of_one_platform_it_is_named() -> None:
    (line,) = told(history(40_105, parts(1), each=80.0))
    assert "(social by " in line


def test_few_conversions_tell_it_together() -> None:
    (line,) = told(history(40_104, parts(0, 1, 2), each=20.0))
    assert "(all platforms together by " in line


@pytest.mark.parametrize("seed", range(40_110, 40_122))
def test_an_account_whose_results_are_in_is_left_alone(seed: int) -> None:
    assert told(history(seed, parts())) == []


@pytest.mark.parametrize("seed", [40_130, 40_131, 40_132])
def test_a_fall_as_there_were_before_is_none(seed: int) -> None:
    part_PT = parts(0, 1, 2)
    for end in (80, 120):
        part_PT[:, end - len(COME) : end] = COME[::-1]
    assert told(history(seed, part_PT)) == []


def test_of_many_small_platforms_all_are_told_together() -> None:
    parted = [
        history(40_150 + n, parts(0, 1, 2)).assign(platform=lambda t, n=n: t["platform"] + str(n)) for n in range(4)
    ]
    (line,) = told(pd.concat(parted, ignore_index=True))
    assert "(all platforms together by " in line


def test_a_run_tells_it_of_days_and_never_of_weeks(tmp_path: Path) -> None:
    daily = history(40_140, parts(0, 1, 2))
    assert any("have fewer conversions per click" in one for one in ingested(tmp_path / "days", daily).meta.notes)
    week = pd.to_datetime(daily["date"]).dt.to_period("W-SUN").dt.start_time.dt.date
    weekly = daily.assign(date=week).groupby(["date", "platform"], as_index=False).sum()
    whole = weekly[weekly["date"] < weekly["date"].max()]
    assert not any("per click" in one for one in ingested(tmp_path / "weeks", whole).meta.notes)
