"""Days stamped with a time: local midnights told in UTC, seconds since 1970, hours."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from crossmix.schema import DataError
from crossmix.sources.history.dates import convert

DAYS = pd.date_range("2025-01-06", periods=320)
PLAIN = [f"{day:%Y-%m-%d}" for day in DAYS]
ZONES = (
    *("Europe/Berlin", "Europe/London", "America/New_York", "America/Los_Angeles", "America/Sao_Paulo"),
    *("Asia/Kolkata", "Asia/Tokyo", "Australia/Sydney", "Pacific/Auckland", "Pacific/Honolulu"),
)
CHANGING = tuple(zone for zone in ZONES if zone not in {"America/Sao_Paulo", "Asia/Kolkata", "Asia/Tokyo"})
WRITTEN: dict[str, Callable[[pd.Timestamp], str]] = {
    "iso": lambda at: f"{at:%Y-%m-%dT%H:%M:%SZ}",
    "pandas": str,
    "bigquery": lambda at: f"{at:%Y-%m-%d %H:%M:%S} UTC",
    "milliseconds": lambda at: str(at.value // 10**6),
    "seconds": lambda at: str(at.value // 10**9),
}


def midnights(zone: str) -> list[pd.Timestamp]:
    return [day.tz_localize(zone).tz_convert("UTC") for day in DAYS]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("form", WRITTEN)
def test_local_midnights_told_in_utc_are_the_local_days(zone: str, form: str) -> None:
    """Across both changes of clocks: no day is lost, and no two are one."""
    assert convert([WRITTEN[form](at) for at in midnights(zone)], None)[0] == PLAIN


@pytest.mark.parametrize("zone", CHANGING)
def test_a_change_of_clocks_shows_midnights_without_a_zone(zone: str) -> None:
    assert convert([f"{at:%Y-%m-%d %H:%M:%S}" for at in midnights(zone)], None)[0] == PLAIN


def test_midnights_are_those_of_each_accounts_own_zone() -> None:
    texts, accounts = [], []
    for zone in ("Europe/Berlin", "America/New_York"):
        texts += [WRITTEN["iso"](at) for at in midnights(zone)]
        accounts += [zone] * len(DAYS)
    days, notes = convert(texts, None, accounts)
    assert days == [*PLAIN, *PLAIN]
    assert [note for note in notes if note.startswith("Times such as")] == [
        "Times such as '2025-01-05T23:00:00Z' are midnights of another time zone, told in UTC: the next day is read.",
        "Times such as '2025-01-06T05:00:00Z' are midnights of another time zone, told in UTC: the same day is read.",
    ]


def test_one_evening_hour_without_a_zone_is_asked() -> None:
    with pytest.raises(DataError, match=r"date: all rows have the time of '2025-01-06 23:00:00'.*write dates as"):
        convert([f"{day} 23:00:00" for day in PLAIN], None)


@pytest.mark.parametrize("time", ["T23:59:59Z", " 23:59", "T12:00:00Z", " 04:15:00", "T00:00:00+02:00", "T21:17:00Z"])
def test_other_times_are_of_the_day_itself(time: str) -> None:
    assert convert([day + time for day in PLAIN], None)[0] == PLAIN


def test_hours_of_a_day_are_of_that_day() -> None:
    assert convert([f"2025-01-06T{hour:02d}:00:00Z" for hour in range(24)], None)[0] == ["2025-01-06"] * 24
