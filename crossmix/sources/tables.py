"""Tables between Ibis and Parquet: exact schemas, ordered streams, reproducible numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from crossmix.schema import Column
from crossmix.sources import Table

ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "timestamp": pa.timestamp("us"),
    "float64": pa.float64(),
    "boolean": pa.bool_(),
    "int64": pa.int64(),
    "binary": pa.binary(),
    "date": pa.date32(),
}
BATCH = 200_000
"""Rows held in memory while writing."""


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """The contract's columns as an Arrow schema."""
    return pa.schema([(column.name, ARROW[column.kind]) for column in columns])


def write(table: Table, schema: pa.Schema, path: Path) -> None:
    """Stream an ordered Ibis table to one Parquet file of exactly this schema."""
    with pq.ParquetWriter(path, schema) as writer:
        for batch in table.to_pyarrow_batches(chunk_size=BATCH):
            writer.write_table(pa.Table.from_batches([batch]).select(schema.names).cast(schema))


def fetch(table: Table) -> list[dict[str, Any]]:
    """The rows of a small table."""
    return list(table.to_pyarrow().to_pylist())


def rounded(value: float | None) -> float:
    """Ten significant digits: parallel sums differ beyond them from run to run."""
    return float(f"{value or 0.0:.10g}")
