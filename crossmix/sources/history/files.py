"""The files that a path names, unpacked and each read as what it is, as tables of text."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from crossmix.config import Data
from crossmix.schema import DataError
from crossmix.sources import in_s3, in_warehouse, log_files, takes_folder, verify_file, verify_files
from crossmix.sources.history import columnar, excel, json_tables, kinds, names, packed, text, warehouse, wide
from crossmix.sources.history import columns as known
from crossmix.sources.history.sheet import Score, Sheet


def sheets(data: Data) -> tuple[list[Sheet], str]:
    """The tables of what `data.path` names, and a SHA-256 of it.

    Raises:
        DataError: a file cannot be read, is no table, or is a page of which the rest is missing.
    """
    kinds.check_address(data.path or "")
    in_s3(data)  # which says that it reads none
    if in_warehouse(data):
        sheet, digest = warehouse.read(str(data.path))
        return [sheet], digest
    path = Path(data.path or "")
    files = log_files(data) if takes_folder(data) else {path.name: path}
    files = {name: file for name, file in files.items() if not file.name.startswith(("~$", "."))}
    digest = verify_files(files) if len(files) > 1 else verify_file(next(iter(files.values())))

    def score(cells: Sequence[str]) -> int:
        named = known.score(data.columns, cells)
        return named + sum(wide.parted(cell) is not None for cell in cells if known.column_of(cell) is None)

    found: list[Sheet] = []
    empty: dict[str, DataError] = {}
    with tempfile.TemporaryDirectory(prefix="crossmix-unpacked-") as folder:
        for file in files.values():
            for one in packed.members(file, Path(folder)):
                try:
                    found += _read(one, score)
                except json_tables.NoTableError as error:
                    empty[one.name] = error
    if empty and not found:
        raise next(iter(empty.values()))
    if empty:
        found[0].notes.append(f"JSON without a table is left out: {', '.join(map(repr, empty))}.")
    _check_finished(found)
    return found, digest


def _check_finished(sheets: Sequence[Sheet]) -> None:
    """Raise `DataError` for a page that more follow, where none of its name is the last."""
    last = {names.without_period(sheet.stem) for sheet in sheets if not sheet.unfinished}
    for sheet in sheets:
        if sheet.unfinished and names.without_period(sheet.stem) not in last:
            raise DataError(
                f"data.path: {sheet.name!r} is the first page only ({sheet.unfinished} names more); fetch those that "
                "follow, and put all pages into one folder (meta_page1.json, meta_page2.json), or take that field out "
                "where nothing follows"
            )


def _read(one: packed.Member, score: Score) -> list[Sheet]:
    """The sheets of one file, by how it begins."""
    if kinds.is_columnar(one.path):
        return [columnar.read(one.path, one.name)]
    if excel.is_workbook(one.path):
        return excel.read(one.path, one.name, score)
    return text.read(one.path, one.name, score)
