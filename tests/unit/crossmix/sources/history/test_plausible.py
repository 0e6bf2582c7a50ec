"""What cannot be meant is refused by kind, with its remedy, and accepted by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from crossmix.schema import DataError
from crossmix.sources.history.plausible import KINDS
from tests.unit.crossmix.sources.history.test_load import FIGURES, PLAIN, assert_same, taken, written

SEARCH = PLAIN["platform"] == "search"
DAY = pd.to_datetime(PLAIN["date"])


def third(frame: pd.DataFrame) -> pd.DataFrame:
    """Another platform beside the two."""
    other = frame[frame["platform"] == "search"].assign(platform="video")
    return pd.concat([frame, other.assign(**{name: other[name] * 2 for name in FIGURES})], ignore_index=True)


def _sum_of_the_others(frame: pd.DataFrame) -> pd.DataFrame:
    whole = frame.groupby("date", as_index=False)[FIGURES].sum().assign(platform="network")
    return pd.concat([frame, whole], ignore_index=True)


def _told_twice(frame: pd.DataFrame) -> pd.DataFrame:
    """Search again as web analytics tells it: cost is imported, results are its own."""
    again = frame[frame["platform"] == "search"].assign(platform="google / cpc")
    return pd.concat([third(frame), again.assign(conversions=again["conversions"] // 2, revenue=again["revenue"] / 2)])


def _weekly(frame: pd.DataFrame, offset: int = 0) -> pd.DataFrame:
    day = pd.to_datetime(frame["date"]) + pd.Timedelta(days=offset)
    week = (day - pd.to_timedelta(day.dt.weekday, unit="D") + pd.Timedelta(days=offset)).dt.strftime("%Y-%m-%d")
    return frame.assign(date=week).groupby(["date", "platform"], as_index=False)[FIGURES].sum()


BENT: dict[str, tuple[str, Callable[[], pd.DataFrame], str]] = {
    "a sum": ("total", lambda: _sum_of_the_others(PLAIN), r"platform: 'network' spends day by day .* leave its rows"),
    "one account in two reports": (
        "twice",
        lambda: _told_twice(PLAIN),
        r"platform: 'search' and 'google / cpc' have the same spend, impressions and clicks .* leave one of them out",
    ),
    "one money under two names": (
        "twice",
        lambda: pd.concat([PLAIN, PLAIN[SEARCH].assign(platform="network")]),
        r"platform: 'search' and 'network' have the same spend, impressions and clicks on 40 days; .*leave one of them",
    ),
    "days and weeks": (
        "periods",
        lambda: pd.concat([PLAIN[~SEARCH], _weekly(PLAIN[SEARCH])]),
        r"date: search has a row a week and social a row a day; .*export all of them by day",
    ),
    "weeks on two weekdays": (
        "weekdays",
        lambda: pd.concat([_weekly(PLAIN[SEARCH]), _weekly(PLAIN[~SEARCH], 6)]),
        r"date: the weeks of 'search' begin on Monday and those of 'social' on Sunday; export all by day",
    ),
    "totals up to each day": (
        "cumulative",
        lambda: PLAIN.assign(**PLAIN[FIGURES].astype(float).groupby(PLAIN["platform"]).cumsum().round(2)),
        r"spend: 'search' spends more, .* from each of 40 days to the next; .*export what each day had by itself",
    ),
    "no weekends": ("weekends", lambda: PLAIN[DAY.dt.weekday < 5], r"no Saturday and no Sunday has a row \(10 of them"),
    "micros": (
        "price",
        lambda: third(PLAIN).assign(spend=lambda t: t["spend"].where(t["platform"] != "search", t["spend"] * 1e6)),
        r"spend: search pays .* may be in micros \(divide by 1,000,000\)",
    ),
    "micros from a day on": (
        "price",
        lambda: PLAIN.assign(spend=PLAIN["spend"].where((DAY < "2025-02-01") | ~SEARCH, PLAIN["spend"] * 1e6)),
        r"spend: search on 2025-02-01 pays .* it usually pays",
    ),
    "revenue of all on one": (
        "revenue",
        lambda: PLAIN.assign(revenue=PLAIN["revenue"].where(SEARCH, 0)),
        r"revenue: all of it .* is booked on 'search', and social have conversions without any",
    ),
    "columns exchanged": (
        "conversions",
        lambda: PLAIN.rename(columns={"clicks": "conversions", "conversions": "clicks"}),
        r"conversions: 'search' has more conversions than clicks in 40 of 40 rows .* name the right columns \(--map\)",
    ),
    "points taken for decimals": (
        "fractions",
        lambda: PLAIN.assign(impressions=PLAIN["impressions"].astype(float) / 1000 + 0.0001 * 0),
        r"impressions: [\d.]+ is no whole number, nor are \d+ of 80; .* export again without thousands separators",
    ),
    "cents for two weeks": (
        "unit",
        lambda: PLAIN.assign(spend=PLAIN["spend"].where((DAY < "2025-02-01") | ~SEARCH, PLAIN["spend"] * 100)),
        r"spend: of 'search', from 2025-02-01 to 2025-02-14, .* cost 89 times as much as on other days, in 14 rows",
    ),
    "revenue in cents for a week": (
        "unit",
        lambda: PLAIN.assign(revenue=PLAIN["revenue"].where((DAY < "2025-02-08") | ~SEARCH, PLAIN["revenue"] * 100)),
        r"revenue: of 'search', from 2025-02-08 to 2025-02-14, a conversion is worth \d+ times as much .* in 7 rows",
    ),
    "one large order": (
        "one-row",
        lambda: PLAIN.assign(revenue=PLAIN["revenue"].where((DAY != "2025-01-20") | ~SEARCH, 20_000)),
        r"revenue: 'search' has 20,000 on 2025-01-20, .* this row holds 4\d% of the platform's revenue",
    ),
    "revenue that is conversions": (
        "value",
        lambda: PLAIN.assign(revenue=PLAIN["revenue"].where(~SEARCH, PLAIN["conversions"])),
        r"revenue: a conversion of 'search' is worth 1, its revenue equals its conversions, and the others' (19|20)\.?",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BENT)
def test_what_cannot_be_meant_is_refused_and_may_be_accepted(case: str, tmp_path: Path) -> None:
    kind, bent, message = BENT[case]
    file = written(tmp_path, bent().to_csv(index=False))
    with pytest.raises(DataError, match=message) as refused:
        taken(file)
    assert f"say --accept {kind} (data.accept)" in str(refused.value)
    history = taken(file, f'data.accept=["{kind}"]')
    assert any(note.startswith(f"Accepted ({kind}):") for note in history.notes)


def test_every_kind_is_here() -> None:
    assert {kind for kind, _, _ in BENT.values()} == set(KINDS)


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.accept: 'all' is no kind of doubt; use one of total, twice, periods"):
        taken(written(tmp_path, PLAIN.to_csv(index=False)), 'data.accept=["all"]')


def test_what_is_in_order_is_taken_without_a_word(tmp_path: Path) -> None:
    history = taken(written(tmp_path, third(PLAIN).to_csv(index=False)))
    assert history.notes == []
    assert_same(history, third(PLAIN))
