"""A table of text as it lies in a file: its header, found below title lines, and its rows, without total rows."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from crossmix.schema import DataError

ROWS = 5_000_000
"""More rows are no daily totals."""
HEADER_LINES = 60
"""A header is looked for in so many lines."""
TOTALS = frozenset(
    (
        *("total", "totals", "grand total", "grand totals", "subtotal", "sub total", "sum", "overall", "overall total"),
        *("summe", "gesamt", "gesamtsumme", "gesamtergebnis", "insgesamt", "zwischensumme", "teilergebnis"),
        *("totale", "totali", "somma", "totale complessivo", "totale generale", "total general", "totales", "suma"),
        *(
            "suma total",
            "total général",
            "totaux",
            "somme",
            "sous total",
            "total geral",
            "soma",
            "totaal",
            "eindtotaal",
        ),
        *("subtotaal", "razem", "suma końcowa", "celkem", "összesen", "toplam", "genel toplam", "summa", "totalt"),
        *(
            "yhteensä",
            "i alt",
            "итого",
            "всего",
            "общий итог",
            "合計",
            "総計",
            "小計",
            "总计",
            "合计",
            "總計",
            "합계",
            "총계",
        ),
    )
)
"""How total rows begin."""
MOST_REMARKS = 30
"""So many lines below a table may be remarks."""
FEWEST_DATES, MOSTLY = 5, 0.9
"""So many dates, in so much of the rows, make a column that of dates."""
_UNNAMED = frozenset(
    (
        *("", "row labels", "labels", "index", "unnamed: 0", "column1", "spalte1", "zeilenbeschriftungen"),
        *("étiquettes de lignes", "etiquetas de fila", "etichette di riga", "rótulos de linha", "rijlabels"),
    )
)
"""Names of a column that a pivot table or a program gives, and that say nothing."""
_FIGURE = re.compile(r"\D{0,5}\d[\d.,'’\s]*\D{0,5}")
"""An amount, with a currency's sign or code."""
LEAST_FIGURES = 3
"""So many columns of figures show that a line of words above them is no row."""
MOST_NAMELESS = 3
"""So many rows without date and names are sums of the rest; with more, something else is wrong with the file."""
_AFTER = re.compile(r"\s*[:：–—(]|\s+-|\s+(?:of|von|de|di|van|für|for) \d")
"""What may follow the word."""
Score = Callable[[Sequence[str]], int]
"""How many columns of a history a line of cells names."""


class NoTableError(DataError):
    """A file without any table, as a configuration or a readme: beside other files it is left out."""


@dataclass(slots=True)
class Sheet:
    """One table."""

    name: str
    """Of the file, as an error shows it; of a workbook with the sheet."""
    stem: str
    """The name without folder and endings: what a file without a column of platforms is called."""
    header: list[str]
    rows: list[list[str]]
    """Each as long as the header."""
    notes: list[str] = field(default_factory=list)
    title: str = ""
    """What lines above the header say."""
    unfinished: str = ""
    """What tells that more of it lies in further pages, as `paging.next`."""


def is_total(text: str) -> bool:
    """Whether a cell begins a total row: `Total`, `Total: Account`, `Summe`, `Total of 12 campaigns`."""
    plain = text.strip().lower().replace("_", " ")
    return plain in TOTALS or _AFTER.split(plain)[0].strip() in TOTALS


def framed(name: str, stem: str, lines: Sequence[tuple[int, list[str]]], score: Score) -> Sheet:
    """The table in numbered lines of cells.

    Args:
        lines: number in the file and cells, blank lines left out.

    Raises:
        DataError: no line, or a row with more fields than the header.
    """
    if not lines:
        raise DataError(f"data.path: {name!r} is empty; pass a history with a header and rows")
    at = _header_at([cells for _, cells in lines[:HEADER_LINES]], score)
    titles = [" ".join(cell.strip() for cell in cells if cell.strip()) for _, cells in lines[:at]]
    header = [cell.strip().lstrip("\ufeff") for cell in lines[at][1]]
    joined = _joined([cells for _, cells in lines[: at + 2]], at, score)
    if joined:
        at, header = joined
        titles = titles[: at - 1]
    while header and not header[-1] and all(not any(map(str.strip, row[len(header) - 1 :])) for _, row in lines[at:]):
        header.pop()  # Excel's empty columns
    notes = [f"The two lines of the header of {stem!r} are read as one ({header[1]!r})."] if joined else []
    empty = len(lines[at][1]) - len(header)
    if titles:
        shown = "; ".join(map(repr, titles[:3]))
        notes.append(f"{len(titles)} title line(s) above the header of {stem!r} are left out: {shown}.")
    if empty:
        notes.append(f"{empty} empty column(s) at the end of {stem!r} are left out.")
    rows, long = _rows(lines[at + 1 :], len(header))
    if long is not None:
        raise DataError(
            f"data.path: row {long[0]} of {name!r} has {long[1]} fields, the header {len(header)}; "
            "repair that line (a number with a thousands separator needs quotes around it, or the separator gone)"
        )
    _check_one_header(name, header, lines[at + 1 :], score)
    if len(rows) > 1 and _describes(rows):
        notes.append(
            f"The line below the header of {stem!r} describes its columns, and is left out: {_shown(rows[0])}."
        )
        rows = rows[1:]
    # A row whose first cell differs needs no second look.
    again = [row for row in rows if row[0].strip() == header[0] and [cell.strip() for cell in row] == header]
    if again:
        rows = [row for row in rows if row not in again]
        notes.append(f"The header of {stem!r} stands there {len(again) + 1} times; it is read once.")
    return Sheet(name, stem, header, rows, notes, title=" ".join(titles))


def _describes(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row has a word in each column that has figures in the next ones, as units have it."""
    first, rest = rows[0], rows[1:4]
    figures = [at for at, cell in enumerate(first) if all(at < len(row) and _FIGURE.fullmatch(row[at]) for row in rest)]
    words = [cell for at in figures if (cell := first[at].strip())]
    return len(figures) >= LEAST_FIGURES and len(words) == len(figures) and not any(map(_has_digit, first))


def _has_digit(cell: str) -> bool:
    return any(char.isdigit() for char in cell)


def _shown(cells: Sequence[str]) -> str:
    return ", ".join(cell.strip() for cell in cells if cell.strip())[:120]


def _check_one_header(name: str, header: Sequence[str], lines: Sequence[tuple[int, list[str]]], score: Score) -> None:
    """Raise `DataError` where a table with other columns stands below the first."""
    least = max(4, score(header) - 1)
    for number, cells in lines:
        if cells and cells[0][:1].isdigit():
            continue  # a day
        if any(map(str.isdigit, "".join(cells))) or [cell.strip() for cell in cells] == header:
            continue
        if score(cells) >= least and sum(map(bool, cells)) >= least:
            raise DataError(
                f"data.path: row {number} of {name!r} is another header ({', '.join(cells)[:120]}), whose columns are "
                "not those of the first; save each table as a file, and name their folder"
            )


def _joined(lines: Sequence[Sequence[str]], at: int, score: Score) -> tuple[int, list[str]] | None:
    """The lower line's place and both lines of a header of two, as platforms above their figures; `None`: it has one.

    A name of the upper line holds to its right until the next; the lower line repeats its names.
    """
    for low in (at, at + 1):
        if not 0 < low < len(lines):
            continue
        upper, lower = ([cell.strip() for cell in lines[place]] for place in (low - 1, low))
        filled = [cell for cell in lower if cell]
        if len(set(filled)) == len(filled) or len({cell for cell in upper if cell}) < 2:
            continue
        held, both = "", []
        for place in range(max(len(upper), len(lower))):
            above = upper[place] if place < len(upper) else ""
            below = lower[place] if place < len(lower) else ""
            held = above or held
            both.append(f"{held} {below}".strip() if below else above)
        if score(both) > max(score(lower), score(upper)):
            return low, both
    return None


def _rows(lines: Sequence[tuple[int, list[str]]], width: int) -> tuple[list[list[str]], tuple[int, int] | None]:
    """Rows filled up or cut to the header's width; the first one with more, by number and length."""
    rows = [cells for _, cells in lines]
    if all(len(cells) == width for cells in rows):
        return rows, None
    rows = []
    for number, cells in lines:
        if len(cells) > width:
            if any(cell.strip() for cell in cells[width:]):
                return [], (number, len(cells))
            cells = cells[:width]
        rows.append(cells if len(cells) == width else cells + [""] * (width - len(cells)))
    return rows, None


def _header_at(lines: Sequence[Sequence[str]], score: Score) -> int:
    """The first line that names three columns; else the one that names most; else the first."""
    scores = [score(cells) for cells in lines[:HEADER_LINES]]
    clear = next((at for at, found in enumerate(scores) if found >= 3), None)
    if clear is not None:
        # A title line may name some by chance; the header next to it names more.
        return max(range(clear, min(clear + 3, len(scores))), key=lambda at: (scores[at], -at))
    best = max(range(len(scores)), key=lambda at: (scores[at], -at))
    return best if scores[best] >= 2 else 0


def without_copies(sheet: Sheet) -> Sheet:
    """The sheet without columns that repeat another's name and every cell of it."""
    first: dict[str, int] = {}
    kept, copies = [], []
    for at, name in enumerate(sheet.header):
        if sheet.rows and name and name in first and all(row[at] == row[first[name]] for row in sheet.rows):
            copies.append(name)
            continue
        first.setdefault(name, at)
        kept.append(at)
    if not copies:
        return sheet
    note = (
        f"Columns of {sheet.stem!r} that are there twice, cell by cell, are read once: {', '.join(map(repr, copies))}."
    )
    header, rows = [sheet.header[at] for at in kept], [[row[at] for at in kept] for row in sheet.rows]
    return replace(sheet, header=header, rows=rows, notes=[*sheet.notes, note])


def with_a_date(sheet: Sheet, column_of: Callable[[str], str | None], is_date: Callable[[str], bool]) -> Sheet:
    """The sheet whose only column of dates has a name that says nothing (`Row Labels`, none) as its date, told."""
    if any(column_of(name) == "date" for name in sheet.header) or len(sheet.rows) < FEWEST_DATES:
        return sheet
    dated = []
    for at, name in enumerate(sheet.header):
        if name.strip().lower() not in _UNNAMED:
            continue
        days = [row[at] for row in sheet.rows if is_date(row[at]) and not row[at].strip().isdigit()]
        if len(days) >= MOSTLY * len(sheet.rows) and len(set(days)) >= FEWEST_DATES:
            dated.append(at)
    if len(dated) != 1:
        return sheet
    header = [*sheet.header]
    called = f"column {header[dated[0]]!r}" if header[dated[0]] else f"column {dated[0] + 1}, which has no name,"
    header[dated[0]] = "date"
    note = f"The {called} of {sheet.stem!r} is its only one of dates, and is read as date."
    return replace(sheet, header=header, notes=[*sheet.notes, note])


def without_remarks(sheet: Sheet, date: int | None, figures: Sequence[int], is_date: Callable[[str], bool]) -> Sheet:
    """The sheet without the last lines that have neither a date nor a figure, as remarks of several cells.

    Args:
        date: index of the column of dates; `None`: there is none, and nothing is left out.
        figures: indices of the columns of numbers.
    """
    size = len(sheet.rows)
    while date is not None and size and size > len(sheet.rows) - MOST_REMARKS:
        row = sheet.rows[size - 1]
        if is_date(row[date]) or any(_FIGURE.fullmatch(row[at].strip()) for at in figures):
            break
        size -= 1
    several = any(sum(bool(cell.strip()) for cell in row) > 1 for row in sheet.rows[size:])
    if size in (0, len(sheet.rows) - MOST_REMARKS) or not several:
        return sheet  # single cells are told as such (`without_totals`)
    shown = " ".join(cell.strip() for cell in sheet.rows[size] if cell.strip())[:80]
    note = f"{len(sheet.rows) - size} line(s) below the rows of {sheet.stem!r} are remarks and left out: {shown!r}."
    return replace(sheet, rows=sheet.rows[:size], notes=[*sheet.notes, note])


def without_totals(sheet: Sheet, date: int | None, named: Sequence[int], is_date: Callable[[str], bool]) -> Sheet:
    """The sheet without total rows and without lines below the table.

    A total row has no date, and a word for it in some cell (where the date would be also `Summe KW 42`), or neither
    date nor names; a line below has no date and at most one cell.

    Args:
        date: index of the column of dates; `None`: there is none.
        named: indices of platform and campaign, as far as they are there.
    """
    if date is not None and all(map(is_date, {row[date] for row in sheet.rows})):
        return sheet
    kept, totals, below = [], [], 0
    nameless = 0
    for row in sheet.rows:
        dated = date is not None and is_date(row[date])
        if not dated:
            word = next(
                (cell for at, cell in enumerate(row) if is_total(cell) or (at == date and _names_total(cell))), None
            )
            if word is not None:
                totals.append(word.strip())
                continue
            if date is not None and named and not any(row[at].strip() for at in (date, *named)) and any(row):
                nameless += 1
                if nameless <= MOST_NAMELESS:
                    totals.append("no date, no name")
                    continue
            if sum(bool(cell.strip()) for cell in row) == 1 and len(row) > 2:
                below += 1
                continue
        kept.append(row)
    notes = list(sheet.notes)
    if totals:
        notes.append(f"{len(totals)} total row(s) of {sheet.stem!r} are left out ({totals[0]!r}).")
    if below:
        notes.append(f"{below} line(s) of {sheet.stem!r} with a single cell are no rows and are left out.")
    return Sheet(sheet.name, sheet.stem, sheet.header, kept, notes)


def filled_down(sheet: Sheet, key: Sequence[int], campaign: int | None) -> Sheet:
    """The sheet whose merged cells are filled: date or names that stand in the first row of a group alone.

    Those columns are filled in which a third of the rows or more are blank and the first is not, if that makes every
    row's key its own: a name that is unknown would be there twice.

    Args:
        key: indices of date, platform and campaign, as far as they are there.
        campaign: its index; it is filled only where what lies to its left is, as a platform may have none.
    """
    filled: list[int] = []
    for at in sorted(key):
        empty = {text for text in {row[at] for row in sheet.rows} if not text.strip()}
        if not empty:
            continue
        blank = [row[at] in empty for row in sheet.rows]
        outline = filled == [place for place in sorted(key) if place < at]
        if blank and not blank[0] and sum(blank) * 3 >= len(blank) and (at != campaign or outline):
            filled.append(at)
    if not filled:
        return sheet
    rows = [list(row) for row in sheet.rows]
    for at in filled:
        above = ""
        for row in rows:
            above = row[at] if row[at].strip() else above
            summary = any(_ends_as_total(row[place]) for place in key)
            row[at] = row[at] if summary else above
    keys = [tuple(row[at] for at in key) for row in rows]
    if len(set(keys)) < len(keys):
        return sheet
    names = ", ".join(repr(sheet.header[at]) for at in filled)
    note = f"Blank cells of {names} in {sheet.stem!r} take what stands above them, as merged cells leave them."
    return Sheet(sheet.name, sheet.stem, sheet.header, rows, [*sheet.notes, note])


def _names_total(text: str) -> bool:
    """Whether what stands where a date would be is a total's name: `Summe KW 42`, `Week 42 total`."""
    words = text.lower().split()
    return len(words) > 1 and (words[0].rstrip(":") in TOTALS or words[-1] in TOTALS)


def _ends_as_total(text: str) -> bool:
    """`Total`, and a name with it: `google Total`, `Meta Ergebnis`."""
    words = text.lower().split()
    return is_total(text) or (len(words) > 1 and words[-1] in {*TOTALS, "ergebnis"})


def cell_text(value: Any) -> str:
    """A value of a workbook or a database as text that reads one way only."""
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == datetime.min.time() else value.isoformat(" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float | Decimal) and math.isfinite(value):
        if float(value).is_integer() and abs(float(value)) < 1e15:
            return str(int(value))
        shown = str(value)
        # Three decimals could be read as thousands.
        return shown + "0" if "e" not in shown.lower() and len(shown.rpartition(".")[2]) == 3 else shown
    return "" if value is None else str(value)
