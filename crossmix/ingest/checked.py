"""What a spend history says before anything is fitted: how it was read, whose money it is, what it can tell."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from crossmix.artifacts import IngestReport
from crossmix.artifacts.decided import too_short
from crossmix.artifacts.joined import REMEDY, Alone, Joined
from crossmix.config import Config, Data
from crossmix.ingest.engine import connect
from crossmix.ingest.impressions import ingest_raw
from crossmix.ingest.quarantined import SET_ASIDE
from crossmix.schema import ALL_CAMPAIGNS, DataError, Dataset, Grouped
from crossmix.sources.history import accounts
from crossmix.sources.history.columns import CAMPAIGN, NUMBERS, PLANNED
from crossmix.sources.history.load import History, load
from crossmix.sources.history.names import categories
from crossmix.sources.history.rhythm import WEEKDAYS, days_of, missing_days
from crossmix.sources.spend import raw

STEADY = 0.1
"""Spend whose days differ by less (deviation of its logarithm) moved by chance alone."""
FEW_CONVERSIONS = 100
"""A platform with fewer tells its conversion rate to worse than 10 %."""
PAUSES = 3
"""Absent days of a weekday that make it one on which a platform rests."""
MOSTLY = 0.5
"""A platform with rows on fewer of its days runs now and then, and its other days are no holes."""
TOMORROW = 1
"""Days that zones of time may be ahead."""
NEAR_EDGE = 14
"""Days after the first, or before the last, from which on a platform counts as begun late, or ended."""


@dataclass(slots=True)
class Checked:
    """A history as `crossmix check` tells it."""

    history: History
    days: pd.DataFrame
    """day, platform and campaign (categories), and NUMBERS: what could be read as such; NaN: no value."""
    platforms: pd.DataFrame
    """Index platform, by spend: sums of NUMBERS, rows, first, last."""
    quarantined: list[tuple[str, int, float, str]] = field(default_factory=list)
    """Code, rows, their share of spend, an example."""
    held: tuple[str, ...] = ()
    """Platforms without a delivery or results that are told: no split is of them."""
    grouped: tuple[Grouped, ...] = ()
    """Platforms that are split as one."""
    ended: tuple[str, ...] = ()
    """Campaigns that are over: nothing of them is split."""
    joined: tuple[Joined, ...] = ()
    """Campaigns that are read as one."""
    alone: Alone | None = None
    """Campaigns that ran on one platform each."""
    told: tuple[str, ...] = ()
    """What is held, filled in or corrected (`IngestReport.told`)."""
    short: str | None = None
    """Why nothing can be proved with it, however clear it is (`crossmix.artifacts.decided.too_short`)."""
    problem: str | None = None
    """Why it cannot be fitted."""


def check(config: Config) -> Checked:
    """Read and clean a history, as a run would, into a folder that is removed.

    Raises:
        DataError: it cannot be read, or cannot be meant.
    """
    history = load(config.data)
    days = _days(history)
    if days.empty:
        raise DataError("outcomes: no row has a date and a platform; pass a history with rows")
    checked = Checked(history, days, _platforms(days))
    with tempfile.TemporaryDirectory(prefix="crossmix-check-") as folder:
        work, out = Path(folder), Path(folder) / "dataset"
        out.mkdir()
        try:
            engine = partial(connect, config.data.engine, work, config.data.memory)
            ingest_raw(raw(history, engine, work), config.data, out, told_alone=True)
        except DataError as error:
            checked.problem = str(error)
        else:
            told = IngestReport.load(out).told
            meta = Dataset(out).meta
            checked.held = tuple(one.platform for one in meta.held if one.missing != "fees")
            checked.grouped = meta.grouped
            checked.short = too_short(meta.cycles, meta.cycle_hours)
            checked.ended = tuple(one.campaign for one in meta.ended)
            checked.joined, checked.alone = meta.joined, meta.alone
            checked.told = tuple(line for line in told if not line.startswith(SET_ASIDE))
            rejected = Dataset(out).frame("quarantine")
            checked.quarantined = _quarantined(rejected, float(days["spend"].sum()))
    return checked


def _days(history: History) -> pd.DataFrame:
    named = history.days if CAMPAIGN in history.days else history.days.assign(campaign=ALL_CAMPAIGNS)
    known = named.loc[named[list(NUMBERS)].notna().any(axis=1), "day"]
    named = named[named["day"] <= known.max()]  # later ones have a plan alone
    coded = {name: categories(named[name].tolist()) for name in ("platform", CAMPAIGN)}
    return named.assign(**coded)[["day", "platform", "campaign", *NUMBERS]]


def _platforms(days: pd.DataFrame) -> pd.DataFrame:
    by = days.groupby("platform", observed=True)
    table = by[list(NUMBERS)].sum(min_count=1)
    table["rows"] = by.size()
    busy = days[(days[list(NUMBERS)].fillna(0) != 0).any(axis=1)].groupby("platform", observed=True)["day"]
    for name, rows, edge in (("first", by["day"].min(), busy.min()), ("last", by["day"].max(), busy.max())):
        table[name] = edge.reindex(table.index).fillna(rows)
    return table.sort_values("spend", ascending=False)


def _quarantined(rejected: pd.DataFrame, spent: float) -> list[tuple[str, int, float, str]]:
    """By code: rows, share of all spend, an example."""
    found = []
    for code, rows in rejected[rejected["table"] == "outcomes"].groupby("code"):
        money = pd.to_numeric(rows["row"].str.extract(r'"spend": (-?[\d.eE+]+)')[0], errors="coerce").sum()
        found.append((str(code), len(rows), float(money) / spent if spent else 0.0, str(rows["reason"].iloc[0])))
    return sorted(found, key=lambda one: (-one[2], one[0]))


def missing(checked: Checked, today: date | None = None) -> list[str]:
    """Sentences: days without a row, values that are not there.

    Args:
        today: by which last days that are yet to come are told.
    """
    days, lines = checked.days, []
    known = days_of(days["day"])
    step = _step(known)
    absent = missing_days(known) if step == 1 else []
    if absent:
        lines.append(f"{len(absent)} day(s) between the first and the last have no row, as {absent[0]}.")
    for name in NUMBERS:
        blank = days[days[name].isna()]
        if len(blank):
            where = Counter(blank["platform"])
            shown = ", ".join(f"{platform} {count:,}" for platform, count in where.most_common(4))
            lines.append(f"{name}: {len(blank):,} of {len(days):,} rows have none ({shown}).")
    if PLANNED not in checked.history.columns:
        lines.append("There is no column of planned budgets: what was spent stands for the plan.")
    ends = checked.platforms
    for name in ends.index:
        if (ends.loc[name, "first"] - days["day"].min()).days > NEAR_EDGE:
            lines.append(f"{name} begins on {ends.loc[name, 'first']:%Y-%m-%d}.")
        if (days["day"].max() - ends.loc[name, "last"]).days > NEAR_EDGE:
            lines.append(f"{name} ends on {ends.loc[name, 'last']:%Y-%m-%d}.")
    lines += _pauses(days, absent) if step == 1 else []
    if today is not None and (days["day"].max().date() - today).days > TOMORROW:
        lines.append(
            f"The last day, {days['day'].max():%Y-%m-%d}, is yet to come by this machine's clock ({today}): dates may "
            "be misread, or rows a forecast, of which nothing can be learnt."
        )
    return lines


def _pauses(days: pd.DataFrame, absent: Sequence[date]) -> list[str]:
    """Weekdays on which a platform of a daily history never has a row while others have."""
    lines = []
    for name, own in days.groupby("platform", observed=True)["day"]:
        had = set(days_of(own))
        span = pd.date_range(own.min(), own.max()).date
        missed = Counter(day.weekday() for day in span if day not in had and day not in set(absent))
        present = Counter(day.weekday() for day in had)
        never = [at for at in range(7) if not present[at] and missed[at] >= PAUSES]
        if never and len(present) > len(never):
            lines.append(f"{name} has no row on any {_listed(WEEKDAYS[at] for at in never)}: it counts as paused then.")
        others = [day for day in span if day not in had and day not in set(absent) and day.weekday() not in never]
        if others and len(had) > MOSTLY * len(span):
            lines.append(
                f"{name} has no row on {len(others):,} day(s) on which others have, as {others[0]}: it counts as "
                "paused then; if its export lacks them, export them too."
            )
    return lines


def _step(known: Sequence[object]) -> int:
    gaps = np.diff(np.array(known, dtype="datetime64[D]")).astype(int)
    return int(np.median(gaps)) if len(gaps) else 1


def answers(checked: Checked) -> tuple[list[str], list[str]]:
    """What can be answered with the history, and what cannot, in sentences."""
    if checked.problem:
        return [], [f"Nothing yet: {checked.problem}."]
    members = {one.group: f" ({', '.join(one.platforms)})" for one in checked.grouped}
    days = as_split(checked)
    table = _platforms(days)
    kept = [str(name) for name in table.index if name not in checked.held]
    split = ", ".join(f"{name}{members.get(name, '')}" for name in kept)
    able = [
        f"How to split a budget among {split} by the results that are attributed to them, "
        "and what another budget would bring (crossmix run, allocate, whatif)."
    ]
    unable = [f"Whether another split is proved to earn more: {checked.short}."] if checked.short else []
    unable += [*_steady(days, table), *_thin(checked, table)]
    if checked.alone is not None:
        if checked.alone.every:
            able = ["What another budget of a campaign would bring, by attributed results (crossmix run, whatif)."]
        able.append(f"H{checked.alone.whole[1:]}: with {REMEDY}, which reads all campaigns as one account.")
        unable.append(f"How to split a campaign's own budget among platforms: {checked.alone.unmoved}.")
    asked = days[(days["spend"] > 0) & days["platform"].isin(kept) & ~days["campaign"].isin(checked.ended)]
    tried = asked.groupby("campaign", observed=True)["platform"].nunique()
    holes = int((len(kept) - tried).sum())
    if holes:
        unable.append(
            f"What {holes} of {len(tried) * len(kept)} pairs of campaign and platform bring: they were never tried; "
            "other campaigns and platforms lend what they can."
        )
    unable.append(
        "What the media caused: attributed results are what each platform claims. The 7:3 experiment tells it "
        "(crossmix experiment plan; docs/guides/your-data.md)."
    )
    return able, unable


def as_split(checked: Checked) -> pd.DataFrame:
    """The days with platforms that are split, and campaigns that are read, as one under the name of their group."""
    group = {name: one.group for one in checked.grouped for name in one.platforms}
    account = {name: one.campaign for one in checked.joined for name in one.campaigns}
    return checked.days.assign(
        platform=checked.days["platform"].map(lambda name: group.get(name, name)),
        campaign=checked.days["campaign"].map(lambda name: account.get(name, name)),
    )


def _steady(days: pd.DataFrame, table: pd.DataFrame) -> list[str]:
    """Of platforms whose spend never moved."""
    by_day = days.groupby(["platform", "day"], observed=True)["spend"].sum()
    moved = {}
    for name in table.index:
        spend = by_day.loc[name]
        spend = spend[spend > 0]
        if len(spend) >= 2:
            moved[str(name)] = float(np.log(spend).std())
    still = {name: size for name, size in moved.items() if size < STEADY}
    if not still:
        return []
    low, high = (f"{edge(still.values()):.0%}" for edge in (min, max))
    sizes = low if low == high else f"{low} to {high}"
    answer, its = ("answers", "its") if len(still) == 1 else ("answer", "their")
    return [
        f"How {_listed(still)} {answer} to money: {its} spend hardly moved ({sizes} from day to day); "
        "only money that is moved on purpose tells (crossmix experiment plan)."
    ]


def _thin(checked: Checked, table: pd.DataFrame) -> list[str]:
    """Of platforms without clicks, without results or with few.

    Args:
        table: platforms as they are split.
    """
    lines = []
    silent = [str(name) for name in table.index if not table.loc[name, "clicks"] > 0]
    if silent:
        has = "it has" if len(silent) == 1 else "they have"
        lines.append(f"What a unit more on {_listed(silent)} brings through clicks: {has} none in the history.")
    blank = table[["conversions", "revenue"]].isna().any(axis=1)
    untold = [str(name) for name in table.index[blank] if name in checked.held and name not in silent]
    if untold:
        its = "its" if len(untold) == 1 else "their"
        lines.append(f"What a unit more on {_listed(untold)} earns: {its} results are blank in every row.")
    few = {
        str(name): table.loc[name, "conversions"]
        for name in table.index.difference([*silent, *untold], sort=False)
        if table.loc[name, "conversions"] < FEW_CONVERSIONS
    }
    if len(few) == 1:
        ((name, count),) = few.items()
        lines.append(f"{name}'s own conversion rate to better than 10 %: it has {count:g} conversions.")
    elif few:
        shown = _listed([f"{name} ({count:g})" for name, count in few.items()])
        lines.append(f"The own conversion rates of {shown} to better than 10 %: they have so few conversions.")
    return lines


def _listed(names: Iterable[str]) -> str:
    """`a, b and c`."""
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last


def headline(checked: Checked) -> str:
    """The history in a line: its days, platforms, money and conversions."""
    days, table = checked.days, checked.platforms
    return (
        f"{days['day'].min():%Y-%m-%d} to {days['day'].max():%Y-%m-%d}, {len(days):,} rows, {len(table)} platforms, "
        f"{days['campaign'].nunique()} campaign(s), spend {days['spend'].sum():,.2f}, conversions "
        f"{days['conversions'].sum():,.0f}, revenue {days['revenue'].sum():,.2f} ({checked.history.currency})"
    )


def short(config: Config) -> str:
    """The first lines of what `check` tells, for a run that begins.

    Raises:
        DataError: as `check`.
    """
    history = load(config.data)
    days = _days(history)
    checked = Checked(history, days, _platforms(days))
    lines = [f"data       {headline(checked)}"] if len(days) else []
    alone = _alone(days, config.data) if len(days) else None
    told = [*history.notes, *([] if alone is None else [alone.sentence])]
    return "\n".join([*lines, *(f"  {note}" for note in told)])


def _alone(days: pd.DataFrame, data: Data) -> Alone | None:
    """Campaigns that ran on one platform each, of those that spent in the last days, before anything is cleaned."""
    spent = days[days["spend"] > 0].rename(columns={CAMPAIGN: "campaign_id"})
    spent = spent.assign(campaign_id=spent["campaign_id"].map(accounts.groups(spent["campaign_id"].unique(), data)))
    since = days["day"].max() - pd.Timedelta(days=data.today_days)
    running = spent.loc[spent["day"] > since, "campaign_id"]
    return accounts.alone(spent, set(spent["campaign_id"]).difference(running), data)
