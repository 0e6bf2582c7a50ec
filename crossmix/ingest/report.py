"""The data report: counts, rates, spend by platform and day, splits, provenance (shown in `report.html`)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from crossmix import metrics
from crossmix.schema import SPLITS, Meta
from crossmix.sources import Table
from crossmix.sources.tables import fetch, rounded


def report(table: Table, meta: Meta) -> dict[str, Any]:
    """The data report: counts, rates, spend by platform and day (or cycle, where cycles are shorter)."""
    sums = {
        "impressions": table.count(),
        "clicks": table["clicked"].cast("int64").sum(),
        "conversions": table["converted"].cast("int64").sum(),
        "spend": table["price_paid"].sum(),
        "revenue": table["revenue"].sum(),
    }
    users = table["user_id"].nunique()
    whole = fetch(table.agg(**sums, users=users))[0]
    platforms = {row["platform"]: row for row in fetch(table.group_by("platform").agg(**sums))}
    splits = {
        row["split"]: row
        for row in fetch(
            table.group_by("split").agg(
                **sums,
                users=users,
                held=table["holdout"].cast("int64").sum(),
                first=table["timestamp"].min(),
                last=table["timestamp"].max(),
            )
        )
    }
    daily = fetch(table.group_by("cycle", "platform").agg(spend=table["price_paid"].sum()))
    per: dict[int, dict[str, float]] = {}
    for row in daily:
        per.setdefault(row["cycle"], {})[row["platform"]] = rounded(row["spend"])
    by_day = []
    for cycle in sorted(per):
        moment = datetime.fromisoformat(meta.start) + timedelta(hours=meta.cycle_hours * cycle)
        date = f"{moment:%Y-%m-%d}" if meta.cycle_hours % 24 == 0 else f"{moment:%Y-%m-%dT%H:%M}"
        by_day.append({"date": date, "spend": {name: per[cycle].get(name, 0.0) for name in meta.platforms}})
    return {
        "rows": meta.rows | {"users": whole["users"]},
        "rates": rates(whole),
        "by_platform": [{"platform": name} | rates(platforms[name]) for name in meta.platforms],
        "by_day": by_day,
        "splits": {
            name: {
                "impressions": part["impressions"],
                "conversions": part["conversions"],
                "holdout_impressions": part["held"],
                "users": part["users"],
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
