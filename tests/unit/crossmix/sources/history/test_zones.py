"""Hours in UTC are days of the account's time zone where it is given, whole ones alone; else that is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix.schema import DataError
from crossmix.sources.history.load import History
from tests.support.exports import FIGURES
from tests.unit.crossmix.sources.history.test_load import taken, written

ZONES = ("Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Tokyo", "Asia/Kolkata", "Pacific/Auckland")
WRITTEN = {
    "iso": lambda at: f"{at:%Y-%m-%dT%H:%M:%SZ}",
    "pandas": str,
    "bigquery": lambda at: f"{at:%Y-%m-%d %H:%M:%S} UTC",
    "seconds": lambda at: str(at.value // 10**9),
    "offset": lambda at: at.tz_convert("Asia/Kolkata").isoformat(),
}


def hours(first: str = "2025-03-03", last: str = "2025-04-20", zone: str = "UTC") -> pd.DataFrame:
    """Two platforms with a row for each hour of some whole days of a zone (across a change of clocks in Europe)."""
    rng = np.random.default_rng(40_001)
    end = pd.Timestamp(last, tz=zone) + pd.Timedelta(days=1)
    at = pd.date_range(pd.Timestamp(first, tz=zone), end, freq="h", inclusive="left").tz_convert("UTC")
    both = pd.MultiIndex.from_product([at, ["search", "social"]], names=["at", "platform"]).to_frame(index=False)
    both["spend"] = rng.lognormal(2, 0.5, len(both)).round(2)
    both["impressions"] = rng.poisson(both["spend"] * 90) + 20
    both["clicks"] = rng.binomial(both["impressions"], 0.03) + 1
    both["conversions"] = rng.binomial(both["clicks"], 0.2)
    both["revenue"] = (both["conversions"] * rng.uniform(30, 40, len(both))).round(2)
    return both


def local(rows: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Sums by local day and platform, and how many hours each day should have and has."""
    days = rows.assign(date=rows["at"].dt.tz_convert(zone).dt.strftime("%Y-%m-%d"))
    return days.groupby(["date", "platform"])[FIGURES].sum()


def whole(rows: pd.DataFrame, zone: str) -> list[str]:
    """Local days of which every hour is there."""
    first, end = rows["at"].min(), rows["at"].max() + pd.Timedelta(hours=1)
    days = pd.date_range(first.tz_convert(zone).date(), end.tz_convert(zone).date())
    edges = [(f"{day:%Y-%m-%d}", *(one.tz_localize(zone) for one in (day, day + pd.Timedelta(days=1)))) for day in days]
    return [day for day, begins, ends in edges if begins >= first and ends <= end]


def csv(rows: pd.DataFrame, form: str = "iso") -> str:
    return rows.assign(date=rows["at"].map(WRITTEN[form])).drop(columns="at").to_csv(index=False)


def assert_days(history: History, expected: pd.DataFrame, days: list[str]) -> None:
    frame = pd.DataFrame(history.columns)
    assert sorted(set(frame["date"])) == days
    for name in FIGURES:
        own = frame.set_index(["date", "platform"])[name].astype(float).sort_index()
        assert np.allclose(own, expected.loc[days, name].sort_index()), name


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("form", WRITTEN)
def test_hours_in_utc_are_whole_days_of_the_zone(zone: str, form: str, tmp_path: Path) -> None:
    rows = hours()
    history = taken(written(tmp_path, csv(rows, form)), f"data.timezone={zone}")
    days = whole(rows, zone)
    assert_days(history, local(rows, zone), days)
    assert len(days) == 48, days
    assert any(note.startswith(f"Times are read as days of {zone}") for note in history.notes)
    lost = sorted({*local(rows, zone).index.get_level_values("date")} - {*days})
    assert f"{' and '.join(lost)}, at the ends, are no whole days of {zone} and are left out." in history.notes


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_an_export_of_local_days_loses_none(zone: str, tmp_path: Path) -> None:
    rows = hours(zone=zone)
    history = taken(written(tmp_path, csv(rows)), f"data.timezone={zone}")
    assert_days(history, local(rows, zone), whole(rows, zone))
    assert len(whole(rows, zone)) == 49


def test_an_export_that_ends_within_a_day(tmp_path: Path) -> None:
    """Rows of hours without any delivery are not there: a day begins when others do."""
    rows = hours()
    clock = rows["at"].dt.tz_convert("Europe/Berlin").dt.hour
    asleep = rows[(clock >= 7) & (rows["at"] < "2025-04-20 13:00Z")]
    history = taken(written(tmp_path, csv(asleep)), "data.timezone=Europe/Berlin")
    days = sorted(set(history.columns["date"]))
    assert (days[0], days[-1]) == ("2025-03-04", "2025-04-19")


def test_without_the_setting_utc_days_are_told(tmp_path: Path) -> None:
    rows = hours()
    history = taken(written(tmp_path, csv(rows)))
    assert_days(history, local(rows, "UTC"), whole(rows, "UTC"))
    assert [note for note in history.notes if "--timezone" in note] == [
        "Hours are in UTC ('2025-03-03T00:00:00Z') and days are UTC's; --timezone Europe/Berlin (data.timezone), with "
        "the account's own zone, makes them local days."
    ]
    plain = rows.assign(date=rows["at"].dt.strftime("%Y-%m-%d %H:%M")).drop(columns="at")
    history = taken(written(tmp_path, plain.to_csv(index=False)))
    assert "Times tell no time zone ('2025-03-03 00:00'): their days are read as they stand." in history.notes


def test_each_file_by_itself(tmp_path: Path) -> None:
    """Hours of one platform beside days of another: a first or last day that one lacks is no day of the history."""
    rows = hours()
    hourly, daily = (rows[rows["platform"] == name] for name in ("search", "social"))
    written(tmp_path, csv(hourly), "search.csv")
    days = local(daily, "Europe/Berlin").reset_index()
    days[days["date"] < "2025-04-21"].to_csv(tmp_path / "social.csv", index=False)
    history = taken(tmp_path, "data.timezone=Europe/Berlin")
    assert_days(history, local(rows, "Europe/Berlin"), whole(rows, "Europe/Berlin"))


def test_midnights_of_the_zone_are_its_days_and_whole_utc_days_stay(tmp_path: Path) -> None:
    rows = hours(zone="Europe/Berlin")
    sums = local(rows, "Europe/Berlin").reset_index()
    midnight = pd.to_datetime(sums["date"]).dt.tz_localize("Europe/Berlin").dt.tz_convert("UTC")
    told = sums.assign(date=midnight.dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    history = taken(written(tmp_path, told.to_csv(index=False)), "data.timezone=Europe/Berlin")
    assert_days(history, local(rows, "Europe/Berlin"), whole(rows, "Europe/Berlin"))
    with pytest.raises(
        DataError, match=r"America/New_York, and the rows of 'search' have one time a day .*correct the"
    ):
        taken(tmp_path / "history.csv", "data.timezone=America/New_York")


@pytest.mark.parametrize("date", ["%Y-%m-%d", "%Y-%m-%dT00:00:00Z", "%Y-%m-%d 07:00"])
def test_what_cannot_be_moved_is_refused(date: str, tmp_path: Path) -> None:
    sums = local(hours(), "UTC").reset_index()
    sums["date"] = pd.to_datetime(sums["date"]).dt.strftime(date)
    with pytest.raises(
        DataError, match=r"data\.timezone: Europe/Berlin, and no row has an hour with its zone .*drop the"
    ):
        taken(written(tmp_path, sums.to_csv(index=False)), "data.timezone=Europe/Berlin")


@pytest.mark.parametrize("name", ["Europe/Berln", "CEST+1", "../etc", "Berlin"])
def test_an_unknown_zone_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.timezone: .* is no IANA time zone; give one, as UTC or Europe/Berlin"):
        taken(written(tmp_path, csv(hours())), f"data.timezone={name}")
