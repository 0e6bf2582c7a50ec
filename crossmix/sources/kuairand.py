"""Source `kuairand`: the standard logs of KuaiRand (Pure, 1K or 27K), short videos recommended by Kuaishou.

Comma-separated with a header; `data.path` is one `log_standard_*.csv`, or a folder: all of them below it
(`log_random_*` is another policy's traffic and is not read).

| column | becomes |
|---|---|
| tab | platform, "tab 1": the app's scenario, 0 to 14; more than ten are grouped (`data.platform_groups`, `other`) |
| user_id | user_id |
| video_id | creative_id; no images or copy were published |
| time_ms | timestamp, UTC |
| user_id, video_id, time_ms | impression_id |
| is_click | clicked |
| `data.conversion_column` | converted, where clicked; `long_view` (18 s or the whole video) by default |

There is one campaign. No costs or values were published: `data.cost_model` and `data.value_per_conversion` (or
`data.value_per_click`) are required. The rest is not read; a row of the random policy (`is_rand` 1) goes to the
quarantine where the log has that column.
"""

from __future__ import annotations

from functools import reduce
from pathlib import Path

import ibis

from crossmix.config import Data
from crossmix.schema import Provenance
from crossmix.sources import SOURCES, Backend, Raw, Source, log_files, verify_files
from crossmix.sources.money import CURRENCY, cost_model, worth
from crossmix.sources.rules import PROBLEM, parse, refuse
from crossmix.sources.tables import read_columns

COLUMNS = ("user_id", "video_id", "time_ms", "is_click", "tab")
"""Columns that are needed, besides that of the conversion."""
RANDOM = "is_rand"
CONVERSION = "long_view"
CAMPAIGN = "kuairand"
LATEST_MS = 4_102_444_800_000
"""2100-01-01: a time in milliseconds beyond it is in another unit."""
WHAT = "the KuaiRand log"


def read(data: Data, backend: Backend, workdir: Path) -> Raw:
    """One file or a folder of them.

    Raises:
        DataError: a file is missing, unreadable, empty, truncated, or lacks a column; or nothing says what an
            impression costs or what earns.
    """
    files = log_files(data)
    digest = verify_files(files)
    goal = data.conversion_column or CONVERSION
    columns = (*COLUMNS, goal)
    parts = [read_columns(backend, path, columns, WHAT, (RANDOM,)) for path in files.values()]
    parts = [part if RANDOM in part.columns else part.mutate(**{RANDOM: ibis.literal("0")}) for part in parts]
    cost, cost_note = cost_model(data, WHAT)
    value = worth(data, WHAT, conversions=True)
    text = reduce(lambda left, right: left.union(right), parts)
    text = text.mutate(**{name: text[name].strip().nullif("") for name in text.columns})
    text = text.mutate(impression_id=text["user_id"] + " " + text["video_id"] + " " + text["time_ms"])
    table = parse(text, {"time_ms": "int64", "is_click": "flag", goal: "flag", RANDOM: "flag", "tab": "int64"})
    for name in ("is_click", goal):
        table = refuse(table, name, table[name].isnull(), "missing", "is missing; 0 or 1")
    beyond = (table["time_ms"] < 0) | (table["time_ms"] >= LATEST_MS)
    table = refuse(table, "time_ms", beyond, "out_of_range", "is no time in milliseconds since 1970")
    table = refuse(table, RANDOM, table[RANDOM], "not_standard", "is the random policy's, not the standard log's")
    sold = table["is_click"] if value.by_click else table["is_click"] & table[goal]
    since = ibis.timestamp("1970-01-01 00:00:00") + ibis.ifelse(beyond, 0, table["time_ms"]).as_interval("ms")
    impressions = table.select(
        impression_id=table["impression_id"],
        timestamp=since,
        user_id=table["user_id"],
        campaign_id=ibis.literal(CAMPAIGN),
        creative_id=table["video_id"],
        platform=ibis.literal("tab ") + table["tab"].cast("string"),
        price_paid=cost.price(table["impression_id"]),
        clicked=table["is_click"],
        converted=sold,
        revenue=ibis.ifelse(sold, value.value, 0.0),
        **{PROBLEM: table[PROBLEM]},
    )
    return Raw(
        impressions=impressions,
        creatives=text.filter(text["video_id"].notnull()).select(creative_id=text["video_id"]).distinct(),
        generated=False,
        currency=CURRENCY,
        cycle_hours=24,
        digest=digest,
        provenance=PROVENANCE,
        notes=(
            *NOTES,
            "Each click counts as the conversion."
            if value.by_click
            else f"A conversion is a clicked impression with {goal} = 1 (data.conversion_column).",
            cost_note,
            *value.notes,
        ),
    )


PROVENANCE = {
    "impression_id": Provenance.APPROXIMATED.value,
    "timestamp": Provenance.REAL.value,
    "user_id": Provenance.REAL.value,
    "campaign_id": Provenance.APPROXIMATED.value,
    "creative_id": Provenance.REAL.value,
    "platform": Provenance.REAL.value,
    "region": Provenance.MISSING.value,
    "bid_price": Provenance.MISSING.value,
    "price_paid": Provenance.IMPUTED.value,
    "clicked": Provenance.REAL.value,
    "converted": Provenance.APPROXIMATED.value,
    "revenue": Provenance.IMPUTED.value,
    "conversion_timestamp": Provenance.MISSING.value,
    "propensity": Provenance.MISSING.value,
    "creatives.image": Provenance.MISSING.value,
    "creatives.copy": Provenance.MISSING.value,
}
NOTES = (
    "The app's tab is the platform, the video the creative; all of them form one campaign.",
    "Days are cut at midnight UTC, so the first and the last day of a log that was cut at midnight in China are not "
    "whole.",
    "No bids, regions, images or copy were published: the log cannot tell volume; image and text are masked.",
)

SOURCES.register(
    Source(
        name="kuairand",
        label="KuaiRand's standard logs",
        read=read,
        folder=("log_standard_*.csv",),
        asks=("value_per_conversion", "value_per_click", "cost_model", "conversion_column"),
    )
)
