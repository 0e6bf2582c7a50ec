"""Users' behaviour before each of their impressions: its file, and each user's newest for the online store.

Both go through the log batch by batch. Nothing here knows Feast.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crossmix.row_groups import batches, released, row_groups
from crossmix.schema import DataError, Dataset
from crossmix.sequences import ROWS, OtherOrderError, side_by_side
from feature_repo.sources import SOURCES, TIME, USER_VIEW, schema_of, utc, write

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

_log = logging.getLogger(__name__)

NAMES = ["user_id", TIME, "events"]
"""Columns of the file."""
GROUP = 131_072
"""Rows of a row group of the file, which stand in memory together: some 50 bytes each at the demo's 10.7 steps a
history, and as much again while they are written."""
DICTIONARY = ["user_id", "events.list.element"]
"""Columns of the file whose values come again; times seldom do."""


def write_sequences(out: Path, dataset: Dataset, group: int = GROUP) -> int:
    """Write each user's behaviour before each of their impressions, at the impression's time; returns the rows.

    A user's impressions of the same instant keep the last of them (by impression_id). A spend history has no users: the
    file is empty. A dataset is in order of time, and its two tables in one order, so that a row group of `group` rows
    is all that stands in memory; where it is not, a warning says so and everything does.

    Raises `DataError` where an impression has no sequence.
    """
    import pyarrow as pa

    schema = schema_of(USER_VIEW, [("events", pa.list_(pa.int32()))])
    path = out / SOURCES[USER_VIEW]
    if dataset.meta.aggregate:
        write(schema.empty_table(), path)
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    part, rows = path.with_suffix(".part"), 0
    released()
    try:
        with row_groups(part, schema, group, DICTIONARY) as file:
            for columns in _by_time(dataset):
                file.add(columns)
                rows += len(columns[0])
    except OtherOrderError as error:
        _log.warning("%s: joined by name, which takes memory for every impression's", error)
        return _write_whole(path, dataset, schema, group)
    part.replace(path)
    return rows


def _by_time(dataset: Dataset) -> Iterator[list[pa.Array]]:
    """user_id, time and events, some rows at a time, in order of time and user, one row of a user and instant.

    Raises `OtherOrderError` where the dataset is in another order.
    """
    import pyarrow as pa

    held: list[pa.Table] = []  # rows of the newest instant, of which there may be more to come
    instant, start = np.iinfo(np.int64).min, 0
    for impressions, events in side_by_side(dataset, ["user_id", "timestamp"]):
        table = pa.table([impressions.column("user_id").cast(pa.string()), _times(impressions, start), events], NAMES)
        start += table.num_rows
        moments = table.column(TIME).to_numpy().astype(np.int64)
        if moments[0] < instant or (np.diff(moments) < 0).any():
            raise OtherOrderError("impressions: timestamp is not in order")
        rest = int(np.searchsorted(moments, moments[-1]))
        if moments[0] > instant and held:
            yield _sorted(held)
            held = []
        instant = moments[-1]
        if rest:
            yield _sorted([*held, table.slice(0, rest)])
            held = []
        held.append(table.slice(rest))
    if held:
        yield _sorted(held)


def _times(impressions: pa.RecordBatch, start: int) -> pa.Array:
    """UTC microseconds; `start` is the first row's number."""
    import pyarrow as pa

    column = impressions.column("timestamp")
    if column.null_count:
        row = start + int(np.argmax(np.asarray(column.is_null())))
        raise DataError(f"timestamp: row {row} has no time; every row needs one")
    return pa.array(utc(column.to_pandas(), "timestamp"), pa.timestamp("us", tz="UTC"))


def _sorted(parts: list[pa.Table]) -> list[pa.Array]:
    """Instants' users in order, and of a user and instant the last row."""
    import pandas as pd
    import pyarrow as pa

    table = pa.concat_tables(parts)
    moments = table.column(TIME).to_numpy().astype(np.int64)
    if (np.diff(moments) == 0).any():
        rows = pd.DataFrame({"user_id": table.column("user_id").to_pandas().astype(object), TIME: moments})
        rows = rows.drop_duplicates(keep="last").sort_values([TIME, "user_id"])
        table = table.take(pa.array(rows.index.to_numpy()))
    return [table.column(name).combine_chunks() for name in NAMES]


def _write_whole(path: Path, dataset: Dataset, schema: pa.Schema, group: int) -> int:
    """The same from a dataset in any order: every name stands in memory."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    impressions = dataset.frame("impressions", ["impression_id", "timestamp", "user_id"])
    columns = ["impression_id", "events"]
    sequences = pa.concat_tables([pq.read_table(part, columns=columns) for part in dataset.parts("sequences")])
    position = pd.Index(sequences.column("impression_id").to_pandas()).get_indexer(impressions["impression_id"])
    if (position < 0).any():
        lost = impressions["impression_id"].iloc[int(np.argmax(position < 0))]
        raise DataError(f"sequences: impression_id {lost!r} has no behaviour sequence; run ingest again")
    rows = pd.DataFrame(
        {
            "user_id": impressions["user_id"].astype(str),
            TIME: utc(impressions["timestamp"], "timestamp"),
            "at": position,
        }
    )
    rows = rows.drop_duplicates(["user_id", TIME], keep="last").sort_values([TIME, "user_id"], ignore_index=True)
    events = sequences.column("events").combine_chunks().take(pa.array(rows["at"].to_numpy()))
    table = pa.table({"user_id": rows["user_id"], TIME: rows[TIME], "events": events.cast(pa.list_(pa.int32()))})
    write(table.select(schema.names).cast(schema), path, row_group_size=group, use_dictionary=DICTIONARY)
    return len(rows)


def newest(out: Path, together: int) -> Iterator[pd.DataFrame]:
    """Each user's newest row of the file that `write_sequences` wrote, at most `together` at a time, in its order."""
    import pyarrow as pa

    path = out / SOURCES[USER_VIEW]
    last = _last_rows(path)
    start = 0
    for batch in batches(path, ROWS):
        low, high = np.searchsorted(last, [start, start + batch.num_rows])
        here = pa.Table.from_batches([batch.take(pa.array(last[low:high] - start))])
        for first in range(0, here.num_rows, together):
            yield here.slice(first, together).to_pandas()
        start += batch.num_rows


def _last_rows(path: Path) -> NDArray[np.int64]:
    """Each user's last row, ascending: rows are in order of time."""
    import pyarrow as pa

    names = [batch.column("user_id") for batch in batches(path, ROWS, ["user_id"])]
    encoded = pa.chunked_array(names, pa.string()).dictionary_encode()
    del names
    if not len(encoded):
        return np.empty(0, dtype=np.int64)
    last = np.zeros(len(encoded.chunk(encoded.num_chunks - 1).dictionary), dtype=np.int64)
    start = 0
    for chunk in encoded.iterchunks():
        # Of several rows of a user the last is what stays.
        last[chunk.indices.to_numpy(zero_copy_only=False)] = np.arange(start, start + len(chunk))
        start += len(chunk)
    return np.sort(last)


def span(out: Path) -> tuple[pd.Timestamp, pd.Timestamp] | None:
    """First and last time of all views; `None` where there are no rows."""
    import pandas as pd
    import pyarrow.compute as pc

    ends: list[Any] = []
    for name in SOURCES.values():
        for batch in batches(out / name, ROWS, [TIME]):
            if batch.num_rows:
                ends += [pd.Timestamp(end.as_py()) for end in pc.min_max(batch.column(TIME)).values()]
    return (min(ends), max(ends)) if ends else None
