"""Dates as people write them: one format for the whole input, day or month first as all rows decide."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from itertools import islice
from types import MappingProxyType

from crossmix.schema import DataError
from crossmix.sources.history import ranges, stamps

_TIME = r"(?:[T ,]+\d{1,2}[:.]\d{2}.*)?"
_PREFIXES: Mapping[int, str] = MappingProxyType(
    {
        1: "jan ene gen янв sty led oca tam січ ιαν ian",
        2: "feb fév fev фев lut úno şub hel лют φεβ",
        3: "mar mär mrz maa mrt мар bře бер μαρ már",
        4: "apr avr abr апр kwi dub nis huh кві απρ ápr",
        5: "may mai mag mei maj мая май kvě тра μαΐ μαϊ μάι máj",
        6: "jun juin giu июн cze haz kes чер ιουν ιού jún iun",
        7: "jul juil lug июл lip tem hei лип ιουλ júl iul",
        8: "aug aoû aou ago авг sie srp ağu elo сер αυγ αύγ",
        9: "sep set сен wrz zář eyl syy вер σεπ szep",
        10: "oct okt ott out окт paź říj eki lok жов οκτ",
        11: "nov ноя lis kas лис νοε νοέ noi",
        12: "dec dez dic déc дек gru pro ara jou гру δεκ",
    }
)
MONTHS = {prefix: month for month, prefixes in _PREFIXES.items() for prefix in prefixes.split()}
"""How the months begin in English and other languages."""
MONTH = timedelta(days=31)
FIRST_YEAR, LAST_YEAR = 1900, 2200
"""Other years are of another calendar: 2568 of the Buddhist one is 2025, as is 1403 of the Persian one."""
EXCEL_DAY_ZERO = date(1899, 12, 30)
EXCEL_1990 = 32_874
"""1990-01-01: no history begins before."""
DAY_FIRST, MONTH_FIRST, YEAR_FIRST = "day-first", "month-first", "year-first"
CLOSER = 4
"""So many times closer together dates are in the order that is meant: of another, years are days."""
_SPOKEN = re.compile(r"(\d{4})\s?[年년.]\s?(\d{1,2})\s?[月월.]\s?(\d{1,2})\s?[日일.]")
"""`2025年1月6日`, `2025. 1. 6.`"""
_ISO = re.compile(rf"(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}}){_TIME}")
_COMPACT = re.compile(r"((?:19|20)\d{2})(\d{2})(\d{2})(?:\.0+|T\d{4,6}Z?)?")
_WEEK = re.compile(
    r"(\d{4})[- ]?(?:W|KW|S|Week|Woche)[- ]?(\d{1,2})|(?:W|KW|CW|Week|Woche|S) ?(\d{1,2}),?[ /.-]+(\d{4})",
    re.IGNORECASE,
)
_NUMERIC = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}|\d{{2}}){_TIME}")
_DAY_NAMED = re.compile(
    rf"(\d{{1,2}})(?:\.|st|nd|rd|th|er)?[ /-]?(?:de )?([^\W\d]+)\.?,?[ /-]?(?:de )?(\d{{4}}|\d{{2}}){_TIME}"
)
_MONTH_NAMED = re.compile(rf"([^\W\d]+)\.?[ -](\d{{1,2}})(?:st|nd|rd|th)?,?[ -](\d{{4}}){_TIME}")
_YEAR_NAMED = re.compile(rf"(\d{{4}})\.?[ /-]([^\W\d]+)\.?[ /-](\d{{1,2}})\.?{_TIME}")
_BEFORE = re.compile(r"^[^\W\d]{2,}\.?,?\s+")
_BEHIND = re.compile(r"\s*\([^\W\d]+\.?\)$")
"""Where a weekday stands."""
_SPACED = re.compile(r"(?<=\d)\. (?=\d{1,2}\. (?:\d{4}|\d{2})\b)|(?<=\d)\. (?=(?:\d{4}|\d{2})$)")
"""Blanks of `6. 1. 2025`."""
_SERIAL = re.compile(r"([2-7]\d{4})(?:\.0+)?")
_PLAIN = re.compile(r"[\d/.:-]{1,10}")
"""What needs no second look."""


def of_iso(text: str) -> date | None:
    """The day of `2025-01-06`; `None` of any other text, which `fromisoformat` may take."""
    if len(text) != 10 or text[4] != "-":
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _day(year: str, month: int, day: str) -> date | None:
    number = int(year) + (2000 if len(year) == 2 else 0)
    try:
        return date(number, month, int(day)) if FIRST_YEAR <= number <= LAST_YEAR else None
    except ValueError:
        return None


def _month(name: str) -> int | None:
    text = name.lower()
    return MONTHS.get(text[:4]) or MONTHS.get(text[:3])


def _without_weekday(text: str) -> str:
    """`Mo, 06.01.2025`, `Monday, January 6, 2025` and `2025-01-06 (Mon)` without the weekday."""
    text = _BEHIND.sub("", text)
    rest = _BEFORE.sub("", text)
    whole = any(form.fullmatch(rest) for form in (_ISO, _NUMERIC, _DAY_NAMED, _MONTH_NAMED))
    return rest if whole else text


def _iso(text: str) -> date | None:
    spoken = _SPOKEN.fullmatch(text)
    if spoken:
        return _day(spoken[1], int(spoken[2]), spoken[3])
    found = _ISO.fullmatch(text)
    return _day(found[1], int(found[3]), found[4]) if found else None


def _compact(text: str) -> date | None:
    found = _COMPACT.fullmatch(text)
    return _day(found[1], int(found[2]), found[3]) if found else None


def _week(text: str) -> date | None:
    found = _WEEK.fullmatch(text)
    if found is None:
        return None
    year, week = (found[1], found[2]) if found[1] else (found[4], found[3])
    try:
        return date.fromisocalendar(int(year), int(week), 1)
    except ValueError:
        return None


def _named(text: str) -> date | None:
    found = _DAY_NAMED.fullmatch(text)
    day, name, year = (found[1], found[2], found[3]) if found else ("", "", "")
    if not found:
        found = _MONTH_NAMED.fullmatch(text)
        name, day, year = (found[1], found[2], found[3]) if found else ("", "", "")
    if not found:
        found = _YEAR_NAMED.fullmatch(text)
        year, name, day = (found[1], found[2], found[3]) if found else ("", "", "")
    month = _month(name)
    return _day(year, month, day) if month else None


def _serial(text: str) -> date | None:
    found = _SERIAL.fullmatch(text)
    # Smaller ones, as 20094, are days since 1970.
    return EXCEL_DAY_ZERO + timedelta(days=int(found[1])) if found and int(found[1]) >= EXCEL_1990 else None


_YEAR_FIRST = re.compile(rf"(\d{{2}})([-/.])(\d{{1,2}})\2(\d{{1,2}}){_TIME}")


def _year_first(text: str) -> date | None:
    """`25-01-06`, which has the year first where all rows then lie closest together (`convert`)."""
    found = _YEAR_FIRST.fullmatch(text)
    return _day(found[1], int(found[3]), found[4]) if found else None


def _numeric(order: str) -> Callable[[str], date | None]:
    def read(text: str) -> date | None:
        found = _NUMERIC.fullmatch(text)
        if found is None:
            return None
        day, month = (found[1], found[3]) if order == DAY_FIRST else (found[3], found[1])
        return _day(found[4], int(month), day)

    return read


FORMATS: Mapping[str, Callable[[str], date | None]] = MappingProxyType(
    {
        "year-month-day": _iso,
        "yyyymmdd": _compact,
        "ISO week": _week,
        "month by name": _named,
        "Excel's day number": _serial,
        DAY_FIRST: _numeric(DAY_FIRST),
        MONTH_FIRST: _numeric(MONTH_FIRST),
        YEAR_FIRST: _year_first,
    }
)


@lru_cache(maxsize=1 << 16)
def is_date(text: str) -> bool:
    """Whether a cell may be a date in any format."""
    first = _start(text)
    return any(read(first) is not None for read in FORMATS.values())


def are_dates(cells: Iterable[str]) -> bool:
    """Whether most of a column's first cells may be dates."""
    shown = list(islice((cell for cell in cells if cell.strip()), 50))
    return 2 * sum(map(is_date, shown)) > len(shown)


def _start(text: str) -> str:
    """A date, or the first of a range (`06/01/2025 - 12/01/2025`)."""
    whole = text.strip().strip("'\"")
    if _PLAIN.fullmatch(whole):
        return whole
    if not whole.isascii():
        whole = "".join(" " if char.isspace() else char for char in whole if unicodedata.category(char) != "Cf")
    whole = _SPACED.sub(".", whole)  # `6. 1. 2025`
    whole = re.sub(r"(?<=\d{4}) ?г\.?$|(?<=[-/.]\d{2})\.$", "", whole)  # `6 января 2025 г.`, `2025.01.06.`
    whole = ranges.first(whole, _month) if len(whole) > 10 else whole
    return _without_weekday(whole) if re.search(r"[^\W\d]{2}|\([^\W\d]\)$", whole) else whole


def convert(
    texts: Sequence[str], order: str | None, accounts: Sequence[str] | None = None
) -> tuple[list[str], list[str]]:
    """Dates as `2025-01-06`; what is none in the input's format stays as it is. Weeks become their Mondays.

    Args:
        order: `data.dates`, `day-first` or `month-first`; `None`: found.
        accounts: whose time zone each text is of (a platform); `None`: all are of one.

    Returns:
        The dates, and sentences for the user.

    Raises:
        DataError: whether day or month comes first is open, or both do.
    """
    epoch = stamps.from_epoch(list(dict.fromkeys(texts)))
    if epoch:
        days, told = convert([epoch.get(text, text) for text in texts], order, accounts)
        first = next(iter(epoch))
        return days, [f"Dates are read as time since 1970: {first!r} is {epoch[first]}.", *told[1:]]
    count = Counter(texts)
    starts = {text: _start(text) for text in count}
    fits = {
        name: sum(number for text, number in count.items() if read(starts[text]) is not None)
        for name, read in FORMATS.items()
    }
    for name in (DAY_FIRST, MONTH_FIRST):
        if fits[name] and fits["year-month-day"] and _exchanged(list(starts.values()), FORMATS[name]):
            return _exchanged_back(texts, starts, name)
    best = max(fits, key=lambda name: fits[name])
    if best in (DAY_FIRST, MONTH_FIRST) and order is None and _closest([*starts.values()]):
        best = YEAR_FIRST
    if not fits[best]:
        return list(texts), []
    why = ""
    if best in (DAY_FIRST, MONTH_FIRST):
        best, why = _order([starts[text] for text in count], order)
    notes = []
    read = FORMATS[best]
    result = {text: day.isoformat() if (day := read(starts[text])) is not None else text for text in count}
    notes += _written_otherwise(result, starts, [text for text in count if text.strip() and read(starts[text]) is None])
    days, said = _local(texts, [result[text] for text in texts], accounts)
    as_is = all(day in (text, text.strip()) for text, day in result.items()) and not any(":" in text for text in count)
    shown = None if as_is else next((at for at, text in enumerate(texts) if days[at] not in (text, text.strip())), None)
    if shown is not None:
        notes.append(f"Dates are read as {best}{why}: {texts[shown]!r} is {days[shown]}.")
    if any(len(text) > 10 and ranges.first(text.strip(), _month) != text.strip() for text in count):
        notes.append("Of a range of dates its first day is read.")
    return days, [*notes, *said]


def _written_otherwise(result: dict[str, str], starts: Mapping[str, str], rest: Sequence[str]) -> list[str]:
    """Enter dates of another format than most, as cells of a sheet that were typed and those that were pasted.

    They count where that format can mean one thing and lies within a month of the other dates.

    Args:
        result: texts to days; `rest` are entered.
        starts: texts to what is read of them.
        rest: what the format of most does not read.

    Returns:
        Sentences for the user.
    """
    known = sorted(day for text, day in result.items() if text not in rest and day.strip())
    notes = []
    for name, read in FORMATS.items() if rest and known else ():
        days = {text: day for text in rest if (day := read(starts[text])) is not None}
        if name in (DAY_FIRST, MONTH_FIRST) and _proved([starts[text] for text in days]) != name:
            continue
        first, last = (date.fromisoformat(day) for day in (known[0], known[-1]))
        near = {text: day for text, day in days.items() if first - MONTH <= day <= last + MONTH}
        if near and len(near) == len(days):
            result.update((text, day.isoformat()) for text, day in near.items())
            rest = [text for text in rest if text not in near]
            shown = next(iter(near))
            notes.append(f"Some dates are written otherwise, and read as {name}: {shown!r} is {result[shown]}.")
    return notes


def _proved(texts: Sequence[str]) -> str | None:
    """Which of day and month comes first in dates in digits: shown by a number above 12, or points between them."""
    found = [match for match in map(_NUMERIC.fullmatch, texts) if match]
    days = {
        DAY_FIRST: any(int(match[1]) > 12 for match in found),
        MONTH_FIRST: any(int(match[3]) > 12 for match in found),
    }
    shown = [name for name, is_shown in days.items() if is_shown]
    if not shown and found and all(match[2] == "." for match in found):
        return DAY_FIRST
    return shown[0] if len(shown) == 1 else None


def _local(texts: Sequence[str], days: Sequence[str], accounts: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Days, those that follow where a stamp is a midnight of another time zone; and sentences for the user."""
    if not any(":" in text for text in set(texts)):
        return list(days), []
    owner = accounts if accounts is not None else [""] * len(texts)
    own: dict[str, dict[str, None]] = {}
    for text, name in zip(texts, owner, strict=True):
        own.setdefault(name, {})[text] = None
    found = {name: stamps.later(list(stamped)) for name, stamped in own.items()}
    moved = [
        stamps.following(day) if text in found[name][0] and day != text else day
        for text, name, day in zip(texts, owner, days, strict=True)
    ]
    return moved, list(dict.fromkeys(told for _, told in found.values() if told))


def _closest(starts: Sequence[str]) -> bool:
    """Whether all dates of two-digit years lie closer together, by far, with the year first than in any other order."""
    spans = {
        name: _span(days)
        for name in (DAY_FIRST, MONTH_FIRST, YEAR_FIRST)
        if (days := [day for start in starts if (day := FORMATS[name](start))]) and len(days) >= 0.9 * len(starts)
    }
    rest = [span for name, span in spans.items() if name != YEAR_FIRST]
    return YEAR_FIRST in spans and len(starts) > 1 and CLOSER * spans[YEAR_FIRST] < min(rest, default=math.inf)


def _exchanged(starts: Sequence[str], read: Callable[[str], date | None]) -> bool:
    """Whether dates up to the 12th are there as dates with day and month exchanged, and later ones as text.

    A spreadsheet of another country makes that of `01/13/2025`. It shows by the days being closer together once they
    are exchanged back.
    """
    dates_ = [day for start in starts if (day := _iso(start))]
    rest = [day for start in starts if (day := read(start))]
    if not dates_ or not rest or max(day.day for day in dates_) > 12 or min(day.day for day in rest) <= 12:
        return False
    back = [day.replace(month=day.day, day=day.month) for day in dates_]
    return _span([*back, *rest]) < _span([*dates_, *rest])


def _exchanged_back(texts: Sequence[str], starts: Mapping[str, str], order: str) -> tuple[list[str], list[str]]:
    """`convert` of such dates; `order`: of those that stayed text."""
    result = {}
    for text, start in starts.items():
        day = FORMATS[order](start) or _iso(start)
        if day is not None and _iso(start):
            day = day.replace(month=day.day, day=day.month)
        result[text] = text if day is None else day.isoformat()
    shown = next(text for text, start in starts.items() if _iso(start))
    note = (
        f"Dates are read as {order}; up to the 12th a spreadsheet had taken their day for the month, which is "
        f"exchanged back: {shown!r} is {result[shown]}."
    )
    return [result[text] for text in texts], [note]


def _span(days: Sequence[date]) -> int:
    return (max(days) - min(days)).days


def _order(texts: Sequence[str], given: str | None) -> tuple[str, str]:
    """Whether day or month comes first, and by which value."""
    found = [match for match in map(_NUMERIC.fullmatch, texts) if match]
    first = next((match for match in found if 12 < int(match[1]) <= 31 and int(match[3]) <= 12), None)
    second = next((match for match in found if 12 < int(match[3]) <= 31 and int(match[1]) <= 12), None)
    if first and second:
        raise DataError(
            f"date: {first[0]!r} has the day first and {second[0]!r} the month; write all dates as YYYY-MM-DD"
        )
    proved = DAY_FIRST if first else MONTH_FIRST if second else None
    if proved and given and proved != given:
        raise DataError(f"data.dates: {given}, and {(first or second)[0]!r} shows {proved}; drop the setting")  # type: ignore[index]
    if proved:
        return proved, f" ({(first or second)[0]!r} shows it)"  # type: ignore[index]
    if given:
        return given, " (data.dates)"
    if found and all(match[2] == "." for match in found):
        return DAY_FIRST, " (points between them)"
    one = found[0][0]
    raise DataError(
        f"date: {one!r} may have the day or the month first, and no date of the input tells which; write dates as "
        f"YYYY-MM-DD, or say --set data.dates={DAY_FIRST} or --set data.dates={MONTH_FIRST}"
    )
