"""Days at a history's ends on which nothing happened anywhere: prepared for, or yet to come.

An export that reaches to the end of a month, made before, has rows of 0 for the days that come. They are no stop of all
spend, and no part of today.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import compress

import numpy as np
import numpy.typing as npt

from crossmix.sources.history.columns import NUMBERS, PLANNED
from crossmix.sources.history.dates import of_iso
from crossmix.sources.history.numbers import values

Mask = npt.NDArray[np.bool_]
RESTS = 0.5
"""A weekday on more of whose days nothing happens is one of rest, and ends a history as any day does."""


def without(columns: Mapping[str, Sequence[str]]) -> tuple[dict[str, list[str]], list[str]]:
    """The history between the first and the last day on which anything happened, and sentences for the user.

    A row of a day yet to come that bears a plan stays with the plan alone. Rows without any number count as absent
    anyway.

    Args:
        columns: with plain numbers and dates.
    """
    whole = {name: list(texts) for name, texts in columns.items()}
    numbers = [columns[name] for name in NUMBERS if name in columns]
    complete = any(map(all, numbers))
    entered = set(columns["date"] if complete else compress(columns["date"], map(any, zip(*numbers, strict=True))))
    days = {text: day for text in entered if (day := of_iso(text))}
    if all(_happened(columns, edge) for edge in (min(days, default=""), max(days, default=""))):
        return whole, []
    dates = np.array(columns["date"], dtype=object)
    busy = set(dates[_busy(columns)]) & set(days)
    if not busy:
        return whole, []
    first, last = min(busy), max(busy)
    rests = _rests(sorted(text for text in days if first <= text <= last), busy)
    notes, out = [], np.zeros(len(dates), bool)
    for what, edge, beyond in (
        ("ends", last, sorted(text for text in days if text > last)),
        ("begins", first, sorted(text for text in days if text < first)),
    ):
        if beyond and not {days[text].weekday() for text in beyond} <= rests:
            out |= np.isin(dates, beyond)
            span = beyond[0] if len(beyond) == 1 else f"{beyond[0]} to {beyond[-1]}"
            notes.append(
                f"Nothing was spent, shown or earned on any platform on {span}; such days are left out, as they are "
                f"yet to come or were only prepared for: the history {what} on {edge}."
            )
    if not notes:
        return whole, []
    planned = np.array([text not in {"", "0"} for text in columns.get(PLANNED, [""] * len(dates))], bool)
    for name in NUMBERS:
        whole[name] = ["" if blank else text for text, blank in zip(whole[name], out & planned, strict=True)]
    kept = (~out | planned).tolist()
    return {name: [v for v, keep in zip(texts, kept, strict=True) if keep] for name, texts in whole.items()}, notes


def _happened(columns: Mapping[str, Sequence[str]], date: str) -> bool:
    """Whether some rows of a date have a delivery or results."""
    at = [row for row, text in enumerate(columns["date"]) if text == date]
    amounts = [values([columns[name][row] for row in at]) for name in NUMBERS if name in columns and name != "spend"]
    return bool((np.nan_to_num(np.array(amounts)) != 0).any())


def _busy(columns: Mapping[str, Sequence[str]]) -> Mask:
    """Rows with results, a delivery, or money of a platform that tells its delivery on some days."""
    amount = {name: np.nan_to_num(values(columns[name])) for name in NUMBERS if name in columns}
    happened = np.logical_or.reduce([amount[name] != 0 for name in amount if name != "spend"], axis=0)
    platform = np.array(columns["platform"], dtype=object)
    tell = set(platform[amount["impressions"] != 0])
    paid: Mask = amount["spend"] != 0
    if tell:
        paid &= np.isin(platform, list(tell))
    result: Mask = happened | paid
    return result


def _rests(texts: Sequence[str], busy: set[str]) -> set[int]:
    """Weekdays on which a history usually has nothing."""
    days = [(date.fromisoformat(text).weekday(), text in busy) for text in texts]
    count = np.bincount([day for day, _ in days], minlength=7)
    idle = np.bincount([day for day, was_busy in days if not was_busy], minlength=7)
    return {day for day in range(7) if idle[day] > RESTS * count[day]}
