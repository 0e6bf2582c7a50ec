"""From files to the columns of a history, each choice told: the order in which the parts of this package work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from crossmix.config import Data
from crossmix.schema import DataError
from crossmix.sources.history import (
    accounts,
    action_lists,
    actions,
    aliases,
    averages,
    currencies,
    dates,
    edges,
    files,
    legible,
    long,
    named_periods,
    names,
    numbers,
    plausible,
    renamed,
    repeated,
    settled,
    signs,
    summaries,
    wide,
    zones,
)
from crossmix.sources.history import columns as known
from crossmix.sources.history.sheet import (
    Sheet,
    filled_down,
    with_a_date,
    without_copies,
    without_remarks,
    without_totals,
)

UNNAMED = "unnamed"
"""The campaign of a table that names none beside others that do."""
CURRENCY = "currency units of the history"


@dataclass(slots=True)
class History:
    """A history as text: numbers plain, dates as `2025-01-06`, no value as the empty string."""

    columns: dict[str, list[str]]
    """Of `columns.KNOWN` those that are there; `campaign` and `planned` may be absent."""
    days: pd.DataFrame
    """Of the rows that have a day and a platform: these, `day`, and NUMBERS as values (NaN: none)."""
    ignored: list[str]
    """Columns that are not read, by their own names."""
    currency: str
    digest: str
    """SHA-256 of the files."""
    valued: bool = False
    """Revenue is conversions times `data.value_per_conversion`."""
    notes: list[str] = field(default_factory=list)


def load(data: Data) -> History:
    """Read what `data.path` names.

    Raises:
        DataError: it cannot be read as a history, or cannot be meant; the message names field, value and remedy.
    """
    known.check_mapped(data.columns)
    zones.check(data.timezone)
    sheets, digest = files.sheets(data)
    called = _platforms(sheets, data)
    parts = [
        replace(_part(sheet, _own(data, sheet, sheets), name, pages), name=label)
        for (sheet, pages), name, label in zip(action_lists.aligned(sheets), called, _labels(sheets, data), strict=True)
    ]
    if data.timezone is not None and not any(part.moved for part in parts):
        raise zones.unmoved(data.timezone)
    _earning(parts, data)
    codes = currencies.agreed(part.currency for part in parts if part.currency)
    if len(codes) > 1:
        raise DataError(f"spend: the files have amounts in {' and '.join(sorted(codes))}; convert them to one currency")
    rows, notes = _together(parts)
    _without_part_days(rows, set().union(*(part.partial for part in parts)))
    for name in ("platform", known.CAMPAIGN):
        if name in rows.columns:
            rows.others[f"{name} as written"] = rows.columns[name]
            rows.columns[name], told = names.settle(rows.columns[name], name)
            notes += told
    rows = renamed.settle(aliases.settle(rows, apart="twice" in data.accept))
    history, told = signs.settle(repeated.settle(rows, data.repeated))
    notes += [*rows.notes, *told]
    history, told = edges.without(history)
    notes += told
    ignored = list(dict.fromkeys(name for part in parts for name in part.ignored))
    history, valued, told = settled.valued(history, data, _unread(ignored))
    notes += told
    notes += plausible.check_gap(history, data.accept)
    history = settled.idle(history, notes) if data.idle_days else history
    _named(history, data)
    history, days, told = plausible.check(history, data.accept)
    notes += [*told, *accounts.told(filter(None, history.get(known.CAMPAIGN, ())), data)]
    return History(history, days, ignored, next(iter(codes), CURRENCY), digest, valued, notes)


@dataclass(slots=True)
class _Part:
    """One sheet's columns."""

    columns: dict[str, list[str]]
    others: dict[str, list[str]]
    ignored: list[str]
    currency: str | None
    notes: list[str]
    name: str
    moved: bool = False
    """Times were read as days of `data.timezone`."""
    partial: frozenset[str] = frozenset()
    """First and last local days of which it has a part, which is left out."""


def _platforms(sheets: Sequence[Sheet], data: Data) -> Sequence[str | None]:
    """What a sheet without a column of platforms is called; `None`: it is the only one.

    Sheets of several months of a platform are one: `google_2025-01` and `google_2025-02` are `google`.
    """
    if len(sheets) < 2:
        return [None] * len(sheets)
    plain = [named_periods.without_period(sheet.stem) for sheet in sheets]
    whole = Path(data.path or "").name.partition(".")[0]
    folders = [aliases.foldered(sheet.name, str(Path(data.path or ""))) for sheet in sheets]
    called = [name or folder or whole for name, folder in zip(plain, folders, strict=True)]
    # Reports that a platform calls alike are told apart by what stands above their rows, or by their folders.
    called = _apart(called, [aliases.titled(sheet.title) for sheet in sheets])
    return _apart(called, folders)


def _labels(sheets: Sequence[Sheet], data: Data) -> list[str]:
    """What sheets are called in sentences, and ordered by: those of one name with their folders, as `old/google`."""
    count = Counter(sheet.stem for sheet in sheets)
    below = str(Path(data.path or ""))
    return [
        "/".join((*filter(None, aliases.folders(sheet.name, below)[::-1]), sheet.stem))
        if count[sheet.stem] > 1
        else sheet.stem
        for sheet in sheets
    ]


def _apart(called: Sequence[str], others: Sequence[str | None]) -> list[str]:
    """Names of which several sheets have one, and other names for it that tell them apart, as those."""
    own = {name: {other for one, other in zip(called, others, strict=True) if one == name} for name in called}
    return [
        other if other is not None and len(own[name]) > 1 and None not in own[name] else name
        for name, other in zip(called, others, strict=True)
    ]


def _own(data: Data, sheet: Sheet, sheets: Sequence[Sheet]) -> Data:
    """The settings of a sheet: of `data.columns`, a name that other sheets have and this one lacks is not asked."""
    kept = {
        column: name
        for column, name in data.columns.items()
        if known.has(sheet.header, name) or not any(known.has(other.header, name) for other in sheets)
    }
    return data if len(kept) == len(data.columns) else replace(data, columns=kept)


def _earning(parts: Sequence[_Part], data: Data) -> None:
    """Raise `DataError` where some sheets have revenue and another has no column of it."""
    if data.value_per_conversion is not None or not any("revenue" in part.columns for part in parts):
        return
    for part in parts:
        if "revenue" not in part.columns:
            raise DataError(
                f"revenue: {part.name!r} has no column of it, and the other tables have; {_unread(part.ignored)}"
                "export it with its conversions' value"
            )


def _unread(ignored: Sequence[str]) -> str:
    """The columns that one may have meant, as the beginning of a remedy."""
    return (
        f"its columns {', '.join(map(repr, ignored[:8]))} are not read: name the one that is it "
        "(--map revenue=NAME), or "
        if ignored
        else ""
    )


def _part(sheet: Sheet, data: Data, called: str | None, pages: Sequence[Sheet]) -> _Part:
    """A sheet's columns under the history's names, with plain numbers and dates.

    Args:
        called: the platform of a sheet that names none.
        pages: with actions, of its platform.
    """
    sheet = long.metrics_across(long.days_down(without_copies(sheet)), data.columns)
    if "date" not in data.columns:
        sheet = with_a_date(sheet, known.column_of, dates.is_date)
    if wide.is_wide(sheet.header) and "platform" not in data.columns:
        sheet = wide.rows(sheet)

    def tells(column: str, at: int) -> bool:
        cells = (row[at] for row in sheet.rows)
        return dates.are_dates(cells) if column == "date" else len(set(cells) - {""}) > 1

    mapped, told_action = action_lists.chosen(sheet, data.columns, pages)
    found = known.find(sheet.header, mapped, sheet.name, tells)
    amounts = [at for name in (*known.NUMBERS, known.PLANNED) if (at := found.at.get(name)) is not None]
    sheet = without_remarks(sheet, found.at.get("date"), amounts, dates.is_date)
    named = [at for name in ("platform", known.CAMPAIGN) if (at := found.at.get(name)) is not None]
    sheet = without_totals(sheet, found.at.get("date"), named, dates.is_date)
    sheet = averages.without(sheet, found.at.get("date"), dates.is_date)
    sheet = filled_down(
        sheet, [found.at[name] for name in repeated.KEY if name in found.at], found.at.get(known.CAMPAIGN)
    )
    notes = [*sheet.notes, *told_action]
    turned = list(zip(*sheet.rows, strict=True)) if sheet.rows else [()] * len(sheet.header)
    columns = {name: _stripped(turned[at]) for name, at in found.at.items()}
    if called and "platform" not in columns and "spend" in columns:
        columns["platform"] = [called] * len(sheet.rows)
        notes.append(f"{sheet.stem!r} names no platform; its rows are the platform {called!r}.")
    lacks = [
        name for name in known.REQUIRED if name not in columns and not (name == "revenue" and "conversions" in columns)
    ]
    if lacks:
        raise known.missing(sheet.name, sheet.header, found.at, lacks)
    others = {sheet.header[at] or f"column {at + 1}": list(turned[at]) for at in found.ignored}
    others["date as written"] = columns["date"]
    told = zones.told(columns["date"]) if data.timezone is None else []
    local = None
    if data.timezone is not None:
        local = zones.moved(columns["date"], data.dates, columns.get("platform"), data.timezone)
        columns["date"], told = local.texts, local.notes
    columns["date"], said = dates.convert(columns["date"], data.dates, columns.get("platform"))
    told = [*said, *told]
    partial: frozenset[str] = frozenset()
    if local is not None and any(local.partial):
        partial = frozenset(day for day, part in zip(columns["date"], local.partial, strict=True) if part)
        columns, others = (_without_rows(table, np.flatnonzero(local.partial)) for table in (columns, others))
    legible.check_dates(columns["date"], sheet)
    legible.check_names(columns.get(known.CAMPAIGN, ()), sheet)
    figures = {name: columns[name] for name in (*known.NUMBERS, known.PLANNED) if name in columns}
    plain, said, sign = numbers.convert(figures, data.decimal)
    legible.check_numbers(plain, sheet)
    if found.micros:
        plain["spend"] = [_times(value, 1e-6) for value in plain["spend"]]
        said.append(f"Spend is in micros ({sheet.header[found.at['spend']]!r}) and divided by 1,000,000.")
    for name, unit in found.scale.items():
        plain[name] = [_times(value, unit) for value in plain[name]]
        said.append(f"{name.capitalize()} is in units of {unit:,g} ({sheet.header[found.at[name]]!r}), and multiplied.")
    actions.check_kinds(sheet.header[found.at["conversions"]], plain["conversions"], others, "conversions" in mapped)
    columns |= plain
    named_by = [name for name in ("platform", known.CAMPAIGN) if name in found.at]
    columns, others, added = _without_summaries(columns, others, named_by, data, sheet.stem)
    code = _currency(others, found.currency, sign, sheet.name)
    renamed = [
        f"{name} = {sheet.header[found.at[name]]!r}"
        for name in known.KNOWN
        if name in found.at and sheet.header[found.at[name]].strip().lower() != name
    ]
    if renamed:
        notes.append(f"Columns of {sheet.stem!r} are read as: {', '.join(renamed)}.")
    notes += [
        f"{', '.join(map(repr, rivals))} could be {name} too and is not read (--map {name}=NAME reads another)."
        for name, rivals in found.rivals.items()
    ]
    told_ignored = [sheet.header[at] for at in found.ignored if sheet.header[at]]
    unnamed = sum(not sheet.header[at] for at in found.ignored)
    if unnamed:
        told_ignored.append(f"{unnamed} without a name")
    told = [*notes, *told, *said, *added]
    return _Part(columns, others, told_ignored, code, told, sheet.stem, local is not None and local.moved, partial)


Columns = dict[str, list[str]]


def _stripped(cells: Sequence[str]) -> list[str]:
    """Cells without blanks around them; a column of figures has none at all."""
    whole = "".join(cells)
    return list(cells) if whole.split(maxsplit=1) == [whole] else list(map(str.strip, cells))


def _without_summaries(
    columns: Columns, others: Columns, names: Sequence[str], data: Data, stem: str
) -> tuple[Columns, Columns, list[str]]:
    """Both kinds of columns without summary rows, and sentences for the user."""
    ends = next((values for name, values in others.items() if known.plain(name) in summaries.ENDS), None)
    if ends is not None:
        try:
            ends = dates.convert([text.strip() for text in ends], data.dates)[0]
        except DataError:
            ends = None  # the column is not read; what it says of summaries is one sign of several
    rows, told = summaries.found(columns, names, ends, stem)
    if rows:
        columns, others = _without_rows(columns, rows), _without_rows(others, rows)
    return columns, others, told


def _without_rows(columns: Columns, rows: npt.ArrayLike) -> Columns:
    if not columns:
        return columns
    kept = np.delete(np.arange(len(next(iter(columns.values())))), np.asarray(rows, int)).tolist()
    return {name: [values[at] for at in kept] for name, values in columns.items()}


def _without_part_days(rows: repeated.Rows, partial: Collection[str]) -> None:
    """Take out first and last days of which some table has a part alone."""
    known = sorted(set(rows.columns["date"]))
    out = {day for days in (known, known[::-1]) for day in takewhile(partial.__contains__, days)}
    if not out or len(out) == len(known):
        return
    at = [place for place, day in enumerate(rows.columns["date"]) if day in out]
    rows.columns, rows.others = _without_rows(rows.columns, at), _without_rows(rows.others, at)
    rows.sheet = np.delete(rows.sheet, at).tolist()


def _times(value: str, unit: float) -> str:
    try:
        return f"{float(value) * unit:.12g}"
    except ValueError:
        return value


def _currency(others: Mapping[str, Sequence[str]], named: str | None, sign: str | None, where: str) -> str | None:
    """The currency by header, sign or a column of codes.

    Raises:
        DataError: they name two.
    """
    found = {code: f"the header names {code}" for code in (named,) if code}
    if sign:
        found.setdefault(sign, f"amounts carry {sign}")
    for name, values in others.items():
        if not currencies.is_column(name):
            continue
        codes = sorted({value.strip().upper() for value in values if value.strip()})
        if not codes or not all(map(currencies.is_code, codes)):
            continue
        if len(codes) > 1:
            raise DataError(
                f"{name}: {where!r} has amounts in {', '.join(codes)}; amounts of two currencies cannot be added "
                "up: convert them to one"
            )
        found.setdefault(currencies.named(codes[0]), f"{name!r} says {codes[0]}")
    names = currencies.agreed(found)
    if len(names) > 1:
        raise DataError(
            f"spend: of {where!r} {found[names[0]]}, and {found[names[1]]}; say which it is: correct one of them, or "
            "convert the amounts"
        )
    return next(iter(names), None)


def _together(parts: Sequence[_Part]) -> tuple[repeated.Rows, list[str]]:
    """All sheets' rows, the older sheets' first."""
    order = repeated.ordered([part.columns["date"] for part in parts], [part.name for part in parts])
    parts = [parts[at] for at in order]
    named = [part.name for part in parts]
    alike = repeated.unordered([part.columns["date"] for part in parts], named)
    present = [name for name in known.KNOWN if any(name in part.columns for part in parts)]
    fill = {known.CAMPAIGN: UNNAMED}
    columns: dict[str, list[str]] = {name: [] for name in present}
    other_names = list(dict.fromkeys(name for part in parts for name in part.others))
    others: dict[str, list[str]] = {name: [] for name in other_names}
    sheet: list[int] = []
    for at, part in enumerate(parts):
        size = len(part.columns["date"])
        for name in present:
            columns[name] += part.columns.get(name) or [fill.get(name, "")] * size
        for name in other_names:
            others[name] += part.others.get(name) or [""] * size
        sheet += [at] * size
    notes = [note for part in parts for note in part.notes]
    if len(parts) > 1:
        notes.insert(0, f"{len(parts)} tables are read together: {', '.join(repr(part.name) for part in parts[:12])}.")
    return repeated.Rows(columns, others, sheet, named, alike), list(dict.fromkeys(notes))


def _named(history: dict[str, list[str]], data: Data) -> None:
    """Rows without a campaign's name are a campaign where all are read as one: no name counts then."""
    if data.campaigns == accounts.TOGETHER and known.CAMPAIGN in history:
        history[known.CAMPAIGN] = [name.strip() or UNNAMED for name in history[known.CAMPAIGN]]
