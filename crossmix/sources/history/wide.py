"""Tables with a column for each platform (`meta_spend`, `Clicks (TikTok)`) as rows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from crossmix.schema import DataError
from crossmix.sources.history.columns import CAMPAIGN, NUMBERS, PLANNED, column_of
from crossmix.sources.history.sheet import Sheet, is_total

AVERAGES = frozenset(("avg", "average", "max", "min", "median", "target", "mean", "per"))
"""Words of figures that are no platform's: `Avg. cost`."""
_SPLIT = re.compile(r"[\s_\-./|:()\[\]]+")


def parted(name: str) -> tuple[str, str] | None:
    """Platform and history's column of a wide table's name; `None`: it is no such name."""
    found = _partings(name)
    return found[0] if found else None


def _partings(name: str) -> list[tuple[str, str]]:
    """All ways to part a name into platform and figure, long figures first: `Google Ads clicks` may be `Google`'s."""
    words = [word for word in _SPLIT.split(name.strip()) if word]
    ways = []
    for size in range(min(3, len(words) - 1), 0, -1):  # `conv value` before `value`
        for figure, rest in ((words[-size:], words[:-size]), (words[:size], words[size:])):
            column = column_of(" ".join(figure))
            averaged = any(word.lower() in AVERAGES for word in rest)
            if column in (*NUMBERS, PLANNED) and column_of(" ".join(rest)) is None and not averaged:
                ways.append(("_".join(rest), column))
    return ways


def _each(header: Sequence[str]) -> list[tuple[str, str] | None]:
    """Each name's platform and figure; of several ways the one whose platform has most figures in all."""
    ways = [_partings(name) if column_of(name) is None else [] for name in header]
    figures: dict[str, set[str]] = {}
    for platform, column in (way for one in ways for way in one):
        figures.setdefault(platform.lower(), set()).add(column)
    return [max(one, key=lambda way: len(figures[way[0].lower()]), default=None) for one in ways]


def is_wide(header: Sequence[str]) -> bool:
    """Whether two platforms have a column of spend each, and none tells the platform of a row."""
    if any(column_of(name) == "platform" for name in header):
        return False
    found = [parts for parts in _each(header) if parts]
    return len({platform.lower() for platform, column in found if column == "spend"}) >= 2


def rows(sheet: Sheet) -> Sheet:
    """A wide sheet as one row for each platform; a platform without any value on a day has no row.

    Raises:
        DataError: results are there for all platforms together alone.
    """
    at: dict[str, dict[str, int]] = {}
    spelt: dict[str, str] = {}
    for index, parts in enumerate(_each(sheet.header)):
        if parts:
            platform = spelt.setdefault(parts[0].lower(), parts[0])
            at.setdefault(platform, {}).setdefault(parts[1], index)
    at = {name: columns for name, columns in at.items() if "spend" in columns and not is_total(name)}
    lacks = [name for name in NUMBERS if not all(name in columns for columns in at.values())]
    common = [name for name in lacks if any(column_of(header) == name for header in sheet.header)]
    if "revenue" in common or "conversions" in common:
        raise DataError(
            f"{common[-1]}: {sheet.name!r} has one column of it for all platforms ({', '.join(at)}); a split is learnt "
            "from what each platform's money came back with: pass each platform's own conversions and revenue; what "
            "media caused of the whole only an experiment tells (docs/guides/your-data.md)"
        )
    kept = [
        index
        for index, name in enumerate(sheet.header)
        if column_of(name) in {"date", CAMPAIGN}
        and index not in {i for columns in at.values() for i in columns.values()}
    ]
    names = [name for name in (*NUMBERS, PLANNED) if any(name in columns for columns in at.values())]
    result = []
    for row in sheet.rows:
        for platform, columns in at.items():
            values = [row[columns[name]] if name in columns else "" for name in names]
            if any(value.strip() for value in values):
                result.append([*(row[index] for index in kept), platform, *values])
    header = [*(sheet.header[index] for index in kept), "platform", *names]
    note = f"{sheet.stem!r} has columns for each platform; each row is read as {len(at)} rows ({', '.join(at)})."
    return Sheet(sheet.name, sheet.stem, header, result, [*sheet.notes, note])
