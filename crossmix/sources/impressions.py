"""Source `impressions`: your own impression log, Parquet or CSV files in the contract's columns (`schema.IMPRESSIONS`).

`data.path` is a file or a folder: every `*.parquet`, or every `*.csv` and `*.tsv` (also `.gz`), below it; `creatives`
and `plans` beside them, in the same formats, are read where they are there. Parquet is read by row groups and plain
text by blocks, each by as many threads as the engine has; a `.gz` file is one thread's: split it, or write Parquet.

| column | in text |
|---|---|
| timestamp, conversion_timestamp | `2026-03-01T12:00:00`, UTC |
| clicked, converted | 1 or 0, true or false |
| the rest | as it is; empty: null |

Columns of the contract that may be null may be absent; others of the files are not read.

`data.path` may be an object or a prefix in S3 (`sources.s3`). DuckDB reads Parquet from there as it goes, and text from
copies beside the result; Spark reads both by its own connector (`s3a`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import ibis

from crossmix.config import Data
from crossmix.config.values import STRICT, PositiveInt
from crossmix.schema import CREATIVES, IMPRESSIONS, PLANS, Column, DataError, Provenance
from crossmix.sources import (
    SOURCES,
    Backend,
    Raw,
    Source,
    Table,
    in_s3,
    log_files,
    log_objects,
    s3,
    settings,
    spark,
    verify_files,
)
from crossmix.sources.rules import PROBLEM, parse
from crossmix.sources.s3 import File
from crossmix.sources.tables import read_header, read_text, registered

PARQUET = ".parquet"
BESIDE = {"creatives": CREATIVES, "plans": PLANS}
"""Tables beside the log, by the name of their file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Impressions:
    """What the log's files do not say: `data.settings`."""

    __pydantic_config__ = STRICT
    currency: str
    """Of every amount, as EUR."""
    cycle_hours: PositiveInt = 24
    """Length of a cycle where `data.cycle_hours` names none, hours."""


def read(data: Data, backend: Backend, workdir: Path) -> Raw:
    """One file or a folder of them.

    Raises:
        DataError: a file is missing, unreadable, empty or truncated, lacks a column or has another type; a folder holds
            Parquet and text.
        ConfigError: `data.settings` lacks the currency.
    """
    own: Impressions = settings(data)
    files, digest = _found(data, backend, workdir)
    beside = {path: _stem(path) for path in files.values() if _stem(path) in BESIDE and len(files) > 1}
    log = [path for path in files.values() if path not in beside]
    if not log:
        raise DataError(f"data.path: {data.path!r} has no impressions beside its {' and '.join(beside.values())}")
    tables = {_name: _table(backend, [path], BESIDE[_name]) for path, _name in beside.items()}
    impressions = _table(backend, log, IMPRESSIONS)
    zipped = sum(path.suffix == ".gz" for path in log)
    return Raw(
        impressions=impressions,
        **tables,
        generated=False,
        currency=own.currency,
        cycle_hours=own.cycle_hours,
        digest=digest,
        provenance={
            column.name: (Provenance.REAL if column.name in impressions.columns else Provenance.MISSING).value
            for column in IMPRESSIONS
        }
        | {
            f"{name}.{column.name}": (
                Provenance.REAL if column.name in tables[name].columns else Provenance.MISSING
            ).value
            for name, columns in BESIDE.items()
            if name in tables
            for column in columns
        },
        notes=(f"{zipped} of {len(log)} files are gzipped: each was read by one thread.",) if zipped else (),
    )


def _found(data: Data, backend: Backend, workdir: Path) -> tuple[Mapping[str, File], str]:
    """Files or objects by name, and what stands for their content."""
    if not in_s3(data):
        files = log_files(data)
        return files, verify_files(files)
    objects = log_objects(data)
    text = {name: one for name, one in objects.items() if one.suffix != PARQUET}
    # DuckDB reads text from files alone, without an extension that would have to be downloaded.
    copied = s3.copies(text, workdir / "s3") if backend.name != spark.NAME else {}
    verify_files(copied)
    return objects | copied, s3.digest(objects)


def _stem(path: File) -> str:
    return path.name.split(".")[0]


def _table(backend: Backend, paths: Sequence[File], columns: Sequence[Column]) -> Table:
    """The contract's columns that the files have."""
    parquet = [path for path in paths if path.suffix == PARQUET]
    if parquet and len(parquet) < len(paths):
        other = next(path for path in paths if path.suffix != PARQUET)
        raise DataError(f"data.path: {str(parquet[0])!r} is Parquet and {str(other)!r} is text; give one of the two")
    table = _parquet(backend, parquet) if parquet else _text(backend, paths, columns)
    wanted = (*(column.name for column in columns), PROBLEM)
    return table.select(*[name for name in wanted if name in table.columns])


def _parquet(backend: Backend, paths: Sequence[File]) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    objects = [path for path in paths if isinstance(path, s3.S3File)]
    if objects:
        whole = s3.dataset(objects)  # which says what is no Parquet
        return spark.read_parquet(backend, objects) if backend.name == spark.NAME else registered(backend, whole)
    for path in paths:
        try:
            pq.read_schema(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(
                f"data.path: {str(path)!r} is no Parquet file ({str(error).splitlines()[0]}); write it again"
            ) from None
    names = [str(path) for path in paths]
    if backend.name == "duckdb":
        return backend.read_parquet(names, union_by_name=True)
    return spark.read_parquet(backend, names)


def _text(backend: Backend, paths: Sequence[File], columns: Sequence[Column]) -> Table:
    """Files of the same header together, so that a folder of a thousand is one scan."""
    same: dict[tuple[str, tuple[str, ...]], list[File]] = {}
    for path in paths:
        separator, columns_of = read_header(path)
        same.setdefault((separator, tuple(columns_of)), []).append(path)
    wanted = [column.name for column in columns if any(column.name in header for _, header in same)]
    for (_, header), some in same.items():
        lacks = [name for name in wanted if name not in header]
        if lacks:
            raise DataError(
                f"{lacks[0]}: column is missing from {str(some[0])!r}, and others of its folder have it; give all the "
                "same columns"
            )
    if not wanted:
        known = ", ".join(column.name for column in columns)
        raise DataError(f"data.path: {str(paths[0])!r} has none of the contract's columns ({known}); rename its own")
    parts = [
        table.select(*wanted)
        for (separator, names), some in same.items()
        for table in ([read_text(backend, some, separator, names)])
    ]
    text = reduce(lambda left, right: left.union(right), parts)
    kinds = {column.name: column.kind for column in columns if column.name in wanted and column.kind != "string"}
    flags = {name: _flag(text[name].strip().lower()) for name, kind in kinds.items() if kind == "boolean"}
    empty = {name: text[name].nullif("") for name in wanted if name not in kinds}
    text = text.mutate(**flags, **empty)
    if not kinds:
        return text
    return parse(text, {name: "flag" if kind == "boolean" else kind for name, kind in kinds.items()})


def _flag(text: Any) -> Any:
    """`true` and `false` as the digits that `parse` knows."""
    return ibis.cases((text == "true", "1"), (text == "false", "0"), else_=text)


SOURCES.register(
    Source(
        name="impressions",
        label="your own impressions, in the contract's columns",
        read=read,
        folder=("*.parquet", "*.csv", "*.tsv"),
        remote=True,
        beside=("creatives.parquet", "plans.parquet", "creatives.csv", "plans.csv"),
        settings=Impressions,
    )
)
