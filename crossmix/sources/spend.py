"""Source `spend`: a history of daily totals, all that most advertisers have.

Any table with a date, a platform, spend, impressions, clicks, conversions and revenue, and optionally a campaign
(absent: one) and a planned budget (absent: what was spent): text in any separator and encoding, JSON, a workbook, a
folder or a pattern of them, a table of a warehouse. What was taken as what is told (`crossmix.sources.history`): names
of columns, formats of numbers and dates, title lines, totals, parts and restatements. In a weekly history the date is
the week's first day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from crossmix.config import Data
from crossmix.schema import ALL_CAMPAIGNS, BOOKED, OUTCOMES, Provenance
from crossmix.sources import SOURCES, Backend, Raw, Source, Table
from crossmix.sources.history.columns import CAMPAIGN, KNOWN, NUMBERS, PLANNED
from crossmix.sources.history.dates import of_iso
from crossmix.sources.history.load import History, load
from crossmix.sources.history.names import categories
from crossmix.sources.history.numbers import values
from crossmix.sources.late import ibis
from crossmix.sources.rules import PROBLEM, parse


def read(data: Data, backend: Backend, workdir: Path) -> Raw:
    """The history's totals, and its plans where it has a column of them.

    Raises:
        DataError: what `data.path` names cannot be read as a history, or cannot be meant.
    """
    return raw(load(data), lambda: backend, workdir)


def raw(history: History, engine: Callable[[], Backend], workdir: Path) -> Raw:
    """A history that was read, as ingest takes it; `workdir` holds it meanwhile.

    Args:
        engine: what cleans it, where a row or a plan asks for it.
    """
    frame, blank = _sound(history.columns)
    told = Raw(
        sound=frame,
        blank=blank,
        generated=False,
        currency=history.currency,
        cycle_hours=24,
        digest=history.digest,
        provenance=_provenance(history),
        notes=_notes(history),
    )
    return told if frame is not None else _unsound(told, history.columns, engine(), workdir)


def _unsound(told: Raw, texts: Mapping[str, Sequence[str]], backend: Backend, workdir: Path) -> Raw:
    """The history as tables of an engine, which says of each row what is wrong with it."""
    columns = {name: _typed(name, texts[name]) for name in KNOWN if name in texts}
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
    return replace(told, outcomes=outcomes, plans=_plans(parsed, CAMPAIGN in columns) if PLANNED in columns else None)


def _sound(columns: Mapping[str, Sequence[str]]) -> tuple[pd.DataFrame | None, int]:
    """The rows as a frame where surely each keeps every rule of ingest, and how many without a number are left out.

    `None`: some may not, or there are plans, which have rules of their own.
    """
    found = {name: _numbers(columns[name]) for name in NUMBERS}
    days = _days(columns["date"])
    if PLANNED in columns or days is None or any(one is None for one in found.values()):
        return None, 0
    campaigns = categories(columns[CAMPAIGN] if CAMPAIGN in columns else [ALL_CAMPAIGNS] * len(days))
    frame = pd.DataFrame({"campaign_id": campaigns, "platform": categories(columns["platform"]), "date": days} | found)
    blank = frame[list(NUMBERS)].isna().all(axis=1)
    frame = frame[~blank].reset_index(drop=True) if blank.any() else frame
    for column in BOOKED:
        value = frame[column.name]
        if column.kind == "string" and any(not text or text != text.strip() for text in value.unique()):
            return None, 0
        if not column.nullable and value.isna().any():
            return None, 0
        if column.low is not None and (value < column.low).any():
            return None, 0
    unseen = frame["clicks"] > frame["impressions"].fillna(0.0)
    if frame.empty or unseen.any() or frame.duplicated(["campaign_id", "platform", "date"]).any():
        return None, 0
    return frame, int(blank.sum())


def _numbers(texts: Sequence[str]) -> npt.NDArray[np.float64] | None:
    """A column as values, NaN for `''`; `None` where a text is no number."""
    found = values(texts)
    return found if np.isnan(found).sum() == list(texts).count("") else None


def _days(texts: Sequence[str]) -> list[date] | None:
    """A column as days; `None` where a text is none."""
    days = {text: of_iso(text) for text in set(texts)}
    known = {text: day for text, day in days.items() if day is not None and day.isoformat() == text}
    return [known[text] for text in texts] if len(known) == len(days) else None


def _typed(name: str, texts: Sequence[str]) -> pa.Array:
    """A column as values where all of it can be read so, `''` as null; else as text, which an engine parses and tells
    row by row what is wrong with it."""
    if name in (*NUMBERS, PLANNED) and (found := _numbers(texts)) is not None:
        return pa.array(found, mask=np.isnan(found))
    if name == "date" and (days := _days(texts)) is not None:
        return pa.array(days, pa.date32())
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
