"""Parquet, Feather and ORC files, read by pyarrow, as sheets of text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crossmix.schema import DataError
from crossmix.sources.history.kinds import ARROW, ORC, head_of
from crossmix.sources.history.sheet import ROWS, Sheet, cell_text
from crossmix.sources.history.text import stem


def read(path: Path, name: str) -> Sheet:
    """The table under its own columns' names.

    Args:
        name: for errors.

    Raises:
        DataError: it is damaged, has no column or too many rows.
    """
    try:
        rows, load = _opened(path)
        table = load() if rows <= ROWS else None
    except Exception as error:  # pyarrow's, OSError and what a damaged file makes of others
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"data.path: {name!r} cannot be read ({reason[:200]}); write it again, or as .csv") from None
    if table is None:
        raise DataError(f"data.path: {name!r} has {rows:,} rows; add them up to days")
    header = [str(column) for column in table.column_names]
    if not header:
        raise DataError(f"data.path: {name!r} is empty; pass a history with a header and rows")
    columns = [list(map(cell_text, table.column(at).to_pylist())) for at in range(len(header))]
    return Sheet(name, stem(path), header, list(map(list, zip(*columns, strict=True))), [])


def _opened(path: Path) -> tuple[int, Any]:
    """How many rows a file has, and what reads them."""
    head = head_of(path)
    if head.startswith(ARROW):
        import pyarrow as pa

        reader = pa.ipc.open_file(str(path))
        count = sum(reader.get_batch(at).num_rows for at in range(reader.num_record_batches))
        return count, reader.read_all
    if head.startswith(ORC):
        from pyarrow import orc

        file = orc.ORCFile(str(path))
        return int(file.nrows), file.read
    import pyarrow.parquet as pq

    whole = pq.ParquetFile(str(path))
    return int(whole.metadata.num_rows), whole.read
