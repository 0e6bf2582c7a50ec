"""From files to the columns of a history, each choice told: the order in which the parts of this package work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from crossmix.config import Data
from crossmix.schema import ALL_CAMPAIGNS, DataError
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
    names,
    numbers,
    plausible,
    repeated,
    rhythm,
    signs,
    summaries,
    wide,
)
from crossmix.sources.history import columns as known
from crossmix.sources.history.sheet import Sheet, filled_down, without_totals

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
    sheets, digest = files.sheets(data)
    called = _platforms(sheets, data)
    parts = [
        _part(sheet, _own(data, sheet, sheets), name, pages)
        for (sheet, pages), name in zip(action_lists.aligned(sheets), called, strict=True)
    ]
    _earning(parts, data)
    codes = currencies.agreed(part.currency for part in parts if part.currency)
    if len(codes) > 1:
        raise DataError(f"spend: the files have amounts in {' and '.join(sorted(codes))}; convert them to one currency")
    rows, notes = _together(parts)
    for name in ("platform", known.CAMPAIGN):
        if name in rows.columns:
            rows.others[f"{name} as written"] = rows.columns[name]
            rows.columns[name], told = names.settle(rows.columns[name], name)
            notes += told
    rows = aliases.settle(rows, apart="twice" in data.accept)
    history, told = signs.settle(repeated.settle(rows, data.repeated))
    notes += [*rows.notes, *told]
    history, told = edges.without(history)
    notes += told
    ignored = list(dict.fromkeys(name for part in parts for name in part.ignored))
    history, valued, told = _valued(history, data, ignored)
    notes += told
    history = _idle(history, notes) if data.idle_days else history
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


def _platforms(sheets: Sequence[Sheet], data: Data) -> list[str | None]:
    """What a sheet without a column of platforms is called; `None`: it is the only one.

    Sheets of several months of a platform are one: `google_2025-01` and `google_2025-02` are `google`.
    """
    if len(sheets) < 2:
        return [None] * len(sheets)
    plain = [names.without_period(sheet.stem) for sheet in sheets]
    whole = Path(data.path or "").name.partition(".")[0]
    return [name if name else whole for name in plain]


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
    sheet = long.metrics_across(long.days_down(sheet), data.columns)
    if wide.is_wide(sheet.header) and "platform" not in data.columns:
        sheet = wide.rows(sheet)

    def tells(column: str, at: int) -> bool:
        cells = (row[at] for row in sheet.rows)
        return dates.are_dates(cells) if column == "date" else len(set(cells) - {""}) > 1

    mapped, told_action = action_lists.chosen(sheet, data.columns, pages)
    found = known.find(sheet.header, mapped, sheet.name, tells)
    named = [at for name in ("platform", known.CAMPAIGN) if (at := found.at.get(name)) is not None]
    sheet = without_totals(sheet, found.at.get("date"), named, dates.is_date)
    sheet = averages.without(sheet, found.at.get("date"), dates.is_date)
    sheet = filled_down(
        sheet, [found.at[name] for name in repeated.KEY if name in found.at], found.at.get(known.CAMPAIGN)
    )
    notes = [*sheet.notes, *told_action]
    turned = list(zip(*sheet.rows, strict=True)) if sheet.rows else [()] * len(sheet.header)
    columns = {name: list(map(str.strip, turned[at])) for name, at in found.at.items()}
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
    columns["date"], told = dates.convert(columns["date"], data.dates, columns.get("platform"))
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
    return _Part(columns, others, told_ignored, code, [*notes, *told, *said, *added], sheet.stem)


Columns = dict[str, list[str]]


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
        kept = np.delete(np.arange(len(columns["date"])), rows).tolist()
        columns = {name: [values[at] for at in kept] for name, values in columns.items()}
        others = {name: [values[at] for at in kept] for name, values in others.items()}
    return columns, others, told


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


def _valued(
    history: dict[str, list[str]], data: Data, ignored: Sequence[str]
) -> tuple[dict[str, list[str]], bool, list[str]]:
    """Revenue from conversions where the history has none.

    Raises:
        DataError: it has none and `data.value_per_conversion` is not given, or it has some and that is given.
    """
    earned = any(_number(value) for value in history.get("revenue", ()))
    value = data.value_per_conversion
    if earned:
        if value is not None:
            raise DataError(
                f"data.value_per_conversion: {value:g}, and the history has revenue; drop the setting, or the column "
                "of revenue"
            )
        return history, False, []
    converted = any(_number(text) for text in history["conversions"])
    if value is None:
        if converted or "revenue" not in history:
            raise DataError(
                f"revenue: the history has conversions and no revenue; {_unread(ignored)}"
                "say what a conversion is worth on average "
                "(--set data.value_per_conversion=VALUE: of a lead its chance to become a sale times what that earns)"
            )
        return history, False, []
    worth = [f"{float(text) * value:.12g}" if _number(text) is not None else "" for text in history["conversions"]]
    return (
        history | {"revenue": worth},
        True,
        [f"Revenue is conversions times {value:g} (data.value_per_conversion): every conversion counts the same."],
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _named(history: dict[str, list[str]], data: Data) -> None:
    """Rows without a campaign's name are a campaign where all are read as one: no name counts then."""
    if data.campaigns == accounts.TOGETHER and known.CAMPAIGN in history:
        history[known.CAMPAIGN] = [name.strip() or UNNAMED for name in history[known.CAMPAIGN]]


def _idle(history: dict[str, list[str]], notes: list[str]) -> dict[str, list[str]]:
    """Days without any row get rows of 0, for every platform and campaign (`data.idle_days`)."""
    days = sorted({day for text in set(history["date"]) if (day := dates.of_iso(text))})
    gaps = sorted((later - earlier).days for earlier, later in pairwise(days))
    if gaps and gaps[len(gaps) // 2] != 1:
        raise DataError(
            f"data.idle_days: rows are {gaps[len(gaps) // 2]} days apart; it is for histories by day: drop the setting"
        )
    absent = rhythm.missing_days(days)
    if not absent:
        return history
    campaigns = history.get(known.CAMPAIGN) or [ALL_CAMPAIGNS] * len(history["date"])
    cells = list(dict.fromkeys(zip(history["platform"], campaigns, strict=True)))
    result = {name: list(values) for name, values in history.items()}
    for day in absent:
        for platform, campaign in cells:
            row = {"date": day.isoformat(), "platform": platform, known.CAMPAIGN: campaign}
            for name, values in result.items():
                values.append(row.get(name, "0"))
    notes.append(f"{len(absent):,} day(s) without any row count as days on which nothing was spent (data.idle_days).")
    return result
