"""A table as plain data; `macros.html.j2` draws it."""

from __future__ import annotations

from dataclasses import dataclass

from crossmix.pages.format import DASH


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, a second line in small type, and `kind`, a list of CSS classes."""

    text: str
    kind: str = ""
    small: str = ""


NOTHING = Cell(DASH, "num muted")
"""Where there is no number."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its caption; the first column names the row."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    groups: tuple[tuple[str, int], ...] = ()
    """A line above the head: (name, columns) after the first column."""
