"""A dataset of any number of rows as ingest writes it, with what fusion would make of it: for memory and time.

No source, no encoder and no training: ids, prices and events are drawn, predictions and contexts are random numbers.
Sizes are the demo's: three campaigns on ten platforms, 70 days, four regions, a user per 15 impressions, of whom 40 %
are held out.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from crossmix.schema import DERIVED, IMPRESSIONS, PLANS, Dataset, Meta
from crossmix.sources.tables import BATCH, arrow_schema
from crossmix.state import ALLOCATION

CAMPAIGNS = ("campaign_1", "campaign_2", "campaign_3")
PLATFORMS = ("video", "news", "social", "display", "blog", "forum", "ecommerce", "audio", "search", "messaging")
REGIONS = ("north", "south", "east", "west")
CREATIVES = 60
DAYS, VALIDATION, TEST = 70, 49, 56
ROWS_PER_USER, HELD_OUT = 15, 0.4
START = datetime(2025, 1, 6, tzinfo=UTC)
SEED = 8_600_000


def write(folder: Path, rows: int) -> Dataset:
    """Impressions, plans and meta.json of `rows` impressions; returns the dataset."""
    folder.mkdir(parents=True)
    schema = arrow_schema([*IMPRESSIONS, *DERIVED])
    with pq.ParquetWriter(folder / "impressions.parquet", schema) as writer:
        for first, count in blocks(rows):
            writer.write_table(pa.table(impressions(rows, first, count), schema=schema))
    days = [(START + timedelta(days=day)).date() for day in range(DAYS)]
    cells = [(c, p, day) for c in CAMPAIGNS for p in PLATFORMS for day in days]
    budget = 2.0 * rows / len(cells)
    plans = [[c for c, _, _ in cells], [p for _, p, _ in cells], [day for _, _, day in cells]]
    table = [*plans, [budget] * len(cells), [None] * len(cells), [None] * len(cells)]
    pq.write_table(pa.table(table, schema=arrow_schema(PLANS)), folder / "plans.parquet")
    meta(rows).save(folder)
    return Dataset(folder)


def blocks(rows: int) -> Iterator[tuple[int, int]]:
    """First row and number of rows of every block that is drawn at a time."""
    for first in range(0, rows, BATCH):
        yield first, min(BATCH, rows - first)


def impressions(rows: int, first: int, count: int) -> dict[str, pa.Array]:
    """The columns of `count` impressions from number `first` on, of a log of `rows`, in order of time."""
    rng = np.random.default_rng([SEED, first])
    number = np.arange(first, first + count)
    second = (number + rng.random(count)) / rows * DAYS * 86_400
    day = (second // 86_400).astype(np.int64)
    user = rng.integers(max(rows // ROWS_PER_USER, 20), size=count)
    price = np.exp(0.4 * rng.standard_normal(count))
    clicked = rng.random(count) < 0.1
    converted = clicked & (rng.random(count) < 0.2)
    moment = np.datetime64(START.replace(tzinfo=None), "us") + (second * 1e6).astype("timedelta64[us]")
    delay = (rng.exponential(86_400, count) * 1e6).astype("timedelta64[us]")

    def named(form: str, index: np.ndarray) -> pa.Array:
        return pa.array([form % value for value in index.tolist()])

    def one_of(names: tuple[str, ...], index: np.ndarray) -> pa.Array:
        return pa.array(names).take(pa.array(index))

    return {
        "impression_id": named("i%09d", number),
        "timestamp": pa.array(moment),
        "user_id": named("u%08d", user),
        "campaign_id": one_of(CAMPAIGNS, rng.integers(len(CAMPAIGNS), size=count)),
        "creative_id": named("cr%04d", rng.integers(CREATIVES, size=count)),
        "platform": one_of(PLATFORMS, rng.integers(len(PLATFORMS), size=count)),
        "region": one_of(REGIONS, user % len(REGIONS)),
        "bid_price": pa.array(price * np.exp(rng.exponential(0.4, count))),
        "price_paid": pa.array(price),
        "clicked": pa.array(clicked),
        "converted": pa.array(converted),
        "revenue": pa.array(np.where(converted, 20 * rng.gamma(4, 0.25, count), 0.0)),
        "conversion_timestamp": pa.array(moment + delay, mask=~converted),
        "propensity": pa.nulls(count, pa.float64()),
        "cycle": pa.array(day),
        "split": one_of(("train", "validation", "test"), np.searchsorted([VALIDATION, TEST], day, side="right")),
        "holdout": pa.array(user % 100 < 100 * HELD_OUT),
    }


def meta(rows: int) -> Meta:
    """What the dataset says of itself."""
    return Meta(
        source="made up",
        generated=True,
        currency="credits",
        platforms=PLATFORMS,
        campaigns=CAMPAIGNS,
        start=START.isoformat(),
        cycle_hours=24,
        cycles=DAYS,
        first_cycle={"train": 0, "validation": VALIDATION, "test": TEST},
        modalities=(),
        provenance={},
        weekday_pattern=True,
        digest=f"made up, {rows} rows",
    )


def write_fusion(dataset: Dataset, folder: Path) -> None:
    """predictions.parquet and contexts.parquet of random numbers, in the dataset's order."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(SEED)
    schema = pa.schema(
        [
            ("impression_id", pa.string()),
            ("p_click", pa.float32()),
            ("p_conversion", pa.float32()),
            ("trained", pa.bool_()),
        ]
    )
    with pq.ParquetWriter(folder / "predictions.parquet", schema) as writer:
        for batch in pq.ParquetFile(dataset.file("impressions")).iter_batches(BATCH, columns=["impression_id"]):
            click, convert = rng.beta(2, 20, batch.num_rows), rng.beta(2, 10, batch.num_rows)
            trained = rng.random(batch.num_rows) < 0.35
            columns = [batch["impression_id"], click.astype(np.float32), convert.astype(np.float32), trained]
            writer.write_table(pa.table(columns, schema=schema))
    cells = [(campaign, day) for campaign in CAMPAIGNS for day in range(-1, DAYS)]
    context = rng.standard_normal((len(cells), ALLOCATION.context_size)).astype(np.float32)
    columns = [[campaign for campaign, _ in cells], [day for _, day in cells], list(context)]
    pq.write_table(pa.table(columns, names=["campaign_id", "cycle", "context"]), folder / "contexts.parquet")
