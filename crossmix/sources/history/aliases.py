"""One platform under two names, as `Facebook` and `Meta`: renamed on a day, or the same money told twice.

`names` has spellings of a name; these are other names. Of names of one brand those that follow each other in time are
one platform, told; those that have the same figures on the same days are one that is told twice, and count once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import PurePath
from types import MappingProxyType

import pandas as pd

from crossmix.schema import DataError
from crossmix.sources.history import totals
from crossmix.sources.history.columns import CAMPAIGN, NUMBERS
from crossmix.sources.history.numbers import values
from crossmix.sources.history.repeated import Rows

BRANDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "meta": frozenset(("meta", "facebook", "fb")),
        "google": frozenset(("google", "adwords", "gads", "googleads")),
        "microsoft": frozenset(("microsoft", "bing", "msft", "msads", "bingads")),
        "x": frozenset(("x", "twitter")),
        "snapchat": frozenset(("snapchat", "snap")),
        "tiktok": frozenset(("tiktok", "tik", "tok")),
        "apple": frozenset(("apple", "search", "asa")),
        "amazon": frozenset(("amazon", "amzn")),
    }
)
"""Words that name a brand's ads; of `apple` and `tiktok` the first must be among them, as others name more."""
AMBIGUOUS = frozenset(("x", "search", "snap", "tik", "tok", "apple", "amazon"))
"""Words of brands that other sentences have too."""
OTHER_BRANDS = frozenset(("linkedin", "pinterest", "reddit", "criteo", "taboola", "outbrain", "quora"))
_ADDED = frozenset(
    ("ads", "ad", "advertising", "paid", "com", "formerly", "ex", "now", "and", "for", "network", "business")
)
"""Words that tell no brand from another."""
CHANGEOVER = 3
"""Days on which a platform that was renamed may have rows under both names."""
LEAST = 14
"""Days that both names have, that tell whether they are one money."""
NEARLY_ALL = 0.95
CENT = 0.006
FIGURES = ("spend", "impressions", "clicks")


def brand(name: str) -> str | None:
    """What a platform's names have in common: `meta` of `Facebook Ads`; `None`: the name has no word."""
    words = [word for word in re.split(r"[\W_]+", name.casefold()) if word and word not in _ADDED]
    if not words:
        return None
    for called, own in BRANDS.items():
        if set(words) <= own and (called in words or called not in {"apple", "tiktok"} or words == ["asa"]):
            return called
    return "tiktok" if words == ["tik", "tok"] else "".join(words)


def titled(title: str) -> str | None:
    """The platform that a title names, as `google` of `Google Ads campaign report`; `None`: none, or several."""
    words = set(re.split(r"[\W_]+", title.casefold()))
    found = {called for called, own in BRANDS.items() if words & (own - AMBIGUOUS)} | (words & OTHER_BRANDS)
    return next(iter(found)) if len(found) == 1 else None


def foldered(name: str, below: str) -> str | None:
    """The nearest folder of a file that is called after a platform, as `Meta Ads` in `exports/Meta Ads/2025.csv`.

    Args:
        name: of the file, of a member of an archive `archive.zip: folder/table.csv`.
        below: the folder that is read; what lies above it says nothing.
    """
    return next((folder for folder in folders(name, below) if titled(folder)), None)


def folders(name: str, below: str) -> list[str]:
    """The folders of a file below the one that is read, nearest first."""
    parts = PurePath(name.removeprefix(below)).parts[-2::-1]
    return [folder.rpartition(": ")[2] for folder in parts if folder not in {"/", "."}]


def settle(rows: Rows, *, apart: bool) -> Rows:
    """The rows with one name for each platform; `rows.notes` gets a sentence for each that had several.

    Args:
        apart: names are platforms of their own, whatever they say (`data.accept` has `twice`).

    Raises:
        DataError: two names of a brand have the same money and other results.
    """
    called: dict[str, list[str]] = {}
    for name in sorted(set(rows.columns["platform"]) - {""}):
        if own := brand(name):
            called.setdefault(own, []).append(name)
    for several in called.values():
        if len(several) > 1 and not apart:
            rows = _one(rows, several)
    return rows


def _one(rows: Rows, several: Sequence[str]) -> Rows:
    """The rows with those names of a brand as one platform, as far as they are."""
    daily = _daily(rows, several)
    left = sorted(daily, key=lambda name: (daily[name].index.max(), len(daily[name])), reverse=True)
    for name, other in combinations(left, 2):
        if name in daily and other in daily:
            rows = _joined(rows, daily, name, other)
    return rows


def _daily(rows: Rows, several: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Figures by day of each name, of days on which it has any."""
    frame = pd.DataFrame({name: values(rows.columns[name]) for name in NUMBERS if name in rows.columns})
    by = [pd.Series(rows.columns["platform"]), pd.Series(rows.columns["date"])]
    sums = frame.fillna(0.0).groupby(by).sum()
    sums = sums[(sums != 0).any(axis=1)]
    return {name: sums.loc[name] for name in several if name in sums.index.get_level_values(0)}


def _joined(rows: Rows, daily: dict[str, pd.DataFrame], name: str, other: str) -> Rows:
    """Rows of `other` as those of `name`, where both are one platform; `daily` is changed."""
    both = daily[name].index.intersection(daily[other].index)
    if not len(both) or len(both) <= CHANGEOVER < min(len(daily[name]), len(daily[other])):
        rows.notes.append(
            f"{other!r} ({_span(daily[other])}) and {name!r} ({_span(daily[name])}) are names of one platform, and "
            f"follow each other; they are read as {name!r} (--accept twice keeps them apart)."
        )
        daily[name] = daily[name].add(daily.pop(other), fill_value=0.0)
        return _renamed(rows, other, name, frozenset())
    same = {column: _same(daily[name], daily[other], both, column) for column in daily[name].columns}
    if len(both) < LEAST or not _one_money(same, daily[name].loc[both, "spend"]):
        rows.notes.append(
            f"{other!r} and {name!r} may be names of one platform; on days that they share their figures "
            f"""differ, and they are kept apart (--set 'data.platform_groups={{"{other}":"{name}"}}' joins them)."""
        )
        return rows
    if not all(same.values()):
        differ = " and ".join(column for column, is_same in same.items() if not is_same)
        raise DataError(
            f"platform: {other!r} and {name!r} are names of one platform and spend the same on {len(both)} days, with "
            f"other {differ}; its money would count twice: leave one of them out; if both are right, say --accept "
            "twice (data.accept)"
        )
    rows.notes.append(
        f"{other!r} and {name!r} are names of one platform, and have the same figures on {len(both)} days; they count "
        f"once, as {name!r} (--accept twice keeps both)."
    )
    daily[name] = pd.concat([daily[name], daily.pop(other).drop(both)])
    return _renamed(rows, other, name, frozenset(both))


def _renamed(rows: Rows, other: str, name: str, without: frozenset[str]) -> Rows:
    """Rows of `other` as `name`; those of the days `without` are left out."""
    platform, dates = rows.columns["platform"], rows.columns["date"]
    kept = [at for at in range(len(platform)) if not (platform[at] == other and dates[at] in without)]
    columns = {column: [texts[at] for at in kept] for column, texts in rows.columns.items()}
    columns["platform"] = [name if text == other else text for text in columns["platform"]]
    others = {column: [texts[at] for at in kept] for column, texts in rows.others.items()}
    return Rows(columns, others, [rows.sheet[at] for at in kept], rows.named, rows.alike, rows.notes)


def _same(one: pd.DataFrame, other: pd.DataFrame, days: pd.Index, column: str) -> bool:
    if not len(days):
        return False
    return bool(((one.loc[days, column] - other.loc[days, column]).abs() <= CENT).mean() >= NEARLY_ALL)


def _one_money(same: Mapping[str, bool], spend: pd.Series) -> bool:
    """Whether spends are equal though they move; fixed budgets may be equal by choice."""
    return same["spend"] and spend.round(2).nunique() > len(spend) / 2


def _span(daily: pd.DataFrame) -> str:
    return f"{daily.index.min()} to {daily.index.max()}"


def twice(frame: pd.DataFrame) -> str | None:
    """Two platforms, or two campaigns of one, with the same spend, impressions and clicks on nearly all days.

    Args:
        frame: `platform`, `day`, FIGURES and, where there are any, `campaign`.
    """
    if pair := totals.twins(frame):
        return _sentence("platform", *pair)
    if CAMPAIGN not in frame:
        return None
    keys = ["platform", CAMPAIGN]
    sums = (
        frame.loc[frame["spend"] > 0, [*keys, "day", *FIGURES]]
        .groupby([*keys, "day"], observed=True)[list(FIGURES)]
        .sum()
    )
    middle = sums.groupby(level=keys, observed=True).median()
    # Equal figures have equal medians: what is compared day by day are few.
    middle = middle[(middle > 0).all(axis=1) & middle.duplicated(keep=False)]
    alike = [list(rows.index) for _, rows in middle.groupby(list(FIGURES))]
    cells = {cell: rows for several in alike for cell in several if _moves(rows := sums.loc[cell])}
    for several in alike:
        for one, other in combinations(filter(cells.__contains__, several), 2):
            days = cells[one].index.intersection(cells[other].index)
            least = max(LEAST, NEARLY_ALL * min(len(cells[one]), len(cells[other])))
            if len(days) >= least and all(_same(cells[one], cells[other], days, name) for name in FIGURES):
                return _sentence(CAMPAIGN, " / ".join(one), " / ".join(other), len(days))
    return None


def _moves(rows: pd.DataFrame) -> bool:
    """Whether spends of enough days are not equal by choice, as fixed budgets are."""
    return len(rows) >= LEAST and rows["spend"].round(2).nunique() > len(rows) / 2


def _sentence(field: str, one: str, other: str, days: int) -> str:
    return (
        f"{field}: {one!r} and {other!r} have the same spend, impressions and clicks on {days} days; they may be one "
        "money under two names, or in two reports, as Google Ads and GA4 tell it, and would count twice: leave one of "
        "them out"
    )
