"""Campaigns read as one account (`data.campaigns`, `data.campaign_groups`): which, and what that leaves of a day.

A split is of a campaign's own budget. Where campaigns are named by platform, the split that is asked for is of all
their budgets, and its history is that of all of them: a day's rows on a platform, added up. That is done after whatever
looks at single rows or campaigns has looked at them. It takes the mix of a platform's campaigns to stay as it is.

Frames have the columns campaign_id, platform, date and spend.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import pandas as pd

from crossmix.artifacts.joined import Alone, Joined, named
from crossmix.config import Data
from crossmix.schema import ALL_CAMPAIGNS, OTHER_CAMPAIGNS, DataError

TOGETHER = "together"
PART = 0.1
"""Part of a day's money on a platform that may be in rows left out; with more, the rest is no whole day."""
MOVED = 0.25
"""Part of today's money on a platform that lies on other of its campaigns than before, from which on it is told."""
WORTH = 0.05
"""Part of today's money that such a platform has at least."""
SHOWN = 12
KEY = ["campaign_id", "platform", "date"]


def groups(campaigns: Iterable[str], data: Data) -> dict[str, str]:
    """What each campaign is called from here on."""
    rest = OTHER_CAMPAIGNS if data.campaign_groups else ALL_CAMPAIGNS
    return {name: data.campaign_groups.get(name, rest if data.campaigns == TOGETHER else name) for name in campaigns}


def joined(group: Mapping[str, str]) -> tuple[Joined, ...]:
    """Groups of two campaigns or more, by name."""
    members: dict[str, list[str]] = {}
    for name in sorted(group):
        members.setdefault(group[name], []).append(name)
    return tuple(Joined(to, tuple(names)) for to, names in sorted(members.items()) if len(names) > 1)


def told(campaigns: Iterable[str], data: Data) -> list[str]:
    """Sentences of what is read as one.

    Raises:
        DataError: the config groups a campaign that is not in the history.
    """
    names = sorted(set(campaigns))
    unknown = sorted(set(data.campaign_groups) - set(names))
    if unknown:
        shown = ", ".join(names[:20]) or "none"
        raise DataError(
            f"data.campaign_groups: {unknown[0]!r} is not a campaign of the history, which has {shown}; drop it or "
            "correct its name"
        )
    group = groups(names, data)
    renamed = {to: name for name, to in group.items() if to != name}
    key = {to: "campaign_groups" if to in data.campaign_groups.values() else "campaigns=together" for to in renamed}
    found = []
    for one in joined(group):
        renamed.pop(one.campaign, None)
        how_many = "All" if len(one.campaigns) == len(names) else f"{len(one.campaigns):,} of"
        found.append(
            f"{how_many} {len(names):,} campaigns are read as one, {one.campaign!r} (data.{key[one.campaign]}), and "
            f"their rows of a day and platform added up: {named(one.campaigns)}."
        )
    found += [f"Campaign {name!r} is called {to!r} (data.{key[to]})." for to, name in renamed.items()]
    if len(names) < 2 and data.campaigns == TOGETHER:
        found.append("The history has one campaign, so that data.campaigns=together adds nothing up.")
    return found


def alone(frame: pd.DataFrame, ended: Iterable[str], data: Data) -> Alone | None:
    """Campaigns that run and ran on one platform each; `None`: there are none, or they are read as one already.

    Args:
        frame: of the platforms that are split.
        ended: campaigns that are over.
    """
    spent = frame[(frame["spend"] > 0) & ~frame["campaign_id"].isin(list(ended))]
    tried = spent.groupby("campaign_id", observed=True)["platform"].nunique()
    single = tried.index[tried == 1]
    platforms = sorted(set(spent["platform"]))
    if data.campaigns == TOGETHER or not len(single) or len(tried) < 2 or len(platforms) < 2:
        return None
    return Alone(tuple(map(str, single)), tuple(map(str, platforms)), len(single) == len(tried))


def gone(
    frame: pd.DataFrame, measured: pd.DataFrame, rejected: Sequence[Mapping[str, str]], data: Data
) -> pd.DataFrame:
    """Rows that were left out of a history whose campaigns are read as one: unmeasured ones, and those that break a
    rule (spend NaN: not told)."""
    if data.campaigns != TOGETHER and not data.campaign_groups:
        return frame.iloc[:0][[*KEY, "spend"]]
    rows = [json.loads(one["row"]) for one in rejected if one["table"] == "outcomes"]
    broken = pd.DataFrame({name: [row.get(name) for row in rows] for name in (*KEY, "spend")})
    broken["date"] = pd.to_datetime(broken["date"], errors="coerce").dt.date
    broken["spend"] = pd.to_numeric(broken["spend"], errors="coerce")
    lost = frame.loc[frame.index.difference(measured.index), [*KEY, "spend"]]
    return pd.concat([part for part in (lost, broken) if len(part)]) if len(lost) or len(broken) else lost


def added(frame: pd.DataFrame, lost: pd.DataFrame, group: Mapping[str, str]) -> tuple[pd.DataFrame, list[str]]:
    """The rows under the names of their groups, without days of a platform that are no whole ones; and sentences.

    Args:
        frame: with each row's own campaign.
        lost: from `gone`.
        group: from `groups`.
    """
    named = frame.assign(campaign_id=frame["campaign_id"].map(group))
    several = {one.campaign for one in joined(group)}
    lost = lost.assign(campaign_id=lost["campaign_id"].map(group))
    lost = lost[lost["campaign_id"].isin(several)]
    if lost.empty:
        return named, []
    kept = named.groupby(KEY, observed=True)["spend"].sum()
    missing = lost.assign(spend=lost["spend"].abs().fillna(float("inf"))).groupby(KEY, observed=True)["spend"].sum()
    missing = missing[missing.index.isin(kept.index)]
    short = missing.index[(1 - PART) * missing > PART * kept.reindex(missing.index).clip(lower=0.0)]
    if not len(short):
        return named, []
    count = pd.Series(short.get_level_values("platform")).value_counts()
    sentences = [
        f"{name}: {days:,} dates on which rows of one campaign are left out hold more than {PART:.0%} of the money in "
        "them: what is left is no whole day of the campaigns together, and unknown to the fit."
        for name, days in count.items()
    ]
    return named[~pd.MultiIndex.from_frame(named[KEY]).isin(short)], sentences


def mixed(frame: pd.DataFrame, group: Mapping[str, str], since: date) -> list[str]:
    """Sentences of platforms on which today's campaigns are others than before: what is fitted as one has changed.

    Args:
        frame: with each row's own campaign.
        since: the first day of today.
    """
    today = frame["date"] >= since
    whole = float(frame.loc[today, "spend"].sum())
    sentences = []
    for one in joined(group):
        own = frame["campaign_id"].isin(one.campaigns)
        for name, rows in frame[own].groupby("platform", observed=True):
            now, before = (
                part.groupby("campaign_id", observed=True)["spend"].sum().clip(lower=0.0)
                for part in (rows[rows["date"] >= since], rows[rows["date"] < since])
            )
            if now.sum() <= WORTH * whole or before.sum() <= 0:
                continue
            moved = 0.5 * float((now / now.sum()).sub(before / before.sum(), fill_value=0.0).abs().sum())
            if moved >= MOVED:
                sentences.append(
                    f"{name}: {moved:.0%} of today's money is on other campaigns than before. Read as one they are "
                    "answered at today's level, and by how they answered to money over the whole history: if the new "
                    "ones answer otherwise, start the history where they began, or leave them apart "
                    "(data.campaign_groups)."
                )
    return sentences[:SHOWN]
