"""Finds pickles in what a run wrote: a file that runs code when it is read has no place in an artifact."""

from __future__ import annotations

import io
import pickletools
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

SQLITE = b"SQLite format 3\0"
NPY = b"\x93NUMPY"
LARGEST = 64 * 2**20
"""Bytes of a file or member that is looked at whole; no artifact of a test is larger."""


def is_pickle(data: bytes) -> bool:
    """Whether these bytes begin with a whole pickle, or are an array of objects, which numpy pickles."""
    if data.startswith(NPY):
        return b"'descr': '|O'" in data[:256]
    if not data or (data[:1] != b"\x80" and b"." not in data[-2:]):
        return False
    try:
        last = [operation.name for operation, _, _ in pickletools.genops(io.BytesIO(data))][-2:]
    except (ValueError, IndexError, UnicodeDecodeError):
        return False
    # One letter and a full stop would do: a text is a pickle only if it makes something.
    return last[-1] == "STOP" and (data[:1] == b"\x80" or len(data) > 8)


def _parts(file: Path) -> Iterator[tuple[str, bytes]]:
    """What a file holds: itself, a zip's members, a database's blobs."""
    size = file.stat().st_size
    assert size <= LARGEST, f"{file}: {size} bytes are more than this looks at"
    data = file.read_bytes()
    yield "", data
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                yield f"!{name}", archive.read(name)
    if data.startswith(SQLITE):
        with closing(sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)) as database:
            tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                for row in database.execute(f'SELECT * FROM "{table}"'):
                    yield from ((f"!{table}", value) for value in row if isinstance(value, bytes))


def pickles(folder: Path) -> list[str]:
    """Relative paths of the pickles below a folder, of members as `file!member`; links are not followed twice."""
    found = set()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink():
            found |= {f"{file.relative_to(folder)}{where}" for where, data in _parts(file) if is_pickle(data)}
    return sorted(found)
