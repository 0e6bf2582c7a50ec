"""Logs in S3: `s3://bucket/key` or `s3://bucket/prefix` as `data.path`, through the file system that pyarrow ships.

Endpoint, region and credentials are the environment's: AWS_ENDPOINT_URL (or AWS_ENDPOINT_URL_S3), AWS_REGION,
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or whatever else AWS' own chain finds.

Nothing is downloaded to tell what a log holds: its digest is of names, sizes and ETags. An object that is written again
with the same bytes in other parts has another ETag, and counts as another log.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Literal, cast

import pyarrow.fs as pafs

from crossmix.config.data import S3
from crossmix.schema import DataError

ASKED = 16
"""Objects that are asked for their ETag at once."""
SECONDS = 20.0
"""An endpoint that takes no connection, or tells nothing for so long, is not there."""
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class S3File:
    """An object of a log."""

    key: str
    """`bucket/key`."""
    size: int
    """Bytes."""
    etag: str

    @property
    def name(self) -> str:
        return PurePosixPath(self.key).name

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.key).suffix

    def open(self, mode: Literal["rb"]) -> BinaryIO:  # as of a `Path`
        with _told(str(self)):
            stream = filesystem(self.key.partition("/")[0]).open_input_stream(self.key, compression=None)
            return cast(BinaryIO, stream)

    def __str__(self) -> str:
        return S3 + self.key


File = Path | S3File
"""Of a log."""


def credentials() -> bool:
    """Whether this process was given any, so that asking S3 is no guess."""
    return any(name in os.environ for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ROLE_ARN"))


def endpoint() -> str | None:
    """Where S3 is, if not at AWS."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def files(path: str, patterns: Sequence[str], beside: Sequence[str]) -> dict[str, S3File]:
    """Every object that a source reads, by its name under `path` (one object: by its own name).

    Args:
        patterns: of the names below a prefix, each of which may end in `.gz`.
        beside: names of tables beside the log.

    Raises:
        DataError: no such bucket, no object there, an empty one, no access, no S3.
    """
    where = path.removeprefix(S3).strip("/")
    bucket, _, key = where.partition("/")
    if not bucket:
        raise DataError(f"data.path: {path!r} names no bucket; write s3://bucket/prefix")
    with _told(path):
        store = filesystem(bucket)
        if store.get_file_info(bucket).type == pafs.FileType.NotFound:
            raise DataError(f"data.path: there is no bucket {bucket!r} ({path}); correct its name, or AWS_ENDPOINT_URL")
        found = store.get_file_info(where)
        if key and found.type == pafs.FileType.File:
            parent = where.rpartition("/")[0]
            others = store.get_file_info([f"{parent}/{name}" for name in beside])
            listed = {one.base_name: one for one in (found, *others) if one.type == pafs.FileType.File}
        else:
            below = store.get_file_info(pafs.FileSelector(where, recursive=True, allow_not_found=True))
            listed = {
                one.path.removeprefix(f"{where}/"): one
                for one in sorted(below, key=lambda one: str(one.path))
                if one.type == pafs.FileType.File and _matches(one.base_name, patterns)
            }
        if not any(PurePosixPath(name).name not in beside for name in listed):
            raise DataError(
                f"data.path: {path} has no object {' or '.join(patterns)} (or .gz); name the log's object or prefix"
            )
        if astray := [name for name in listed if ".." in PurePosixPath(name).parts]:
            raise DataError(f"data.path: {path}: {astray[0]!r} has '..' in its name; name the object otherwise")
        if empty := [name for name, one in listed.items() if not one.size]:
            raise DataError(f"data.path: {path}: {empty[0]!r} is empty; write it again, or remove it")
        with ThreadPoolExecutor(ASKED) as asking:
            tags = list(asking.map(lambda one: _etag(store, one.path), listed.values()))
    return {name: S3File(one.path, int(one.size), tag) for (name, one), tag in zip(listed.items(), tags, strict=True)}


def digest(found: Mapping[str, S3File]) -> str:
    """SHA-256 of names, sizes and ETags."""
    return hashlib.sha256("\n".join(lines(found)).encode()).hexdigest()


def lines(found: Mapping[str, S3File]) -> list[str]:
    """What stands for each object's content."""
    return [f"{name} {file.size} {file.etag}" for name, file in sorted(found.items())]


def dataset(found: Sequence[S3File]) -> Any:
    """Parquet objects as one pyarrow dataset, columns by name; rows are read as they are asked for.

    Raises:
        DataError: an object is no Parquet file, or two have a column of different types.
    """
    import pyarrow as pa
    import pyarrow.dataset as pads
    import pyarrow.parquet as pq

    store = filesystem(found[0].key.partition("/")[0])

    def schema(file: S3File) -> Any:
        with _told(str(file)):
            try:
                return pq.read_schema(file.key, filesystem=store).remove_metadata()
            except pa.ArrowInvalid as error:
                raise DataError(f"data.path: {file} is no Parquet file ({error}); write it again") from None

    with ThreadPoolExecutor(ASKED) as asking:
        schemas = list(asking.map(schema, found))
    try:
        whole = pa.unify_schemas(schemas, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(
            f"data.path: {found[0]} and those beside it differ in type ({error}); write them alike"
        ) from None
    return pads.dataset([file.key for file in found], schema=whole, filesystem=store, format="parquet")


def copies(found: Mapping[str, S3File], folder: Path) -> dict[str, Path]:
    """The objects as files below `folder`, by the same names; a block of each is in memory at a time."""
    copied = {}
    for name, file in found.items():
        copied[name] = folder / name
        copied[name].parent.mkdir(parents=True, exist_ok=True)
        store = filesystem(file.key.partition("/")[0])
        with (
            _told(str(file)),
            store.open_input_stream(file.key, compression=None) as source,
            copied[name].open("wb") as target,
        ):
            while block := source.read(BLOCK):
                target.write(block)
    return copied


def filesystem(bucket: str) -> Any:
    """pyarrow's, on what the environment says."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        region = "us-east-1" if endpoint() else _region(bucket)
    return pafs.S3FileSystem(
        endpoint_override=endpoint(), region=region, connect_timeout=SECONDS, request_timeout=SECONDS
    )


@cache
def _region(bucket: str) -> str:
    """Where AWS has it."""
    return str(pafs.resolve_s3_region(bucket))


def _etag(store: Any, key: str) -> str:
    with store.open_input_stream(key, compression=None) as stream:
        tag = stream.metadata().get("ETag")
    if not tag:
        raise DataError(f"data.path: {S3}{key} has no ETag, so nothing tells whether it changed; copy it to a volume")
    return tag.decode() if isinstance(tag, bytes) else str(tag)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern + end) for pattern in patterns for end in ("", ".gz"))


@contextmanager
def _told(path: str) -> Iterator[None]:
    """What S3, or the way to it, refuses, as a sentence with its remedy."""
    try:
        yield
    except OSError as error:
        what = " ".join(str(error).split())
        if any(sign in what for sign in ("ACCESS_DENIED", "INVALID_ACCESS_KEY", "SIGNATURE", "HTTP status 403")):
            remedy = (
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the step's environment, of who may list and read it"
            )
        elif any(sign in what for sign in ("NETWORK_CONNECTION", "REQUEST_TIMEOUT", "curlCode", "SLOW_DOWN")):
            remedy = f"see whether S3 answers at {endpoint() or 'AWS'} (AWS_ENDPOINT_URL)"
        else:
            remedy = "correct the address, or AWS_ENDPOINT_URL and AWS_REGION"
        raise DataError(f"data.path: {path} cannot be read ({what[:300]}); {remedy}") from None
