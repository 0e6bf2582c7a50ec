"""The data report: counts, rates, spend by platform and day, splits, provenance (shown in `report.html`)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from crossmix import metrics
from crossmix.ingest.dataset import AMOUNTS
from crossmix.schema import SPLITS, Meta
from crossmix.sources import Table
from crossmix.sources.late import ibis
from crossmix.sources.tables import fetch, rounded


def report(table: Table, whole: Table, meta: Meta) -> dict[str, Any]:
    """The data report: counts, rates, spend by platform and day (or cycle, where cycles are shorter).

    Args:
        table: the impressions; their users are counted.
        whole: their `totals`.
    """
    sums = {name: whole[name].sum() for name in AMOUNTS}
    users = table.select("split", "user_id").distinct().cache()
    of_split = {row["split"]: row["n"] for row in fetch(users.group_by("split").agg(n=users.count()))}
    log = fetch(whole.agg(**sums))[0]
    platforms = {row["platform"]: row for row in fetch(whole.group_by("platform").agg(**sums))}
    held = ibis.ifelse(whole["holdout"], whole["impressions"], 0).sum()
    edges = {"first": whole["first"].min(), "last": whole["last"].max()}
    splits = {row["split"]: row for row in fetch(whole.group_by("split").agg(**sums, held=held, **edges))}
    daily = fetch(whole.group_by("cycle", "platform").agg(spend=whole["spend"].sum()))
    per: dict[int, dict[str, float]] = {}
    for row in daily:
        per.setdefault(row["cycle"], {})[row["platform"]] = rounded(row["spend"])
    by_day = []
    for cycle in sorted(per):
        moment = datetime.fromisoformat(meta.start) + timedelta(hours=meta.cycle_hours * cycle)
        date = f"{moment:%Y-%m-%d}" if meta.cycle_hours % 24 == 0 else f"{moment:%Y-%m-%dT%H:%M}"
        by_day.append({"date": date, "spend": {name: per[cycle].get(name, 0.0) for name in meta.platforms}})
    return {
        "rows": meta.rows | {"users": int(users["user_id"].nunique().execute())},
        "rates": rates(log),
        "by_platform": [{"platform": name} | rates(platforms[name]) for name in meta.platforms],
        "by_day": by_day,
        "splits": {
            name: {
                "impressions": part["impressions"],
                "conversions": part["conversions"],
                "holdout_impressions": part["held"],
                "users": of_split[name],
                "from": part["first"].isoformat(),
                "to": part["last"].isoformat(),
            }
            for name, part in ((name, splits[name]) for name in SPLITS if name in splits)
        },
        "provenance": meta.provenance,
        "notes": list(meta.notes),
    }


def rates(row: dict[str, Any]) -> dict[str, Any]:
    """Counts, money and their ratios; a ratio without a denominator is null."""

    amounts = {
        key: rounded(row[key]) if metrics.QUANTITY[key].format == "money" else row[key] for key in metrics.QUANTITIES
    }
    ratios = metrics.ratios(amounts, ("ctr", "cvr", "cpa", "roas"))
    ratios["conversions_per_impression"] = row["conversions"] / row["impressions"] if row["impressions"] else None
    return amounts | {key: None if value is None else rounded(value) for key, value in ratios.items()}
