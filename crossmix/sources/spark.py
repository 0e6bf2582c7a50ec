"""What Ibis has no word for on Spark: a session, many files at once, tables that the executors write.

The driver sees plans, sums and small tables; rows of a log stay with the executors. What they read and write must lie
where driver and executors see it under the same path: a shared volume, or S3.
"""

from __future__ import annotations

import importlib
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from crossmix.config.data import S3
from crossmix.schema import DataError
from crossmix.sources import Backend, Table
from crossmix.sources.late import ibis
from crossmix.sources.s3 import File, endpoint

NAME = "pyspark"
"""What Ibis calls this backend."""
KINDS: dict[pa.DataType, str] = {
    pa.string(): "string",
    pa.timestamp("us"): "timestamp_ntz",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.int64(): "bigint",
    pa.binary(): "binary",
    pa.date32(): "date",
    pa.list_(pa.int16()): "array<smallint>",
}
"""Spark's types of the contract's."""


def connect(workdir: Path) -> Backend:
    """The Ibis backend on the session that is there, or on a new one.

    Raises:
        DataError: PySpark is not installed.
    """
    session = (
        _sql()
        .SparkSession.builder.appName("crossmix-ingest")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.warehouse.dir", str(workdir / "warehouse"))
        .getOrCreate()
    )
    if told := endpoint():  # of S3; its connector takes keys from the environment by itself
        session.conf.set("fs.s3a.endpoint", told)
        session.conf.set("fs.s3a.path.style.access", "true")
    return ibis.pyspark.connect(session)


def runs(table: Table) -> bool:
    """Whether Spark runs this table's expression."""
    return bool(table.get_backend().name == NAME)


def read_parquet(backend: Backend, paths: Sequence[File | str]) -> Table:
    """Files as one table, columns by name: one scan, however many they are.

    Raises:
        DataError: Spark cannot read one of them, or their columns differ in type.
    """
    return _read(backend, _session().read.option("mergeSchema", "true").parquet, paths)


def read_text(backend: Backend, paths: Sequence[File | str], separator: str, header: Sequence[str]) -> Table:
    """Files with that header line each, as string columns named by `header`; short lines are padded with nulls.

    Raises:
        DataError: Spark cannot read one of them.
    """
    # Spark's own escape is a backslash; a quote within quotes is doubled, as DuckDB and everybody else have it.
    reader = _session().read.options(header=True, sep=separator, quote='"', escape='"', enforceSchema=True)
    schema = ", ".join(f"{_quoted(name)} string" for name in header)
    return _read(backend, lambda *told: reader.schema(schema).csv(list(told)), paths)


def write(table: Table, schema: pa.Schema, by: Sequence[str], folder: Path) -> list[Path]:
    """The executors sort a table by the columns `by` and write it as Parquet of exactly this schema.

    Returns:
        The parts `folder/part-00000.parquet`, ...: one after the other they hold the rows in order. Where they are cut
        is Spark's choice.

    Raises:
        DataError: the executors do not write where the driver reads.
    """
    session = _session()
    kinds = [(field.name, KINDS[field.type]) for field in schema]
    kinds += [(name, "timestamp_ntz") for name in by if name not in schema.names]
    # Under a union with a table of nullable columns all are nullable, as the contract's files have them; alone, Spark
    # marks as required whatever it can prove.
    empty = session.createDataFrame(
        session.sparkContext.emptyRDD(), ", ".join(f"{_quoted(name)} {kind}" for name, kind in kinds)
    )
    rows = session.sql(table.get_backend().compile(table))
    typed = rows.selectExpr(*[f"CAST({_quoted(name)} AS {kind}) AS {_quoted(name)}" for name, kind in kinds])
    sort = empty.union(typed).orderBy(*[_quoted(name) for name in by])
    written = folder.with_name(f"{folder.name}.spark")
    sort.select(*[_quoted(name) for name in schema.names]).write.parquet(f"file://{written.absolute()}")
    # Named by partition, then by file of it; what is between is new in every run.
    files = sorted(written.glob("part-*.parquet"))
    if not files:
        raise DataError(
            f"data.engine: 'spark' wrote {folder.name} where it cannot be read here ({folder.parent}); mount the step "
            "store on driver and executors under one path"
        )
    folder.mkdir()
    parts = [file.rename(folder / f"part-{number:05d}.parquet") for number, file in enumerate(files)]
    shutil.rmtree(written)
    return parts


def address(path: File | str) -> str:
    """How Spark is told of a file, whose name it would take for a pattern; S3 by the scheme of Hadoop's connector."""
    told = str(path)
    remote = told.startswith(S3)
    plain = told.removeprefix(S3) if remote else str(Path(told).absolute())
    return ("s3a://" if remote else "file://") + re.sub(r"([\\\[\]{}*?,])", r"\\\1", plain)


def _read(backend: Backend, read: Callable[..., Any], paths: Sequence[File | str]) -> Table:
    faults = (
        importlib.import_module("pyspark.errors").PySparkException,
        importlib.import_module("py4j.protocol").Py4JJavaError,
    )
    try:
        frame = read(*[address(path) for path in paths])
    except faults as error:
        # What the JVM threw comes after a line of py4j's own.
        told = [line for line in str(error).strip().splitlines() if not line.startswith("An error occurred while")]
        why = told[0].removeprefix(": ") if told else type(error).__name__
        remedy = (
            "give Spark's image hadoop-aws of its Hadoop's version"
            if "S3AFileSystem" in why
            else "write them again, with timestamps in microseconds and the same types in all"
        )
        shown = f"{paths[0]} and {len(paths) - 1} more" if len(paths) > 1 else str(paths[0])
        raise DataError(f"data.path: Spark cannot read {shown} ({why}); {remedy}") from error
    name = ibis.util.gen_name("spark_read")
    frame.createOrReplaceTempView(name)
    return backend.table(name)


def _session() -> Any:
    return _sql().SparkSession.active()


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _sql() -> Any:
    try:
        return importlib.import_module("pyspark.sql")
    except ImportError:
        raise DataError(
            "data.engine: 'spark' needs PySpark; install the extra (pip install 'crossmix[spark]') or use 'duckdb'"
        ) from None
