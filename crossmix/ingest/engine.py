"""The engine that runs the ingest expressions: DuckDB on one machine, Spark on a cluster."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import ibis

from crossmix.config import Data
from crossmix.schema import DataError
from crossmix.sources import Backend, Table, spark


def connect(engine: str, workdir: Path) -> Backend:
    """The Ibis backend that runs every expression here; it may spill to `workdir`.

    Raises:
        DataError: Spark is not installed.
    """
    if engine == "spark":
        return spark.connect(workdir)
    backend = ibis.duckdb.connect(temp_directory=str(workdir / "spill"))
    backend.raw_sql("SET TimeZone = 'UTC'")
    # Inserting in order keeps every later sort, and so the written files, reproducible.
    backend.raw_sql("SET preserve_insertion_order = true")
    backend.raw_sql("SET enable_progress_bar = false")
    return backend


def materialise(table: Table) -> Table:
    """Run the source's expression once. What the text reader cannot digest is the user's to repair."""
    try:
        cached = table.cache()
        if spark.runs(cached):
            cached.count().execute()  # Spark reads no earlier
        return cached
    except Exception as error:
        if type(error).__module__.split(".")[0] not in {"duckdb", "_duckdb", "pyspark"}:
            raise
        first_line = str(error).strip().splitlines()[0]
        raise DataError(
            f"data.path: the log cannot be read ({first_line}); repair that line or fetch the log again"
        ) from error


def cleaning_settings(data: Data) -> dict[str, Any]:
    """The data config without where the log lies: the same log elsewhere is the same data."""
    return {name: value for name, value in asdict(data).items() if name not in {"path", "engine"}}
