"""A Parquet file written and read piece by piece: the bytes are those of the whole table at once, the memory is not."""

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

PIECE = 32_768
PORTION = 1_024
"""Values that pyarrow encodes before it looks whether the page is full (`write_batch_size`)."""

BUFFER = 65_536
"""Bytes of a column that are read at a time."""


class RowGroups:
    """Rows that wait for a row group to be full, column by column, in the types they came in.

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
            released()
            self.writer.write_table(pa.Table.from_arrays(arrays, schema=self.schema), row_group_size=self.group)
            self.rows = 0
            self.groups += 1


def _joined(waiting: list[Any], kind: pa.DataType) -> pa.ChunkedArray:
    """The waiting arrays in that type, let go on the way."""
    import pyarrow as pa

    if pa.types.is_list(kind):
        return pa.chunked_array(list(_pieces(waiting, kind)), kind)
    whole = pa.concat_arrays(waiting).cast(kind)
    waiting.clear()
    return pa.chunked_array([whole], kind)


def _pieces(waiting: list[Any], kind: pa.DataType) -> Iterator[pa.Array]:
    """Lists in pieces of `PIECE` rows or more, each a whole number of what pyarrow encodes at a time.

    Pages end where such a portion does, so that pieces have the pages of one array. As it writes, pyarrow makes 4 bytes
    for each value of an array: of pieces, of one at a time.
    """
    import pyarrow as pa

    rest: list[Any] = []
    while waiting:
        rest.append(waiting.pop(0))
        if waiting and sum(len(part) for part in rest) < PIECE:
            continue
        whole = pa.concat_arrays(rest)
        values = np.cumsum(np.maximum(np.asarray(whole.value_lengths().fill_null(0)), 1))  # an empty list takes one
        ends = np.flatnonzero(values % PORTION == 0)
        end = int(ends[-1]) + 1 if len(ends) and waiting else 0
        if end:
            yield pa.concat_arrays([whole.slice(0, end)]).cast(kind)
            released()  # else what the pieces were made of stays until all are
        rest = [whole.slice(end)]
    yield from (part.cast(kind) for part in rest)


@contextmanager
def row_groups(
    path: Path, schema: pa.Schema, group: int = GROUP, dictionary: bool | list[str] = True
) -> Iterator[RowGroups]:
    """A file to be written in row groups of `group` rows; after an error it holds those before it.

    Args:
        dictionary: columns that have dictionaries (`use_dictionary` of `pyarrow.parquet.write_table`). One of a column
            whose values all differ is given up when it has 1 MB, and takes 30 MB until then.
    """
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, schema, use_dictionary=dictionary) as writer:
        rows = RowGroups(writer, schema, group)
        yield rows
        rows.flush()
        if not rows.groups:
            writer.write_table(schema.empty_table())


def batches(path: Path, rows: int, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """A file's rows, at most `rows` at a time, so that what has been read does not stay.

    By itself pyarrow reads columns ahead (`pre_buffer`) and keeps all of them, compressed, until the file is closed;
    and each of the threads that decode keeps memory of its own.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER) as file:
        yield from file.iter_batches(rows, columns=columns, use_threads=False)


def released() -> None:
    """Give back what Arrow keeps of batches that have been let go: it would stay beside what is made of them."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
