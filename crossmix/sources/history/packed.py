"""Zip archives, as platforms send reports: each table in one is a file, in archives within archives too."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from crossmix.schema import DataError
from crossmix.sources.history.sheet import NoTableError

ENDINGS = (
    *(".csv", ".tsv", ".txt", ".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".parquet", ".feather", ".arrow", ".orc"),
    *(".json", ".jsonl", ".ndjson"),
)
LARGEST = 500_000_000
"""Bytes of a table's text, or of all that an archive unpacks to: five million rows; more are no daily totals."""
DEEPEST = 3
"""Archives within archives."""
BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, OSError, NotImplementedError)
"""Raised by zipfile for damage, a password (RuntimeError) and an unknown compression (NotImplementedError)."""
_DOCUMENTS = {"word/document.xml": "a text document", "ppt/presentation.xml": "a presentation"}


@dataclass(frozen=True, slots=True)
class Member:
    """A table's file."""

    path: Path
    name: str
    """As an error shows it: of a member `archive.zip: folder/table.csv`."""


def members(path: Path, folder: Path) -> list[Member]:
    """The file itself; of an archive its tables, unpacked below `folder`, by name.

    Raises:
        DataError: an archive without a table, with a password, too large or broken; no workbook but another document.
    """
    return _members(Member(path, str(path)), folder, 1)


def _members(one: Member, folder: Path, depth: int) -> list[Member]:
    if not zipfile.is_zipfile(one.path) or _ends_as_columns(one.path):
        return [one]
    try:
        with zipfile.ZipFile(one.path) as archive:
            infos = sorted(archive.infolist(), key=lambda info: info.filename)
            names = {info.filename for info in infos}
            _check_size(sum(info.file_size for info in infos if not info.is_dir()), one.name)
            if _is_book(names, one.name):
                return [one]
            tables = [info for info in infos if _is_table(info.filename)]
            if not tables:
                raise NoTableError(
                    f"data.path: the archive {one.name!r} has no {', '.join(ENDINGS[:4])}; unpack it and name the table"
                )
            if depth > DEEPEST:
                raise DataError(f"data.path: {one.name!r} lies in {DEEPEST} archives; unpack it and name the table")
            under = folder / f"{depth} {one.path.name}"
            files = [Member(Path(archive.extract(info, under)), f"{one.name}: {info.filename}") for info in tables]
    except BROKEN as error:
        reason = "it has a password" if "password required" in str(error) else str(error) or type(error).__name__
        raise DataError(f"data.path: {one.name!r} cannot be unpacked ({reason}); unpack it yourself") from None
    found = [each for file in files for each in _members(file, file.path.parent, depth + 1)]
    _check_size(sum(each.path.stat().st_size for each in found), one.name)
    return found


def _check_size(size: int, name: str) -> None:
    if size > LARGEST:
        raise DataError(
            f"data.path: {name!r} unpacks to {size / 1e6:,.0f} MB, and daily totals have no {LARGEST / 1e6:,.0f}; "
            "add it up to days, or unpack it and name the table"
        )


def _is_book(names: set[str], name: str) -> bool:
    """Whether an archive's members are those of a workbook.

    Raises:
        DataError: they are those of another document.
    """
    for member, kind in _DOCUMENTS.items():
        if member in names:
            raise DataError(f"data.path: {name!r} is {kind}; save its table as .csv or .xlsx")
    if any(member.endswith(".iwa") for member in names):
        raise DataError(f"data.path: {name!r} is a sheet of Numbers; choose File, Export to, CSV (or Excel)")
    return "[Content_Types].xml" in names or "mimetype" in names


def _ends_as_columns(path: Path) -> bool:
    """Parquet may end in bytes that a search for an archive finds."""
    return path.suffix.lower() in {".parquet", ".feather", ".arrow", ".orc"}


def _is_table(name: str) -> bool:
    parts = name.split("/")
    hidden = any(part.startswith((".", "__MACOSX", "~$")) for part in parts)
    plain = name.lower().removesuffix(".gz")
    return plain.endswith((*ENDINGS, ".zip")) and not hidden
