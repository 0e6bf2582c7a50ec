"""What features and fusion read beside a made-up log (`_made_log`): histories, creatives and their vectors.

Histories are drawn, as long as the demo's; encoders' vectors are random numbers of the packaged encoders' widths.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks._made_log import CREATIVES, PLATFORMS, SEED
from crossmix.schema import Dataset, behaviour_vocabulary

STEPS, CHANCE = 30, 1 / 12.75
"""Longest history, and the chance that one ends at a step: 10.7 of them on the mean, the demo's."""
WIDTHS = {"image": 1280, "text": 384}


def write_histories(dataset: Dataset) -> None:
    """sequences.parquet in the dataset's order, and creatives.parquet without content."""
    schema = pa.schema([("impression_id", pa.string()), ("events", pa.list_(pa.int16()))])
    with pq.ParquetWriter(dataset.file("sequences"), schema) as writer:
        for number, batch in enumerate(dataset.batches("impressions", ["impression_id"])):
            rng = np.random.default_rng([SEED, number])
            length = np.minimum(rng.geometric(CHANCE, batch.num_rows) - 1, STEPS)
            offsets = np.concatenate([[0], np.cumsum(length)]).astype(np.int32)
            ids = rng.integers(1, behaviour_vocabulary(len(PLATFORMS)), offsets[-1], dtype=np.int16)
            events = pa.ListArray.from_arrays(pa.array(offsets), pa.array(ids))
            writer.write_table(
                pa.Table.from_arrays([batch.column(0), events.cast(schema.field(1).type)], schema=schema)
            )
    empty = pa.array([None] * CREATIVES, pa.string())
    columns = [vectors()["creative_id"].tolist(), empty.cast(pa.binary()), empty, empty]
    pq.write_table(pa.table(columns, names=["creative_id", "image", "copy", "category"]), dataset.file("creatives"))


def vectors() -> pd.DataFrame:
    """A row of random vectors of every creative."""
    rng = np.random.default_rng(SEED)
    drawn = {name: list(rng.standard_normal((CREATIVES, width)).astype(np.float32)) for name, width in WIDTHS.items()}
    return pd.DataFrame({"creative_id": [f"cr{number:04d}" for number in range(CREATIVES)], **drawn})


def encoders() -> dict[str, dict[str, Any]]:
    """What encoders.json says of them."""
    return {name: {"name": "random numbers", "dim": width, "sha256": ""} for name, width in WIDTHS.items()}


def write_features(folder: Path) -> None:
    """Of the features step's folder what the fusion reads."""
    inside = folder / "embeddings"
    inside.mkdir(parents=True)
    vectors().to_parquet(inside / "creatives.parquet", index=False)
    (inside / "encoders.json").write_text(json.dumps(encoders()))
