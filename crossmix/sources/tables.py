"""Tables between text, Ibis and Parquet: raw strings, exact schemas, ordered streams, reproducible numbers."""

from __future__ import annotations

import gzip
import io
import re
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from crossmix.row_groups import batches
from crossmix.schema import Column, DataError
from crossmix.sources import Backend, Table, spark
from crossmix.sources.late import ibis
from crossmix.sources.s3 import File

ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "timestamp": pa.timestamp("us"),
    "float64": pa.float64(),
    "boolean": pa.bool_(),
    "int64": pa.int64(),
    "binary": pa.binary(),
    "date": pa.date32(),
}
OUT_OF_MEMORY = "Out of Memory Error"
"""How DuckDB's sentence about it begins."""
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")
BATCH = 200_000
"""Rows held in memory while writing."""


def read_header(path: File) -> tuple[str, list[str]]:
    """The separator (tab or comma) and the column names of the first line of a text file, or of an object in S3.

    Raises:
        DataError: the file is not text, or names a column twice.
    """
    try:
        with path.open("rb") as packed:
            plain: Any = gzip.GzipFile(fileobj=packed) if path.suffix == ".gz" else packed
            first_line = io.TextIOWrapper(plain, encoding="utf-8-sig").readline(1 << 16).rstrip("\r\n")
    except UnicodeDecodeError:
        if _is_packed(path):
            raise DataError(f"data.path: {str(path)!r} is packed by gzip; let its name end in .gz") from None
        raise DataError(f"data.path: {str(path)!r} is not text (UTF-8); pass the tab- or comma-separated log") from None
    separator = "\t" if "\t" in first_line else ","
    header = [name.strip().strip('"') for name in first_line.split(separator)]
    _check_header(str(path), first_line, header)
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{twice}: column appears twice in {str(path)!r}; keep one")
    return separator, header


def _is_packed(path: File) -> bool:
    with path.open("rb") as file:
        head: bytes = file.read(2)
    return head == b"\x1f\x8b"


def _check_header(path: str, first_line: str, header: Sequence[str]) -> None:
    """Raise `DataError` for a first line of values, or one whose names stand between other signs."""
    other = next((sign for sign in ";|" if first_line.count(sign) > max(2, len(header))), None)
    if other is not None:
        raise DataError(
            f"data.path: the columns of {path!r} are separated by {other!r}; write it with tabs or commas between them"
        )
    numbers = sum(bool(_NUMBER.fullmatch(name)) for name in header)
    if numbers >= 3 and 3 * numbers >= len(header):
        raise DataError(
            f"data.path: {path!r} has no header: its first line is {first_line[:80]!r}; put a line with the columns' "
            "names above it"
        )


@contextmanager
def readable() -> Iterator[None]:
    """What an engine's text reader cannot digest is the user's to repair.

    Raises:
        DataError: in place of the engine's own error, with its first line.
    """
    try:
        yield
    except Exception as error:
        if type(error).__module__.split(".")[0] not in {"duckdb", "_duckdb", "pyspark"} or OUT_OF_MEMORY in str(error):
            raise
        first_line = str(error).strip().splitlines()[0]
        raise DataError(
            f"data.path: the log cannot be read ({first_line}); repair that line or fetch the log again"
        ) from error


def named(header: Sequence[str]) -> list[str]:
    """Column names; one without a name (a row index) gets one, as every engine wants."""
    return [name or f"column_{index}" for index, name in enumerate(header)]


def read_text(backend: Backend, paths: File | Sequence[File], separator: str, header: Sequence[str]) -> Table:
    """Files with that header line each, as string columns named by `header`; short lines are padded with nulls."""
    names = [str(path) for path in ([paths] if isinstance(paths, File) else paths)]
    header = named(header)
    if backend.name == "duckdb":
        return backend.read_csv(
            names,
            all_varchar=True,
            header=False,
            skip=1,
            delim=separator,
            null_padding=True,
            columns=dict.fromkeys(header, "VARCHAR"),
            auto_detect=False,
        )
    return spark.read_text(backend, names, separator, header)


def read_columns(backend: Backend, path: Path, wanted: Sequence[str], what: str, optional: Sequence[str] = ()) -> Table:
    """The `wanted` columns of a file as strings, and those of the `optional` ones that it has.

    Args:
        what: the log's name, for the error.

    Raises:
        DataError: the file is not text, or a column is missing or twice there.
    """
    separator, header = read_header(path)
    missing = [name for name in wanted if name not in header]
    if missing:
        raise DataError(
            f"{missing[0]}: column is missing from {str(path)!r} (missing: {', '.join(missing)}); {what} has "
            f"{', '.join(wanted)}: restore it, or pass the original file"
        )
    return read_text(backend, path, separator, header).select(*wanted, *[name for name in optional if name in header])


def registered(backend: Backend, dataset: Any) -> Table:
    """A pyarrow dataset as a table of DuckDB, which reads its rows as it goes."""
    name = ibis.util.gen_name("dataset")
    backend.con.register(name, dataset)
    return backend.table(name)


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """The contract's columns as an Arrow schema."""
    return pa.schema([(column.name, ARROW[column.kind]) for column in columns])


def write(table: Table, schema: pa.Schema, path: Path, by: Sequence[str]) -> None:
    """Stream an Ibis table, ordered by the columns `by`, to one Parquet file of exactly this schema.

    One batch is encoded while the engine makes the next: the bytes are those of one after the other.
    """

    def encode(batch: pa.RecordBatch) -> None:
        writer.write_table(pa.Table.from_batches([batch]).select(schema.names).cast(schema))

    with pq.ParquetWriter(path, schema) as writer, ThreadPoolExecutor(1) as encoder:
        before: Future[None] | None = None
        for batch in _batches(table, schema, path, by):
            if before is not None:
                before.result()
            before = encoder.submit(encode, batch)
        if before is not None:
            before.result()


def write_log(table: Table, schema: pa.Schema, path: Path, by: Sequence[str]) -> None:
    """`write` for a table as long as the log: on Spark `path` is a folder of parts (`Dataset.parts`)."""
    if spark.runs(table):
        spark.write(table, schema, by, path)
    else:
        write(table, schema, path, by)


def _batches(table: Table, schema: pa.Schema, path: Path, by: Sequence[str]) -> Iterator[pa.RecordBatch]:
    if not spark.runs(table):
        yield from table.order_by(*by).to_pyarrow_batches(chunk_size=BATCH)
        return
    folder = path.with_name(f"{path.name}.parts")  # Ibis would collect the table in the driver
    for part in spark.write(table, schema, by, folder):
        yield from batches(part, BATCH)
    shutil.rmtree(folder)


def fetch(table: Table) -> list[dict[str, Any]]:
    """The rows of a small table."""
    return list(table.to_pyarrow().to_pylist())


def rounded(value: float | None) -> float:
    """Ten significant digits, of thirteen: parallel sums differ in the last from run to run.

    A sum of prices of a few digits may lie half way between two numbers of ten, where its last bits must not decide.
    """
    return float(f"{float(f'{value or 0.0:.13g}'):.10g}")
