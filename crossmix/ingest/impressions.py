"""Ingest of a log of impressions: from raw tables to a `Dataset` folder."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from crossmix.artifacts import IngestReport
from crossmix.config import Data, digest
from crossmix.ingest.behaviour import SEQUENCES, sequences
from crossmix.ingest.clean import (
    clean,
    clean_optional,
    impression_rules,
    impute,
    known_creatives,
    plan_rules,
    platform_groups,
)
from crossmix.ingest.dataset import (
    check_fittable,
    derive,
    held_out,
    plans_from_spend,
    totals,
    write_creatives,
    write_plans,
)
from crossmix.ingest.engine import cleaning_settings
from crossmix.ingest.quarantined import Lost, Sound, lines, weighed
from crossmix.ingest.report import report
from crossmix.ingest.spend_history import ingest_history
from crossmix.ingest.timeline import WEEKDAY_HOURS, timeline
from crossmix.schema import CREATIVES, DERIVED, IMPRESSIONS, PLANS, QUARANTINE, Meta
from crossmix.sources import Raw, Table
from crossmix.sources.tables import arrow_schema, fetch, rounded, write_log


def ingest_raw(raw: Raw, data: Data, out: Path, *, told_alone: bool = False) -> Meta:
    """`ingest` for tables in hand: any object that satisfies `Raw`.

    Args:
        told_alone: of a spend history write meta, report and quarantine, and no table of outcomes and plans.
    """
    if raw.impressions is None:
        return ingest_history(raw, data, out, told_alone=told_alone)
    impressions = clean(
        raw.impressions,
        IMPRESSIONS,
        "impressions",
        ("impression_id",),
        impression_rules,
        lambda conformed: held_out(conformed, data),
        money="price_paid",
    )
    creatives = clean_optional(raw.creatives, CREATIVES, "creatives", ("creative_id",))
    shown = creatives.table if creatives else None
    table, imputed, notes = impute(impressions.table, shown, data)
    timing = timeline(table, data, raw.cycle_hours)
    platforms, group, grouping = platform_groups(table, timing, data)
    # Not kept once more: it follows from the kept rows column by column.
    table = derive(table, timing, group)
    whole = totals(table)
    shares = weighed([_grouped(one, group) for one in impressions.lost], _sound(whole), impressions.rejected, data)
    campaigns = sorted(row["campaign_id"] for row in fetch(whole.select("campaign_id").distinct()))
    notes += [*grouping, *check_fittable(whole, campaigns, data)]

    # A plan may name a raw platform or, where the config groups them, the group.
    planable = {name: group[raw_name] for raw_name, name in data.platform_groups.items()} | group
    planned = clean_optional(
        raw.plans, PLANS, "plans", ("campaign_id", "platform", "date"), lambda t: plan_rules(t, planable, campaigns)
    )
    write_plans(planned, whole, timing, platforms, planable, out)
    order = ("timestamp", "impression_id")
    shown_rows = known_creatives(table, shown)
    write_log(shown_rows, arrow_schema((*IMPRESSIONS, *DERIVED)), out / "impressions.parquet", order)
    write_log(sequences(table, platforms, data.sequence_length), SEQUENCES, out / "sequences.parquet", order)
    modalities = write_creatives(creatives, out)
    rejected = [row for part in (impressions, creatives, planned) if part for row in part.rejected]
    pq.write_table(pa.Table.from_pylist(rejected, schema=arrow_schema(QUARANTINE)), out / "quarantine.parquet")

    quarantined = dict(sorted(Counter(row["code"] for row in rejected).items()))
    rows = {
        "read": impressions.rows + impressions.duplicates,
        "ingested": impressions.rows - sum(row["table"] == "impressions" for row in rejected),
        "duplicates": impressions.duplicates,
        "quarantined": quarantined,
        "quarantined_spend": shares,
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
    IngestReport.of(report(table, whole, meta) | {"told": lines(quarantined, shares)}).save(out)
    return meta


def _sound(whole: Table) -> dict[str, Sound]:
    """The kept rows by platform; `whole`: their `totals`."""
    sums = whole.group_by("platform").agg(rows=whole["impressions"].sum(), spend=whole["spend"].sum())
    return {row["platform"]: Sound(row["rows"], rounded(row["spend"])) for row in fetch(sums)}


def _grouped(lost: Lost, group: dict[str, str]) -> Lost:
    """What was set aside of a platform, as one of its group."""
    return replace(lost, platform=group.get(lost.platform or "", lost.platform))
