"""What lies beside the data in a folder and holds no table of spend: a manifest, settings, a readme, litter of systems.

It is left out and told. What may be a table of spend stays, so that one that cannot be read is an error that names it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path, PurePath

import numpy as np

from crossmix.schema import DataError
from crossmix.sources.history import numbers
from crossmix.sources.history.columns import NUMBERS, column_of, meant, plain
from crossmix.sources.history.dates import is_date
from crossmix.sources.history.sheet import NoTableError, Sheet

LITTER = frozenset(("thumbs.db", "desktop.ini", "icon\r", "ehthumbs.db", "__macosx"))
"""What systems put into folders, beside names that begin with a point."""
PROSE = (".txt", ".md", ".text", ".rst")
TABLES = (".csv", ".tsv", ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".parquet", ".feather", ".arrow", ".orc")
"""Endings of files that are tables of something, so that one with figures is refused rather than left out."""
FEWEST_DAYS = 7
"""So many days may be a history; a list of files or campaigns has fewer dates."""
NUMERIC = 0.5
"""Share of a column's cells that are numbers, where it may be one of figures."""
SHOWN = 6
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\b\d{8}\b|\b\d{1,2}\.? [^\W\d]{3,}\.? \d{4}")
_SIGNS = re.compile(r"[,;\t|]")
_FIELD = re.compile(r'"([^"\n]{1,60})"\s*:')


def is_litter(name: PurePath) -> bool:
    """Whether a file is of the system or a program and of nobody's data: hidden, a lock, a thumbnail cache.

    Args:
        name: below the folder that was named.
    """
    return any(part.startswith((".", "~$")) or part.lower() in LITTER for part in name.parts)


def may_be_spend(sheet: Sheet, path: Path, mapped: Iterable[str] = ()) -> bool:
    """Whether a table that was read is one of spend: it names a figure and another column, or has days and figures.

    Args:
        path: its file; one that ends as a table does (`.csv`) needs no days.
        mapped: names that `data.columns` gives.
    """
    given = {plain(name) for name in mapped}
    named = {meant(name) for name in sheet.header} - {None}
    if (named & set(NUMBERS) and len(named) >= 2) or any(plain(name) in given for name in sheet.header):
        return True
    if any(map(is_date, sheet.header)):
        return True
    turned = list(zip(*sheet.rows[:1000], strict=True))
    ends = path.name.lower().removesuffix(".gz").endswith(TABLES)
    days = ends or any(len({cell for cell in cells if is_date(cell)}) >= FEWEST_DAYS for cells in turned)
    return days and any(_is_figures(cells) for cells in turned)


def _is_figures(cells: Sequence[str]) -> bool:
    found = ~np.isnan(numbers.values([cell.strip() for cell in cells]))
    return bool(found.mean() > NUMERIC) and not all(is_date(cell) for cell in cells[:FEWEST_DAYS])


def is_prose(path: Path, text: str) -> bool:
    """Whether a text is no table: by its ending, and no line of it is a header with rows below or one of many days."""
    if path.suffix.lower() not in PROSE:
        return False
    lines = [line for line in io.StringIO(text) if line.strip()]
    if sum(bool(_DATE.search(line)) for line in lines) >= FEWEST_DAYS:
        return False
    for line, below in pairwise(lines):
        cells = _SIGNS.split(line)
        named = {column_of(cell) for cell in cells} - {None}
        figures = [cell for cell in _SIGNS.split(below) if re.search(r"\d", cell)]
        if len(named) >= 2 and named & set(NUMBERS) and len(figures) >= 2:
            return False
    return True


def names_figures(text: str) -> bool:
    """Whether the text of damaged JSON has fields of a history."""
    named = {column_of(name) for name in _FIELD.findall(text[: 1 << 18])} - {None}
    return bool(named & set(NUMBERS)) and len(named) >= 2


def without_empty(files: dict[str, Path]) -> tuple[dict[str, Path], list[str]]:
    """Of several files those with a byte, and the names of empty notes.

    Raises:
        DataError: an empty file that should be a table: an export that failed.
    """
    if len(files) < 2:
        return files, []
    empty = {name: file for name, file in files.items() if file.is_file() and not file.stat().st_size}
    for name, file in empty.items():
        if file.suffix.lower() not in PROSE:
            raise DataError(
                f"data.path: {name!r} is empty (0 bytes), as an export that failed; export it again, or take it out of "
                "the folder"
            )
    return {name: file for name, file in files.items() if name not in empty}, list(empty)


def told(names: Sequence[str], why: str) -> list[str]:
    """A sentence for the user; none where nothing is left out."""
    if not names:
        return []
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return [f"{why}: {', '.join(map(repr, names[:SHOWN]))}{more}."]


def no_table(name: str) -> NoTableError:
    """The error for a text without a table."""
    return NoTableError(f"data.path: {name!r} has no table of spend in it; pass a table with a header and rows")
