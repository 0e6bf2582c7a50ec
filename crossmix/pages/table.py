"""A table as plain data; `macros.html.j2` draws it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crossmix.pages.format import DASH, finite, number


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, a second line in small type, and `kind`, a list of CSS classes."""

    text: str
    kind: str = ""
    small: str = ""


NOTHING = Cell(DASH, "num muted")
"""Where there is no number."""


def lift_kind(low: Any, high: Any, direction: str = "more") -> str:
    """CSS class of a relative change by its interval: `good` or `bad` where all of it lies on one side of 0.

    Args:
        direction: more, less or none: which of the two is better; none: neither.
    """
    bottom, top = finite(low), finite(high)
    if direction == "none" or bottom is None or top is None or bottom <= 0 <= top:
        return ""
    return "good" if (bottom > 0) == (direction == "more") else "bad"


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its caption; the first column names the row."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    groups: tuple[tuple[str, int], ...] = ()
    """A line above the head: (name, columns) after the first column."""


def gate_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """Gates with their verdicts; a verdict's cell kind names its chip."""
    return Table(
        "",
        ("Gate", "Verdict", "Value", "Threshold", "Detail"),
        tuple(
            (
                Cell(str(row["name"]), "mono"),
                Cell(str(row["verdict"]), "chip " + str(row["verdict"]).replace(" ", "-")),
                Cell(number(row.get("value")), "num"),
                Cell(str(row.get("threshold", "")), "wrap"),
                Cell(str(row.get("detail") or ""), "prose"),
            )
            for row in rows
        ),
    )
