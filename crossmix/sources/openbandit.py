"""Source `openbandit`: the Open Bandit Dataset of ZOZO's fashion recommendations, as published and as in package obp.

Comma-separated with a header and a row index; `data.path` is one log (`all.csv`, `men.csv`, `women.csv`), or a folder:
every CSV below it. The items' `item_context.csv` is read from beside each log, where it is.

| column | becomes |
|---|---|
| position | platform, "position 1": the page's three places are what traffic is split over |
| file's name | campaign_id (the dataset's campaigns: all, men, women) |
| timestamp | timestamp, UTC |
| item_id | creative_id, with the campaign before it: items are numbered per campaign |
| click | clicked; each click is the conversion, worth `data.value_per_click`, which is required |
| user_feature_0..3 | user_id, their digest: the log has no users, so alike users are one |
| item_feature_1 (item_context.csv) | the creative's category |

No costs were published: `data.cost_model` is required. There are no conversions, bids, regions, images or copy. The
propensity score is one of items, not of budgets, and is not read. The row index is not read either: a log cut in parts
numbers each anew, so the impression's id is the digest of its other columns.
"""

from __future__ import annotations

from functools import reduce
from pathlib import Path

import ibis

from crossmix.config import Data
from crossmix.schema import DataError, Provenance
from crossmix.sources import SOURCES, Backend, Raw, Source, Table, log_files, verify_files
from crossmix.sources.money import CURRENCY, CostModel, Worth, cost_model, worth
from crossmix.sources.rules import PROBLEM, parse, refuse
from crossmix.sources.tables import read_columns

FEATURES = tuple(f"user_feature_{number}" for number in range(4))
ITEM_CONTEXT = "item_context.csv"
"""Items, beside the log."""
COLUMNS = ("timestamp", "item_id", "position", "click", *FEATURES)
"""Columns that are needed."""
ITEM_COLUMNS = ("item_id", "item_feature_1")
WHAT = "the Open Bandit log"


def read(data: Data, backend: Backend, workdir: Path) -> Raw:
    """One log or a folder of them.

    Raises:
        DataError: a file is missing, unreadable, empty, truncated, or lacks a column; two logs share a name; or nothing
            says what an impression costs or a click is worth.
    """
    files = log_files(data)
    digest = verify_files(files)
    logs: dict[str, Path] = {}
    for path in files.values():
        campaign = path.name.split(".")[0]
        if path.name == ITEM_CONTEXT:
            continue
        if campaign in logs:
            raise DataError(
                f"data.path: {str(logs[campaign])!r} and {str(path)!r} are both the campaign {campaign!r}; "
                "name the folder of one behaviour policy"
            )
        logs[campaign] = path
    cost, cost_note = cost_model(data, WHAT)
    value = worth(data, WHAT, conversions=False)
    impressions = [
        _impressions(read_columns(backend, path, COLUMNS, WHAT), campaign, cost, value)
        for campaign, path in logs.items()
    ]
    items = [
        _items(read_columns(backend, path.with_name(ITEM_CONTEXT), ITEM_COLUMNS, "the item context"), campaign)
        for campaign, path in logs.items()
        if path.with_name(ITEM_CONTEXT).is_file()
    ]
    return Raw(
        impressions=reduce(lambda left, right: left.union(right), impressions),
        creatives=reduce(lambda left, right: left.union(right), items) if items else None,
        generated=False,
        currency=CURRENCY,
        cycle_hours=24,
        digest=digest,
        provenance=PROVENANCE,
        notes=(
            *NOTES,
            cost_note,
            *value.notes,
            *(() if items else (f"There is no {ITEM_CONTEXT} beside the log: its items are not known.",)),
        ),
    )


def _impressions(text: Table, campaign: str, cost: CostModel, value: Worth) -> Table:
    features = [text[name].strip().fill_null("") for name in FEATURES]
    user = reduce(lambda left, right: left + "|" + right, features)
    shown = [text[name].strip().fill_null("") for name in ("timestamp", "item_id", "position")]
    key = reduce(lambda left, right: left + "|" + right, [*shown, user])
    text = text.mutate(
        impression_id=(ibis.literal(f"{campaign}|") + key).hexdigest("md5"),
        user_id=ibis.ifelse(user == "|||", ibis.null("string"), user.hexdigest("md5")),
        item=text["item_id"].strip().nullif(""),
        slot=text["position"].strip().nullif(""),
    )
    table = parse(text, {"timestamp": "timestamp", "item_id": "int64", "position": "int64", "click": "flag"})
    table = refuse(table, "click", table["click"].isnull(), "missing", "is missing; 0 or 1")
    return table.select(
        impression_id=table["impression_id"],
        timestamp=table["timestamp"],
        user_id=table["user_id"],
        campaign_id=ibis.literal(campaign),
        creative_id=ibis.literal(f"{campaign} ") + table["item"],
        platform=ibis.literal("position ") + table["slot"],
        price_paid=cost.price(table["impression_id"]),
        clicked=table["click"],
        converted=table["click"],
        revenue=ibis.ifelse(table["click"], value.value, 0.0),
        **{PROBLEM: table[PROBLEM]},
    )


def _items(text: Table, campaign: str) -> Table:
    return text.select(
        creative_id=ibis.literal(f"{campaign} ") + text["item_id"].strip().nullif(""),
        category=text["item_feature_1"].strip().nullif(""),
    )


PROVENANCE = {
    "impression_id": Provenance.APPROXIMATED.value,
    "timestamp": Provenance.REAL.value,
    "user_id": Provenance.APPROXIMATED.value,
    "campaign_id": Provenance.REAL.value,
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
    "creatives.category": Provenance.REAL.value,
}
NOTES = (
    "The position on the page is the platform, the log's file the campaign.",
    "The log has no users: impressions with the same four user features count as one user, so users are few and large.",
    "The log has no conversions: the conversion rate is not known.",
    "No bids, regions, images or copy were published: the log cannot tell volume; image and text are masked.",
)

SOURCES.register(
    Source(
        name="openbandit",
        label="Open Bandit's log",
        read=read,
        folder=("*.csv",),
        beside=("item_context.csv",),
        asks=("value_per_conversion", "value_per_click", "cost_model"),
    )
)
