"""Source `criteo`: the Criteo Attribution Modeling for Bidding log, as its owner publishes it and as a known slice.

- The public file (`criteo_attribution_dataset.tsv.gz`: 22 tab-separated columns, 16.5 M rows over 30 days; -1 means
  missing; seconds since an undisclosed start).
- The slice used by the MTORL paper (`criteo_sequence.csv.gz`: comma-separated, first column unnamed and holding the
  row's index in the public file, which is sorted by time; costs and campaigns min-max scaled; no timestamps).

In both, Criteo's campaign plays the platform, as work on multi-touch attribution does, and there is one campaign. With
`data.criteo_channel` = `cat8` that context column does, as in work on user journeys: a user meets one campaign alone.
`cost` is the price paid. A conversion counts where the impression was clicked (`conversion` = 1 and `click` = 1),
whether or not the advertiser attributed it to Criteo (`attribution` tells only who was credited). Each order appears on
all of its `click_nb` clicks, so each carries `cpo / click_nb` of its value: orders are counted once.
No bids, regions, images or copy were published.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import Any

import ibis

from crossmix.config import Data
from crossmix.schema import DataError, Provenance
from crossmix.sources import SOURCES, Backend, Raw, Source, Table, verify_file
from crossmix.sources.rules import PROBLEM, parse
from crossmix.sources.tables import read_header, read_text, readable

PUBLIC_COLUMNS = (
    *("timestamp", "uid", "campaign", "conversion", "conversion_timestamp", "conversion_id", "attribution", "click"),
    *("click_pos", "click_nb", "cost", "cpo", "time_since_last_click"),
    *(f"cat{number}" for number in range(1, 10)),
)
SLICE_COLUMNS = ("uid", "campaign", "conversion", "attribution", "click", "click_nb", "cost", "cpo")
ROW = "row_index"
"""Name given to the slice's first, unnamed column."""
START = datetime(2017, 1, 2, tzinfo=UTC)
"""Nominal start of the log (the real one is undisclosed): a Monday of the year of publication."""
PUBLIC_ROWS, PUBLIC_DAYS = 16_468_027, 30
"""Size and length of the public file: what turns the slice's row index into an approximate time."""
CURRENCY = "scaled units (Criteo's transformed costs)"
CAMPAIGN = "criteo"
CHANNEL = "campaign"
"""The column that plays the platform where `data.criteo_channel` is `None`."""
LISTED = 20
"""A log with more platforms than this does not list their names in a note."""


def read(data: Data, backend: Backend, workdir: Path) -> Raw:
    """Either format, told apart by its header.

    Raises:
        DataError: the file is missing, unreadable, empty, truncated, or lacks a column.
    """
    path = Path(data.path or "")
    digest = verify_file(path)
    separator, header = read_header(path)
    public = separator == "\t" or "timestamp" in header
    channel = data.criteo_channel or CHANNEL
    wanted = PUBLIC_COLUMNS if public else dict.fromkeys((*SLICE_COLUMNS, channel))
    missing = [name for name in wanted if name not in header]
    if missing:
        raise DataError(
            f"{missing[0]}: column is missing from {str(path)!r} (missing: {', '.join(missing)}); the Criteo "
            f"{'attribution log' if public else 'slice'} has {', '.join(wanted)}: restore it, or pass the original file"
        )
    indices = 0
    while indices < len(header) and (header[indices] in {"", ROW, "index"} or header[indices].startswith("Unnamed: 0")):
        indices += 1
    if not public and not indices:
        raise DataError(
            f"{header[0]}: the first column of {str(path)!r} must hold the row's index in the original file (it orders "
            "the events); write the slice with its index"
        )
    if not public:
        # Of a slice that was saved again with a new index the last one is the original file's.
        header = [*(f"later_{at}" for at in range(indices - 1)), ROW, *header[indices:]]
    text = read_text(backend, path, separator, header)
    return (_public if public else _slice)(text, digest, channel)


def _common(parsed: Table) -> dict[str, Any]:
    """What both formats share, given parsed columns."""
    clicked = parsed["click"] == 1
    converted = clicked & (parsed["conversion"] == 1)
    worth = (parsed["cpo"] > 0) & (parsed["click_nb"] > 0)
    share = ibis.ifelse(worth, parsed["cpo"] / parsed["click_nb"], 0.0).fill_null(0.0)
    return {
        "user_id": parsed["uid"],
        "campaign_id": ibis.literal(CAMPAIGN),
        "price_paid": parsed["cost"],
        "clicked": clicked,
        "converted": converted,
        "revenue": ibis.ifelse(converted, share, 0.0),
        PROBLEM: parsed[PROBLEM],
    }


def _moment(seconds: Any) -> Any:
    """Seconds since the log's start, as a timestamp to the millisecond (what every engine adds alike)."""
    return ibis.timestamp(START.replace(tzinfo=None)) + (seconds * 1000).round().cast("int64").as_interval("ms")


PROVENANCE = {
    "impression_id": Provenance.APPROXIMATED.value,
    "timestamp": Provenance.REAL.value,
    "user_id": Provenance.REAL.value,
    "campaign_id": Provenance.APPROXIMATED.value,
    "creative_id": Provenance.MISSING.value,
    "platform": Provenance.APPROXIMATED.value,
    "region": Provenance.MISSING.value,
    "bid_price": Provenance.MISSING.value,
    "price_paid": Provenance.REAL.value,
    "clicked": Provenance.REAL.value,
    "converted": Provenance.REAL.value,
    "revenue": Provenance.APPROXIMATED.value,
    "conversion_timestamp": Provenance.REAL.value,
    "propensity": Provenance.MISSING.value,
    "creatives.image": Provenance.MISSING.value,
    "creatives.copy": Provenance.MISSING.value,
}
PLAYS = {
    "campaign": "Criteo's campaign plays the part of the platform; all of them form one campaign.",
    "cat8": "Criteo's context column cat8, which nobody chose, plays the part of the platform (data.criteo_channel); "
    "all of them form one campaign.",
}
"""The first note, by column that plays the platform."""
NOTES = (
    "Revenue is approximated: cost per order (cpo) stands in for order value, in equal parts on the order's clicks.",
    "A conversion counts on every clicked impression of its path, whoever the advertiser credited (`attribution`).",
    "No bids, regions, images or copy were published: the log cannot tell volume; image and text are masked.",
)


def _public(text: Table, digest: str, channel: str) -> Raw:
    numbers = dict.fromkeys(("timestamp", "conversion", "conversion_timestamp", "click", "click_nb"), "int64")
    # Before parsing: the id is the digest of the line, so that a line logged twice is seen as such.
    whole = reduce(lambda left, right: left + "|" + right, [text[name].fill_null("") for name in PUBLIC_COLUMNS])
    text = text.mutate(impression_id=whole.hexdigest("md5"))
    parsed = parse(text, numbers | {"cost": "float64", "cpo": "float64"})
    columns = _common(parsed)
    converted = parsed["conversion_timestamp"]
    impressions = parsed.select(
        impression_id=parsed["impression_id"],
        timestamp=_moment(ibis.ifelse(parsed["timestamp"] >= 0, parsed["timestamp"], None)),
        platform=ibis.literal(f"{channel} ") + parsed[channel].nullif("").nullif("-1"),
        conversion_timestamp=_moment(ibis.ifelse(converted >= 0, converted, None)),
        **columns | {"price_paid": ibis.ifelse(parsed["cost"] == -1, None, parsed["cost"])},
    )
    return Raw(
        impressions=impressions,
        generated=False,
        currency=CURRENCY,
        cycle_hours=24,
        digest=digest,
        provenance=PROVENANCE,
        notes=(
            PLAYS[channel],
            *NOTES,
            f"Times are real differences from an undisclosed start; the dates shown count from {START:%Y-%m-%d}, so a "
            "weekday's name means nothing, its rhythm does.",
            "The log has no impression ids: an id is the digest of its line.",
        ),
    )


def _slice(text: Table, digest: str, channel: str) -> Raw:
    numbers = {ROW: "int64", "conversion": "int64", "click": "int64", "click_nb": "int64"}
    # Compared as text: a number in SQL may be read as a decimal, and one that was a double then equals none.
    parsed = parse(
        text.mutate(_told=text[channel]), numbers | {channel: "float64", "cost": "float64", "cpo": "float64"}
    )
    distinct = parsed.filter(parsed[channel].notnull()).select(channel, "_told").distinct().order_by(channel)
    with readable():
        told = [(float(row[channel]), str(row["_told"])) for row in distinct.to_pandas().to_dict("records")]
    values = sorted({value for value, _ in told})
    names = {value: f"c{rank:02d}" for rank, value in enumerate(values, start=1)}
    cases = [(text_of, names[value]) for value, text_of in told]
    platform = parsed["_told"].cases(*cases, else_=ibis.null("string")) if cases else ibis.null("string")
    seconds = parsed[ROW] * (PUBLIC_DAYS * 86_400 / PUBLIC_ROWS)
    impressions = parsed.select(
        impression_id=ibis.literal("row ") + parsed[ROW].cast("string"),
        timestamp=_moment(seconds),
        platform=platform,
        **_common(parsed),
    )
    listed = (
        (f"Platforms by the scaled {channel} value: " + ", ".join(f"{n} = {v:.6g}" for v, n in names.items()) + ".",)
        if len(names) <= LISTED
        else ()
    )
    return Raw(
        impressions=impressions,
        generated=False,
        currency=CURRENCY,
        cycle_hours=1,
        digest=digest,
        approximate_time=True,
        provenance=PROVENANCE
        | {
            "impression_id": Provenance.REAL.value,
            "timestamp": Provenance.APPROXIMATED.value,
            "conversion_timestamp": Provenance.MISSING.value,
        },
        notes=(
            PLAYS[channel],
            *NOTES,
            *listed,
            f"Times are approximated: row index / {PUBLIC_ROWS:,} rows x {PUBLIC_DAYS} days, from {START:%Y-%m-%d}; no "
            "weekday can be read from them.",
            "Costs and order values are min-max scaled, each on its own: their ratio (ROI, ROAS) compares platforms "
            "and policies, it is not a return in money.",
            "The slice was enriched with clicks (48 % of its rows): rates are far above those of live traffic.",
            "Conversion times were removed: the attribution window cannot be checked, delays are unknown, and "
            "behaviour sequences hold no conversions.",
        ),
    )


SOURCES.register(
    Source(
        name="criteo",
        label="Criteo's attribution log",
        read=read,
        asks=("criteo_channel",),
    )
)
