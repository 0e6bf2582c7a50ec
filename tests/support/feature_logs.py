"""A tiny log, and stand-ins for its encoders and statistics, for the tests of the feature store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from crossmix import state
from crossmix.config import Config, Fusion
from crossmix.schema import Dataset, Meta

START = pd.Timestamp("2024-03-01", tz="UTC")


CYCLES = 30


PLATFORMS = 10


CAMPAIGNS = ("c0", "c1")


NAMES = list(state.ALLOCATION.names)


DIMS = {"image": 7, "text": 5}


def fake_statistics(dataset: Dataset, config: Config) -> pd.DataFrame:
    """Rows out of range, not a number and infinite among them; shuffled."""
    random = np.random.default_rng(3)
    rows = pd.DataFrame(
        [(name, cycle) for name in dataset.meta.campaigns for cycle in range(CYCLES)], columns=["campaign_id", "cycle"]
    )
    rows["event_timestamp"] = START + pd.to_timedelta(rows["cycle"] + 1, unit="D")
    values = random.normal(0.4, 1.0, (len(rows), state.ALLOCATION.statistics_size))
    values[random.random(values.shape) < 0.05] = np.nan
    values[random.random(values.shape) < 0.02] = np.inf
    table = pd.concat([rows, pd.DataFrame(values, columns=NAMES)], axis=1)
    return table.sample(frac=1, random_state=0)


def fake_encode(
    fusion: Fusion, creatives: pd.DataFrame, cache: Path | None
) -> tuple[pd.DataFrame, Mapping[str, Mapping[str, Any] | None]]:
    random = np.random.default_rng(5)
    frame = pd.DataFrame({"creative_id": creatives["creative_id"]})
    for modality, dim in DIMS.items():
        frame[modality] = list(random.normal(size=(len(frame), dim)).astype("float32"))
    frame.at[1, "image"] = None
    return frame, {name: {"name": f"fake-{name}", "dim": dim, "sha256": "0" * 64} for name, dim in DIMS.items()}


def write_log(path: Path) -> Dataset:
    """Two campaigns, ten platforms, thirty cycles, three users; user u1 has two impressions at one instant."""
    path.mkdir()
    meta = Meta(
        source="demo",
        generated=True,
        currency="EUR",
        platforms=tuple(f"platform{slot}" for slot in range(PLATFORMS)),
        campaigns=CAMPAIGNS,
        start=START.isoformat(),
        cycle_hours=24,
        cycles=CYCLES,
        first_cycle={"train": 0, "validation": 18, "test": 24},
        modalities=("image", "text", "behaviour"),
        provenance={},
        weekday_pattern=True,
        digest="d",
    )
    (path / "meta.json").write_text(json.dumps(asdict(meta)))
    pd.DataFrame({"creative_id": ["k0", "k1"], "image": [b"", None], "copy": ["buy", "now"]}).to_parquet(
        path / "creatives.parquet"
    )
    hours = [0, 5, 5, 9, 30, 700]
    users = ["u0", "u1", "u1", "u2", "u0", "u0"]
    identifiers = [f"i{number}" for number in range(len(users))]
    times = pd.Series(START.tz_localize(None) + pd.to_timedelta(hours, unit="h")).astype("datetime64[us]")
    pd.DataFrame({"impression_id": identifiers, "timestamp": times, "user_id": users}).to_parquet(
        path / "impressions.parquet"
    )
    events = [[], [], [4], [], [1, 2], [1, 2, 7]]
    # Written backwards: rows must be found by impression_id, not by place.
    table = pa.table({"impression_id": identifiers[::-1], "events": pa.array(events[::-1], pa.list_(pa.int16()))})
    pq.write_table(table, path / "sequences.parquet")
    return Dataset(path)
