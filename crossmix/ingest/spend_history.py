"""Ingest of a spend history: totals per campaign, platform and day take the place of impressions."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from crossmix.artifacts import IngestReport
from crossmix.config import Data, digest
from crossmix.ingest import history_tables as history
from crossmix.ingest import plans
from crossmix.ingest.clean import clean, clean_optional, plan_rules, platform_groups
from crossmix.ingest.dataset import days_of, plans_from_spend, write_creatives
from crossmix.ingest.engine import cleaning_settings
from crossmix.ingest.timeline import Timeline, first_cycles
from crossmix.schema import DERIVED, OUTCOMES, PLANS, QUARANTINE, DataError, Meta
from crossmix.sources import Raw
from crossmix.sources.tables import arrow_schema


def ingest_history(raw: Raw, data: Data, out: Path) -> Meta:
    """`ingest_raw` for daily totals: `outcomes` takes the place of impressions and sequences (`sources.history`)."""
    key = ("campaign_id", "platform", "date")
    outcomes = clean(raw.outcomes, OUTCOMES, "outcomes", key, history.outcome_rules)
    frame = outcomes.table.to_pandas()
    frame["date"] = days_of(frame["date"])
    rejected = list(outcomes.rejected)
    days = history.days_per_row(frame["date"])
    timing = _timeline(frame["date"], days, data)
    first, hours, cycles = timing.start.date(), timing.hours, timing.cycles
    view = outcomes.table.mutate(timestamp=outcomes.table["date"].cast("timestamp"), price_paid=outcomes.table["spend"])
    platforms, group, grouping = platform_groups(view, timing, data)
    table, beyond = history.totals(frame, group, first, hours // 24, timing.first_cycle, cycles, data.holdout_days)
    history.check_market(table, platforms)
    campaigns = sorted(set(table["campaign_id"]))

    planned = clean_optional(raw.plans, PLANS, "plans", key, lambda t: plan_rules(t, set(group), campaigns))
    if planned is None:
        amounts = frame.rename(columns={"spend": "planned_budget"})
    else:
        amounts = planned.table.to_pandas()
        amounts["date"] = days_of(amounts["date"])
        rejected += planned.rejected
    budget = plans.grouped(history.daily_plans(amounts, days), group)
    pq.write_table(
        pa.Table.from_pandas(budget, schema=arrow_schema(PLANS), preserve_index=False), out / "plans.parquet"
    )
    outcome_schema = arrow_schema((*OUTCOMES, *DERIVED))
    pq.write_table(pa.Table.from_pandas(table, schema=outcome_schema, preserve_index=False), out / "outcomes.parquet")
    write_creatives(None, out)
    pq.write_table(pa.Table.from_pylist(rejected, schema=arrow_schema(QUARANTINE)), out / "quarantine.parquet")

    provenance = dict(raw.provenance)
    notes = history.notes(timing.cycles, hours, data.holdout_days, frame, beyond, table)
    if planned is None:
        provenance |= plans_from_spend()
        notes.append("The history has no column `planned`: a day's plan is what it spent, and there are no limits.")
    notes += grouping
    meta = Meta(
        source=data.source,
        generated=raw.generated,
        currency=raw.currency,
        platforms=tuple(platforms),
        campaigns=tuple(campaigns),
        start=timing.start.isoformat(),
        cycle_hours=hours,
        cycles=cycles,
        first_cycle=timing.first_cycle,
        modalities=(),
        provenance=provenance,
        weekday_pattern=hours == 24,
        digest=digest({"raw": raw.digest, "data": cleaning_settings(data)}),
        notes=(*raw.notes, *notes),
        rows={
            "read": outcomes.rows + outcomes.duplicates,
            "ingested": outcomes.rows - len(outcomes.rejected),
            "duplicates": outcomes.duplicates,
            "quarantined": dict(sorted(Counter(row["code"] for row in rejected).items())),
            "imputed": {"conversions_beyond_clicks": beyond},
        },
        aggregate=True,
    )
    meta.save(out)
    IngestReport.of(history.report(table, meta)).save(out)
    return meta


def _timeline(date: pd.Series, days: int, data: Data) -> Timeline:
    """The history cut into cycles of whole rows; `days`: of a row.

    Raises:
        DataError: cycles that cut a row, or too few of them.
    """
    hours = data.cycle_hours or 24 * days
    if hours % (24 * days):
        raise DataError(
            f"data.cycle_hours: {hours} h; a history of {days} day(s) a row needs a multiple of {24 * days} h, or none"
        )
    first = min(date)
    cycles = ((max(date) - first).days + days) // (hours // 24)
    history.check_length(cycles, hours // 24, date)
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    return Timeline(start, hours, cycles, first_cycles(cycles, data))
