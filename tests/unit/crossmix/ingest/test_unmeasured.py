"""Histories with days that were not measured, days that are no whole days, and more platforms than a split has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix.ingest import untracked
from crossmix.schema import DataError
from tests.support.histories import ingested, sound

PLAIN = sound(90).infer_objects()
SEARCH = PLAIN["platform"] == "search"
DAYS = sorted(PLAIN["date"].unique())
RESULTS = ["conversions", "revenue"]
FIGURES = ["spend", "impressions", "clicks", *RESULTS]


def _without(names: list[str], first: int, last: int, platform: str | None = "search") -> pd.DataFrame:
    frame = PLAIN.copy()
    where = frame["date"].isin(DAYS[first:last]) & (frame["platform"].eq(platform) if platform else True)
    frame.loc[where, names] = 0
    return frame


@pytest.mark.parametrize("names", [["clicks", *RESULTS], RESULTS, ["revenue"]])
def test_days_without_results_are_unknown_and_told(names: list[str], tmp_path: Path) -> None:
    dataset = ingested(tmp_path, _without(names, 30, 40))
    rows = dataset.frame("outcomes")
    search = rows[rows["platform"] == "search"]
    gone = set(range(90)) - set(search["cycle"])
    assert gone == set(range(30, 40))
    assert len(rows[rows["platform"] == "social"]) == 90
    share = PLAIN.loc[SEARCH & PLAIN["date"].isin(DAYS[30:40]), "spend"].sum() / PLAIN["spend"].sum()
    (line,) = [note for note in dataset.meta.notes if "not measured" in note]
    assert line.startswith(f"search: no {names[0]} from {DAYS[30]} to {DAYS[39]} beside ")
    assert f"(10 dates, {share:.1%} of the money)" in line


def test_zeros_that_are_accepted_stay(tmp_path: Path) -> None:
    dataset = ingested(tmp_path, _without(RESULTS, 30, 40), 'data.accept=["tracking"]')
    assert len(dataset.frame("outcomes")) == 180
    assert any(note.startswith("Accepted (tracking): search: no conversions") for note in dataset.meta.notes)


def test_results_that_are_missing_today_are_asked(tmp_path: Path) -> None:
    message = rf"conversions: .* of today's money .* end the history before {DAYS[82]}; .* --accept tracking"
    with pytest.raises(DataError, match=message):
        ingested(tmp_path, _without(RESULTS, 82, 90))


@pytest.mark.parametrize("first", [87, 88])
def test_last_days_that_have_not_come_in_end_the_history_before_them(first: int, tmp_path: Path) -> None:
    dataset = ingested(tmp_path, _without(RESULTS, first, 90))
    assert dataset.meta.cycles == first
    assert set(dataset.frame("outcomes")["cycle"]) == set(range(first))


def test_results_that_are_missing_for_a_third_of_a_platforms_money_are_asked(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"conversions: search: .* end the history before {DAYS[30]}; "):
        ingested(tmp_path, _without(RESULTS, 30, 60))


def test_weekends_without_conversions_are_no_broken_tag(tmp_path: Path) -> None:
    frame = PLAIN.copy()
    frame.loc[pd.to_datetime(frame["date"]).dt.weekday >= 5, RESULTS] = 0
    assert len(ingested(tmp_path, frame).frame("outcomes")) == 180


@pytest.mark.parametrize(("day", "kept"), [(-1, range(89)), (0, range(89))])
def test_a_part_of_a_day_is_left_out(day: int, kept: range, tmp_path: Path) -> None:
    frame = PLAIN.copy()
    at = frame["date"] == DAYS[day]
    frame.loc[at, FIGURES] = (frame.loc[at, FIGURES] * 0.1).round()
    dataset = ingested(tmp_path, frame)
    assert dataset.meta.cycles == 89
    assert dataset.meta.start[:10] == (DAYS[0] if day else DAYS[1])
    assert any(f"day, {DAYS[day]}, is left out" in note for note in dataset.meta.notes)
    assert set(dataset.frame("outcomes")["cycle"]) == set(kept)


def test_a_last_day_as_low_as_its_weekday_was_some_weeks_ago_is_whole(tmp_path: Path) -> None:
    """Every fourth Saturday little is spent: the last day is one."""
    frame = PLAIN.copy()
    low = frame["date"].isin([DAYS[at] for at in (33, 61, 89)])
    frame.loc[low, FIGURES] = (frame.loc[low, FIGURES] * 0.2).round()
    assert ingested(tmp_path / "usual", frame).frame("outcomes")["cycle"].max() == 89
    once = PLAIN.copy()
    once.loc[once["date"] == DAYS[89], FIGURES] = frame.loc[frame["date"] == DAYS[89], FIGURES]
    assert ingested(tmp_path / "once", once).frame("outcomes")["cycle"].max() == 88


def test_a_last_day_that_repeats_the_day_before_is_left_out(tmp_path: Path) -> None:
    frame = PLAIN.copy()
    frame.loc[frame["date"] == DAYS[-1], FIGURES] = frame.loc[frame["date"] == DAYS[-2], FIGURES].to_numpy()
    assert ingested(tmp_path, frame).meta.cycles == 89


def _twelve(late: float) -> pd.DataFrame:
    """Twelve platforms, the last two of them only in the last 30 days, at `late` times the others' spend."""
    parts = []
    for number in range(12):
        factor = (late if number >= 10 else 1.0) * (1 + 0.01 * number)
        part = PLAIN[SEARCH].assign(platform=f"p{number:02d}")
        part[FIGURES] = np.round(part[FIGURES] * factor)
        parts.append(part[part["date"] >= DAYS[60]] if number >= 10 else part)
    return pd.concat(parts, ignore_index=True)


def test_platforms_of_today_are_kept_and_others_told(tmp_path: Path) -> None:
    frame = _twelve(20.0)
    meta = ingested(tmp_path, frame).meta
    assert {"p10", "p11"} <= set(meta.platforms)
    (other,) = meta.grouped
    assert (other.group, other.platforms) == ("other", ("p02", "p01", "p00"))
    recent = frame[frame["date"].isin(DAYS[-14:])]
    rest = recent.loc[recent["platform"].isin(other.platforms), "spend"].sum() / recent["spend"].sum()
    assert other.today == pytest.approx(rest, abs=1e-6)
    assert any(note.startswith("other = p02, p01, p00: split as one, with ") for note in meta.notes)


def test_an_other_that_holds_much_of_today_is_asked(tmp_path: Path) -> None:
    frame = _twelve(1.0)
    message = r"data\.keep_platforms: the history has 12 platforms .* p02, p01, p00 would be split as one, 'other'"
    with pytest.raises(DataError, match=message):
        ingested(tmp_path / "asked", frame)
    assert "other" in ingested(tmp_path / "taken", frame, 'data.accept=["other"]').meta.platforms
    groups = 'data.platform_groups={"p00": "small", "p01": "small", "p02": "small"}'
    assert "small" in ingested(tmp_path / "named", frame, groups).meta.platforms


@pytest.mark.parametrize("weekdays", [7, 5])
@pytest.mark.parametrize("missing", [2, 6, 13])
def test_a_platform_whose_rows_end_before_the_others_is_told(missing: int, weekdays: int, tmp_path: Path) -> None:
    day = pd.to_datetime(PLAIN["date"])
    had = (day <= day.max() - pd.Timedelta(days=missing)) & (day.dt.weekday < weekdays)
    dataset = ingested(tmp_path, PLAIN[~SEARCH | had])
    told = [note for note in dataset.meta.notes if "search has no row after" in note]
    # The last day is a Saturday: two days of rest are not told; after more than 14 it counts as stopped.
    last = max(PLAIN.loc[SEARCH & had, "date"])
    count = (day.max() - pd.Timestamp(last)).days
    assert [note.startswith(f"search has no row after {last}, {count} days before") for note in told] == (
        [True] if (1 if weekdays == 7 else 3) < count <= 14 else []
    )


@pytest.mark.parametrize("seed", range(3))
def test_series_that_are_not_looked_at_have_no_impossible_run(seed: int) -> None:
    """Of hundreds of campaigns few are looked at row by row, and among them are all that have a run."""
    rng = np.random.default_rng(seed)
    series, days = 200, 63
    at = np.repeat(np.arange(days), series)
    codes = np.tile(np.arange(series), days)
    amounts = {"impressions": rng.poisson(4000, len(at)).astype(float)}
    amounts["clicks"] = rng.binomial(4000, 0.02, len(at)).astype(float)
    amounts["conversions"] = rng.poisson(np.where(codes < 190, 6.0, 0.3)).astype(float)
    amounts["revenue"] = 50 * amounts["conversions"]
    broken = rng.choice(190, 12, replace=False)
    for number, code in enumerate(broken):
        lost = (codes == code) & (at >= 20) & (at < 20 + 3 * (1 + number % 3))
        for name in (["clicks", "conversions", "revenue"], ["conversions", "revenue"], ["revenue"])[number % 3]:
            amounts[name][lost] = 0
    dates = np.datetime64("2025-01-06") + at
    order = np.argsort(dates, kind="stable")
    found = {
        code
        for code in range(series)
        for missing, beside in untracked.LAYERS
        if list(untracked._zeros(amounts, order[codes[order] == code], dates, missing, beside, np.ones(len(at), bool)))
    }
    suspects = untracked._suspects(amounts, order, dates, codes)
    assert found == set(broken.tolist())
    assert found <= set(suspects)
    assert len(suspects) < series / 5


@pytest.mark.parametrize("platform", ["search", None])
def test_results_that_are_blank_on_every_weekend_are_asked(platform: str | None, tmp_path: Path) -> None:
    """Zeros there are a shop that rests; blanks tell of none."""
    weekend = pd.to_datetime(PLAIN["date"]).dt.weekday >= 5
    where = weekend & (PLAIN["platform"].eq(platform) if platform else True)
    blank = PLAIN.astype(object)
    blank.loc[where, RESULTS] = None
    with pytest.raises(DataError, match=r"^conversions: .*no conversions from .* \(2 dates, .*--accept tracking"):
        ingested(tmp_path / "blank", blank)
    zero = PLAIN.copy()
    zero.loc[where, RESULTS] = 0
    assert len(ingested(tmp_path / "zero", zero).frame("outcomes")) == len(PLAIN)
