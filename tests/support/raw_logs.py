"""Small raw logs for the tests of ingest and sources: a sound one, and ways to hand any tables to `ingest_raw`."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from crossmix.config import Data, load
from crossmix.ingest.engine import connect
from crossmix.ingest.impressions import ingest_raw
from crossmix.schema import Dataset
from crossmix.sources import Raw
from crossmix.sources.criteo import PUBLIC_COLUMNS

DAY = pd.Timestamp("2025-01-06")
SOLD_ROW = 8
"""The one of `impressions` that is sold; its user is not held out."""
SOLD = {"clicked": True, "converted": True, "revenue": 4.0}


def row(number: int, **changes: object) -> dict[str, object]:
    """One sound impression, `number` hours after the first."""
    return {
        "impression_id": f"i{number}",
        "timestamp": DAY + pd.Timedelta(hours=number),
        "user_id": f"u{number % 5}",
        "campaign_id": "c",
        "creative_id": None,
        "platform": ("search", "social")[number % 2],
        "region": "north",
        "bid_price": 3.0,
        "price_paid": 2.0,
        "clicked": False,
        "converted": False,
        "revenue": 0.0,
        "conversion_timestamp": pd.NaT,
    } | changes


def impressions(*rows: dict[str, object], sound: int = 96) -> pd.DataFrame:
    """`sound` sound rows, one of them sold (a log that earns nothing is refused), then the given ones."""
    frame = pd.DataFrame([*(row(number, **(SOLD if number == SOLD_ROW else {})) for number in range(sound)), *rows])
    frame["conversion_timestamp"] = frame["conversion_timestamp"].astype("datetime64[us]")
    if pd.api.types.is_datetime64_any_dtype(frame["timestamp"]):
        frame["timestamp"] = frame["timestamp"].astype("datetime64[us]")
    return frame


def plan(**changes: object) -> dict[str, object]:
    return {
        "campaign_id": "c",
        "platform": "search",
        "date": DAY.date(),
        "planned_budget": 10.0,
        "min": 0.1,
        "max": 0.9,
    } | changes


def run(
    folder: Path,
    log: pd.DataFrame,
    *,
    plans: list[dict[str, object]] | None = None,
    creatives: pd.DataFrame | None = None,
    engine: str = "duckdb",
    nan_is_null: bool = True,
    **data: object,
) -> Dataset:
    """Ingest tables in hand; the `Dataset` that comes out. `nan_is_null`: a NaN is a missing value, as in pandas."""
    backend = connect(engine, folder)

    def table(frame: pd.DataFrame, name: str) -> object:
        told = pa.Table.from_pandas(frame, preserve_index=False)
        for place, column in enumerate(frame.columns):
            if not nan_is_null and frame[column].dtype == "float64":
                told = told.set_column(place, column, pa.array(frame[column].to_numpy(), from_pandas=False))
        pq.write_table(told, folder / f"{name}.parquet", coerce_timestamps="us")
        return backend.read_parquet(str(folder / f"{name}.parquet"))

    raw = Raw(
        impressions=table(log, "raw_impressions"),
        creatives=None if creatives is None else table(creatives, "raw_creatives"),
        plans=None if plans is None else table(pd.DataFrame(plans), "raw_plans"),
        generated=True,
        currency="units",
        cycle_hours=24,
        digest="0" * 64,
        provenance={},
    )
    out = folder / "dataset"
    out.mkdir()
    ingest_raw(raw, replace(load("laptop").data, **data), out)
    return Dataset(out)


def public_row(second: int, **changes: object) -> dict[str, object]:
    """One line of the public Criteo log; -1 is missing. That of the fourth hour is sold, to a user not held out."""
    values: dict[str, object] = dict.fromkeys(PUBLIC_COLUMNS, "-1")
    sold = {"conversion": 1, "click": 1, "click_nb": 1, "conversion_timestamp": second} if second == 3 * 3_600 else {}
    return (
        values
        | {
            "timestamp": second,
            "uid": f"u{second % 7}",
            "campaign": f"{1000 + second % 3}",
            "conversion": 0,
            "attribution": 0,
            "click": 0,
            "cost": 0.01,
            "cpo": 0.2,
            "cat1": second,
        }
        | sold
        | changes
    )


def write_public(path: Path, rows: list[dict[str, object]], columns: tuple[str, ...] = PUBLIC_COLUMNS) -> Data:
    """A public Criteo file, gzipped where its name says so, and the data config that reads it."""
    text = pd.DataFrame(rows, columns=list(columns)).to_csv(sep="\t", index=False)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return load("laptop", ["data.source=criteo", f"data.path={path}"]).data
