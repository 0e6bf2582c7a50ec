"""Source `spend`: a history of daily totals, all that most advertisers have.

Any table with a date, a platform, spend, impressions, clicks, conversions and revenue, and optionally a campaign
(absent: one) and a planned budget (absent: what was spent): text in any separator and encoding, JSON, a workbook, a
folder or a pattern of them, a table of a warehouse. What was taken as what is told (`crossmix.sources.history`): names
of columns, formats of numbers and dates, title lines, totals, parts and restatements. In a weekly history the date is
the week's first day.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from crossmix.config import Data
from crossmix.schema import ALL_CAMPAIGNS, OUTCOMES, Provenance
from crossmix.sources import SOURCES, Backend, Raw, Source, Table
from crossmix.sources.history.columns import CAMPAIGN, KNOWN, NUMBERS, PLANNED
from crossmix.sources.history.dates import of_iso
from crossmix.sources.history.load import History, load
from crossmix.sources.history.numbers import values
from crossmix.sources.rules import PROBLEM, parse


def read(data: Data, backend: Backend, workdir: Path) -> Raw:
    """The history's totals, and its plans where it has a column of them.

    Raises:
        DataError: what `data.path` names cannot be read as a history, or cannot be meant.
    """
    return raw(load(data), backend, workdir)


def raw(history: History, backend: Backend, workdir: Path) -> Raw:
    """A history that was read, as ingest takes it; `workdir` holds it meanwhile."""
    columns = {name: _typed(name, history.columns[name]) for name in KNOWN if name in history.columns}
    file = workdir / "history.parquet"
    pq.write_table(pa.table(columns), file)
    kinds = dict.fromkeys(NUMBERS, "float64") | {"date": "date"}
    text = {name: kind for name, kind in kinds.items() if pa.types.is_string(columns[name].type)}
    parsed = parse(backend.read_parquet(str(file)), text)
    # Once: every rule reads the values again, and an engine would read the text as often.
    parsed = parsed.cache() if text else parsed
    campaign = parsed[CAMPAIGN].strip().nullif("") if CAMPAIGN in columns else ibis.literal(ALL_CAMPAIGNS)
    keys = {"campaign_id": campaign, "platform": parsed["platform"].strip().nullif(""), "date": parsed["date"]}
    outcomes = parsed.select(**keys, **{name: parsed[name] for name in NUMBERS}, **{PROBLEM: parsed[PROBLEM]})
    return Raw(
        outcomes=outcomes,
        plans=_plans(parsed, CAMPAIGN in columns) if PLANNED in columns else None,
        generated=False,
        currency=history.currency,
        cycle_hours=24,
        digest=history.digest,
        provenance=_provenance(history),
        notes=_notes(history),
    )


def _typed(name: str, texts: Sequence[str]) -> pa.Array:
    """A column as values where all of it can be read so, `''` as null; else as text, which an engine parses and tells
    row by row what is wrong with it."""
    if name in (*NUMBERS, PLANNED):
        found = values(texts)
        untold = np.isnan(found)
        if untold.sum() == list(texts).count(""):
            return pa.array(found, mask=untold)
    if name == "date":
        days = {text: of_iso(text) for text in set(texts)}
        if all(day is not None and day.isoformat() == text for text, day in days.items()):
            return pa.array([days[text] for text in texts], pa.date32())
    return pa.array(texts, pa.string())


def _plans(parsed: Table, named: bool) -> Table:
    """Planned budgets; `named`: the history has campaigns."""
    text = {PLANNED: "float64"} if parsed[PLANNED].type().is_string() else {}
    money = parse(parsed.drop(PROBLEM), text)
    return money.select(
        campaign_id=money[CAMPAIGN].strip().nullif("") if named else ibis.literal(ALL_CAMPAIGNS),
        platform=money["platform"].strip().nullif(""),
        date=money["date"],
        planned_budget=money[PLANNED],
        **{PROBLEM: money[PROBLEM]},
    )


def _provenance(history: History) -> dict[str, str]:
    provenance = {column.name: Provenance.REAL.value for column in OUTCOMES}
    if CAMPAIGN not in history.columns:
        provenance["campaign_id"] = Provenance.APPROXIMATED.value
    if history.valued:
        provenance["revenue"] = Provenance.APPROXIMATED.value
    if PLANNED in history.columns:
        provenance |= {f"plans.{name}": Provenance.REAL.value for name in ("campaign_id", "platform", "date")}
        provenance |= {"plans.planned_budget": Provenance.REAL.value}
        provenance |= {f"plans.{name}": Provenance.MISSING.value for name in ("min", "max")}
    return provenance | {f"creatives.{name}": Provenance.MISSING.value for name in ("image", "copy")}


def _notes(history: History) -> tuple[str, ...]:
    notes = [
        "The log is a spend history: totals by day and platform, no single impressions, no users, creatives or bids."
    ]
    if history.ignored:
        notes.append(f"Columns of the history that are not read: {', '.join(map(repr, history.ignored))}.")
    return (*notes, *history.notes)


SOURCES.register(
    Source(
        name="spend",
        label="a spend history: totals per day and platform",
        read=read,
        folder=(
            "*.csv",
            "*.tsv",
            "*.txt",
            "*.xlsx",
            "*.xlsm",
            "*.xls",
            "*.ods",
            "*.zip",
            "*.parquet",
            "*.feather",
            "*.orc",
            "*.json",
            "*.jsonl",
            "*.ndjson",
        ),
        warehouse=True,
        tasks=("split",),
        asks=("value_per_conversion",),
    )
)
