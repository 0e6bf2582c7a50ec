"""A Parquet file written piece by piece: the bytes are those of the whole table written at once, the memory is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

GROUP = 1_048_576
"""Rows of a row group, which is held as a whole: what pyarrow takes by itself (`pyarrow.parquet.write_table`)."""


class RowGroups:
    """Rows that wait for a row group to be full, column by column, in the integers they came in.

    Args:
        writer: of the file.
        schema: of the file; columns are cast to it as their row group is written.
        group: rows of a row group.
    """

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema, group: int = GROUP) -> None:
        self.writer, self.schema, self.group = writer, schema, group
        self.waiting: list[list[Any]] = [[] for _ in schema]
        self.rows = 0
        """That wait."""
        self.groups = 0
        """Row groups written."""

    def add(self, columns: list[pa.Array]) -> None:
        """Add rows: an array per column of the schema, in its order, all of one length."""
        start, count = 0, len(columns[0])
        while start < count:
            taken = min(count - start, self.group - self.rows)
            for waiting, column in zip(self.waiting, columns, strict=True):
                waiting.append(column.slice(start, taken))
            start, self.rows = start + taken, self.rows + taken
            if self.rows == self.group:
                self.flush()

    def flush(self) -> None:
        """Write what waits as a row group."""
        import pyarrow as pa

        if self.rows:
            arrays = [_joined(waiting, field.type) for waiting, field in zip(self.waiting, self.schema, strict=True)]
            self.writer.write_table(pa.Table.from_arrays(arrays, schema=self.schema), row_group_size=self.group)
            self.rows = 0
            self.groups += 1


def _joined(chunks: list[Any], kind: pa.DataType) -> pa.Array:
    """One array of that type; the chunks are let go on the way, so that a list column never stands twice."""
    import pyarrow as pa

    if not (pa.types.is_list(kind) and pa.types.is_integer(kind.value_type)) or any(c.null_count for c in chunks):
        whole = pa.concat_arrays([chunk.cast(kind) for chunk in chunks])
        chunks.clear()
        return whole
    lengths = np.concatenate([np.asarray(chunk.value_lengths()) for chunk in chunks])
    offsets = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    values = np.empty(offsets[-1], dtype=kind.value_type.to_pandas_dtype())
    start = 0
    while chunks:
        part = np.asarray(chunks.pop(0).flatten())
        values[start : start + len(part)] = part
        start += len(part)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values), type=kind)


@contextmanager
def row_groups(path: Path, schema: pa.Schema, group: int = GROUP) -> Iterator[RowGroups]:
    """A file to be written in row groups of `group` rows; after an error it holds those before it."""
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, schema) as writer:
        rows = RowGroups(writer, schema, group)
        yield rows
        rows.flush()
        if not rows.groups:
            writer.write_table(schema.empty_table())
