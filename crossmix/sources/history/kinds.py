"""What a file is that is neither text nor a workbook, by how it begins; and what to do with it."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from crossmix.schema import DataError

PARQUET, ARROW, ORC = b"PAR1", b"ARROW1", b"ORC"
_TABLE = "save it as .csv or .xlsx (a table with a header)"
_UNPACK = "unpack it and name the table"
_OTHERS = MappingProxyType(
    {
        b"FEA1": ("a Feather file of the first version", "write it as Parquet, or as .csv"),
        b"Obj\x01": ("an Avro file", "convert it to Parquet, or to .csv"),
        b"%PDF": ("a PDF", "export the report as .csv or .xlsx from where it was made"),
        b"SQLite format 3\x00": ("an SQLite database", "name its table: --data 'sqlite://FILE?table=NAME'"),
        b"7z\xbc\xaf": ("a 7z archive", _UNPACK),
        b"Rar!": ("a RAR archive", _UNPACK),
        b"\xfd7zXZ": ("packed with xz", _UNPACK),
        b"\x28\xb5\x2f\xfd": ("packed with zstd", _UNPACK),
        b"\x89PNG": ("a picture", "export the table as .csv or .xlsx from where it was made"),
        b"\xff\xd8\xff": ("a picture", "export the table as .csv or .xlsx from where it was made"),
        b"$FL2": ("an SPSS file", _TABLE),
        b"<stata_dta>": ("a Stata file", _TABLE),
        b"\x89HDF": ("an HDF5 file", _TABLE),
        b"[InternetShortcut]": ("a link", "open it, download the table as .csv or .xlsx, and name that file"),
    }
)
"""How a file begins, what it is, the remedy."""
_PLACES = MappingProxyType(
    {
        8: (b"DUCK", "a DuckDB database", "name its table: --data 'duckdb://FILE?table=NAME'"),
        4: (b"1AY&SY", "packed with bzip2", _UNPACK),
        257: (b"ustar", "a tar archive", _UNPACK),
    }
)
"""Marks that stand further inside."""


def is_columnar(path: Path) -> bool:
    """Whether a file is read by `columnar`; these formats end with a mark too, which no text does."""
    with path.open("rb") as file:
        head = file.read(8)
        if not head.startswith((PARQUET, ARROW, ORC)):
            return False
        file.seek(max(0, path.stat().st_size - 8))
        end = file.read()
    return end.endswith((PARQUET, ARROW)) or end[-4:-1] == ORC


def check(head: bytes, name: str) -> None:
    """Raise `DataError` for a file that is known and not read.

    Args:
        head: its first 300 bytes or more, unpacked where it is gzipped.
        name: for the sentence.
    """
    for mark, (kind, remedy) in _OTHERS.items():
        if head.lstrip().startswith(mark):
            raise DataError(f"data.path: {name!r} is {kind}; {remedy}")
    for place, (mark, kind, remedy) in _PLACES.items():
        if head[place:].startswith(mark):
            raise DataError(f"data.path: {name!r} is {kind}; {remedy}")


def check_address(path: str) -> None:
    """Raise `DataError` for an address in the web, which nothing here downloads."""
    if not path.lower().startswith(("http://", "https://")):
        return
    if "docs.google.com/spreadsheets" in path:
        remedy = "in the sheet choose File, Download, Comma-separated values (or Microsoft Excel)"
    else:
        remedy = "download it"
    raise DataError(f"data.path: {path!r} is an address in the web, which is not read; {remedy}, and name that file")


def head_of(path: Path) -> bytes:
    """The beginning of a file."""
    with path.open("rb") as file:
        return file.read(512)
