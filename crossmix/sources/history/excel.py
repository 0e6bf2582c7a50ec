"""Workbooks (`.xlsx`, `.xls`, `.ods`), read by python-calamine: each sheet with the columns of a history is a table."""

from __future__ import annotations

from pathlib import Path

from crossmix.schema import DataError
from crossmix.sources.history.columns import column_of
from crossmix.sources.history.sheet import HEADER_LINES, Score, Sheet, cell_text, framed
from crossmix.sources.history.text import stem

BEHIND = 2
"""A sheet that names fewer columns than another by more is a summary of it."""
ENDINGS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
SIGNATURES = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How workbooks begin, whatever their name."""


def is_workbook(path: Path) -> bool:
    """Whether a file is a workbook, by its ending or by how it begins."""
    if path.suffix.lower() in ENDINGS:
        return True
    with path.open("rb") as file:
        return file.read(4) in SIGNATURES


def read(path: Path, name: str, score: Score) -> list[Sheet]:
    """The sheets that name three columns of a history, a date among them; where none does, the first with any cell.

    Args:
        name: for errors.

    Raises:
        DataError: no workbook, an empty one, or nothing to read it is installed.
    """
    try:
        from python_calamine import CalamineError, CalamineWorkbook  # late: text needs none
    except ModuleNotFoundError:
        raise DataError(
            f"data.path: {name!r} is a workbook, and python-calamine, which reads it, is not installed; "
            "pip install 'crossmix[steps]', or save it as .csv"
        ) from None
    if path.suffix.lower() == ".xls" and path.read_bytes()[:200].lstrip()[:1] in (b"<", b"\xef"):
        raise DataError(
            f"data.path: {name!r} is a web page or XML with the ending of a workbook; open it in a spreadsheet "
            "and save it as .xlsx"
        )
    try:
        book = CalamineWorkbook.from_path(str(path))
        tables = {one: book.get_sheet_by_name(one).to_python() for one in book.sheet_names}
    except (CalamineError, OSError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"data.path: {name!r} cannot be read as a workbook ({reason}); save it again as .xlsx, or as .csv"
        ) from None
    lines = {
        one: [
            (number, cells) for number, row in enumerate(table, 1) if any(cells := [cell_text(value) for value in row])
        ]
        for one, table in tables.items()
    }
    scores = {one: max((score(cells) for _, cells in rows[:HEADER_LINES]), default=0) for one, rows in lines.items()}
    least = max(3, max(scores.values(), default=0) - BEHIND)
    named = [one for one in lines if scores[one] >= least]
    dated = [
        one
        for one in named
        if any(column_of(cell) == "date" for _, cells in lines[one][:HEADER_LINES] for cell in cells)
    ]
    named = dated or named
    chosen = named or [one for one, rows in lines.items() if rows][:1]
    if not chosen:
        raise DataError(f"data.path: {name!r} is empty; pass a workbook with a header and rows")
    several = len(chosen) > 1
    sheets = [framed(f"{name} [{one}]", one if several else stem(path), lines[one], score) for one in chosen]
    left = [one for one in lines if one not in chosen and lines[one]]
    if len(lines) > 1:
        told = f"; not {', '.join(map(repr, left))}, without a history's columns or days" if left else ""
        sheets[0].notes.append(
            f"Of the workbook {path.name!r} these sheets are read: {', '.join(map(repr, chosen))}{told}."
        )
    return sheets
