"""Ingest: clean, impute, split (§3; DESIGN 3). Written once in Ibis: DuckDB on one machine, Spark on a cluster.

Order of things: conform to the contract, drop exact duplicates, quarantine what breaks a rule (`sources.rules`),
impute, apply the attribution window, cut cycles, group platforms, split by time and hold users out, then build each
impression's behaviour sequence from what was known strictly before it.
"""

from __future__ import annotations

import importlib
import json
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from crossmix.config import ASKED, Config, Data, digest
from crossmix.schema import (
    CREATIVES,
    DERIVED,
    IMPRESSIONS,
    OUTCOMES,
    PLANS,
    QUARANTINE,
    SPLITS,
    Column,
    DataError,
    Meta,
    Provenance,
)
from crossmix.sources import Backend, Raw, Table, history, plans, read
from crossmix.sources.behaviour import SEQUENCES, sequences
from crossmix.sources.report import report
from crossmix.sources.rules import CODE, PROBLEM, Rule, check_parsed, conform, contract, mark, rejections
from crossmix.sources.tables import arrow_schema, fetch, rounded, write

OTHER = "other"
"""Group of the platforms that are not kept."""
UNKNOWN = "unknown"
"""What a missing region or category becomes."""
MOST_CYCLES = 100_000
"""A log of more cycles has a broken clock."""
FRAGMENT = 0.1
"""A rest of the log shorter than this share of a cycle belongs to the cycle before it: alone it would tell nothing."""
FEW_CONVERSIONS = 50
"""With fewer to fit on, the report says that platforms' rates lean on each other."""
WEEKDAY_HOURS = 14 * 24
"""A weekday pattern needs two of each weekday."""

Extra = Callable[[Table], list[Rule]]
"""Rules beyond the contract's own, for a conformed table."""


@dataclass(frozen=True, slots=True)
class Clean:
    """A raw table after the rules."""

    table: Table
    """The sound rows; the adapter's and the rules' own columns are gone."""
    rows: int
    duplicates: int
    """Exact copies that were dropped."""
    rejected: list[dict[str, str]]
    """Quarantine rows."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The log cut into cycles."""

    start: datetime
    hours: int
    cycles: int
    first_cycle: dict[str, int]


def ingest(config: Config, out: Path) -> Meta:
    """Read the configured source and write a `Dataset` folder into `out` (exists, empty).

    Raises:
        DataError: the input cannot be used; the message names field, value and remedy.
    """
    with tempfile.TemporaryDirectory(prefix="ingest-", dir=out) as folder:
        workdir = Path(folder)
        backend = connect(config.data.engine, workdir)
        raw = read(config.data, backend, workdir)
        return ingest_raw(raw, config.data, out)


def connect(engine: str, workdir: Path) -> Backend:
    """The Ibis backend that runs every expression here; it may spill to `workdir`.

    Raises:
        DataError: Spark is not installed.
    """
    if engine == "spark":
        try:
            spark = importlib.import_module("pyspark.sql").SparkSession
        except ImportError:
            raise DataError(
                "data.engine: 'spark' needs PySpark; install the extra (pip install 'crossmix[spark]') or use 'duckdb'"
            ) from None
        session = (
            spark.builder.appName("crossmix-ingest")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.ui.showConsoleProgress", "false")
            .config("spark.sql.warehouse.dir", str(workdir / "warehouse"))
            .getOrCreate()
        )
        return ibis.pyspark.connect(session)
    backend = ibis.duckdb.connect(temp_directory=str(workdir / "spill"))
    backend.raw_sql("SET TimeZone = 'UTC'")
    # Inserting in order keeps every later sort, and so the written files, reproducible.
    backend.raw_sql("SET preserve_insertion_order = true")
    backend.raw_sql("SET enable_progress_bar = false")
    return backend


def ingest_raw(raw: Raw, data: Data, out: Path) -> Meta:
    """`ingest` for tables in hand: any object that satisfies `Raw`."""
    if raw.impressions is None:
        return ingest_history(raw, data, out)
    impressions = clean(raw.impressions, IMPRESSIONS, "impressions", ("impression_id",), impression_rules)
    creatives = _optional(raw.creatives, CREATIVES, "creatives", ("creative_id",))
    table, imputed, notes = impute(impressions.table, creatives.table if creatives else None, data)
    line = timeline(table, data, raw.cycle_hours)
    platforms, group, grouping = platform_groups(table, line, data)
    table = derive(table, line, group, data).cache()
    campaigns = sorted(_column(table.select("campaign_id").distinct()))
    notes += [*grouping, *check_fittable(table, campaigns, data)]

    # A plan may name a raw platform or, where the config groups them, the group.
    planable = {name: group[raw_name] for raw_name, name in data.platform_groups.items()} | group
    planned = _optional(
        raw.plans, PLANS, "plans", ("campaign_id", "platform", "date"), lambda t: plan_rules(t, planable, campaigns)
    )
    write_plans(planned, table, line, platforms, planable, out)
    write(
        table.order_by("timestamp", "impression_id"),
        arrow_schema((*IMPRESSIONS, *DERIVED)),
        out / "impressions.parquet",
    )
    write(
        sequences(table, platforms, data.sequence_length).order_by("timestamp", "impression_id").drop("timestamp"),
        SEQUENCES,
        out / "sequences.parquet",
    )
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
        provenance |= {f"plans.{column.name}": Provenance.APPROXIMATED.value for column in PLANS}
        provenance |= {f"plans.{name}": Provenance.MISSING.value for name in ("min", "max")}
        notes.append("The log has no plans: planned budgets are approximated by actual spend, and there are no limits.")
    meta = Meta(
        source=data.source,
        generated=raw.generated,
        currency=raw.currency,
        platforms=tuple(platforms),
        campaigns=tuple(campaigns),
        start=line.start.isoformat(),
        cycle_hours=line.hours,
        cycles=line.cycles,
        first_cycle=line.first_cycle,
        modalities=(*modalities, "behaviour"),
        provenance=provenance,
        weekday_pattern=not raw.approximate_time and line.cycles * line.hours >= WEEKDAY_HOURS,
        digest=digest({"raw": raw.digest, "data": _cleaning(data)}),
        notes=(*raw.notes, *notes),
        rows=rows,
    )
    (out / "meta.json").write_text(json.dumps(asdict(meta), indent=1, sort_keys=True))
    (out / "report.json").write_text(json.dumps(report(table, meta), indent=1, sort_keys=True))
    return meta


def ingest_history(raw: Raw, data: Data, out: Path) -> Meta:
    """`ingest_raw` for daily totals: `outcomes` takes the place of impressions and sequences (`sources.history`)."""
    key = ("campaign_id", "platform", "date")
    outcomes = clean(raw.outcomes, OUTCOMES, "outcomes", key, history.outcome_rules)
    frame = outcomes.table.to_pandas()
    frame["date"] = [getattr(day, "date", lambda day=day: day)() for day in frame["date"]]
    rejected = list(outcomes.rejected)
    days = history.days_per_row(frame["date"])
    hours = data.cycle_hours or 24 * days
    if hours % (24 * days):
        raise DataError(
            f"data.cycle_hours: {hours} h; a history of {days} day(s) a row needs a multiple of {24 * days} h, or none"
        )
    first = min(frame["date"])
    cycles = ((max(frame["date"]) - first).days + days) // (hours // 24)
    history.check_length(cycles, hours // 24, frame["date"])
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    line = Timeline(start, hours, cycles, _first_cycles(cycles, data))
    view = outcomes.table.mutate(timestamp=outcomes.table["date"].cast("timestamp"), price_paid=outcomes.table["spend"])
    platforms, group, grouping = platform_groups(view, line, data)
    table, beyond = history.totals(frame, group, first, hours // 24, line.first_cycle, cycles, data.holdout_days)
    history.check_market(table, platforms)
    campaigns = sorted(set(table["campaign_id"]))

    planned = _optional(raw.plans, PLANS, "plans", key, lambda t: plan_rules(t, set(group), campaigns))
    if planned is None:
        amounts = frame.rename(columns={"spend": "planned_budget"})
    else:
        amounts = planned.table.to_pandas()
        amounts["date"] = [getattr(day, "date", lambda day=day: day)() for day in amounts["date"]]
        rejected += planned.rejected
    budget = plans.grouped(history.daily_plans(amounts, days), group)
    pq.write_table(
        pa.Table.from_pandas(budget, schema=arrow_schema(PLANS), preserve_index=False), out / "plans.parquet"
    )
    outcome_schema = arrow_schema((*OUTCOMES, *DERIVED))
    pq.write_table(pa.Table.from_pandas(table, schema=outcome_schema, preserve_index=False), out / "outcomes.parquet")
    write_creatives(None, out)
    pq.write_table(pa.Table.from_pylist(rejected, schema=arrow_schema(QUARANTINE)), out / "quarantine.parquet")

    provenance, notes = dict(raw.provenance), history.notes(line.cycles, hours, data.holdout_days, frame, beyond, table)
    if planned is None:
        provenance |= {f"plans.{column.name}": Provenance.APPROXIMATED.value for column in PLANS}
        provenance |= {f"plans.{name}": Provenance.MISSING.value for name in ("min", "max")}
        notes.append("The history has no column `planned`: a day's plan is what it spent, and there are no limits.")
    notes += grouping
    meta = Meta(
        source=data.source,
        generated=raw.generated,
        currency=raw.currency,
        platforms=tuple(platforms),
        campaigns=tuple(campaigns),
        start=line.start.isoformat(),
        cycle_hours=hours,
        cycles=cycles,
        first_cycle=line.first_cycle,
        modalities=(),
        provenance=provenance,
        weekday_pattern=hours == 24,
        digest=digest({"raw": raw.digest, "data": _cleaning(data)}),
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
    (out / "meta.json").write_text(json.dumps(asdict(meta), indent=1, sort_keys=True))
    (out / "report.json").write_text(json.dumps(history.report(table, meta), indent=1, sort_keys=True))
    return meta


def clean(
    table: Table, columns: tuple[Column, ...], name: str, key: tuple[str, ...], extra: Extra | None = None
) -> Clean:
    """Drop exact duplicates and split off the rows that break a rule.

    Args:
        key: the columns that identify a row; rows that differ under one key are all quarantined: none can be trusted.
        extra: a function of the conformed table, giving the rules beyond the contract's own.

    Raises:
        DataError: no row at all, no valid row, a missing column, a wrong type.
    """
    whole = _materialise(conform(table, columns, name))
    total = whole.count().execute()
    if not total:
        raise DataError(f"{name}: the table is empty (a header without rows?); pass a log with rows")
    distinct = whole.distinct()
    counted = distinct.group_by(*key).agg(_versions=distinct.count())
    # Marked by a join and not by a window, which would sort the whole log.
    twice = counted.filter(counted["_versions"] > 1).select(*key, _conflict=ibis.literal(True))
    joined = distinct.left_join(twice, list(key))
    joined = joined.select(*[distinct[c] for c in whole.columns], twice["_conflict"])
    rules = [
        *contract(joined, columns),
        *(extra(joined) if extra else ()),
        Rule(joined["_conflict"], f"{key[0]}_conflict", key, "rows that differ share this key; keep the right one"),
    ]
    marked = mark(joined, rules).drop("_conflict").cache()
    counts = {row["code"]: row["n"] for row in fetch(marked.group_by(code=marked[CODE]).agg(n=marked.count()))}
    check_parsed({code: n for code, n in counts.items() if code}, total, marked, name)
    rejected = list(rejections(marked, rules, name))
    if None not in counts:
        code, count = Counter(row["code"] for row in rejected).most_common(1)[0]
        example = next(row["reason"] for row in rejected if row["code"] == code)
        raise DataError(
            f"{name}: none of {total} rows is valid; {count} are rejected as {code} ({example}); correct that field"
        )
    return Clean(
        table=marked.filter(marked[CODE].isnull()).drop(CODE, PROBLEM),
        rows=sum(counts.values()),
        duplicates=total - sum(counts.values()),
        rejected=rejected,
    )


def impression_rules(t: Table) -> list[Rule]:
    """Rules between the columns of an impression."""
    early = t["conversion_timestamp"] < t["timestamp"]
    unearned = ~t["converted"] & (t["revenue"] > 0)
    # A second price is below the bid; the tolerance is for logs that round.
    above = t["price_paid"] > t["bid_price"] * (1 + 1e-6)
    clocks = ("timestamp", "conversion_timestamp")
    return [
        Rule(early, "clock_out_of_order", clocks, "a conversion cannot come before its impression; correct the clock"),
        Rule(unearned, "revenue_without_conversion", ("converted", "revenue"), "revenue needs a conversion"),
        Rule(above, "price_above_bid", ("bid_price", "price_paid"), "a second price is at most the bid"),
    ]


def plan_rules(t: Table, platforms: Iterable[str], campaigns: Iterable[str]) -> list[Rule]:
    """Rules of a plan row, given the log's platforms and campaigns."""
    shown = ", ".join(sorted(platforms)[:12])
    return [
        Rule(
            t["platform"].notin(sorted(platforms)),
            "unknown_platform",
            ("platform",),
            f"not in the log, which has {shown}",
        ),
        Rule(t["campaign_id"].notin(sorted(campaigns)), "unknown_campaign", ("campaign_id",), "not in the log"),
        Rule(t["min"] > t["max"], "min_above_max", ("min", "max"), "the floor is above the cap; lower one"),
    ]


def impute(table: Table, creatives: Table | None, data: Data) -> tuple[Table, dict[str, int], list[str]]:
    """Fill what may be filled, apply the attribution window; with the count of each and a note for the report."""
    if creatives is None:
        stray = table["creative_id"].notnull()
    else:
        # A join, as a list of ids would grow the query with the number of creatives.
        table = table.left_join(creatives.select("creative_id", _found=ibis.literal(True)), "creative_id")
        stray = table["creative_id"].notnull() & table["_found"].isnull()
    window = ibis.interval(seconds=round(data.attribution_days * 86_400))
    flags = table.mutate(
        _stray=stray,
        _unplaced=table["region"].isnull(),
        _view=table["converted"] & ~table["clicked"],
        _late=(table["converted"] & (table["conversion_timestamp"] > table["timestamp"] + window)).fill_null(False),
    ).cache()
    names = {"region": "_unplaced", "creative_id": "_stray", "view_through": "_view", "late_conversions": "_late"}
    counts = fetch(flags.agg(**{name: flags[flag].cast("int64").sum() for name, flag in names.items()}))[0]
    total = flags.count().execute()
    kept = flags["converted"] & ~flags["_view"] & ~flags["_late"]
    moment = flags["conversion_timestamp"]
    result = flags.mutate(
        region=flags["region"].fill_null(UNKNOWN),
        creative_id=ibis.ifelse(flags["_stray"], ibis.null("string"), flags["creative_id"]),
        converted=kept,
        revenue=ibis.ifelse(kept, flags["revenue"], 0.0),
        conversion_timestamp=ibis.ifelse(kept, moment, ibis.null("timestamp")),
    ).select(*[column.name for column in IMPRESSIONS])
    imputed = {name: int(count) for name, count in counts.items()}
    told = {
        "region": f"have no region; imputed as {UNKNOWN!r}",
        "creative_id": "name a creative that is not in the creatives table; their image and copy are masked",
        "view_through": "converted without a click; only conversions after a click count here",
        "late_conversions": f"converted after the attribution window ({data.attribution_days:g} days); not counted",
    }
    notes = [f"{n:,} of {total:,} impressions {told[name]}." for name, n in imputed.items() if 0 < n < total]
    return result, imputed, notes


def timeline(table: Table, data: Data, natural_hours: int) -> Timeline:
    """Cut the log into cycles: whole days from midnight (UTC), shorter cycles from the full hour.

    Raises:
        DataError: too few cycles for three splits, or so many that a clock must be wrong.
    """
    hours = data.cycle_hours or natural_hours
    edges = fetch(table.agg(first=table["timestamp"].min(), last=table["timestamp"].max()))[0]
    first, last = (edges[name].replace(tzinfo=UTC) for name in ("first", "last"))
    start = first.replace(minute=0, second=0, microsecond=0)
    if hours % 24 == 0:
        start = start.replace(hour=0)
    cycles = math.floor((last - start) / timedelta(hours=hours) - FRAGMENT) + 1
    if cycles < len(SPLITS):
        raise DataError(
            f"timestamp: the log runs from {first} to {last}, {cycles} cycle(s) of {hours} h; train, validation and "
            "test need one each: lower data.cycle_hours or pass a longer log"
        )
    if cycles > MOST_CYCLES:
        raise DataError(
            f"timestamp: the log runs from {first} to {last}, {cycles} cycles of {hours} h; "
            "correct the clock of the outermost rows or raise data.cycle_hours"
        )
    return Timeline(start, hours, cycles, _first_cycles(cycles, data))


def _first_cycles(cycles: int, data: Data) -> dict[str, int]:
    """First cycle of each split; each has one at least."""
    validation = min(max(1, round(cycles * data.train_fraction)), cycles - 2)
    test = min(max(validation + 1, round(cycles * (data.train_fraction + data.validation_fraction))), cycles - 1)
    return {"train": 0, "validation": validation, "test": test}


def platform_groups(table: Table, line: Timeline, data: Data) -> tuple[list[str], dict[str, str], list[str]]:
    """Group platforms as `data.platform_groups` says, then keep those with most spend in the training period.

    Returns:
        The groups by that spend, `other` last; which of them each raw platform goes by; notes for the report.

    Raises:
        DataError: the config groups a platform that is not in the log.
    """
    end = line.start + timedelta(hours=line.hours * line.first_cycle["validation"])
    training = ibis.ifelse(table["timestamp"] < _stamp(end), table["price_paid"], 0.0)
    spent = {row["platform"]: row["spend"] for row in fetch(table.group_by("platform").agg(spend=training.sum()))}
    unknown = sorted(set(data.platform_groups) - set(spent))
    if unknown:
        raise DataError(
            f"data.platform_groups: {unknown[0]!r} is not a platform of the log, which has "
            f"{', '.join(sorted(spent)[:20])}; drop it or correct its name"
        )
    group = {name: data.platform_groups.get(name, name) for name in sorted(spent)}
    total: dict[str, float] = dict.fromkeys(group.values(), 0.0)
    for name, amount in spent.items():
        total[group[name]] += amount or 0.0
    ranked = sorted(total, key=lambda name: (name == OTHER, -rounded(total[name]), name))
    notes = [f"Platforms are grouped by the config: {members}."] if (members := _members(data.platform_groups)) else []
    if len(ranked) > data.keep_platforms:
        named = [name for name in ranked if name != OTHER]
        kept, rest = named[: data.keep_platforms - 1], named[data.keep_platforms - 1 :]
        notes.append(f"{len(ranked) - len(kept)} platforms with the least spend are grouped as {OTHER!r}.")
        group = {name: OTHER if to in rest else to for name, to in group.items()}
        ranked = [*kept, OTHER]
    return ranked, group, notes


def _members(groups: dict[str, str]) -> str:
    """Each group with the raw platforms in it, as a sentence shows them."""
    names = sorted(set(groups.values()))
    return "; ".join(f"{to} = {', '.join(sorted(raw for raw in groups if groups[raw] == to))}" for to in names)


def check_fittable(table: Table, campaigns: list[str], data: Data) -> list[str]:
    """Whether the training period can tell a market: every campaign spent and something was earned; with notes.

    Raises:
        DataError: a campaign did not run in the training period, or spent nothing, or nothing was earned by the users
            that are not held out.
    """
    training = table.filter(table["split"] == "train")
    fitted = training.filter(~training["holdout"])
    spent = {row["campaign_id"]: row["spend"] for row in fetch(_by_campaign(training, "price_paid"))}
    shown = {row["campaign_id"] for row in fetch(_by_campaign(fitted, "revenue"))}
    for campaign in campaigns:
        if campaign not in spent:
            raise DataError(
                f"campaign_id: {campaign!r} has no impression in the training period; take campaigns that ran at the "
                "same time, or raise data.train_fraction"
            )
        if campaign not in shown:
            raise DataError(
                f"data.holdout_users: {data.holdout_users:g} leaves campaign {campaign!r} no impression to fit on; "
                "lower it or pass a longer log"
            )
        if rounded(spent[campaign]) <= 0:
            raise DataError(
                f"price_paid: campaign {campaign!r} paid nothing in the training period, so no return can be told; "
                "pass a log with costs"
            )
    earned = fetch(fitted.agg(conversions=fitted["converted"].cast("int64").sum(), revenue=fitted["revenue"].sum()))[0]
    if rounded(earned["revenue"]) <= 0:
        clicks = data.source in ASKED["value_per_click"] and data.value_per_click is None
        raise DataError(
            f"revenue: the users fitted on earned nothing in the training period ({earned['conversions']} "
            "conversions), so every split is as good as any other; pass a longer log, or one with conversions and "
            f"their revenue{', or let clicks earn (data.value_per_click)' if clicks else ''}"
        )
    if earned["conversions"] >= FEW_CONVERSIONS:
        return []
    return [
        f"Only {earned['conversions']} conversions of the training period can be fitted on: conversion rates and "
        "values of single platforms lean on the mean of all."
    ]


def _by_campaign(table: Table, amount: str) -> Table:
    return table.group_by("campaign_id").agg(spend=table[amount].sum())


def derive(table: Table, line: Timeline, group: dict[str, str], data: Data) -> Table:
    """Group platforms; add cycle, split and hold-out (`schema.DERIVED`)."""
    # Truncated first: DuckDB would round to the nearest second, and the last half of one into the next cycle.
    seconds = table["timestamp"].truncate("s").epoch_seconds().cast("int64") - int(line.start.timestamp())
    # Both sides are whole and not negative, so the floor of the division is the cycle; the last takes a fragment in.
    cycle = (seconds / (line.hours * 3600)).floor().cast("int64").clip(upper=line.cycles - 1)
    if any(name != to for name, to in group.items()):
        # A log may have hundreds of platforms under `other`: only the rest is spelt out.
        kept = sorted((name, to) for name, to in group.items() if to != OTHER)
        renamed = table["platform"].cases(*kept, else_=OTHER) if kept else ibis.literal(OTHER)
        table = table.mutate(platform=renamed)
    table = table.mutate(cycle=cycle)
    split = ibis.cases(
        (table["cycle"] >= line.first_cycle["test"], "test"),
        (table["cycle"] >= line.first_cycle["validation"], "validation"),
        else_="train",
    )
    # Eight hexadecimal digits in order are a number in order, in every engine.
    hashed = (ibis.literal("holdout ") + table["user_id"]).hexdigest("md5").substr(0, 8)
    edge = f"{min(math.floor(data.holdout_users * 2**32), 2**32 - 1):08x}"
    return table.mutate(split=split, holdout=hashed < edge if data.holdout_users < 1 else ibis.literal(True))


def write_plans(
    planned: Clean | None, table: Table, line: Timeline, platforms: list[str], group: dict[str, str], out: Path
) -> None:
    """plans.parquet: the cleaned plans under the grouped platforms, or actual spend where the log has none.

    Raises:
        DataError: limits that no split can keep.
    """
    if planned is None:
        table = table.mutate(date=table["timestamp"].date())
        spend = table.group_by("campaign_id", "platform", "date").agg(spend=table["price_paid"].sum()).to_pandas()
        spend["date"] = [getattr(value, "date", lambda value=value: value)() for value in spend["date"]]
        spend["spend"] = [rounded(value) for value in spend["spend"]]
        frame = plans.derived(spend, platforms, line.start, line.hours * line.cycles)
    else:
        frame = plans.grouped(planned.table.to_pandas(), group)
        plans.check_feasible(frame, platforms)
    pq.write_table(pa.Table.from_pandas(frame, schema=arrow_schema(PLANS), preserve_index=False), out / "plans.parquet")


def write_creatives(creatives: Clean | None, out: Path) -> tuple[str, ...]:
    """creatives.parquet; a missing category is imputed. Returns which of image and text there are."""
    schema = arrow_schema(CREATIVES)
    if creatives is None:
        pq.write_table(schema.empty_table(), out / "creatives.parquet")
        return ()
    table = creatives.table.mutate(category=creatives.table["category"].fill_null(UNKNOWN))
    write(table.order_by("creative_id"), schema, out / "creatives.parquet")
    counts = fetch(table.agg(image=table["image"].count(), text=table["copy"].count()))[0]
    return tuple(name for name in ("image", "text") if counts[name])


def _optional(
    table: Table | None, columns: tuple[Column, ...], name: str, key: tuple[str, ...], extra: Extra | None = None
) -> Clean | None:
    return None if table is None else clean(table, columns, name, key, extra)


def _materialise(table: Table) -> Table:
    """Run the source's expression once. What the text reader cannot digest is the user's to repair."""
    try:
        return table.cache()
    except Exception as error:
        if type(error).__module__.split(".")[0] not in {"duckdb", "_duckdb", "pyspark"}:
            raise
        line = str(error).strip().splitlines()[0]
        raise DataError(
            f"data.path: the log cannot be read ({line}); repair that line or fetch the log again"
        ) from error


def _cleaning(data: Data) -> dict[str, Any]:
    """The data config without where the log lies: the same log elsewhere is the same data."""
    return {name: value for name, value in asdict(data).items() if name not in {"path", "engine"}}


def _column(table: Table) -> list[Any]:
    return [value for row in fetch(table) for value in row.values()]


def _stamp(moment: datetime) -> Any:
    return ibis.timestamp(moment.replace(tzinfo=None))
