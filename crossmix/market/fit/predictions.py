"""The fusion's predictions beside the log: both have the dataset's order, so that a row's number joins them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from crossmix.market.fit.log import AT_ONCE, Log
from crossmix.row_groups import batches, released
from crossmix.schema import DataError

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "predictions.parquet"


def predictions(log: Log, fusion: Path, names: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
    """Columns of predictions.parquet, (n,) each, in the log's order.

    Raises:
        DataError: they are of another dataset: as many rows, and the ids that the log has kept, must be the same.
    """
    import pyarrow.parquet as pq

    path = fusion / FILE
    count, expected = int(pq.read_metadata(path).num_rows), len(log.frame)
    if count != expected:
        raise DataError(
            f"{FILE}: {count:,} rows, but the log has {expected:,} impressions; run fusion on the same dataset"
        )
    schema = pq.read_schema(path)
    columns = {name: np.empty(count, schema.field(name).type.to_pandas_dtype()) for name in names}
    start = 0
    for batch in batches(path, AT_ONCE, ["impression_id", *names]):
        _check(log, batch, start)
        for name, values in columns.items():
            values[start : start + batch.num_rows] = batch[name].to_numpy(zero_copy_only=False)
        start += batch.num_rows
    released()
    return columns


def _check(log: Log, batch: pa.RecordBatch, start: int) -> None:
    """Raise `DataError` where an id of the batch, whose first row is `start`, is not the log's."""
    for row, name in log.marks.items():
        here = start <= row < start + batch.num_rows
        if here and (found := batch["impression_id"][row - start].as_py()) != name:
            raise DataError(
                f"{FILE}.impression_id: {found!r} in row {row:,}, where the log has {name!r}; run fusion on the same "
                "dataset"
            )


__all__ = ["FILE", "predictions"]
