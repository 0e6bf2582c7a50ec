"""Small logs in the public formats: `traffic` is what happened, each `write_*` says it as one owner's format does."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd

from crossmix.config import Config, load
from crossmix.sources.ipinyou import COLUMNS as IPINYOU_COLUMNS

START = pd.Timestamp("2022-04-08")
SETTINGS = {
    "ipinyou": ("data.value_per_click=0.2",),
    "openbandit": ("data.value_per_click=0.2", "data.cost_model=lognormal:-6,0.5"),
    "kuairand": ("data.value_per_conversion=0.3", "data.cost_model=constant:0.002"),
}
"""What each format needs to be told."""
FILES = {"ipinyou": "train.log.txt", "openbandit": "all.csv", "kuairand": "log_standard_4_08_to_4_21_pure.csv"}
"""A file's name in each format."""


def traffic(
    rows: int = 96, *, days: int = 4, platforms: int = 3, users: int = 60, ctr: float = 0.3, seed: int = 0
) -> pd.DataFrame:
    """`rows` impressions in order of time over `days`, one per moment; click rates rise from platform to platform."""
    rng = np.random.default_rng(seed)
    platform = rng.integers(1, platforms + 1, rows)
    clicked = rng.random(rows) < ctr * (0.5 + platform / platforms)
    return pd.DataFrame(
        {
            "at": START + pd.to_timedelta((np.arange(rows) + 0.5) * days * 86_400_000 / rows // 1, unit="ms"),
            "user": rng.integers(0, users, rows),
            "platform": platform,
            "item": rng.integers(0, 20, rows),
            "clicked": clicked.astype(int),
            "sold": (clicked & (rng.random(rows) < 0.4)).astype(int),
            # Fen per thousand; the winner pays less than its bid of 300.
            "price": np.minimum(np.exp(rng.normal(4.2, 0.6, rows)).round(), 300).astype(int),
        }
    )


def ipinyou(log: pd.DataFrame, *, advertiser: str = "1458", conversions: bool = False) -> pd.DataFrame:
    """The 27 columns as text, and those of the conversions where asked for."""
    table = pd.DataFrame("null", index=log.index, columns=list(IPINYOU_COLUMNS))
    table["click"] = log["clicked"]
    table["weekday"], table["hour"] = (log["at"].dt.weekday + 1) % 7, log["at"].dt.strftime("%H")
    table["bidid"] = [f"{advertiser}b{number}" for number in log.index]
    table["timestamp"] = log["at"].dt.strftime("%Y%m%d%H%M%S%f").str[:17]
    table["logtype"], table["region"], table["city"] = 1, 216, 219
    table["ipinyouid"] = [f"user{number}" for number in log["user"]]
    table["adexchange"] = log["platform"]
    table["slotwidth"], table["slotheight"] = 336, 280
    table["creative"] = [f"c{number}" for number in log["item"]]
    table["bidprice"], table["payprice"] = 300, log["price"]
    table["advertiser"] = advertiser
    return table.assign(nclick=log["clicked"], nconversation=log["sold"]) if conversions else table


def openbandit(log: pd.DataFrame) -> pd.DataFrame:
    """A row index without a name, as the owner writes it."""
    features = {f"user_feature_{number}": [f"f{user // 3**number % 3}" for user in log["user"]] for number in range(4)}
    table = pd.DataFrame(
        {
            "timestamp": log["at"].dt.strftime("%Y-%m-%d %H:%M:%S.%f") + "+00:00",
            "item_id": log["item"],
            "position": log["platform"],
            "click": log["clicked"],
            "propensity_score": 0.0125,
            **features,
            "user-item_affinity_0": 0.0,
        }
    )
    return table.reset_index(names="")


def kuairand(log: pd.DataFrame) -> pd.DataFrame:
    """The columns that the format has; `long_view` is the sale."""
    milliseconds = log["at"].astype("datetime64[ms]").astype("int64")
    return pd.DataFrame(
        {
            "user_id": log["user"],
            "video_id": log["item"],
            "date": log["at"].dt.strftime("%Y%m%d"),
            "hourmin": log["at"].dt.strftime("%H00"),
            "time_ms": milliseconds,
            "is_click": log["clicked"],
            "is_like": 0,
            "is_follow": log["sold"] * (log.index % 2),
            "long_view": log["sold"],
            "is_rand": 0,
            "tab": log["platform"] - 1,
        }
    )


FORMATS = {"ipinyou": ipinyou, "openbandit": openbandit, "kuairand": kuairand}


def write(path: Path, table: pd.DataFrame) -> Path:
    """The table as its format's text, gzipped where the name says so."""
    text = table.to_csv(sep="\t" if "bidid" in table.columns else ",", index=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def config(source: str, path: Path, *overrides: str) -> Config:
    """The laptop preset for this log, with what its format needs to be told; `overrides` come last."""
    return load("laptop", [f"data.source={source}", f"data.path={path}", *SETTINGS[source], *overrides])
