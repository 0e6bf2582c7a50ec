"""One platform under two names: renamed on a day, or the same money twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from crossmix.config import load as config
from crossmix.schema import DataError
from crossmix.sources.history import aliases
from crossmix.sources.history.aliases import brand
from crossmix.sources.history.load import History, load
from tests.support.bent_histories import planted

FIGURES = ["spend", "impressions", "clicks", "conversions", "revenue"]
NAMES = {"search": "Google Ads", "social": "meta", "video": "tiktok", "display": "bing"}
WORLD = planted(60, seed=40110).replace({"platform": NAMES})
HALF = "2025-02-05"


def taken(table: pd.DataFrame, folder: Path, *settings: str) -> History:
    file = folder / "history.csv"
    table.to_csv(file, index=False)
    return load(config("laptop", ["data.source=spend", f"data.path={file}", *settings]).data)


def totals(history: History) -> pd.DataFrame:
    return history.days.groupby("platform")[FIGURES].sum().astype(float)


def renamed(old: str, new: str, since: str = HALF) -> pd.DataFrame:
    later = (WORLD["platform"] == old) & (WORLD["date"] >= since)
    return WORLD.assign(platform=WORLD["platform"].mask(later, new))


def again(old: str, new: str, **changes: float) -> pd.DataFrame:
    """All rows of a platform once more under another name; `changes`: a figure times so much."""
    copy = WORLD[WORLD["platform"] == old].assign(platform=new)
    return pd.concat([WORLD, copy.assign(**{name: (copy[name] * by).round(2) for name, by in changes.items()})])


SAME = [("meta", "Facebook"), ("Google Ads", "AdWords"), ("bing", "Microsoft Advertising"), ("tiktok", "TikTok Ads")]


@pytest.mark.parametrize("since", [HALF, "2025-03-06"])
@pytest.mark.parametrize(("old", "new"), SAME)
def test_a_platform_that_was_renamed_is_one(old: str, new: str, since: str, tmp_path: Path) -> None:
    """Long ago, or the day before the last."""
    history = taken(renamed(old, new, since), tmp_path)
    wanted = WORLD.replace({"platform": {old: new}}).groupby("platform")[FIGURES].sum().astype(float)
    pd.testing.assert_frame_equal(totals(history), wanted)
    (note,) = [note for note in history.notes if "names of one platform" in note]
    assert note.startswith(f"{old!r} (2025-01-06 to ")
    assert f"they are read as {new!r}" in note


def test_days_of_the_change_may_be_parts_under_both_names(tmp_path: Path) -> None:
    table = renamed("meta", "Facebook")
    day = (table["platform"] == "Facebook") & (table["date"] == HALF)
    half = table[day].assign(platform="meta", **{name: table.loc[day, name] // 2 for name in FIGURES})
    table.loc[day, FIGURES] -= half[FIGURES].to_numpy()
    history = taken(pd.concat([table, half]), tmp_path)
    wanted = WORLD.replace({"platform": {"meta": "Facebook"}}).groupby("platform")[FIGURES].sum().astype(float)
    pd.testing.assert_frame_equal(totals(history), wanted)


@pytest.mark.parametrize(("old", "new"), SAME)
def test_the_same_rows_under_two_names_count_once(old: str, new: str, tmp_path: Path) -> None:
    history = taken(again(old, new), tmp_path)
    assert len(totals(history)) == 4
    assert totals(history)["spend"].sum() == pytest.approx(WORLD["spend"].sum())
    assert any("have the same figures on 60 days; they count once" in note for note in history.notes)


def test_the_same_money_with_other_results_is_asked(tmp_path: Path) -> None:
    table = again("meta", "Facebook", revenue=0.8)
    with pytest.raises(DataError, match=r"are names of one platform and spend the same on 60 days, with other revenue"):
        taken(table, tmp_path)
    assert len(totals(taken(table, tmp_path, 'data.accept=["twice"]'))) == 5


def test_two_accounts_of_a_brand_are_kept_apart_and_told(tmp_path: Path) -> None:
    other = planted(60, seed=40111).query("platform == 'social'").assign(platform="Facebook")
    history = taken(pd.concat([WORLD, other]), tmp_path)
    assert len(totals(history)) == 5
    assert any("""--set 'data.platform_groups={"meta":"Facebook"}' joins them""" in note for note in history.notes)


def test_the_same_delivery_under_any_two_names_is_asked(tmp_path: Path) -> None:
    message = "have the same spend, impressions and clicks on 60 days.*leave one of them out.*--accept twice"
    with pytest.raises(DataError, match=f"platform: 'meta' and 'Paid social' {message}"):
        taken(again("meta", "Paid social"), tmp_path)
    campaigns = WORLD.assign(campaign="brand")
    copy = campaigns[campaigns["platform"] == "meta"].assign(campaign="brand (copy)")
    with pytest.raises(DataError, match=rf"campaign: 'meta / brand' and 'meta / brand \(copy\)' {message}"):
        taken(pd.concat([campaigns, copy]), tmp_path)


def test_names_of_other_platforms_are_none_of_a_brand() -> None:
    others = ["Google Search", "YouTube", "Instagram", "Meta EU", "Amazon DSP", "Apple", "Bing Shopping", "Search"]
    assert len({brand(name) for name in ["Google", "Meta", "Amazon", "Bing", "X", *others]}) == 5 + len(others)
    assert brand("Apple Search Ads") == brand("ASA")
    assert brand("Tik Tok") == brand("TikTok for Business")
    assert brand("Facebook / Meta Ads") == brand("fb")
    assert brand("X (formerly Twitter)") == brand("twitter.com")
    assert brand("ads") is None


@pytest.mark.parametrize("file", ["report.csv", "2025.csv"])
@pytest.mark.parametrize("packed", [False, True])
def test_files_of_one_name_are_of_the_platforms_of_their_folders(file: str, packed: bool, tmp_path: Path) -> None:
    """`exports/meta/report.csv` beside `exports/bing/report.csv`, whose campaigns have names of their own."""
    path = tmp_path / "Google Drive" / "exports"
    for name, rows in WORLD.groupby("platform"):
        under = path / str(name)
        under.mkdir(parents=True)
        rows.assign(campaign=f"{name} brand").drop(columns="platform").to_csv(under / file, index=False)
    if packed:
        path = Path(shutil.make_archive(str(tmp_path / "all"), "zip", path))
    assert aliases.foldered(str(path / "shop" / file), str(path)) is None
    history = load(config("laptop", ["data.source=spend", f"data.path={path}"]).data)
    pd.testing.assert_frame_equal(totals(history), WORLD.groupby("platform")[FIGURES].sum().astype(float))


def test_files_of_a_month_in_a_folder_of_the_month_are_of_their_own_names(tmp_path: Path) -> None:
    for (month, name), rows in WORLD.groupby([WORLD["date"].str[:7], "platform"]):
        under = tmp_path / str(month)
        under.mkdir(exist_ok=True)
        rows.drop(columns="platform").to_csv(under / f"{name}.csv", index=False)
    history = load(config("laptop", ["data.source=spend", f"data.path={tmp_path}"]).data)
    pd.testing.assert_frame_equal(totals(history), WORLD.groupby("platform")[FIGURES].sum().astype(float))
