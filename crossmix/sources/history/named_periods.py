"""The time in a file's name, as ad platforms put it there: `Report-Jun-1-2026-to-Jun-30-2026`, `meta_2026-06 (1)`.

Exports of one report for several months are one platform, so that a name is read without it.
"""

from __future__ import annotations

import re

_MONTHS = (
    "jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec|january|february|march|april|june|july|august|september|"
    "october|november|december|mrz|mai|okt|dez|januar|jänner|februar|märz|juni|juli|oktober|dezember|janv|févr|fév|avr|"
    "juin|juil|août|déc|janvier|février|mars|avril|juillet|septembre|octobre|novembre|décembre|ene|abr|ago|dic|enero|"
    "febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre|gen|mag|giu|lug|set|ott|"
    "gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre|fev|mai|out|dez|janeiro|fevereiro|março|"
    "maio|junho|julho|setembro|outubro|novembro|dezembro|mrt|mei|maart|augustus|januari|februari"
)
_NAMED = rf"(?<![^\W\d_])(?:{'|'.join(sorted(set(_MONTHS.split('|')), key=len, reverse=True))})(?![^\W\d_])\.?"
_APART = r"[-_. ,/]*"
_OF = rf"{_APART}(?:(?:de|del|of|di)(?![^\W\d_]){_APART})?"
_YEAR = r"(?<!\d)(?:19|20)\d{2}(?!\d)"
_DAY = r"(?<![^\W_])(?:[0-2]?\d|3[01])(?:(?:st|nd|rd|th|er|º)(?![^\W_])|\.)?(?!\d)"
_PART = r"(?:q[1-4]|[wk]{1,2}\d{1,2})(?!\d)"
_CLOCK = r"(?:[-_ t]+(?:[0-2]\d[-_.:h][0-5]\d(?:[-_.:m][0-5]\d)?|[0-2]\d(?:[0-5]\d){2})[zs]?(?!\d))?"
_DATES = (
    rf"{_YEAR}年(?:\d{{1,2}}月(?:\d{{1,2}}日)?)?",
    rf"{_NAMED}{_APART}{_DAY}{_APART}{_YEAR}",
    rf"{_DAY}{_OF}{_NAMED}{_OF}{_YEAR}",
    rf"{_YEAR}{_APART}{_NAMED}(?:{_APART}{_DAY})?",
    rf"{_NAMED}{_OF}{_YEAR}",
    rf"(?<![^\W_])[0-3]?\d[-_./ ][0-3]?\d[-_./ ]{_YEAR}",
    rf"(?<!\d)(?:19|20)\d{{2}}[-_. ]?[01]\d[-_. ]?[0-3]\d(?!\d){_CLOCK}",
    rf"{_YEAR}[-_./][01]?\d(?:[-_./][0-3]?\d)?(?![-_./]?\d)",
    rf"(?<!\d)(?:19|20)\d{{2}}[-_. ]?(?:[01]\d|{_PART})(?!\d)",
    rf"(?<![^\W_])(?:{_PART}|[01]?\d)[-_. ]*{_YEAR}(?![-_.]\d)",
    _YEAR,
)
"""A day, a month, a quarter, a week or a year, each with its year."""
_DATE = rf"(?:{'|'.join(_DATES)})"
_TO = rf"{_APART}(?:[-–—~～]|(?:to|bis|au|à|al|a|até|ao|tot|through|until|thru)(?![^\W\d_])){_APART}"
_SHORT = (
    rf"(?:{_DAY}{_OF}{_NAMED}|{_NAMED}{_APART}{_DAY}|(?<![^\W_])[0-3]?\d[./][01]?\d\.?|"
    rf"\d{{1,2}}月\d{{1,2}}日|{_DAY})"
)
"""The first day of a range, whose year the last one has: `1 to 30 Jun 2026`."""
_PERIOD = re.compile(
    rf"[(\[]?(?:{_DATE}|{_SHORT}(?={_TO}{_DATE}))(?:{_TO}(?:{_DATE}|\d{{1,2}}月\d{{1,2}}日))*[)\]]?|"
    rf"{_NAMED}(?:[-_ ]?['’]?\d{{2}})?$|"
    rf"[-_ ]+(?:copy|kopie|copie|copia|cópia|kopia)(?:[-_ ]*\(?\d+\)?)?$|\s*\(\d+\)$|"
    rf"(?<=[^\W_][-_. ])(?:page|seite|part|teil|batch|chunk|shard)[-_. ]?\d+$|(?<=[^\W_]-)\d{{12}}$",
    re.IGNORECASE,
)
"""Periods in a name, and the number of a copy, a page or a warehouse's part."""
_LEFT = re.compile(r"[\s_.-]+(?:(?:to|bis|au|à|al|até|-|–)[\s_.-]*)?$|^[\s_.-]+|[(\[]\s*[)\]]", re.IGNORECASE)
"""What is left at the ends where a period was."""


def is_month_name(text: str) -> bool:
    """Whether a text is a month's name alone, as `Jan` or `März`."""
    return re.fullmatch(_NAMED, text.strip(), re.IGNORECASE) is not None


def without_period(name: str) -> str:
    """A file's name without the time it is of: `google_ads_2025-01` and `google_ads (1)` are `google_ads`."""
    before = None
    while before != name:  # `report 2026-06 (1)`: the period stands at the end once the copy's number is gone
        before, name = name, _LEFT.sub("", _PERIOD.sub("", name)).strip()
    return name
