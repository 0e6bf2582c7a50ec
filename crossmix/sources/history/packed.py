"""Zip archives, as platforms send reports: each text or workbook in one is a file."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from pathlib import Path

from crossmix.schema import DataError

ENDINGS = (".csv", ".tsv", ".txt", ".xlsx", ".xls", ".xlsm", ".xlsb", ".ods")
LARGEST = 2_000_000_000
"""Bytes unpacked; more are no daily totals."""
BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, OSError, NotImplementedError)
"""Raised by zipfile for damage, a password (RuntimeError) and an unknown compression (NotImplementedError)."""


def members(path: Path, folder: Path) -> list[Path]:
    """The file itself; of an archive its tables, unpacked below `folder`, by name.

    Raises:
        DataError: an archive without a table, with a password, too large or broken.
    """
    if not zipfile.is_zipfile(path):
        return [path]
    try:
        with zipfile.ZipFile(path) as archive:
            infos = sorted(archive.infolist(), key=lambda info: info.filename)
            if any(info.filename in {"[Content_Types].xml", "mimetype"} for info in infos):
                return [path]  # a workbook
            tables = [info for info in infos if _is_table(info.filename)]
            if not tables:
                raise DataError(
                    f"data.path: the archive {str(path)!r} has no {', '.join(ENDINGS[:4])}; unpack it "
                    "and name the table"
                )
            if sum(info.file_size for info in tables) > LARGEST:
                raise DataError(f"data.path: the archive {str(path)!r} unpacks to more than 2 GB; add it up to days")
            under = folder / path.name
            return [Path(archive.extract(info, under)) for info in tables]
    except BROKEN as error:
        raise DataError(f"data.path: {str(path)!r} cannot be unpacked ({error}); unpack it yourself") from None


def _is_table(name: str) -> bool:
    parts = name.split("/")
    hidden = any(part.startswith((".", "__MACOSX", "~$")) for part in parts)
    return name.lower().endswith(ENDINGS) and not hidden
