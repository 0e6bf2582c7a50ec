"""Source `ipinyou`: the log of iPinYou's bidding contest in the 27-column layout of make-ipinyou-data.

Tab-separated with a header: click, weekday, hour and the contest's 24 columns (`train.log.txt`); `test.log.txt` has
`nclick` and `nconversation` too. `data.path` is one file, or a folder: every `*.log.txt` and `*.tsv` below it, so that
several campaigns are read together.

| column | becomes |
|---|---|
| bidid + creative | impression_id (what the layout's authors join clicks by) |
| timestamp | timestamp: yyyyMMddHHmmssSSS, the log's own clock, which names no zone; taken as it stands |
| ipinyouid | user_id; a row without one is a user of its own |
| advertiser | campaign_id |
| creative | creative_id, its slot's size as category |
| adexchange | platform, "exchange 1" |
| region | region |
| bidprice, payprice | bid_price, price_paid: CPM in CNY fen, so CNY per impression is a hundred-thousandth |
| click | clicked |
| nconversation | converted and revenue, where the layout has it: each worth `data.value_per_conversion` |

The rest is not read. Without `nconversation` the conversion rate is not known: `data.value_per_click` makes each click
the conversion, or the log is refused. `logtype` other than 1 (an impression) goes to the quarantine.
"""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import Any

import ibis

from crossmix.config import Data
from crossmix.schema import Provenance
from crossmix.sources import SOURCES, Backend, Raw, Source, Table, log_files, verify_files
from crossmix.sources.money import worth
from crossmix.sources.rules import PROBLEM, parse, refuse
from crossmix.sources.tables import read_columns

COLUMNS = (
    *("click", "weekday", "hour", "bidid", "timestamp", "logtype", "ipinyouid", "useragent", "IP", "region", "city"),
    *("adexchange", "domain", "url", "urlid", "slotid", "slotwidth", "slotheight", "slotvisibility", "slotformat"),
    *("slotprice", "creative", "bidprice", "payprice", "keypage", "advertiser", "usertag"),
)
READ = (
    *("click", "bidid", "timestamp", "logtype", "ipinyouid", "region", "adexchange", "slotwidth", "slotheight"),
    *("creative", "bidprice", "payprice", "advertiser"),
)
"""Columns that are needed."""
CONVERSIONS = "nconversation"
"""The layout's name for the number of conversions."""
CNY_PER_IMPRESSION = 1e-5
"""One fen per thousand impressions."""
NULL = "null"
"""The log's word for a missing value."""
WHAT = "the iPinYou log"


def read(data: Data, backend: Backend, workdir: Path) -> Raw:
    """One file or a folder of them.

    Raises:
        DataError: a file is missing, unreadable, empty, truncated, or lacks a column; or nothing says what earns.
    """
    files = log_files(data)
    digest = verify_files(files)
    parts = [read_columns(backend, path, READ, "the 27-column layout", (CONVERSIONS,)) for path in files.values()]
    has_conversions = all(CONVERSIONS in part.columns for part in parts)
    columns = (*READ, CONVERSIONS) if has_conversions else READ
    value = worth(data, WHAT if has_conversions else f"{WHAT} without {CONVERSIONS}", conversions=has_conversions)
    text = reduce(lambda left, right: left.union(right), [part.select(*columns) for part in parts])
    text = text.mutate(**{name: text[name].strip().nullif("").nullif(NULL) for name in columns})
    table = _parsed(text, has_conversions)
    sold = table["click"] if value.by_click else table[CONVERSIONS] > 0
    times = ibis.literal(1) if value.by_click else table[CONVERSIONS]
    impressions = table.select(
        impression_id=table["bidid"] + " " + table["creative"].fill_null(""),
        timestamp=table["timestamp"],
        user_id=table["ipinyouid"].fill_null(ibis.literal("of bid ") + table["bidid"]),
        campaign_id=table["advertiser"],
        creative_id=table["creative"],
        platform=ibis.literal("exchange ") + table["adexchange"],
        region=table["region"],
        bid_price=table["bidprice"] * CNY_PER_IMPRESSION,
        price_paid=table["payprice"] * CNY_PER_IMPRESSION,
        clicked=table["click"],
        converted=sold,
        revenue=ibis.ifelse(sold, times * value.value, 0.0),
        **{PROBLEM: table[PROBLEM]},
    )
    size = text["slotwidth"] + "x" + text["slotheight"]
    shown = text.filter(text["creative"].notnull()).group_by(creative_id=text["creative"])
    return Raw(
        impressions=impressions,
        creatives=shown.agg(category=size.min()),
        generated=False,
        currency="CNY",
        cycle_hours=24,
        digest=digest,
        provenance=PROVENANCE | ({"converted": Provenance.APPROXIMATED.value} if value.by_click else {}),
        notes=(
            *NOTES,
            *value.notes,
            *(() if has_conversions else ("The log has no conversions: the conversion rate is not known.",)),
        ),
    )


def _parsed(text: Table, has_conversions: bool) -> Table:
    """Columns by type, and what is wrong with a row in its `problem`."""
    stamp = text["timestamp"]
    places = ((0, 4), (4, 2), (6, 2), (8, 2), (10, 2), (12, 2), (14, 3))
    pieces: list[Any] = [stamp.substr(start, length) for start, length in places]
    marks = ("-", "-", "T", ":", ":", ".")
    written = reduce(lambda left, step: left + step[0] + step[1], zip(marks, pieces[1:], strict=True), pieces[0])
    whole = stamp.re_search(r"^[0-9]{17}$")
    numbers = {"timestamp": "timestamp", "click": "flag", "bidprice": "float64", "payprice": "float64"}
    table = parse(
        text.mutate(timestamp=ibis.ifelse(whole, written, stamp)),
        numbers | ({CONVERSIONS: "int64"} if has_conversions else {}),
    )
    table = refuse(table, "logtype", table["logtype"].fill_null("1") != "1", "not_impression", "is not 1 (impression)")
    table = refuse(table, "bidprice", table["bidprice"].isnull(), "missing", "is missing; the log has bids")
    return refuse(table, "click", table["click"].isnull(), "missing", "is missing; 0 or 1")


PROVENANCE = {
    "impression_id": Provenance.REAL.value,
    "timestamp": Provenance.REAL.value,
    "user_id": Provenance.REAL.value,
    "campaign_id": Provenance.REAL.value,
    "creative_id": Provenance.REAL.value,
    "platform": Provenance.REAL.value,
    "region": Provenance.REAL.value,
    "bid_price": Provenance.REAL.value,
    "price_paid": Provenance.REAL.value,
    "clicked": Provenance.REAL.value,
    "converted": Provenance.REAL.value,
    "revenue": Provenance.IMPUTED.value,
    "conversion_timestamp": Provenance.MISSING.value,
    "propensity": Provenance.MISSING.value,
    "creatives.image": Provenance.MISSING.value,
    "creatives.copy": Provenance.MISSING.value,
    "creatives.category": Provenance.APPROXIMATED.value,
}
NOTES = (
    "The exchange (adexchange) is the platform, the advertiser the campaign.",
    "Times are the log's own clock, which names no zone: a cycle of a day is a day of that clock.",
    "Prices are CPM in CNY fen, shown as CNY per impression; payprice is the highest competing price.",
    "A row without an iPinYou ID counts as a user of its own.",
    "The log has no images and no copy; a creative's category is the size of its slot.",
)

SOURCES.register(
    Source(
        name="ipinyou",
        label="iPinYou's bidding log",
        read=read,
        folder=("*.log.txt", "*.tsv"),
        asks=("value_per_conversion", "value_per_click"),
    )
)
