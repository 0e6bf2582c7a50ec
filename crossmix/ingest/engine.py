"""The engine that runs the ingest expressions: DuckDB on one machine, Spark on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crossmix.config import Data
from crossmix.ingest.memory import engine_memory
from crossmix.schema import DataError
from crossmix.sources import Backend, Table, spark
from crossmix.sources.late import ibis
from crossmix.sources.tables import OUT_OF_MEMORY, readable

ASIDE = {"path", "engine", "memory", "quarantine_spend", "quarantine_platform", "accept_quarantine"}
"""Keys of `Data` that change nothing of the data: the same log elsewhere is the same data."""


def connect(engine: str, workdir: Path, memory: float | None = None) -> Backend:
    """The Ibis backend that runs every expression here; it may spill to `workdir`.

    Args:
        memory: `data.memory`, GiB. DuckDB has as many threads as cores, or as a container's CPU quota allows.

    Raises:
        DataError: Spark is not installed.
    """
    if engine == "spark":
        return spark.connect(workdir)
    backend = ibis.duckdb.connect(
        temp_directory=str(workdir / "spill"), memory_limit=f"{engine_memory(memory) // 2**20} MiB"
    )
    backend.raw_sql("SET TimeZone = 'UTC'")
    # Inserting in order keeps every later sort, and so the written files, reproducible.
    backend.raw_sql("SET preserve_insertion_order = true")
    backend.raw_sql("SET enable_progress_bar = false")
    return backend


@contextmanager
def within_memory() -> Iterator[None]:
    """A query for which DuckDB has no room is told as what may be done about it.

    Raises:
        DataError: DuckDB ran out of memory, or of disk in its work folder.
    """
    try:
        yield
    except Exception as error:
        # What streams a result passes the engine's words on as an error of its own kind.
        if OUT_OF_MEMORY not in str(error):
            raise
        reason = str(error)[str(error).index(OUT_OF_MEMORY) :].splitlines()[0]
        raise DataError(
            f"data.memory: DuckDB has no room for this log ({reason}); raise it, or give a machine with more memory "
            "and disk"
        ) from error


def materialise(table: Table) -> Table:
    """Run the source's expression once. What the text reader cannot digest is the user's to repair."""
    with readable():
        cached = table.cache()
        if spark.runs(cached):
            cached.count().execute()  # Spark reads no earlier
        return cached


def cleaning_settings(data: Data) -> dict[str, Any]:
    """The data config without what leaves the data as they are: where the log lies, what reads it, what is refused."""
    return {name: value for name, value in asdict(data).items() if name not in ASIDE}
