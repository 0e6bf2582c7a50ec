"""Rows of statistics among the days: the average, median, least, largest or number of the others.

A row without a date is known by its word in any language; one that bears a date (the period's first day in an export by
Meta) shows by its figures, as the rows that add others up do (`summaries`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import product
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from crossmix.sources.history.sheet import Sheet, is_total

MEAN, MEDIAN, LEAST, LARGEST, COUNT, SPREAD = "mean", "median", "least", "largest", "number", "spread"
KINDS = (MEAN, MEDIAN, LEAST, LARGEST, COUNT, SPREAD)
_PLAIN = (
    *("average", "avg", "durchschnitt", "durchschnittlich", "mittelwert", "moyenne", "promedio", "gemiddelde"),
    *("gemiddeld", "genomsnitt", "gjennomsnitt", "gennemsnit", "keskiarvo", "średnia", "průměr", "átlag", "ortalama"),
    *("среднее", "середнє", "平均", "平均值", "평균", "ø", "durchschnittswert", "medelvärde"),
)
"""Of a mean, and of no campaign or platform."""
_WORDS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys((*_PLAIN, "mean", "mittel", "media", "média", "medio", "moy", "schnitt", "в среднем"), MEAN)
    | dict.fromkeys(("median", "medianwert", "médiane", "mediana", "medián", "медиана", "中央値", "中位数"), MEDIAN)
    | dict.fromkeys(("mediaan", "mediaani", "medyan", "중앙값"), MEDIAN)
    | dict.fromkeys(("min", "minimum", "minimo", "mínimo", "minimi", "минимум", "最小", "最小值", "최소"), LEAST)
    | dict.fromkeys(("max", "maximum", "maximo", "máximo", "massimo", "maksimi", "maksimum", "максимум"), LARGEST)
    | dict.fromkeys(("最大", "最大值", "최대", "maks"), LARGEST)
    | dict.fromkeys(("count", "anzahl", "nombre", "recuento", "cuenta", "conteggio", "contagem", "aantal"), COUNT)
    | dict.fromkeys(("antal", "antall", "liczba", "počet", "количество", "件数", "计数", "개수", "rows"), COUNT)
    | dict.fromkeys(("std", "stdev", "std dev", "standard deviation", "standardabweichung", "écart type"), SPREAD)
    | dict.fromkeys(("desviación estándar", "deviazione standard", "desvio padrão", "標準偏差", "variance"), SPREAD)
)
_BEHIND = re.compile(
    r"(?P<word>\S+?)\.?(?:\s+|\s*/\s*)(?:per|pro|par|por|al|a|à|of|von|de|di|je|day|daily|tag|woche|week|за|в|значение|diario|"
    r"diaria|diária|giornaliera|journalière|quotidienne)\b.*"
)
_AFTER = re.compile(r"\s*[:：–—(]|\s+-")
_OTHERS = frozenset(("daily average", "weekly average", "tagesdurchschnitt", "wochendurchschnitt", "grand average"))
_QUARTILE = re.compile(r"\d{1,2}(?:st|nd|rd|th)? ?%|\d{1,2}(?:st|nd|rd|th) percentile")
MOST = 200
"""So many rows are looked at for being a statistic of the others."""
SINGLES = 0.1
"""Part of all rows up to which those of names with a single row are."""
ALIKE = 3
"""A statistic of fewer rows may be equal to one by chance."""
MOST_NAMELESS = 12
"""More rows without a name are those of days of what has none."""
MERGED = 3
"""A third or more of the dates blank are those of merged cells: no row is known by a word in another column then."""
Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.intp]
Statistic = Callable[[npt.NDArray[np.float64]], float]
_OF: Mapping[str, Statistic] = MappingProxyType(
    {
        MEAN: lambda values: float(values.mean()),
        MEDIAN: lambda values: float(np.median(values)),
        LEAST: lambda values: float(values.min()),
        LARGEST: lambda values: float(values.max()),
        COUNT: lambda values: float(len(values)),
        SPREAD: lambda values: float(values.std(ddof=1)),
    }
)


@lru_cache(maxsize=1 << 16)
def kind(text: str) -> str | None:
    """Which statistic a cell names: `Average`, `Ø`, `Moyenne journalière`, `google Durchschnitt`; `None`: none."""
    plain = " ".join(re.sub(r"[_-]", " ", text.lower()).split()).rstrip(".:： ")
    plain = re.sub(r"^ø\s+\S+(?:\s\S+)?$", "ø", plain)
    for one in (plain, _AFTER.split(text.lower())[0].strip(" .:")):
        if one in _WORDS:
            return _WORDS[one]
    found = _BEHIND.fullmatch(plain)
    if found and found["word"] in _WORDS:
        return _WORDS[found["word"]]
    return MEAN if plain in _OTHERS or plain.split(" ")[-1] in _PLAIN else None


def without(sheet: Sheet, date: int | None, is_date: Callable[[str], bool]) -> Sheet:
    """The sheet without the rows that have no date and a word for a statistic.

    A word that a row with a date has in the same column is a name, or says something else; so is what is there in a
    third of all rows or more.

    Args:
        date: index of the column of dates; `None`: there is none, and nothing is left out.
    """
    if date is None:
        return sheet
    other = {text for text in {row[date] for row in sheet.rows} if not is_date(text)}
    if not other:
        return sheet
    undated = [index for index, row in enumerate(sheet.rows) if row[date] in other]
    merged = sum(not sheet.rows[index][date].strip() for index in undated) * MERGED >= len(sheet.rows)
    dated = set(range(len(sheet.rows))).difference(undated)
    found: dict[int, str] = {}
    for at in [date] if merged else range(len(sheet.header)):
        cells = {index: cell for index in undated if (cell := sheet.rows[index][at].strip())}
        words = {index: cell for index, cell in cells.items() if kind(cell)}
        names = {sheet.rows[index][at].strip() for index in dated} if words else set()
        words = {index: cell for index, cell in words.items() if cell not in names}
        if words and len(words) * MERGED < len(sheet.rows):
            found |= words | {index: cell for index, cell in cells.items() if _QUARTILE.fullmatch(cell.lower())}
    if not found:
        return sheet
    shown = next(iter(found.values()))
    note = f"{len(found)} row(s) of {sheet.stem!r} with an average or another statistic are left out ({shown!r})."
    rows = [row for index, row in enumerate(sheet.rows) if index not in found]
    return replace(sheet, rows=rows, notes=[*sheet.notes, note])


def among(
    figures: Mapping[str, npt.NDArray[np.float64]],
    days: Mask,
    rows: Mask,
    nameless: Mask,
    dated: Mask,
    day: Codes,
    names: Mapping[str, Codes],
    worded: Mapping[int, str],
) -> dict[int, str]:
    """Which of some rows are a statistic of the days, and of which level, in words.

    Args:
        figures: by name, spend first.
        days: rows that are days.
        rows: those that may be statistics.
        nameless: of these rows any statistic; of another without a word for one, a mean.
        dated: rows with a date; without a word for a statistic, that of one is the first or the last of the days.
        day: of each row, the rank of its date.
        names: codes of platform and campaign, as far as they are there.
        worded: `kind` of the names of rows.
    """
    found: dict[int, str] = {}
    candidates = np.flatnonzero(rows)
    base = days & ~rows
    if len(candidates) > MOST or base.sum() < ALIKE:
        return found
    many = (rows & nameless & dated).sum() > MOST_NAMELESS
    for row in candidates.tolist():
        if row not in worded and dated[row]:
            apart = [base & dated, *(base & dated & (level == level[row]) for level in names.values())]
            if (many and nameless[row]) or not any(day[row] in _ends(day[of]) for of in apart):
                continue
        statistics = (worded[row],) if row in worded else KINDS if nameless[row] else (MEAN,)
        for what, level in {"": None, **names}.items():
            of = base if level is None else base & (level == level[row])
            if of.sum() < ALIKE:
                continue
            for one, by in product(statistics, (None, day)):
                if _equal(figures, row, of, by, one, row in worded):
                    kept = "rows" if by is None else "days"
                    found.setdefault(
                        row, f"the {one} of {f'the other {kept} of their {what}' if what else f'all other {kept}'}"
                    )
    return found


def _ends(days: Codes) -> tuple[int, ...]:
    """The first and the last; none of none."""
    return (int(days.min()), int(days.max())) if len(days) else ()


def _equal(
    figures: Mapping[str, npt.NDArray[np.float64]],
    row: int,
    of: Mask,
    day: Codes | None,
    statistic: str,
    worded: bool,
) -> bool:
    """Whether a row's figures are a statistic of some rows, or of their sums by day: spend and another one at least.

    Figures that hardly differ prove nothing.
    """
    same = 0
    for name, figure in figures.items():
        values: npt.NDArray[np.float64] = figure[of]
        if day is not None:
            codes = np.unique(day[of], return_inverse=True)[1]
            values = np.bincount(codes, values).astype(float)
        if len(values) < ALIKE:
            return False
        near = abs(figure[row] - _OF[statistic](values)) <= _rounding(figure[row])
        if not near and (name == "spend" or figure[row]):
            return False
        same += bool(near and np.ptp(values) > _rounding(figure[row]))
    return same >= (1 if worded else 2)


def _rounding(value: float) -> float:
    """Half of the last place that a value shows."""
    for places in (0, 1):
        if round(value, places) == value:
            return 0.51 * 10.0**-places
    return 0.0051


def by_day(
    figures: Mapping[str, npt.NDArray[np.float64]], days: Mask, day: Codes, own: Codes, worded: Mapping[int, str]
) -> dict[int, str]:
    """Rows of a name that is a statistic's, on nearly all of whose days they are that of the day's other rows.

    Args:
        own: codes of names.
        worded: `kind` of the names of rows.
    """
    found: dict[int, str] = {}
    called = np.isin(np.arange(len(days)), list(worded))
    others = days & ~called
    for code in np.unique(own[days & called]).tolist():
        mine = days & called & (own == code)
        statistic = worded[int(np.flatnonzero(mine)[0])]
        grouped = {int(one): np.flatnonzero(others & (day == one)) for one in np.unique(day[mine])}
        same = 0
        for row in np.flatnonzero(mine).tolist():
            at = grouped[int(day[row])]
            same += len(at) > 1 and all(
                abs(figure[row] - _OF[statistic](figure[at])) <= _rounding(figure[row]) for figure in figures.values()
            )
        if same > ALIKE and same >= 0.9 * mine.sum() and _varies(figures, mine, others):
            found |= dict.fromkeys(np.flatnonzero(mine).tolist(), f"the {statistic} of their day's others")
    return found


def _varies(figures: Mapping[str, npt.NDArray[np.float64]], mine: Mask, others: Mask) -> bool:
    """Whether figures differ, so that a row that is like another one is no chance."""
    return all(np.ptp(figure[others]) > 0 and np.ptp(figure[mine]) > 0 for figure in figures.values())


def kinds_of(texts: Sequence[str]) -> dict[str, str]:
    """The statistic that each name is called after; not one for a total."""
    return {text: found for text in set(texts) if (found := kind(text)) and not is_total(text)}
