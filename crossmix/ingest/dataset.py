"""What ingest derives and writes: cycle, split, hold-out of every row, plans, creatives; whether it can be fitted."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date as date_type
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from crossmix.config import Data
from crossmix.ingest import plans
from crossmix.ingest.clean import OTHER, UNKNOWN, Clean
from crossmix.ingest.timeline import Timeline
from crossmix.schema import CREATIVES, PLANS, DataError, Provenance
from crossmix.sources import SOURCES, Table
from crossmix.sources.late import ibis
from crossmix.sources.tables import arrow_schema, fetch, rounded, write

FEW_CONVERSIONS = 50
"""With fewer to fit on, the report says that platforms' rates lean on each other."""


AMOUNTS = ("impressions", "clicks", "conversions", "spend", "revenue")
"""What `totals` adds up."""


def totals(table: Table) -> Table:
    """The log added up: what is told of it, its checks and its plans need no more, and none of them reads it again.

    Returns:
        campaign_id, platform, cycle, split, holdout, date (UTC), `AMOUNTS`, first and last (timestamp).
    """
    table = table.mutate(date=table["timestamp"].date())
    return (
        table.group_by("campaign_id", "platform", "cycle", "split", "holdout", "date")
        .agg(
            impressions=table.count(),
            clicks=table["clicked"].cast("int64").sum(),
            conversions=table["converted"].cast("int64").sum(),
            spend=table["price_paid"].sum(),
            revenue=table["revenue"].sum(),
            first=table["timestamp"].min(),
            last=table["timestamp"].max(),
        )
        .cache()
    )


def check_fittable(table: Table, campaigns: list[str], data: Data) -> list[str]:
    """Whether the training period can tell a market: every campaign spent and something was earned; with notes.

    Args:
        table: `totals`.

    Raises:
        DataError: a campaign did not run in the training period, or spent nothing, or nothing was earned by the users
            that are not held out.
    """
    training = table.filter(table["split"] == "train")
    fitted = training.filter(~training["holdout"])
    spent = {row["campaign_id"]: row["spend"] for row in fetch(_by_campaign(training))}
    shown = {row["campaign_id"] for row in fetch(_by_campaign(fitted))}
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
    earned = fetch(fitted.agg(conversions=fitted["conversions"].sum(), revenue=fitted["revenue"].sum()))[0]
    if rounded(earned["revenue"]) <= 0:
        clicks = "value_per_click" in SOURCES.get(data.source).asks and data.value_per_click is None
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


def _by_campaign(table: Table) -> Table:
    return table.group_by("campaign_id").agg(spend=table["spend"].sum())


def held_out(table: Table, data: Data) -> Table:
    """Add `holdout`: whether the row's user is held out of every fit."""
    # Eight hexadecimal digits in order are a number in order, in every engine.
    hashed = (ibis.literal("holdout ") + table["user_id"]).hexdigest("md5").substr(0, 8)
    edge = f"{min(math.floor(data.holdout_users * 2**32), 2**32 - 1):08x}"
    return table.mutate(holdout=hashed < edge if data.holdout_users < 1 else ibis.literal(True))


def derive(table: Table, cycles: Timeline, group: dict[str, str]) -> Table:
    """Group platforms; add cycle and split, beside `held_out` (`schema.DERIVED`)."""
    # Truncated first: DuckDB would round to the nearest second, and the last half of one into the next cycle.
    seconds = table["timestamp"].truncate("s").epoch_seconds().cast("int64") - int(cycles.start.timestamp())
    # Both sides are whole and not negative, so the floor of the division is the cycle; the last takes a fragment in.
    cycle = (seconds / (cycles.hours * 3600)).floor().cast("int64").clip(upper=cycles.cycles - 1)
    if any(name != to for name, to in group.items()):
        # A log may have hundreds of platforms under `other`: only the rest is spelt out.
        kept = sorted((name, to) for name, to in group.items() if to != OTHER)
        renamed = table["platform"].cases(*kept, else_=OTHER) if kept else ibis.literal(OTHER)
        table = table.mutate(platform=renamed)
    table = table.mutate(cycle=cycle)
    split = ibis.cases(
        (table["cycle"] >= cycles.first_cycle["test"], "test"),
        (table["cycle"] >= cycles.first_cycle["validation"], "validation"),
        else_="train",
    )
    return table.mutate(split=split)


def write_plans(
    planned: Clean | None, table: Table, cycles: Timeline, platforms: list[str], group: dict[str, str], out: Path
) -> None:
    """plans.parquet: the cleaned plans under the grouped platforms, or actual spend where the log has none.

    Args:
        table: `totals`.

    Raises:
        DataError: limits that no split can keep.
    """
    if planned is None:
        spend = table.group_by("campaign_id", "platform", "date").agg(spend=table["spend"].sum()).to_pandas()
        spend["date"] = days_of(spend["date"])
        spend["spend"] = [rounded(value) for value in spend["spend"]]
        frame = plans.derived(spend, platforms, cycles.start, cycles.hours * cycles.cycles)
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
    write(table, schema, out / "creatives.parquet", by=("creative_id",))
    counts = fetch(table.agg(image=table["image"].count(), text=table["copy"].count()))[0]
    return tuple(name for name in ("image", "text") if counts[name])


def plans_from_spend() -> dict[str, str]:
    """Provenance of plans where the log has none: actual spend stands for them."""
    approximated = {f"plans.{column.name}": Provenance.APPROXIMATED.value for column in PLANS}
    return approximated | {f"plans.{name}": Provenance.MISSING.value for name in ("min", "max")}


def days_of(date: Iterable[Any]) -> list[date_type]:
    """Days as days, whether the engine gives days or moments; one object for each day of moments."""
    if isinstance(date, pd.Series) and pd.api.types.is_datetime64_any_dtype(date):
        code, known = pd.factorize(date)
        return [*pd.DatetimeIndex(known).date[code]]
    return [getattr(value, "date", lambda value=value: value)() for value in date]
