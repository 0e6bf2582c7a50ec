"""Ingest of a log of impressions: from raw tables to a `Dataset` folder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from crossmix.artifacts import IngestReport
from crossmix.config import Data, digest
from crossmix.ingest.behaviour import SEQUENCES, sequences
from crossmix.ingest.clean import (
    clean,
    clean_optional,
    column_values,
    impression_rules,
    impute,
    plan_rules,
    platform_groups,
)
from crossmix.ingest.dataset import check_fittable, derive, plans_from_spend, write_creatives, write_plans
from crossmix.ingest.engine import cleaning_settings
from crossmix.ingest.report import report
from crossmix.ingest.spend_history import ingest_history
from crossmix.ingest.timeline import WEEKDAY_HOURS, timeline
from crossmix.schema import CREATIVES, DERIVED, IMPRESSIONS, PLANS, QUARANTINE, Meta
from crossmix.sources import Raw
from crossmix.sources.tables import arrow_schema, write_log


def ingest_raw(raw: Raw, data: Data, out: Path) -> Meta:
    """`ingest` for tables in hand: any object that satisfies `Raw`."""
    if raw.impressions is None:
        return ingest_history(raw, data, out)
    impressions = clean(raw.impressions, IMPRESSIONS, "impressions", ("impression_id",), impression_rules)
    creatives = clean_optional(raw.creatives, CREATIVES, "creatives", ("creative_id",))
    table, imputed, notes = impute(impressions.table, creatives.table if creatives else None, data)
    timing = timeline(table, data, raw.cycle_hours)
    platforms, group, grouping = platform_groups(table, timing, data)
    table = derive(table, timing, group, data).cache()
    campaigns = sorted(column_values(table.select("campaign_id").distinct()))
    notes += [*grouping, *check_fittable(table, campaigns, data)]

    # A plan may name a raw platform or, where the config groups them, the group.
    planable = {name: group[raw_name] for raw_name, name in data.platform_groups.items()} | group
    planned = clean_optional(
        raw.plans, PLANS, "plans", ("campaign_id", "platform", "date"), lambda t: plan_rules(t, planable, campaigns)
    )
    write_plans(planned, table, timing, platforms, planable, out)
    order = ("timestamp", "impression_id")
    write_log(table, arrow_schema((*IMPRESSIONS, *DERIVED)), out / "impressions.parquet", order)
    write_log(sequences(table, platforms, data.sequence_length), SEQUENCES, out / "sequences.parquet", order)
    modalities = write_creatives(creatives, out)
    rejected = [row for part in (impressions, creatives, planned) if part for row in part.rejected]
    pq.write_table(pa.Table.from_pylist(rejected, schema=arrow_schema(QUARANTINE)), out / "quarantine.parquet")

    rows = {
        "read": impressions.rows + impressions.duplicates,
        "ingested": impressions.rows - sum(row["table"] == "impressions" for row in rejected),
        "duplicates": impressions.duplicates,
        "quarantined": dict(sorted(Counter(row["code"] for row in rejected).items())),
        "imputed": imputed,
    }
    provenance = dict(raw.provenance)
    if planned is None:
        provenance |= plans_from_spend()
        notes.append("The log has no plans: planned budgets are approximated by actual spend, and there are no limits.")
    meta = Meta(
        source=data.source,
        generated=raw.generated,
        currency=raw.currency,
        platforms=tuple(platforms),
        campaigns=tuple(campaigns),
        start=timing.start.isoformat(),
        cycle_hours=timing.hours,
        cycles=timing.cycles,
        first_cycle=timing.first_cycle,
        modalities=(*modalities, "behaviour"),
        provenance=provenance,
        weekday_pattern=not raw.approximate_time and timing.cycles * timing.hours >= WEEKDAY_HOURS,
        digest=digest({"raw": raw.digest, "data": cleaning_settings(data)}),
        notes=(*raw.notes, *notes),
        rows=rows,
    )
    meta.save(out)
    IngestReport.of(report(table, meta)).save(out)
    return meta
