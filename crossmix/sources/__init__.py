"""Sources: one adapter per log format, each yielding the raw tables of `crossmix.schema`.

Contract: docs/design.md#data-contract.

An adapter only renames, parses and documents; cleaning is `crossmix.ingest`'s. It reads through the Ibis backend it is
given, so that the same adapter runs on DuckDB and on Spark.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossmix.config import ConfigError, Data, strictly
from crossmix.config.data import S3, SOURCE_TASKS
from crossmix.registered import Declaration, Registered, declared
from crossmix.schema import DataError

if TYPE_CHECKING:
    from crossmix.sources.s3 import S3File

Table = Any
"""An `ibis.Table` (Ibis is imported late)."""
Backend = Any
"""An `ibis` backend: DuckDB or Spark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """What a source yields: tables under the column names of `crossmix.schema`, not yet cleaned.

    A column that the contract lets be null may be absent. Text columns are parsed by `ingest`, which quarantines what
    does not parse.
    """

    impressions: Table | None = None
    outcomes: Table | None = None
    """A spend history: daily totals in place of impressions (`schema.BOOKED`)."""
    sound: Any = None
    """In place of `outcomes`: a `pandas.DataFrame` of `schema.BOOKED`, names as categories, whose rows keep every rule:
    no engine has to clean them."""
    blank: int = 0
    """Rows without any number, which are not in `sound`."""
    creatives: Table | None = None
    plans: Table | None = None
    """`None`: `ingest` takes actual spend for the plan and tags it approximated."""
    generated: bool
    """Whether our own generator made it."""
    currency: str
    """Unit of every amount."""
    cycle_hours: int
    """The cycle that suits this log where the config names none, hours."""
    digest: str
    """SHA-256 of the raw input."""
    provenance: dict[str, str]
    """Impression column, or `table.column`, to `schema.Provenance`."""
    approximate_time: bool = False
    """Timestamps are derived, not logged: no weekday pattern may be read from them."""
    notes: tuple[str, ...] = field(default=())
    """Sentences for the report: what is approximated or missing, and how."""


Reader = Callable[[Data, Backend, Path], Raw]
"""(data config, backend, an empty folder for intermediate files) -> raw tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A log format: what reads it, which files it is, and which settings it asks for. Its file registers it."""

    name: str
    """What `data.source` names."""
    label: str
    """What the log is, in a few words, for help and errors."""
    read: Reader | None = None
    """`None`: it yields no log; the ingest of its task reads it."""
    tasks: tuple[str, ...] = SOURCE_TASKS
    """Which values of `task` it serves."""
    folder: tuple[str, ...] = ()
    """Patterns of the files that it reads below a folder, each of which may end in `.gz`; none: it reads one file."""
    remote: bool = False
    """It reads `s3://` too (`sources.s3`)."""
    warehouse: bool = False
    """It reads tables of databases too, by their address."""
    beside: tuple[str, ...] = ()
    """Files that it reads beside the one it is given, where they are there."""
    generated: bool = False
    """It makes its log and reads no file."""
    asks: tuple[str, ...] = ()
    """Keys of `Data` that tell what such a log lacks; another source refuses them."""
    settings: type[Any] | None = None
    """A frozen dataclass of settings of its own, given as `data.settings`."""


SOURCES: Registered[Source] = Registered("data.source", __name__)


def declaration(name: str) -> Declaration:
    """What a source's file declares, without importing it.

    Raises:
        DataError: no such source.
    """
    thing = declared(__name__).get(name)
    if thing is None:
        raise DataError(f"data.source: {name!r} is unknown; use one of {', '.join(sorted(declared(__name__)))}")
    return thing


def takes_folder(data: Data) -> bool:
    """Whether the source reads a folder of files too."""
    return bool(declaration(data.source).literals.get("folder"))


def settings(data: Data) -> Any:
    """The source's own settings: its dataclass, filled from `data.settings`; `None` where it has none.

    Raises:
        ConfigError: a key that the source does not have, or a value that does not fit.
    """
    kind = SOURCES.get(declaration(data.source).name).settings
    if kind is None:
        if data.settings:
            key = next(iter(data.settings))
            raise ConfigError(f"data.settings.{key}: source {data.source!r} has no settings of its own; drop the key")
        return None
    return strictly(kind, data.settings, "data.settings")


def in_s3(data: Data) -> bool:
    """Whether the log lies in S3: then it is `log_objects`, else `log_files`.

    Raises:
        DataError: it does, and the source reads files alone.
    """
    if data.path is None or not data.path.startswith(S3):
        return False
    if not declaration(data.source).literals.get("remote"):
        able = ", ".join(sorted(name for name, one in declared(__name__).items() if one.literals.get("remote")))
        raise DataError(
            f"data.path: {data.path} is in S3, and source {data.source!r} reads files alone (S3: {able}); copy the log "
            "to a volume"
        )
    return True


def in_warehouse(data: Data) -> bool:
    """Whether the log is a table or a query of a database, by an address (`history.warehouse`).

    Raises:
        DataError: it is, and the source reads files alone.
    """
    if data.path is None or data.path.startswith(S3) or not re.match(r"[a-z][a-z0-9+.]+://", data.path):
        return False
    if not declaration(data.source).literals.get("warehouse"):
        raise DataError(
            f"data.path: {data.path.partition('?')[0]} is an address, and source {data.source!r} reads files alone; "
            "name the log's file"
        )
    return True


def warehouse_digest(data: Data) -> str:
    """SHA-256 of the table or the query's result.

    Raises:
        DataError: it cannot be read.
    """
    from crossmix.sources.history import warehouse  # late, as `s3`

    return warehouse.read(str(data.path))[1]


def log_objects(data: Data) -> dict[str, S3File]:
    """Every object that the source reads, by its name under `data.path` (one object: by its own name).

    Raises:
        DataError: nothing of the source is there, or it may not be read.
    """
    from crossmix.sources import s3  # late, as all that needs no log needs no file system

    literals = declaration(data.source).literals
    return s3.files(str(data.path), literals.get("folder", ()), literals.get("beside", ()))


def is_pattern(path: str) -> bool:
    """Whether a path is a pattern of files (`exports/*.csv`) and no file."""
    return any(sign in path for sign in "*?[") and not Path(path).exists()


def log_files(data: Data) -> dict[str, Path]:
    """Every file that the source reads, by its name under `data.path` (a file: by its own name).

    Raises:
        DataError: a folder without a file of the source, or a pattern that nothing matches.
    """
    if data.path is None:
        return {}
    path = Path(data.path)
    literals = declaration(data.source).literals
    patterns, beside = literals.get("folder", ()), literals.get("beside", ())
    if patterns and is_pattern(data.path):
        pattern = str(path.relative_to(path.anchor))
        matched = sorted(file for file in Path(path.anchor or ".").glob(pattern) if file.is_file())
        if not matched:
            raise DataError(f"data.path: no file matches {data.path!r}; correct the pattern, and quote it in a shell")
        return {str(file): file for file in matched}
    if not (path.is_dir() and patterns):
        return {path.name: path} | {name: path.with_name(name) for name in beside if path.with_name(name).is_file()}
    files = sorted({file for name in patterns for end in ("", ".gz") for file in path.rglob(name + end)})
    if not any(file.name not in beside for file in files):
        raise DataError(
            f"data.path: the folder {str(path)!r} has no {' or '.join(patterns)} (or .gz); "
            "name the log's file or folder"
        )
    return {str(file.relative_to(path)): file for file in files}


def read(data: Data, backend: Backend, workdir: Path) -> Raw:
    """The raw tables of `data.source`.

    Raises:
        DataError: no such source, its input cannot be used, or lies where it does not read.
        ConfigError: its settings do not fit.
    """
    settings(data)
    in_s3(data)
    in_warehouse(data)
    reader = SOURCES.get(data.source).read
    if reader is None:
        raise DataError(f"data.source: {data.source!r} yields no log of impressions; use the source of such a log")
    return reader(data, backend, workdir)


def verify_files(files: Mapping[str, Path]) -> str:
    """`verify_file` for each; one SHA-256 of their names and contents."""
    lines = [f"{name} {verify_file(path)}" for name, path in sorted(files.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def verify_file(path: Path) -> str:
    """SHA-256 of a file that must exist, be readable, not be empty and, if gzipped, be whole.

    Raises:
        DataError: it is not; the message names the path and the remedy.
    """
    if not path.exists():
        raise DataError(f"data.path: {str(path)!r} does not exist; pass the log's file with --data")
    if not path.is_file():
        raise DataError(f"data.path: {str(path)!r} is not a file; pass the log's file with --data")
    digest = hashlib.sha256()
    size = 0
    unpacked = 0
    gunzip = zlib.decompressobj(zlib.MAX_WBITS | 16) if path.suffix == ".gz" else None
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
                size += len(block)
                rest = block
                while gunzip is not None and rest:
                    if gunzip.eof:
                        gunzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
                    unpacked += len(gunzip.decompress(rest))
                    rest = gunzip.unused_data
    except OSError as error:
        raise DataError(f"data.path: {str(path)!r} cannot be read ({error.strerror}); check its permissions") from None
    except zlib.error as error:
        raise DataError(
            f"data.path: {str(path)!r} is not a sound gzip file ({error}); "
            "fetch it again, or rename it if it is plain text"
        ) from None
    if size == 0 or (gunzip is not None and gunzip.eof and unpacked == 0):
        raise DataError(f"data.path: {str(path)!r} is empty; pass a log with a header and rows")
    if gunzip is not None and not gunzip.eof:
        raise DataError(f"data.path: {str(path)!r} is a truncated gzip file; fetch it again")
    return digest.hexdigest()
