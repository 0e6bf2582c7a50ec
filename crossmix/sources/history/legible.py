"""Whether the dates and numbers of a table are some, once the parts of this package have read them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np

from crossmix.schema import DataError
from crossmix.sources.history import numbers
from crossmix.sources.history.sheet import Sheet


def dates(texts: Sequence[str], sheet: Sheet) -> None:
    """Raise `DataError` where there is no row, or most dates are none."""
    if not texts:
        raise DataError(
            f"data.path: {sheet.name!r} has a header and no row of a day below it; export it again with daily rows"
        )
    undated = {text for text in set(texts) if day(text) is None}
    odd = [text for text in texts if text in undated] if undated else []
    if 2 * len(odd) <= len(texts):
        return
    shown = next((text for text in odd if text), "")
    if re.fullmatch(r"\d{4}[-/.]\d{1,2}|\d{1,2}[-/.]\d{4}|[^\W\d]+\.?[ -]+\d{4}", shown):
        reason = f"{shown!r} is a month: a split is learnt from days or weeks; export {sheet.stem!r} by day"
    elif re.fullmatch(r"\d{9,13}", shown):
        reason = f"{shown!r} may be seconds since 1970; write dates as YYYY-MM-DD"
    elif re.fullmatch(r"[12]\d{4}(?:\.0+)?", shown):
        reason = f"{shown!r} may be days since 1970; write dates as YYYY-MM-DD"
    elif re.search(r"\b2[4-6]\d\d\b", shown):
        reason = f"{shown!r} has a year of another calendar; write dates as YYYY-MM-DD, by the Gregorian one"
    elif re.search(r"\bQ[1-4]\b|\bT[1-4]\b", shown, re.IGNORECASE):
        reason = f"{shown!r} is a quarter: a split is learnt from days or weeks; export {sheet.stem!r} by day"
    else:
        reason = f"{shown!r} is read by no format; write dates with their year, as YYYY-MM-DD"
    raise DataError(f"date: {reason} ({len(odd):,} of {len(texts):,} rows of {sheet.name!r})")


def counts(columns: Mapping[str, Sequence[str]], sheet: Sheet) -> None:
    """Raise `DataError` where most values of a column are no numbers."""
    for name, texts in columns.items():
        if np.isfinite(numbers.values(texts)).sum() == len(texts) - list(texts).count(""):
            continue
        filled = [text for text in texts if text.strip()]
        odd = [text for text in filled if not _finite(text)]
        if not odd or 2 * len(odd) <= len(filled):
            continue
        if odd[0].rstrip().endswith("%"):
            reason = "is a share: give the counts themselves, or name the column that has them"
        elif re.search(r"\d\s*(?:k|m|mn|mio|tsd|b|bn)\.?$", odd[0], re.IGNORECASE):
            reason = "is rounded to thousands or millions: export the full numbers, or name the column that has them"
        else:
            reason = "is no number: write it in digits, or name the column that has the numbers"
        raise DataError(
            f"{name}: {odd[0]!r} {reason} (--map {name}=NAME); so are {len(odd):,} of {len(filled):,} values of "
            f"{sheet.name!r}"
        )


def _finite(text: str) -> bool:
    value = number(text)
    return value is not None and math.isfinite(value)


def number(text: str) -> float | None:
    """A number as Python writes it; `None`: it is none."""
    try:
        return float(text)
    except ValueError:
        return None


def day(text: str) -> date | None:
    """A day as YYYY-MM-DD; `None`: it is none."""
    if len(text) != 10 or text[4] != "-":  # fromisoformat takes more
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
