"""The Parquet files behind the feature views: what is in them, and how they are written and appended to.

All times are UTC in microseconds (DuckDB refuses nanoseconds), all numbers 32-bit, so that the offline files and the
online store hold the same bits. Nothing here knows Feast.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossmix.schema import DataError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

LOG_ARM = "log"
"""Arm of the historical log; serving adds `policy` and `control`."""

SERVICE_STATISTICS = "budget_statistics"
SERVICE_FUSION = "fusion_inputs"

PLATFORM_VIEW = "platform_statistics"
CAMPAIGN_VIEW = "campaign_statistics"
CREATIVE_VIEW = "creative_embeddings"
USER_VIEW = "user_sequences"
JOURNEY_VIEW = "user_journeys"
"""Of a run of task `journeys`, which has no other (`feature_repo.journeys`)."""

KEYS: dict[str, tuple[str, ...]] = {
    PLATFORM_VIEW: ("campaign_id", "arm"),
    CAMPAIGN_VIEW: ("campaign_id", "arm"),
    CREATIVE_VIEW: ("creative_id",),
    USER_VIEW: ("user_id",),
    JOURNEY_VIEW: ("user_id",),
}
"""Join keys of each view."""

SOURCES: dict[str, str] = {
    PLATFORM_VIEW: "sources/platform_statistics.parquet",
    CAMPAIGN_VIEW: "sources/campaign_statistics.parquet",
    CREATIVE_VIEW: "embeddings/creatives.parquet",
    USER_VIEW: "sources/user_sequences.parquet",
}
"""Source of each view of a split's run, relative to the feature folder."""
JOURNEY_SOURCE = "sources/user_journeys.parquet"
"""Source of `JOURNEY_VIEW`."""

TIME = "event_timestamp"


def statistic_names() -> dict[str, tuple[str, ...]]:
    """Fields of the two statistics views; together the state's 128, in layout order."""
    from crossmix.state import ALLOCATION

    return {PLATFORM_VIEW: ALLOCATION.platform_names, CAMPAIGN_VIEW: ALLOCATION.campaign_names}


def utc(column: pd.Series, name: str) -> pd.Series:
    """The column as UTC microseconds; times without a zone are taken as UTC. Raises `DataError` where it cannot be."""
    import pandas as pd

    try:
        times = pd.to_datetime(column, utc=True).astype("datetime64[us, UTC]")
    except (ValueError, TypeError) as error:
        raise DataError(f"{name}: not a column of times ({error}); pass UTC timestamps") from None
    if times.isna().any():
        raise DataError(f"{name}: row {int(times.isna().to_numpy().argmax())} has no time; every row needs one")
    return times


def clean_statistics(frame: pd.DataFrame, platforms: int, arm: str | None = None) -> pd.DataFrame:
    """Statistics rows ready to store, sorted by time, campaign and arm.

    Args:
        frame: campaign_id, event_timestamp (the end of the row's cycle), arm unless given, and the 128 statistics.
        platforms: platform slots in use.
        arm: the arm of every row.

    Returns:
        campaign_id, arm, event_timestamp and the 128 as float32, clamped as `Layout.clamp` does: what is stored is what
        the policy sees, and nothing stored is null.

    Raises:
        DataError: a column is missing, a key is empty, or two rows have the same campaign, arm and time.
    """
    import pandas as pd

    from crossmix.state import ALLOCATION

    keys = KEYS[PLATFORM_VIEW]
    frame = frame.reset_index(drop=True)
    if arm is not None:
        frame = frame.assign(arm=arm)
    missing = [name for name in (*keys, TIME, *ALLOCATION.names) if name not in frame.columns]
    if missing:
        raise DataError(
            f"statistics: {len(missing)} columns are missing, first {missing[0]!r}; "
            f"pass {', '.join(keys)}, {TIME} and every name of crossmix.state.ALLOCATION.names"
        )
    for key in keys:
        if frame[key].isna().any():
            raise DataError(f"statistics: {key} is empty in row {int(frame[key].isna().to_numpy().argmax())}; name it")
    values = frame[list(ALLOCATION.names)].to_numpy(dtype="float32", copy=True)
    rows = frame[list(keys)].astype("string").astype(object)
    rows[TIME] = utc(frame[TIME], TIME)
    twice = rows.duplicated()
    if twice.any():
        first = rows[twice].iloc[0].to_dict()
        raise DataError(f"statistics: two rows for {first}; a campaign and arm has one row per cycle")
    clamped = pd.DataFrame(ALLOCATION.clamp(values, platforms), columns=list(ALLOCATION.names))
    rows = pd.concat([rows, clamped], axis=1)
    return rows.sort_values([TIME, *keys], ignore_index=True)


def write_statistics(out: Path, rows: pd.DataFrame) -> None:
    """Write both statistics views' sources from cleaned rows."""
    import pyarrow as pa

    for view, names in statistic_names().items():
        write(_table(rows, schema_of(view, [(name, pa.float32()) for name in names])), out / SOURCES[view])


def append_statistics(folder: Path, rows: pd.DataFrame, last: pd.DataFrame | None = None) -> None:
    """Add cleaned rows to both sources; a row with the campaign, arm and time of an older one replaces it.

    Args:
        last: campaign, arm and `last`, the seconds (UTC) beyond which their older rows are dropped; infinite: none are.
    """
    import pandas as pd
    import pyarrow.parquet as pq

    key = [*KEYS[PLATFORM_VIEW], TIME]
    for view, names in statistic_names().items():
        path = folder / SOURCES[view]
        schema = pq.read_schema(path)
        old = pq.read_table(path).to_pandas()
        if last is not None:
            old = _up_to(old, last)
        both = pd.concat([old, rows[[*key, *names]]]).drop_duplicates(key, keep="last")
        write(_table(both.sort_values([TIME, *KEYS[view]], ignore_index=True), schema), path)


def _up_to(old: pd.DataFrame, last: pd.DataFrame) -> pd.DataFrame:
    import numpy as np

    keys = list(KEYS[PLATFORM_VIEW])
    bounded = last[np.isfinite(last["last"])].set_index(keys)["last"]
    if bounded.empty:
        return old
    most = bounded.reindex(old.set_index(keys).index).to_numpy()
    seconds = old[TIME].map(lambda moment: moment.timestamp()).to_numpy(float)
    return old[~(seconds > most)]


def known_arms(folder: Path) -> set[tuple[str, str]]:
    """Every (campaign_id, arm) that has statistics."""
    import pyarrow.parquet as pq

    keys = pq.read_table(folder / SOURCES[CAMPAIGN_VIEW], columns=list(KEYS[CAMPAIGN_VIEW]))
    return set(zip(*(keys.column(name).to_pylist() for name in keys.column_names), strict=True))


def write_embeddings(out: Path, vectors: pd.DataFrame, modalities: Sequence[str], start: str) -> int:
    """Write creative_id, one list of float32 (or null) per modality, and the log's start as the time they hold from.

    Returns the number of rows. Raises `DataError` where a creative_id comes twice.
    """
    import pyarrow as pa

    twice = vectors["creative_id"].duplicated()
    if twice.any():
        raise DataError(f"creatives: creative_id {vectors['creative_id'][twice].iloc[0]!r} comes twice; keep one row")
    schema = schema_of(CREATIVE_VIEW, [(name, pa.list_(pa.float32())) for name in modalities])
    columns: dict[str, Any] = {
        "creative_id": vectors["creative_id"].astype("string").tolist(),
        TIME: [_instant(start)] * len(vectors),
    }
    for name in modalities:
        columns[name] = [None if vector is None else list(map(float, vector)) for vector in vectors[name]]
    write(pa.table(columns, schema=schema), out / SOURCES[CREATIVE_VIEW])
    return len(vectors)


def write(table: pa.Table, path: Path, **how: Any) -> None:
    """Write atomically: a reader sees the old file or the new one; `how` is of `pyarrow.parquet.write_table`."""
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    pq.write_table(table, part, **how)
    part.replace(path)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock: pushes of several processes come one after another."""
    handle = os.open(folder / "push.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def schema_of(view: str, features: Sequence[tuple[str, pa.DataType]]) -> pa.Schema:
    """Keys, time and features of a view's file."""
    import pyarrow as pa

    return pa.schema([*((key, pa.string()) for key in KEYS[view]), (TIME, pa.timestamp("us", tz="UTC")), *features])


def _table(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_pandas(frame, schema=schema.remove_metadata(), preserve_index=False)


def _instant(text: str) -> pd.Timestamp:
    import pandas as pd

    return utc(pd.Series([text]), "meta.start").iloc[0]
