"""Long tables, a row for each figure (`date, platform, metric, value`), and tables with a column for each day."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from crossmix.schema import DataError
from crossmix.sources.history.columns import CAMPAIGN, NUMBERS, column_of, plain
from crossmix.sources.history.dates import MONTHS, is_date
from crossmix.sources.history.named_periods import is_month_name
from crossmix.sources.history.sheet import Sheet, filled_down
from crossmix.sources.history.wide import parted

FEWEST_MONTHS = 3
"""So many columns under names of months are months."""
FEWEST_DAYS = 5
"""So many columns under dates are days, and no header."""
MOST_METRICS = 100
_MONTH = re.compile(r"\d{4}[-/.]\d{1,2}|\d{1,2}[-/.]\d{4}|([^\W\d]{3,})\.?[ '-]+(?:\d{4}|\d{2})")
_VALUES = frozenset(
    (
        *("value", "values", "metric value", "measure values", "measure value", "amount", "number", "count", "figure"),
        *(
            "wert",
            "werte",
            "betrag",
            "valeur",
            "montant",
            "valor",
            "importe",
            "valore",
            "waarde",
            "wartość",
            "значение",
        ),
        *("hodnota", "värde", "værdi", "verdi", "değer", "値", "数值", "값"),
    )
)


def days_down(sheet: Sheet) -> Sheet:
    """A sheet with a column for each day as rows of a date and a value; another sheet as it is."""
    if any(column_of(name) == "date" for name in sheet.header):
        return sheet
    months = [name for name in sheet.header if _is_month(name.strip())]
    named = [name for name in sheet.header if is_month_name(name)]
    months = months if len(months) >= 2 else named if len(named) >= FEWEST_MONTHS else []
    if months:
        raise DataError(
            f"date: {sheet.name!r} has a column for each month ({', '.join(map(repr, months[:3]))}): a split is learnt "
            "from days or weeks; export it by day, a row a day and platform"
        )
    days = [at for at, name in enumerate(sheet.header) if is_date(name)]
    if len(days) < FEWEST_DAYS:
        return sheet
    names = [at for at, name in enumerate(sheet.header) if at not in days and name]
    if not names:
        return sheet  # no header
    unnamed = _platforms_without_a_name(sheet, days)
    if unnamed is not None:
        header = ["platform" if at == unnamed else name for at, name in enumerate(sheet.header)]
        sheet = replace(sheet, header=header)
        names = sorted({*names, unnamed})
    sheet = filled_down(sheet, names, None)
    rows = [
        [*(row[at] for at in names), sheet.header[day], row[day]]
        for row in sheet.rows
        for day in days
        if row[day].strip()
    ]
    note = f"{sheet.stem!r} has a column for each of {len(days)} days; each is read as a row."
    header = [*(sheet.header[at] for at in names), "date", "value"]
    return Sheet(sheet.name, sheet.stem, header, rows, [*sheet.notes, note])


def _platforms_without_a_name(sheet: Sheet, days: Sequence[int]) -> int | None:
    """The only column without a name that has words, of a sheet that names no platforms."""
    if any(column_of(name) == "platform" for name in sheet.header):
        return None
    words = [
        at
        for at, name in enumerate(sheet.header)
        if not name and at not in days and any(re.search(r"[^\W\d]", row[at]) for row in sheet.rows)
    ]
    return words[0] if len(words) == 1 else None


def metrics_across(sheet: Sheet, mapped: Mapping[str, str]) -> Sheet:
    """A long sheet with a column for each of its metrics; another sheet as it is.

    Args:
        mapped: `data.columns`.

    Raises:
        DataError: it is long, and tells a figure twice, or has one metric alone.
    """
    value = _value_of(sheet)
    if value is None or "spend" in mapped or any(column_of(name) == "spend" for name in sheet.header):
        return sheet
    metric = _metric_of(sheet, value)
    if metric is None:
        _check_single(sheet, value)
        return sheet
    metrics = list(dict.fromkeys(row[metric].strip() for row in sheet.rows if row[metric].strip()))
    keys = _keys(sheet, metric, value)
    table: dict[tuple[str, ...], dict[str, str]] = {}
    for row in sheet.rows:
        name, text = row[metric].strip(), row[value]
        cells = table.setdefault(tuple(row[at] for at in keys), {})
        if name and cells.setdefault(name, text) != text:
            where = ", ".join(row[at] for at in keys)
            raise DataError(
                f"{name}: {sheet.name!r} has two values of it for the same row ({where}: {cells[name]!r} and "
                f"{text!r}); export a column for each figure, or leave out the older rows"
            )
    header = [*(sheet.header[at] for at in keys), *metrics]
    rows = [[*key, *(cells.get(name, "") for name in metrics)] for key, cells in table.items()]
    note = (
        f"{sheet.stem!r} has a row for each figure: {sheet.header[metric]!r} names it and {sheet.header[value]!r} has "
        f"it; they are read as columns ({', '.join(map(repr, metrics[:12]))})."
    )
    return Sheet(sheet.name, sheet.stem, header, rows, [*sheet.notes, note])


def _is_month(name: str) -> bool:
    """Whether a column is called after a month: `2025-01`, `01/2025`, `Jan 2025`, `Mar-25`."""
    found = _MONTH.fullmatch(name)
    return found is not None and (found[1] is None or found[1][:3].lower() in MONTHS)


def _value_of(sheet: Sheet) -> int | None:
    """The column of values: the only one that is called so."""
    found = [at for at, name in enumerate(sheet.header) if plain(name) in _VALUES]
    return found[0] if len(found) == 1 else None


def _metric_of(sheet: Sheet, value: int) -> int | None:
    """The column whose cells name spend and another figure of a history."""
    for at in range(len(sheet.header)):
        cells = {row[at].strip() for row in sheet.rows}
        if at != value and len(cells) <= MOST_METRICS:
            named = {column_of(cell) or (parted(cell) or (None, None))[1] for cell in cells if cell}
            if "spend" in named and len(named & set(NUMBERS)) >= 2:
                return at
    return None


def _check_single(sheet: Sheet, value: int) -> None:
    """Raise `DataError` for a sheet that has nothing but one figure for each date and platform."""
    known = {column_of(name) for at, name in enumerate(sheet.header) if at != value}
    if not {"date", "platform"} <= known or known & {"impressions", "clicks", "conversions"}:
        return
    raise DataError(
        f"{sheet.header[value]}: {sheet.name!r} has one column of figures and none that names them; export spend, "
        "impressions, clicks, conversions and revenue as a column each, or as rows with a column `metric`"
    )


def _keys(sheet: Sheet, metric: int, value: int) -> list[int]:
    """Columns that tell rows apart; not those that go with the metric, as its unit."""
    keys = []
    for at in range(len(sheet.header)):
        if at in (metric, value) or not sheet.header[at]:
            continue
        pairs = Counter((row[metric].strip(), row[at].strip()) for row in sheet.rows)
        metrics = {name for name, _ in pairs}
        of_metric = len(pairs) == len(metrics) and len({cell for _, cell in pairs}) > 1
        if not of_metric or column_of(sheet.header[at]) in {"date", "platform", CAMPAIGN}:
            keys.append(at)
    return keys
