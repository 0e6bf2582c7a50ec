"""Columns whose dates or numbers cannot be read: refused by what they show, with the remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from crossmix.schema import DataError
from crossmix.sources.history import numbers
from crossmix.sources.history.dates import of_iso
from crossmix.sources.history.sheet import Sheet

FEW, RARE = 3, 0.01
"""Values that were rounded or hidden are the large or the small ones: so many, and this part of all, are refused."""
_ROUNDED = re.compile(r"\d(?:[.,]\d+)?E\+?\d+", re.IGNORECASE)
_MONTH_NUMBER = re.compile(r"\d{4}[-/.](?:0?[1-9]|1[0-2])|(?:0?[1-9]|1[0-2])[-/.]\d{4}|[^\W\d]+\.?[ -]+\d{4}")
_SENTENCES = (
    (_MONTH_NUMBER, "is a month: a split is learnt from days or weeks; export it by day"),
    (re.compile(r"\d{9,19}"), "may be a time since 1970 beside other dates; write dates as YYYY-MM-DD"),
    (re.compile(r"[12]\d{4}(?:\.0+)?"), "may be days since 1970; write dates as YYYY-MM-DD"),
    (
        re.compile(r".*\b(?:2[4-6]|1[34])\d\d\b.*"),
        "has a year of another calendar; write dates as YYYY-MM-DD, by the Gregorian one",
    ),
    (re.compile(r".*\b[QT][1-4]\b.*", re.I), "is a quarter: a split is learnt from days or weeks; export it by day"),
    (
        re.compile(r".*\bF[YW] ?\d+.*", re.I),
        "is a fiscal week or year, and whose is not told; write each week's first day, as YYYY-MM-DD",
    ),
    (
        re.compile(r"(?:W|KW|CW|Week|Woche|S)? ?\d{1,2}|(?:20)\d{2}[-/]?[0-5]\d|[0-5]?\d/20\d{2}", re.I),
        "may be a week, a day or a month by its number alone; write each row's first day, as YYYY-MM-DD",
    ),
    (re.compile(r"[^\W\d]+\.?"), "is a word; name the column of days (--map date=NAME)"),
)
"""What a date that none is shows, and what to do."""
_HIDDEN = (
    (re.compile(r".*%"), "is a share: give the counts themselves, or name the column that has them"),
    (
        re.compile(r".*\d\s*(?:k|m|mn|mio|tsd|b|bn)\.?", re.I),
        "is rounded to thousands or millions: export the full numbers, or name the column that has them",
    ),
    (
        re.compile(r"(?:[<>≤≥]|less than|more than|unter|über)\s*\d.*", re.I),
        "hides the number: export the numbers themselves, or name the column that has them",
    ),
)
"""Values that are no numbers and yet say something, as a whole kind of days would be left out with them."""


def check_dates(texts: Sequence[str], sheet: Sheet) -> None:
    """Raise `DataError` where there is no row, or most dates are none."""
    if not texts:
        raise DataError(
            f"data.path: {sheet.name!r} has a header and no row of a day below it; export it again with daily rows"
        )
    undated = {text for text in set(texts) if of_iso(text) is None}
    odd = [text for text in texts if text in undated] if undated else []
    if 2 * len(odd) <= len(texts):
        return
    shown = next((text for text in odd if text), "")
    reason = next(
        (sentence for form, sentence in _SENTENCES if form.fullmatch(shown)),
        "is read by no format; write dates with their year, as YYYY-MM-DD",
    )
    raise DataError(f"date: {shown!r} {reason} ({len(odd):,} of {len(texts):,} rows of {sheet.name!r})")


def check_names(campaigns: Sequence[str], sheet: Sheet) -> None:
    """Raise `DataError` where a spreadsheet rounded the numbers that campaigns are told by."""
    rounded = next((text for text in dict.fromkeys(campaigns) if _ROUNDED.fullmatch(text)), None)
    if rounded is not None:
        raise DataError(
            f"campaign: {rounded!r} is a number that a spreadsheet rounded, and campaigns of {sheet.name!r} may have "
            "become one; export the campaigns' names, or their numbers as text"
        )


def check_numbers(columns: Mapping[str, Sequence[str]], sheet: Sheet) -> None:
    """Raise `DataError` where most values of a column are no numbers, or some are rounded, shares or hidden."""
    for name, texts in columns.items():
        if np.isfinite(numbers.values(texts)).sum() == len(texts) - list(texts).count(""):
            continue
        filled = [text for text in texts if text.strip()]
        odd = [text for text, value in zip(filled, numbers.values(filled), strict=True) if not np.isfinite(value)]
        for form, reason in _HIDDEN:
            hidden = [text for text in odd if form.fullmatch(text.strip())]
            if len(hidden) >= FEW and len(hidden) > RARE * len(filled):
                raise _refused(name, hidden, reason, filled, sheet)
        if 2 * len(odd) > len(filled):
            reason = "is no number: write it in digits, or name the column that has the numbers"
            raise _refused(name, odd, reason, filled, sheet)


def _refused(name: str, odd: Sequence[str], reason: str, filled: Sequence[str], sheet: Sheet) -> DataError:
    return DataError(
        f"{name}: {odd[0]!r} {reason} (--map {name}=NAME); so are {len(odd):,} of {len(filled):,} values of "
        f"{sheet.name!r}"
    )
