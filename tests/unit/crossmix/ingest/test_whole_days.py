"""Which first and last days are parts of one, and which are small, corrected or alike for another reason."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd

from crossmix.ingest.whole_days import behind, whole

DAYS = 40
LAST = date(2025, 1, 6) + timedelta(days=DAYS - 1)
SHARE = {"search": 0.6, "social": 0.35, "video": 0.05}


def history(*, alike: bool = False) -> pd.DataFrame:
    """Three platforms of 60, 35 and 5 % of the money, which moves a little from day to day unless all are alike."""
    rows = []
    for at in range(DAYS):
        spend = 1000.0 if alike else 1000.0 + 37 * (at * 7 % 11)
        for platform, share in SHARE.items():
            own = {"spend": share * spend, "impressions": 50 * share * spend, "clicks": share * spend}
            day = LAST - timedelta(days=DAYS - 1 - at)
            rows.append({"platform": platform, "campaign_id": "all", "date": day} | own)
    return pd.DataFrame(rows).assign(conversions=3.0, revenue=90.0)


def of_last(frame: pd.DataFrame, times: float, *platforms: str) -> pd.DataFrame:
    own = frame["date"].eq(LAST) & frame["platform"].isin(platforms)
    names = ["spend", "impressions", "clicks"]
    frame.loc[own, names] = times * frame.loc[own, names]
    return frame


def test_a_last_day_of_a_part_of_one_large_platform_is_left_out() -> None:
    kept, told = whole(of_last(history(), 0.2, "social"))
    assert max(kept["date"]) == LAST - timedelta(days=1)
    assert told == [
        f"The last day, {LAST}, is left out: social has hardly any of its usual spend and delivery on it, as when an "
        "export is made before a day is over."
    ]


def test_a_small_platform_that_paused_leaves_the_day_whole() -> None:
    frame = of_last(history(), 0.2, "video")
    kept, told = whole(frame)
    assert told == []
    assert kept.equals(frame)


def test_a_day_of_corrections_alone_is_kept() -> None:
    frame = of_last(history(), 0.0, *SHARE)
    frame.loc[frame["date"].eq(LAST), ["conversions", "revenue"]] = [0.0, -30.0]
    kept, told = whole(frame)
    assert told == []
    assert kept.equals(frame)


def test_days_that_are_all_alike_repeat_nothing() -> None:
    assert whole(history(alike=True))[1] == []
    frame = history()
    names = ["spend", "impressions", "clicks"]
    before = frame["date"].eq(LAST - timedelta(days=1))
    frame.loc[frame["date"].eq(LAST), names] = frame.loc[before, names].to_numpy()
    assert whole(frame)[1] == [f"The last day, {LAST}, is left out: all of its figures are those of the day before."]


def without_last(frame: pd.DataFrame, platform: str, count: int, *, every: int = 1) -> pd.DataFrame:
    """Without a platform's last days, and of its others each so many alone."""
    since = frame["date"].map(lambda day: (LAST - day).days)
    return frame[frame["platform"].ne(platform) | ((since >= count) & ((since - count) % every == 0))]


def test_a_platform_whose_rows_end_before_the_others_is_told() -> None:
    assert behind(without_last(history(), "social", 5)) == [
        "social has no row after 2025-02-09, 5 days before the history ends: it counts as paused since, in today's "
        "budget too. If its export is older than the others', export all again to the same day."
    ]
    assert behind(without_last(history(), "social", 14)) != []


def test_what_ends_with_the_others_or_long_before_is_not_behind() -> None:
    assert behind(history()) == []
    # A day late is a day's delay of an export; three weeks are a stop, which the run tells by itself.
    assert behind(without_last(history(), "social", 1)) == []
    assert behind(without_last(history(), "social", 15)) == []


def test_a_platform_that_has_gaps_as_long_is_not_behind() -> None:
    assert behind(without_last(history(), "social", 3, every=3)) == []
    assert behind(without_last(history(), "social", 4, every=3)) != []


def test_hardly_any_money_is_not_told_of() -> None:
    frame = history()
    frame.loc[frame["platform"] == "video", "spend"] = 10.0
    assert behind(without_last(frame, "video", 5)) == []
    assert behind(without_last(history(), "video", 5)) != []
