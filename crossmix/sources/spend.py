"""Source `spend`: a history of daily totals, all that most advertisers have.

A CSV (comma, semicolon or tab; may be gzipped) with the columns date (YYYY-MM-DD), platform, spend, impressions,
clicks, conversions, revenue, and optionally `campaign` (absent: one campaign) and `planned` (the day's planned budget;
absent: what was spent). Names are read without regard to case; other columns are ignored, and told. One row per date,
platform and campaign; in a weekly history the date is the week's first day.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from crossmix.config import Data
from crossmix.schema import OUTCOMES, DataError, Provenance
from crossmix.sources import SOURCES, Backend, Raw, Source, verify_file
from crossmix.sources.rules import PROBLEM, parse

NUMBERS = ("spend", "impressions", "clicks", "conversions", "revenue")
REQUIRED = ("date", "platform", *NUMBERS)
CAMPAIGN, PLANNED = "campaign", "planned"
OPTIONAL = (CAMPAIGN, PLANNED)
ONLY = "all campaigns"
"""The campaign of a history that names none."""
MOST_CONFLICTS = 0.1
"""Largest share of rows that may disagree with another row of their date, platform and campaign."""
CURRENCY = "currency units of the history"


def read(data: Data, backend: Backend, workdir: Path) -> Raw:
    """The history's totals, and its plans where it has a column of them.

    Raises:
        DataError: the file is missing, unreadable, empty, truncated or no table, or lacks a column.
    """
    path = Path(data.path or "")
    digest = verify_file(path)
    header, rows = _text(path)
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise DataError(
            f"{missing[0]}: column is missing from {str(path)!r} (missing: {', '.join(missing)}); a spend history has "
            f"{', '.join(REQUIRED)} and may have {' and '.join(OPTIONAL)}: add or rename the column"
        )
    known = [name for name in (*REQUIRED, *OPTIONAL) if name in header]
    _check_totalled([[row[header.index(name)].strip() for name in known] for row in rows], known)
    columns = {name: [row[header.index(name)] for row in rows] for name in known}
    file = workdir / "history.parquet"
    pq.write_table(pa.table(columns, schema=pa.schema([(name, pa.string()) for name in known])), file)
    parsed = parse(backend.read_parquet(str(file)), dict.fromkeys(NUMBERS, "float64") | {"date": "date"})
    campaign = parsed[CAMPAIGN].strip().nullif("") if CAMPAIGN in header else ibis.literal(ONLY)
    keys = {"campaign_id": campaign, "platform": parsed["platform"].strip().nullif(""), "date": parsed["date"]}
    outcomes = parsed.select(**keys, **{name: parsed[name] for name in NUMBERS}, **{PROBLEM: parsed[PROBLEM]})
    plans = None
    if PLANNED in header:
        money = parse(parsed.drop(PROBLEM), {PLANNED: "float64"})
        plans = money.select(
            campaign_id=money[CAMPAIGN].strip().nullif("") if CAMPAIGN in header else ibis.literal(ONLY),
            platform=money["platform"].strip().nullif(""),
            date=money["date"],
            planned_budget=money[PLANNED],
            **{PROBLEM: money[PROBLEM]},
        )
    ignored = [name for name in header if name not in (*REQUIRED, *OPTIONAL)]
    provenance = {column.name: Provenance.REAL.value for column in OUTCOMES}
    if CAMPAIGN not in header:
        provenance["campaign_id"] = Provenance.APPROXIMATED.value
    if plans is not None:
        provenance |= {f"plans.{name}": Provenance.REAL.value for name in ("campaign_id", "platform", "date")}
        provenance |= {"plans.planned_budget": Provenance.REAL.value}
        provenance |= {f"plans.{name}": Provenance.MISSING.value for name in ("min", "max")}
    notes = ["The log is a spend history: totals by day and platform, no impressions, users, creatives or bids."]
    if ignored:
        notes.append(f"Columns of the history that are not read: {', '.join(map(repr, ignored))}.")
    return Raw(
        outcomes=outcomes,
        plans=plans,
        generated=False,
        currency=CURRENCY,
        cycle_hours=24,
        digest=digest,
        provenance=provenance | {f"creatives.{name}": Provenance.MISSING.value for name in ("image", "copy")},
        notes=tuple(notes),
    )


def _check_totalled(rows: list[list[str]], known: list[str]) -> None:
    """Raise `DataError` where many rows share date, platform and campaign: they are parts, to be added up first.

    A few such rows are quarantined, as none of them can be trusted; exact copies are dropped.
    """
    key = [known.index(name) for name in ("date", "platform", CAMPAIGN) if name in known]
    distinct = {tuple(row) for row in rows}
    count = Counter(tuple(row[index] for index in key) for row in distinct)
    shared = sum(number for number in count.values() if number > 1)
    if shared > MOST_CONFLICTS * len(distinct):
        raise DataError(
            f"date: {shared} of {len(distinct)} rows share their date, platform and campaign with another row; pass "
            "one row for each (add them up), or name what tells them apart in a column `campaign`"
        )


def _text(path: Path) -> tuple[list[str], list[list[str]]]:
    """Column names in lower case, and the rows as text; short rows are filled up with empty fields."""
    packed = path.read_bytes()
    try:
        text = (gzip.decompress(packed) if path.suffix == ".gz" else packed).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"data.path: {str(path)!r} is not text (UTF-8); pass a comma-separated history") from None
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    try:
        lines = [
            row for row in csv.reader(io.StringIO(text), delimiter=separator, strict=True) if any(map(str.strip, row))
        ]
    except csv.Error as error:
        raise DataError(f"data.path: {str(path)!r} cannot be read ({error}); repair that line") from None
    if not lines:
        raise DataError(f"data.path: {str(path)!r} is empty; pass a history with a header and rows")
    header = [name.strip().lower() for name in lines[0]]
    if len(set(header)) != len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise DataError(f"{twice}: column appears twice in {str(path)!r}; keep one")
    long = next((number for number, row in enumerate(lines[1:], start=2) if len(row) > len(header)), None)
    if long is not None:
        raise DataError(
            f"data.path: row {long} of {str(path)!r} has {len(lines[long - 1])} fields, the header {len(header)}; "
            "repair that line (a number with a thousands separator needs quotes off and the separator gone)"
        )
    return header, [row + [""] * (len(header) - len(row)) for row in lines[1:]]


SOURCES.register(
    Source(
        name="spend",
        label="a spend history: totals per day and platform",
        read=read,
    )
)
