"""Summary rows among the days: of the whole period, of a campaign or of a day, told by what they add up.

A row without a date that says `Total` is known by its text (`sheet.without_totals`). One that bears the period's first
day (`Reporting starts` of an export by Meta), a date of its own or a word in any language shows by its figures: its
spend is that of other rows together, and so are its impressions and clicks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from crossmix.sources.history import averages
from crossmix.sources.history import dates as days
from crossmix.sources.history.numbers import values
from crossmix.sources.history.sheet import MOST_NAMELESS, is_total

FIGURES = ("spend", "impressions", "clicks")
"""What is added up exactly everywhere; of results a platform's total may leave out what it counts once."""
ENDS = frozenset(("reporting ends", "date stop", "date end", "end date", "end", "ends", "period end", "end of period"))
"""Columns of a row's last day."""
LEAST = 3
"""A row that adds up fewer others may be equal by chance."""
PAIR = 2
"""Others that are enough where a row adds them up day after day."""
MANY = 13
"""So many other days together are never outspent by one, but for a summary."""
NEAR, PART = 0.05, 0.5
"""A summary whose others are there in part (a filter, rows that were deleted): equal to so much; at least so much."""
SHOWN, CLICKED = 1_000, 10
"""Rows with fewer impressions or clicks may be the sum of those next to them by chance."""
SELDOM = 5
"""A name with fewer than one in so many of the days may be that of summaries."""
SYSTEMATIC = 0.9
"""Share of days on which a part is the sum of the others, where it is no chance."""
DENSE = 8
"""So many codes for each row are few enough to be counted."""
STATISTIC = tuple(f"the {kind} of" for kind in averages.KINDS)
"""How what a row is begins, if it is no sum."""
Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.intp]


@dataclass(slots=True)
class _Table:
    """Figures of a sheet's rows, NaN as 0, and which rows are still thought to be days."""

    figures: dict[str, npt.NDArray[np.float64]]
    left: Mask
    told: list[tuple[int, str]] = field(default_factory=list)
    """Row and what it adds up."""

    def drop(self, rows: Mask, what: str) -> None:
        self.told += [(int(at), what) for at in np.flatnonzero(rows & self.left)]
        self.left &= ~rows

    def drop_each(self, found: Mapping[int, str]) -> None:
        """Rows, and what each of them is."""
        for at, what in found.items():
            self.drop(np.arange(len(self.left)) == at, what)

    def sums(self, group: Codes, of: Mask) -> dict[str, npt.NDArray[np.float64]]:
        """Sums by group of some rows, and `rows`: how many of them have spend."""
        size = int(group.max(initial=0)) + 1
        weights = {name: self.figures[name] for name in FIGURES} | {"rows": (self.figures["spend"] > 0).astype(float)}
        return {name: np.bincount(group[of], weight[of], size).astype(float) for name, weight in weights.items()}

    def adds_up(self, rows: Mask, group: Codes, of: Mask, *, alone: bool, least: int = LEAST) -> Mask:
        """Whether each of `rows` has the figures of the rows `of` of its group, itself left out.

        Args:
            alone: spend alone shows it where the row tells neither impressions nor clicks.
            least: so many others.
        """
        sums = self.sums(group, of)
        own = rows & of
        found: Mask = rows & (self.figures["spend"] > 0)
        found &= sums["rows"][group] - own >= least
        proved = np.full(len(group), alone)
        for name in FIGURES:
            value = self.figures[name]
            rest = sums[name][group] - np.where(own, value, 0.0)
            # Amounts are rounded one by one; counts are whole.
            slack = (0.006 * sums["rows"][group] if name == "spend" else 0.5) + 1e-6 * rest
            same = np.abs(value - rest) <= np.minimum(slack, 0.001 * np.maximum(rest, 500))
            found &= same | ((value == 0) & (name != "spend"))
            proved |= same & (value > 0) & (name != "spend")
        result: Mask = np.logical_and(found, proved)
        return result


@dataclass(frozen=True, slots=True)
class _Levels:
    """What rows are added up by."""

    own: Codes
    """Of platform and campaign together."""
    day: Codes
    dates: Sequence[str]
    dated: Mask
    coded: Mapping[str, Codes]
    """Of platform and campaign, as far as they are there."""
    totals: Mask
    """Rows of a platform with a word for a total."""

    def above(self) -> list[tuple[str, Codes]]:
        """Levels without days."""
        levels = {"all other rows": np.zeros(len(self.own), np.intp), "the other rows of their name": self.own}
        return [*(levels | {f"the other rows of their {name}": codes for name, codes in self.coded.items()}).items()]


def found(
    columns: Mapping[str, Sequence[str]], names: Sequence[str], ends: Sequence[str] | None, stem: str
) -> tuple[list[int], list[str]]:
    """Indices of summary rows, and sentences for the user.

    Args:
        columns: the history's, with plain numbers and dates.
        names: of `platform` and `campaign` those that the sheet has.
        ends: last days of the rows, where a column tells them.
        stem: the sheet, for the sentences.
    """
    size = len(columns["date"])
    if size <= LEAST:
        return [], []
    table = _Table({name: np.nan_to_num(values(columns[name])) for name in FIGURES}, np.ones(size, bool))
    day, dates = _coded(columns["date"])
    dated = np.array([days.of_iso(text) is not None for text in dates], bool)[day]
    coded, worded, nameless = {}, {}, np.zeros(size, bool)
    statistic: dict[int, str] = {}
    for name in names:
        codes, known = _coded(columns[name])
        blank = np.array([not text for text in known], bool)[codes]
        if blank.mean() < 0.5:  # a name that most rows lack is none
            coded[name], worded[name] = codes, np.array([is_total(text) for text in known], bool)[codes]
            nameless |= blank
            kinds = averages.kinds_of(known)
            statistic |= (
                {at: kinds[known[code]] for at, code in enumerate(codes.tolist()) if known[code] in kinds}
                if kinds
                else {}
            )
    if ends is not None:
        table.drop(_of_the_whole_period(columns["date"], ends), "the whole period")
    own = _joined([*coded.values()], size)
    odd = nameless | ~dated
    for word in worded.values():
        odd = odd | word
    called = np.isin(np.arange(size), list(statistic))
    often = np.bincount(own)[own]
    seldom = called & (often * SELDOM <= len(dates))
    single = (often == 1) & ((often == 1).sum() <= averages.SINGLES * size)
    order = np.argsort(np.argsort(np.array(dates, dtype=str), kind="stable"), kind="stable")
    rank = order[day].astype(np.intp)
    level = _Levels(own, day, columns["date"], dated, coded, worded.get("platform", np.zeros(size, bool)))
    # What is called after a statistic and is none is a name as any other, which totals and means hold too.
    for named in (called, np.zeros(size, bool)) if called.any() else (called,):
        apart = odd | (seldom & named)
        _totals(table, apart, level)
        _odd(table, single, level.above(), apart, alone=False)
        some, of = table.left & (apart | single), table.left & ~named
        table.drop_each(averages.among(table.figures, of, some, nameless, dated, rank, coded, statistic))
        table.drop_each(averages.by_day(table.figures, table.left, day, own, statistic))
    _most(table, odd, nameless | ~dated)
    _means(table, own, day)
    if not coded:
        _edges(table, day)
    _running(table, own, rank)
    _parts(table, _joined([day, own], size), odd)
    return sorted(at for at, _ in table.told), _sentences(table, columns, stem)


def _totals(table: _Table, odd: Mask, level: _Levels) -> None:
    """Rows that add up others of all, of their name, their day, their month or between two such rows.

    Args:
        odd: rows without a date or a name, or with a word for a total: of no sum a part.
    """
    own, day, coded = level.own, level.day, level.coded
    table.drop(table.adds_up(table.left & ~odd, own, table.left & ~odd, alone=False), "the other rows of their name")
    if (odd & table.left).any():
        _odd(table, odd, level.above(), odd)
        # A platform that is called Total and has every day is told as such (`plausible`).
        daily = odd & level.dated & ~level.totals
        for codes in (day, *(_joined([day, codes], len(own)) for codes in coded.values())):
            _odd(table, daily, [("the other rows of their day", codes)], odd)
    for few in (np.zeros(len(own), bool), _rare(table, own, day)):
        apart = odd | few
        if (apart & table.left).any():
            _odd(table, apart, _blocks(apart, coded, level.dates, level.dated), apart, alone=False)


def _odd(table: _Table, rows: Mask, levels: Sequence[tuple[str, Codes]], odd: Mask, *, alone: bool = True) -> None:
    """Of rows without a date or a name, or with a word for a total: those that add up the others of a level."""
    for what, group in levels:
        table.drop(table.adds_up(rows & table.left, group, table.left & ~odd, alone=alone), what)


def _rare(table: _Table, own: Codes, day: Codes) -> Mask:
    """Large rows of names that have few of the days, as `All` above each month: summaries, if they add up others."""
    rows: Mask = np.bincount(own)[own] * SELDOM <= len(np.unique(day))
    return rows & (table.figures["impressions"] >= SHOWN) & (table.figures["clicks"] >= CLICKED)


def _blocks(odd: Mask, coded: Mapping[str, Codes], dates: Sequence[str], dated: Mask) -> list[tuple[str, Codes]]:
    """Levels of the rows between two summaries, above or below one, and of a month that a row is called after."""
    runs = np.cumsum(odd & ~np.concatenate([[False], odd[:-1]]))
    levels = {"the rows above them": runs - odd, "the rows below them": runs}
    texts = dict.fromkeys(text for text, known in zip(dates, dated, strict=True) if not known)
    months = {text: _month(text) or f"none {text}" for text in texts}
    levels["their month"] = _coded([months[text] if text in months else text[:7] for text in dates])[0]
    found = []
    for what, level in levels.items():
        codes = level.astype(np.intp)
        found += [(what, codes), *((what, _joined([codes, name], len(odd))) for name in coded.values())]
    return found


def _month(text: str) -> str | None:
    """The month of `2025-01`, `January 2025` and `Jan 25`, as 2025-01."""
    read = (day for form in ("{}-01", "1 {}") for day in days.convert([form.format(text)], days.DAY_FIRST)[0])
    return next((day[:7] for day in read if days.of_iso(day)), None)


def _means(table: _Table, own: Codes, day: Codes) -> None:
    """Rows of a name that are the mean of their day's others, day by day."""
    sums = table.sums(day, table.left)
    rest = sums["rows"][day] - (table.figures["spend"] > 0)
    found = table.left & (table.figures["spend"] > 0) & (rest >= 2)
    for name in FIGURES:
        slack = (0.0051 if name == "spend" else 0.51) * rest
        found &= np.abs(table.figures[name] * rest - (sums[name][day] - table.figures[name])) <= slack + 1e-9
        found &= table.figures[name] > 0
    count = np.bincount(own[table.left], minlength=int(own.max(initial=0)) + 1)
    share = np.bincount(own[found], minlength=len(count)) / np.maximum(count, 1)
    names = np.flatnonzero((share >= SYSTEMATIC) & (count >= MANY))
    if len(names) == 1:  # of figures that are all alike each is the mean
        table.drop(table.left & (own == names[0]), "the mean of their day's others")


def _most(table: _Table, odd: Mask, rows: Mask) -> None:
    """What has no date or no name, and as much money as most of the others."""
    spend = table.figures["spend"]
    large = rows & table.left & (spend > 0) & (spend >= PART * spend[table.left & ~odd].sum())
    if large.sum() <= MOST_NAMELESS:
        table.drop(large, "most other rows")


def _edges(table: _Table, day: Codes) -> None:
    """Of rows that no name tells apart: the first or last, of a day with another row, that spends about the rest."""
    spend = table.figures["spend"]
    rows = np.zeros(len(spend), bool)
    for at in (0, len(spend) - 1):
        rest = spend[table.left].sum() - spend[at]
        many = (spend[table.left] > 0).sum() > MANY
        again = (day[table.left] == day[at]).sum() > 1
        rows[at] = bool(table.left[at] and many and again and abs(spend[at] - rest) <= NEAR * rest)
    table.drop(rows, "the other rows")


def _running(table: _Table, own: Codes, day: Codes) -> None:
    """Rows that add up those right above or below them, of their name: a month's subtotal with a date of its own.

    A row whose day is there once and follows in order is a day, but where it stands at the end and adds up all of its
    name, or others of its name are such subtotals.

    Args:
        day: rank of each row's date.
    """
    before, shown = -1, np.zeros(len(own), bool)
    while before < len(table.told):
        before = len(table.told)
        for step in (1, -1):
            rows = np.flatnonzero(table.left)[::step]
            rows = rows[np.argsort(own[rows], kind="stable")]
            sums, whole = _of_those_before(table, rows, own[rows])
            found = np.zeros(len(own), bool)
            found[rows[sums & (whole | shown[rows] | _out_of_order(own[rows], day[rows]))]] = True
            shown |= np.isin(own, own[found])
            table.drop(found, "the rows next to them")


def _out_of_order(group: Codes, day: Codes) -> Mask:
    """Which rows have a day that another of their group has, or that is not between those of their neighbours."""
    key = _joined([group, day], len(day))
    again: Mask = np.bincount(key)[key] > 1
    steps = np.diff(day)
    turned = np.zeros(len(day), bool)
    turned[1:-1] = (steps[:-1] * steps[1:] <= 0) & (group[:-2] == group[2:])
    return again | turned


def _of_those_before(table: _Table, rows: npt.NDArray[np.intp], group: Codes) -> tuple[Mask, Mask]:
    """Which rows, in the order of `rows`, have the sums of three or more right before them of their group.

    Returns:
        These, and which of all rows are the last of their group and so add up all others.
    """
    own = {name: table.figures[name][rows] for name in FIGURES}
    sums = {name: np.concatenate([[0.0], np.cumsum(value)]) for name, value in own.items()}
    busy = np.concatenate([[0], np.cumsum(own["spend"] > 0)])
    at = np.arange(len(rows))
    start = np.searchsorted(group, group)
    first = np.searchsorted(sums["impressions"], sums["impressions"][:-1] - own["impressions"] - 0.5)
    first = np.clip(first, start, at)
    count = busy[at] - busy[first]
    result: Mask = (count >= LEAST) & (own["impressions"] >= SHOWN) & (own["clicks"] >= CLICKED)
    for name in FIGURES:
        # Amounts are rounded one by one; counts are whole.
        slack = 0.006 * count + 1e-12 * sums[name][at] if name == "spend" else 0.5
        result &= np.abs(sums[name][at] - sums[name][first] - own[name]) <= slack
    whole: Mask = (first == start) & (at + 1 == np.searchsorted(group, group, side="right")) & (count > MANY)
    return result, whole


def _parts(table: _Table, key: Codes, odd: Mask) -> None:
    """Of several rows a day: one that is the sum of the others, on nearly every day."""
    rows = table.left & ~odd
    count = np.bincount(key[rows], minlength=int(key.max(initial=0)) + 1)
    several = rows & (count[key] > PAIR)
    if not several.any():
        return
    sums = table.adds_up(several, key, several, alone=False, least=PAIR)
    days = len(np.unique(key[several & (table.sums(key, several)["rows"][key] > PAIR)]))
    if len(np.unique(key[sums])) < max(LEAST, SYSTEMATIC * days):
        return
    # A day of which one part alone was paid has it twice: either row is the sum.
    again = table.adds_up(rows & (count[key] > 1), key, rows, alone=False, least=1) & ~np.isin(key, key[sums])
    at = np.flatnonzero(again)
    sums[at[np.unique(key[at], return_index=True)[1]]] = True
    table.drop(sums, "the other parts of their day")


def _of_the_whole_period(starts: Sequence[str], ends: Sequence[str]) -> Mask:
    """Rows from the first day to the last, where most have a shorter period."""
    periods = [(days.of_iso(start), days.of_iso(end)) for start, end in zip(starts, ends, strict=True)]
    known = [(start, end) for start, end in periods if start and end]
    rows = np.zeros(len(periods), bool)
    if not known:
        return rows
    first, last = min(start for start, _ in known), max(end for _, end in known)
    usual = Counter((end - start).days for start, end in known).most_common(1)[0][0]
    if (last - first).days > usual:
        rows[:] = [pair == (first, last) for pair in periods]
    return rows


def _coded(texts: Sequence[str]) -> tuple[Codes, Sequence[str]]:
    """Texts as codes, and the text of each code."""
    known = list(dict.fromkeys(texts))
    code = dict(zip(known, range(len(known)), strict=True))
    return np.fromiter(map(code.__getitem__, texts), np.intp, len(texts)), known


def _joined(codes: Sequence[Codes], size: int) -> Codes:
    """One code for several."""
    result = np.zeros(size, np.intp)
    for one in codes:
        both = result * (int(one.max(initial=0)) + 1) + one
        most = int(both.max(initial=0))
        if most <= DENSE * size:  # counted, not sorted
            result = (np.cumsum(np.bincount(both, minlength=most + 1) > 0) - 1)[both].astype(np.intp)
        else:
            result = np.unique(both, return_inverse=True)[1].astype(np.intp)
    return result


def _sentences(table: _Table, columns: Mapping[str, Sequence[str]], stem: str) -> list[str]:
    kinds: dict[str, list[int]] = {}
    for at, what in table.told:
        kinds.setdefault(what, []).append(at)
    lines = []
    for what, rows in kinds.items():
        shown = f"{columns['date'][rows[0]] or 'without a date'}: spend {table.figures['spend'][rows[0]]:,.2f}"
        statistic = what.startswith(STATISTIC)
        verb = "cover" if what == "the whole period" else "are" if statistic else "add up"
        lines.append(f"{len(rows):,} summary row(s) of {stem!r} that {verb} {what} are left out ({shown}).")
    return lines
