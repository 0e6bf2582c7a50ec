"""Tables with a column for each platform (`meta_spend`, `Clicks (TikTok)`) as rows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from crossmix.schema import DataError
from crossmix.sources.history.by_words import says_by
from crossmix.sources.history.columns import CAMPAIGN, NUMBERS, PLANNED, column_of, meant
from crossmix.sources.history.sheet import Sheet, is_total

AVERAGES = frozenset(
    (
        *("avg", "average", "max", "min", "median", "target", "mean", "ø", "moyen", "moyenne", "promedio", "médio"),
        *("média", "medio", "durchschn", "durchschnitt", "durchschnittlich", "gem", "gemiddeld", "gemiddelde"),
    )
)
"""Words of figures that are no platform's: `Avg. cost`."""
SHOWN = 8
"""So many columns that are not read are named."""
_WORD = re.compile(r"[^\s_\-./|:()\[\]]+")


def parted(name: str) -> tuple[str, str] | None:
    """Platform and history's column of a wide table's name; `None`: it is no such name."""
    found = _partings(name)
    return found[0] if found else None


def _partings(name: str) -> list[tuple[str, str]]:
    """All ways to part a name into platform and figure, long figures first: `Google Ads clicks` may be `Google`'s."""
    words = [*_WORD.finditer(name)]
    ways = []
    for size in range(min(3, len(words) - 1), 0, -1):  # `conv value` before `value`
        for figure, rest in ((words[-size:], words[:-size]), (words[:size], words[size:])):
            column = meant(" ".join(word[0] for word in figure))
            averaged = any(word[0].lower() in AVERAGES for word in rest) or says_by(word[0] for word in rest)
            known = column_of(" ".join(word[0] for word in rest)) is not None
            if column in (*NUMBERS, PLANNED) and not known and not averaged:
                ways.append((name[rest[0].start() : rest[-1].end()], column))
    return ways


def _key(platform: str) -> str:
    """What the spellings of a platform in the names of its columns share: neither case nor what parts words."""
    return " ".join(_WORD.findall(platform)).lower()


def _each(header: Sequence[str]) -> list[tuple[str, str] | None]:
    """Each name's platform and figure; of several ways the one whose platform has most figures in all."""
    ways = [_partings(name) if column_of(name) is None else [] for name in header]
    figures: dict[str, set[str]] = {}
    for platform, column in (way for one in ways for way in one):
        figures.setdefault(_key(platform), set()).add(column)
    return [max(one, key=lambda way: len(figures[_key(way[0])]), default=None) for one in ways]


def is_wide(header: Sequence[str]) -> bool:
    """Whether two platforms have a column of spend each, and none tells the platform of a row."""
    if any(column_of(name) == "platform" for name in header):
        return False
    found = [parts for parts in _each(header) if parts]
    return len({_key(platform) for platform, column in found if column == "spend"}) >= 2


def rows(sheet: Sheet) -> Sheet:
    """A wide sheet as one row for each platform; a platform without any value on a day has no row.

    Raises:
        DataError: results are there for all platforms together alone.
    """
    at: dict[str, dict[str, int]] = {}
    spelt: dict[str, str] = {}
    for index, parts in enumerate(_each(sheet.header)):
        if parts:
            platform = spelt.setdefault(_key(parts[0]), parts[0])
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
    taken = {index for columns in at.values() for index in columns.values()}
    kept = [
        index for index, name in enumerate(sheet.header) if column_of(name) in {"date", CAMPAIGN} and index not in taken
    ]
    names = [name for name in (*NUMBERS, PLANNED) if any(name in columns for columns in at.values())]
    result = []
    for row in sheet.rows:
        for platform, columns in at.items():
            values = [row[columns[name]] if name in columns else "" for name in names]
            if any(value.strip() for value in values):
                result.append([*(row[index] for index in kept), platform, *values])
    header = [*(sheet.header[index] for index in kept), "platform", *names]
    notes = [f"{sheet.stem!r} has columns for each platform; each row is read as {len(at)} rows ({', '.join(at)})."]
    others = [name for index, name in enumerate(sheet.header) if name and index not in {*taken, *kept}]
    if others:
        shown = ", ".join(map(repr, others[:SHOWN])) + (f" and {len(others) - SHOWN} more" if others[SHOWN:] else "")
        notes.append(f"Columns of {sheet.stem!r} that are of no platform with spend are not read: {shown}.")
    return Sheet(sheet.name, sheet.stem, header, result, [*sheet.notes, *notes])
