"""Periods as people write them, and their first day: `3 Mar - 9 Mar 2025`, `Mar 3-9, 2025`, `w/c 03/03/2025`."""

from __future__ import annotations

import re
from collections.abc import Callable

_BETWEEN = r"\s*(?:-|\u2013|\u2014|~|to|bis|au|al|a|до)\s*"
_DAY = r"\d{1,2}(?:st|nd|rd|th|\.|er)?"
_NAME = r"[^\W\d]{3,}\.?"
_OPENING = re.compile(
    r"(?:w/c|wc|wk|week|weeks|woche|kw|semaine|semana|settimana)\.?\s*(?:of|from|commencing|beginning|starting|vom|ab|du|"
    r"del|da|dal)?\s*:?\s+(?=\S*\d{1,4}[-/. ]|[^\W\d]{3,}\.? \d)",
    re.IGNORECASE,
)
"""What stands before a week's first day."""
_WHOLE = re.compile(
    r"\s+(?:-|\u2013|\u2014|to|bis|au|al|~|/)\s+|(?<=\d)~(?=\d)|(?<=\d{4}-\d{2}-\d{2})/(?=\d{4})|"
    r"(?<=[./]\d{4})\s*[-\u2013](?=\d)"
)
"""Between two dates of which the first has its year."""
_DAYS_NAMED = re.compile(rf"({_DAY})(?: ({_NAME}))?{_BETWEEN}({_DAY}) ({_NAME}),? (\d{{4}})")
_NAMED_DAYS = re.compile(rf"({_NAME}) ({_DAY}){_BETWEEN}(?:({_NAME}) )?({_DAY}),? (\d{{4}})")
_NUMBERS = re.compile(r"(\d{1,2})([./])(\d{1,2})\2?\s*[-\u2013]\s*(\d{1,2})\2(\d{1,2})\2(\d{4}|\d{2})")


def first(text: str, month_of: Callable[[str], int | None]) -> str:
    """The first day of a period as a date with its year; another text as it is.

    A period that ends in the year after has its first day in the year before: `29 Dec - 4 Jan 2026`.

    Args:
        month_of: the number of a month by its name.
    """
    text = _OPENING.sub("", text, count=1) if not text[:1].isdigit() else text
    if (found := _DAYS_NAMED.fullmatch(text)) and (found[2] or _number(found[1]) <= _number(found[3])):
        return (
            f"{found[1]} {found[2] or found[4]} {_year(month_of(found[2] or found[4]), month_of(found[4]), found[5])}"
        )
    if (found := _NAMED_DAYS.fullmatch(text)) and (found[3] or _number(found[2]) <= _number(found[4])):
        return f"{found[1]} {found[2]}, {_year(month_of(found[1]), month_of(found[3] or found[1]), found[5])}"
    if found := _NUMBERS.fullmatch(text):
        one, sign, two, three, four, year = found.groups()
        turned = (two, four.lstrip("0")) == ("12", "1") or (one, three.lstrip("0")) == ("12", "1")
        return f"{one}{sign}{two}{sign}{int(year) - turned:0{len(year)}d}"
    return _WHOLE.split(text, maxsplit=1)[0].strip()


def _number(day: str) -> int:
    return int(re.sub(r"\D", "", day))


def _year(month: int | None, last: int | None, year: str) -> int:
    """The year of a period's first day, of which that of its end is told."""
    return int(year) - (month == 12 and last == 1)
