"""Workbooks: each sheet with the columns of a history is a table."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from crossmix.schema import DataError
from tests.support.workbooks import Cell, write
from tests.unit.crossmix.sources.history.test_load import FIGURES, PLAIN, assert_same, taken


def rows(platform: str | None = None) -> list[list[Cell]]:
    """The plain history as cells with native dates and numbers; of one platform, without its name."""
    named = [] if platform else ["platform"]
    table: list[list[Cell]] = [["date", *named, *FIGURES]]
    for row in PLAIN.to_dict("records"):
        if platform in (None, row["platform"]):
            day = date.fromisoformat(str(row["date"]))
            table.append([day, *(str(row[name]) for name in named), *(float(str(row[name])) for name in FIGURES)])
    return table


def test_a_workbook_is_read_below_its_titles(tmp_path: Path) -> None:
    book = write(tmp_path / "history.xlsx", {"Notes": [["what it is"]], "Data": [["Report"], [None], *rows()]})
    history = taken(book)
    assert_same(history)
    assert any("'Data'; not 'Notes'" in note for note in history.notes)


def test_a_sheet_for_each_platform_is_one_history(tmp_path: Path) -> None:
    assert_same(taken(write(tmp_path / "book.xlsx", {name: rows(name) for name in ("search", "social")})))


def test_three_decimals_of_a_cell_are_decimals(tmp_path: Path) -> None:
    table = rows()
    for row in table[1:]:
        row[2] = 4.261
    history = taken(write(tmp_path / "book.xlsx", {"Data": table}), 'data.accept=["price"]')
    assert set(history.columns["spend"]) == {"4.2610"}


def test_what_is_no_workbook_is_said(tmp_path: Path) -> None:
    (tmp_path / "book.xlsx").write_bytes(b"PK\x03\x04 no book")
    with pytest.raises(DataError, match=r"data\.path: .* cannot be read as a workbook \(.*\); save it again"):
        taken(tmp_path / "book.xlsx")
    with pytest.raises(DataError, match=r"data\.path: .* is empty; pass a workbook with a header"):
        taken(write(tmp_path / "none.xlsx", {"Data": []}))


def test_a_summary_beside_the_platforms_is_left_out_and_told(tmp_path: Path) -> None:
    summary = [["platform", *FIGURES], *([name, 1.0, 2.0, 3.0, 4.0, 5.0] for name in ("search", "social"))]
    by_day = [["date", "spend", "clicks"], [date(2025, 1, 6), 1.0, 2.0]]
    platforms = {name: rows(name) for name in ("search", "social")}
    for sheets in ({"Summary": summary, **platforms}, {"Data": rows(), "Pivot": by_day}):
        history = taken(write(tmp_path / "book.xlsx", sheets))
        assert_same(history)
        assert any(f"not '{({'Summary', 'Pivot'} & set(sheets)).pop()}'" in note for note in history.notes)


@pytest.mark.parametrize("merged", [["date"], ["platform"]])
def test_merged_cells_are_filled(merged: list[str], tmp_path: Path) -> None:
    table = PLAIN.sort_values([*merged, "date", "platform"], kind="stable").astype(object)
    table["date"] = table["date"].map(date.fromisoformat)
    order = [*merged, *(name for name in PLAIN.columns if name not in merged)]
    cells: list[list[Cell]] = [list(order)]
    above = None
    for row in table[order].to_numpy().tolist():
        cells.append([None if row[0] == above else row[0], *row[1:]])
        above = row[0]
    total: list[Cell] = ["Grand Total", None, *(float(PLAIN[name].sum()) for name in FIGURES)]
    history = taken(write(tmp_path / "book.xlsx", {"Data": [*cells, total]}))
    assert_same(history)
    assert any(f"Blank cells of {merged[0]!r} in 'book' take what stands above" in note for note in history.notes)
