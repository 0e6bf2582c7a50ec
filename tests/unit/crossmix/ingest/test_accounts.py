"""Campaigns that are read as one account: their rows add up as one campaign's would, after each was looked at."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix.config import ConfigError, load
from crossmix.ingest import checked
from crossmix.schema import ALL_CAMPAIGNS, OTHER_CAMPAIGNS, DataError
from tests.support.bent_histories import planned, planted
from tests.support.histories import ingested

PLAIN = planted(90, seed=40210)
FIGURES = ["spend", "impressions", "clicks", "conversions", "revenue"]
TOGETHER = "data.campaigns=together"
PREFIX = {"search": "GOOG - Brand", "social": "META - Prospecting", "video": "TT - Spark", "display": "GDN - All"}
APART = PLAIN.assign(campaign=PLAIN["platform"].map(PREFIX))
DAYS = sorted(PLAIN["date"].unique())


def two_each(parts: float | np.ndarray = 0.75) -> pd.DataFrame:
    """Two campaigns on every platform, a `Brand` one with this part of each figure, whose rows add up to `PLAIN`'s."""
    brand, generic = PLAIN.copy(), PLAIN.copy()
    for name in FIGURES:
        brand[name] = np.floor(PLAIN[name] * parts)
        generic[name] = (PLAIN[name] - brand[name]).round(2)
    named = [PLAIN["platform"].map(lambda platform, kind=kind: f"{platform} - {kind}") for kind in ("Brand", "Generic")]
    return pd.concat([brand.assign(campaign=named[0]), generic.assign(campaign=named[1])], ignore_index=True)


def told(folder: Path, history: pd.DataFrame, *settings: str) -> checked.Checked:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "history.csv"
    file.write_text(history.to_csv(index=False))
    return checked.check(load("laptop", ["data.source=spend", f"data.path={file}", *settings]))


@pytest.mark.parametrize("history", [APART, two_each()], ids=["a campaign per platform", "two on each"])
def test_campaigns_together_are_the_history_without_their_names(history: pd.DataFrame, tmp_path: Path) -> None:
    alone = ingested(tmp_path / "alone", PLAIN)
    summed = ingested(tmp_path / "summed", history, TOGETHER)
    for table in ("outcomes", "plans"):
        pd.testing.assert_frame_equal(summed.frame(table), alone.frame(table))
    assert summed.meta.campaigns == alone.meta.campaigns == (ALL_CAMPAIGNS,)
    (joined,) = summed.meta.joined
    assert joined.campaigns == tuple(sorted(history["campaign"].unique()))
    assert summed.meta.alone is None
    count = history["campaign"].nunique()
    (note,) = [note for note in summed.meta.notes if "read as one" in note]
    assert note.startswith(f"All {count} campaigns are read as one, 'all campaigns' (data.campaigns=together), and ")


def test_groups_are_campaigns_and_the_rest_is_one_where_it_is_wanted(tmp_path: Path) -> None:
    history = two_each()
    names = 'data.campaign_groups={"search - Brand": "brand", "social - Brand": "brand"}'
    apart = ingested(tmp_path / "apart", history, names).meta
    assert set(apart.campaigns) == {"brand", *history["campaign"]} - {"search - Brand", "social - Brand"}
    dataset = ingested(tmp_path / "together", history, names, TOGETHER)
    assert dataset.meta.campaigns == ("brand", OTHER_CAMPAIGNS)
    brand = history["campaign"].isin(["search - Brand", "social - Brand"])
    by = dataset.frame("outcomes").groupby(["campaign_id", "platform"])["spend"].sum()
    wanted = history[brand].groupby("platform")["spend"].sum()
    assert by["brand"].to_dict() == pytest.approx(wanted.to_dict())
    assert by[OTHER_CAMPAIGNS].sum() == pytest.approx(history.loc[~brand, "spend"].sum())
    notes = [note for note in dataset.meta.notes if "read as one" in note]
    assert [note.split(" (")[0] for note in notes] == [
        "2 of 8 campaigns are read as one, 'brand'",
        "6 of 8 campaigns are read as one, 'other campaigns'",
    ]
    assert "(data.campaign_groups)" in notes[0]
    one = ingested(tmp_path / "one", APART, 'data.campaign_groups={"GOOG - Brand": "brand"}').meta
    assert "Campaign 'GOOG - Brand' is called 'brand' (data.campaign_groups)." in one.notes
    assert one.joined == ()


def test_a_group_of_no_campaign_is_refused(tmp_path: Path) -> None:
    message = r"data\.campaign_groups: 'Goog' is not a campaign of the history, which has GDN - All, GOOG - Brand, "
    with pytest.raises(DataError, match=message):
        ingested(tmp_path, APART, 'data.campaign_groups={"Goog": "brand"}')
    for setting in (TOGETHER, 'data.campaign_groups={"a": "b"}'):
        with pytest.raises(ConfigError, match=r"data\.campaign.*: source 'demo' reads one format; drop the key"):
            load("laptop", [setting])


def test_a_plan_that_one_campaign_lacks_is_unknown_and_never_nothing(tmp_path: Path) -> None:
    """Brand plans 1.2 times its spend and has blanks; what is unknown of it is its own spend times that."""
    history = planned(two_each(), over=1.5)
    brand = history["campaign"].str.endswith("Brand")
    history.loc[brand, "planned"] = (1.2 * history.loc[brand, "spend"]).round(2)
    whole = history.groupby(["date", "platform"])["planned"].sum()
    blank = brand & history["date"].isin(DAYS[20:40])
    history.loc[blank, "planned"] = np.nan
    dataset = ingested(tmp_path, history, TOGETHER)
    plans = dataset.frame("plans")
    found = plans.assign(date=plans["date"].astype(str)).set_index(["date", "platform"])["planned_budget"]
    np.testing.assert_allclose(found.reindex(whole.index), whole, rtol=1e-3)
    assert dataset.meta.rows["imputed"]["unknown_plans"] == int(blank.sum()) == 80


def test_rows_without_a_name_count_where_no_name_does(tmp_path: Path) -> None:
    history = APART.copy()
    history.loc[history.index[::40], "campaign"] = ""
    apart = ingested(tmp_path / "apart", history, "data.accept_quarantine=true")
    assert apart.meta.rows["quarantined"] == {"campaign_id_missing": 9}
    dataset = ingested(tmp_path / "together", history, TOGETHER)
    assert dataset.meta.rows["quarantined"] == {}
    assert dataset.frame("outcomes")["spend"].sum() == pytest.approx(PLAIN["spend"].sum())


def test_a_campaign_is_looked_at_before_it_is_added(tmp_path: Path) -> None:
    """A month in cents of a campaign with a tenth of the money is hidden in the platform's sums."""
    history = two_each(0.9)
    cents = history["campaign"].eq("search - Generic") & history["date"].isin(DAYS[30:60])
    history.loc[cents, "spend"] *= 100
    with pytest.raises(DataError, match=r"search.*Generic.*--accept unit"):
        ingested(tmp_path, history, TOGETHER)


@pytest.mark.parametrize(("part", "whole"), [(0.5, False), (0.95, True)])
def test_a_day_that_lacks_much_of_a_platform_is_no_day(part: float, whole: bool, tmp_path: Path) -> None:
    """Generic's results were not measured for ten days; they hold half, or a twentieth, of search's money."""
    history = two_each(part)
    lost = history["campaign"].eq("search - Generic") & history["date"].isin(DAYS[30:50])
    history.loc[lost, ["clicks", "conversions", "revenue"]] = 0
    dataset = ingested(tmp_path, history, TOGETHER)
    rows = dataset.frame("outcomes")
    search = rows[rows["platform"] == "search"].set_index("cycle")["spend"]
    assert set(range(90)) - set(search.index) == (set() if whole else set(range(30, 50)))
    if whole:
        kept = history[~lost & (history["platform"] == "search")].groupby("date")["spend"].sum()
        np.testing.assert_allclose(search, kept[DAYS], rtol=1e-9)
    assert len(rows[rows["platform"] != "search"]) == 270
    assert any(note.startswith("search: 20 dates on which rows of one") for note in dataset.meta.notes) is not whole
    # What was spent is known, and stays in the plan.
    plans = dataset.frame("plans")
    money = plans.loc[plans["platform"] == "search", "planned_budget"].sum()
    assert money == pytest.approx(history.loc[~lost & (history["platform"] == "search"), "spend"].sum())


@pytest.mark.parametrize("field", ["clicks", "spend"])
def test_a_broken_row_takes_its_platforms_day_with_it(field: str, tmp_path: Path) -> None:
    """Also where what it spent is not told, which may be any part of the day's money."""
    history = two_each(0.5).astype(object)
    broken = history.index[history["campaign"].eq("video - Brand") & history["date"].eq(DAYS[10])]
    history.loc[broken, field] = "many"
    dataset = ingested(tmp_path, history, TOGETHER)
    rows = dataset.frame("outcomes")
    assert set(range(90)) - set(rows.loc[rows["platform"] == "video", "cycle"]) == {10}
    assert dataset.meta.rows["quarantined"] == {f"{field}_wrong_type": 1}


def test_a_campaign_that_is_alone_in_its_group_is_told_its_name(tmp_path: Path) -> None:
    history = two_each()
    rest = history["campaign"].eq("search - Brand")
    names = {name: "generic" for name in sorted(set(history["campaign"])) if name != "search - Brand"}
    settings = [TOGETHER, f"data.campaign_groups={json.dumps(names)}"]
    notes = ingested(tmp_path / "groups", history, *settings).meta.notes
    assert "Campaign 'search - Brand' is called 'other campaigns' (data.campaigns=together)." in notes
    single = history[~rest].assign(campaign="brand").groupby(["date", "platform", "campaign"], as_index=False).sum()
    notes = ingested(tmp_path / "single", single, TOGETHER).meta.notes
    assert "Campaign 'brand' is called 'all campaigns' (data.campaigns=together)." in notes


def test_other_campaigns_than_before_are_told(tmp_path: Path) -> None:
    """On search money moves from one campaign to another in the last ten days; elsewhere the mix stays."""
    search = PLAIN["platform"].eq("search").to_numpy()
    late = PLAIN["date"].isin(DAYS[-14:]).to_numpy()
    history = two_each(np.where(search & late, 0.2, 0.8))
    (note,) = [note for note in ingested(tmp_path / "moved", history, TOGETHER).meta.notes if "than before" in note]
    assert note.startswith("search: 60% of today's money is on other campaigns than before.")
    for name, settings in (("kept", [TOGETHER]), ("apart", [])):
        table = two_each() if name == "kept" else history
        assert not [one for one in ingested(tmp_path / name, table, *settings).meta.notes if "than before" in one]


def test_campaigns_of_a_platform_each_are_told_the_remedy(tmp_path: Path) -> None:
    found = told(tmp_path / "apart", APART)
    able, unable = checked.answers(found)
    assert able == [
        "What another budget of a campaign would bring, by attributed results (crossmix run, whatif).",
        "How to split the whole budget among display, search, social, video, moving money between campaigns: with "
        "--set data.campaigns=together, which reads all campaigns as one account.",
    ]
    assert unable[0] == (
        "How to split a campaign's own budget among platforms: each of the 4 campaigns ran on one platform alone, so "
        "that a campaign's budget can move by a probe at most: nothing proves what another platform would bring there."
    )
    assert unable[1].startswith("What 12 of 16 pairs of campaign and platform bring: they were never tried")
    taken = told(tmp_path / "together", APART, TOGETHER)
    able, unable = checked.answers(taken)
    assert len(able) == 1
    assert able[0].startswith("How to split a budget among search, social, video, display by the results")
    assert len(unable) == 1
    assert unable[0].startswith("What the media caused")
    assert "4 campaign(s)" in checked.headline(taken)


def test_a_campaign_of_one_platform_beside_others_is_told_by_name(tmp_path: Path) -> None:
    history = pd.concat([PLAIN.assign(campaign="prospecting"), APART[APART["platform"] == "search"]])
    history["impressions"] += np.arange(len(history)) % 7
    found = told(tmp_path / "some", history)
    assert found.alone is not None
    assert (found.alone.campaigns, found.alone.every) == (("GOOG - Brand",), False)
    assert found.alone.sentence == (
        "GOOG - Brand ran on one platform alone, so that what another would bring there is borrowed from other "
        "campaigns at best, and nothing proves it. Say --set data.campaigns=together, which reads all campaigns as one "
        "account: it answers how to split the whole budget among display, search, social, video, moving money between "
        "campaigns."
    )
    able, unable = checked.answers(found)
    assert [line.split(" by the")[0] for line in able] == [
        "How to split a budget among search, social, video, display",
        "How to split the whole budget among display, search, social, video, moving money between campaigns: with "
        "--set data.campaigns=together, which reads all campaigns as one account.",
    ]
    assert "GOOG - Brand ran on one platform alone" in unable[0]


def test_what_has_ended_and_a_single_campaign_are_told_no_remedy(tmp_path: Path) -> None:
    over = APART[APART["platform"].eq("search") & (APART["date"] < DAYS[60])].assign(campaign="old")
    over["impressions"] += 3
    history = pd.concat([PLAIN.assign(campaign="always on"), over])
    assert told(tmp_path / "ended", history).alone is None
    assert told(tmp_path / "one", PLAIN).alone is None
    # Campaigns of one platform, which is the account's only one, are no such account.
    search = two_each()[two_each()["platform"].eq("search")]
    assert told(tmp_path / "single", search).alone is None


@pytest.mark.parametrize(("history", "settings", "wanted"), [
    (APART, [], "  Each of the 4 campaigns ran on one platform alone, "),
    (APART, [TOGETHER], "  All 4 campaigns are read as one, 'all campaigns' "),
    (PLAIN.assign(campaign="x"), [TOGETHER], "  The history has one campaign, so that data.campaigns=together adds "),
])  # fmt: skip
def test_a_run_begins_with_it(history: pd.DataFrame, settings: list[str], wanted: str, tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    file.write_text(history.to_csv(index=False))
    first, *lines = checked.short(load("laptop", ["data.source=spend", f"data.path={file}", *settings])).splitlines()
    assert f"{history.get('campaign', history['date']).nunique()} campaign(s)" in first
    assert [line for line in lines if line.startswith(wanted)]
