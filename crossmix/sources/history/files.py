"""The files that a path names, unpacked and each read as what it is, as tables of text."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from crossmix.config import Data
from crossmix.schema import DataError
from crossmix.sources import in_s3, in_warehouse, log_files, takes_folder, verify_file, verify_files
from crossmix.sources.history import beside, columnar, excel, kinds, named_periods, packed, text, warehouse, wide
from crossmix.sources.history import columns as known
from crossmix.sources.history.sheet import NoTableError, Score, Sheet


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
    files, empty = beside.without_empty(_named(data, path))
    digest = verify_files(files) if len(files) > 1 else verify_file(next(iter(files.values())))

    def score(cells: Sequence[str]) -> int:
        named = known.score(data.columns, cells)
        return named + sum(wide.parted(cell) is not None for cell in cells if known.column_of(cell) is None)

    found: list[Sheet] = []
    doubtful: list[Sheet] = []
    others: dict[str, DataError] = {name: beside.no_table(name) for name in empty}
    with tempfile.TemporaryDirectory(prefix="crossmix-unpacked-") as folder:
        for name, file in files.items():
            try:
                members = packed.members(file, Path(folder))
            except NoTableError as error:
                others[name] = error
                continue
            for one in members:
                shown = name if one.path == file else one.name
                try:
                    tables = _read(one, score)
                except NoTableError as error:
                    others[shown] = error
                    continue
                if any(beside.may_be_spend(table, one.path, data.columns.values()) for table in tables):
                    found += tables
                else:
                    others[shown] = beside.no_table(shown)
                    doubtful += tables
    if not (found or doubtful):
        raise next(iter(others.values()))
    if not found:
        found = doubtful  # which are refused by what they lack
    elif others:
        found[0].notes += beside.told(list(others), "Left out, as no table of spend is in it")
    if path.is_dir():
        found[0].notes += beside.told(_unread(path, files, others), "Files of the folder that are not read")
    _check_finished(found)
    return found, digest


def _named(data: Data, path: Path) -> dict[str, Path]:
    """The files of a path by their names below it, without what systems and programs put beside them."""
    if not takes_folder(data):
        return {path.name: path}
    inside = path.is_dir()
    files = log_files(data)
    kept = {name: file for name, file in files.items() if not beside.is_litter(PurePath(name if inside else file.name))}
    if not kept:
        raise DataError(
            f"data.path: {str(path)!r} has hidden files and locks of programs alone; name the folder of the exports"
        )
    return kept


def _unread(path: Path, files: Mapping[str, Path], others: Mapping[str, object]) -> list[str]:
    """Files below a folder that no reader is for, by name."""
    names = sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())
    return [name for name in names if name not in files and name not in others and not beside.is_litter(PurePath(name))]


def _check_finished(sheets: Sequence[Sheet]) -> None:
    """Raise `DataError` for a page that more follow, where none of its name is the last."""
    last = {named_periods.without_period(sheet.stem) for sheet in sheets if not sheet.unfinished}
    for sheet in sheets:
        if sheet.unfinished and named_periods.without_period(sheet.stem) not in last:
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
