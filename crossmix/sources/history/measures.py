"""Figures of another measure than their name says: ratios in place of amounts, running totals, a unit that changed.

Each finder returns the first doubt as a sentence, or `None` (`plausible.KINDS`). What a figure is shows by what it goes
with: revenue over conversions is steadier than revenue, but where revenue is an order's average value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from crossmix.sources.history import units

RUNNING, RISING = 20, 0.8
"""So many steps without a fall, and this share of them a rise, are no days of their own."""
RESETS, FALLS_TO = 0.2, 0.6
"""Part of the steps that may begin a month or a week anew, and what of the day before is left then."""
TIMES = 5.0
"""Days alone do not grow so much, all the way, where one figure alone runs."""
LEAST_ROWS = 28
STEADIER = 1 / 3
"""A ratio is the figure itself where it varies by so much less."""
VARIES = 0.1
"""Deviation of the logarithm below which nothing moves, and nothing tells."""
BELOW_ONE = 0.95
CHANGED, SAME_SIZE, BESIDE = np.log(2.5), 0.25, 10
"""Size of a change of unit, how far two figures' changes may differ as a part of it, and rows on either side."""
FAR = units.FAR
"""Prices that change by more are a doubt of their own (`plausible`, kind `price`)."""
CLEAR = 6.0
"""Deviations, of the rows on either side, that a change is large."""

Array = npt.NDArray[np.float64]
FIGURES = ("spend", "impressions", "clicks")


def cumulative(frame: pd.DataFrame) -> str | None:
    """Money, impressions and clicks that hardly ever fall: totals up to each day, of all time, a month or a week."""
    for name, rows in frame.groupby("platform", observed=True):
        daily = rows.groupby("day")[[*FIGURES, "conversions", "revenue"]].sum()
        steps = {column: np.diff(daily[column]) for column in daily if daily[column].any()}
        running = [column for column in steps if _runs(daily[column].to_numpy(float), steps[column])]
        alone = [column for column in running if _grows(daily[column].to_numpy(float), steps[column])]
        if set(FIGURES) <= set(running):
            figure, what, verb = "spend", "spends more, shows more and is clicked more", "these may be totals"
        elif alone and len(daily) > LEAST_ROWS:
            figure, what, verb = alone[0], f"has more {alone[0]}", f"{alone[0]} may be totals"
        else:
            continue
        resets = int((steps[figure] < 0).sum())
        since = f", but for {resets} days that begin anew" if resets else ""
        return (
            f"{figure}: {str(name)!r} {what} from each of {len(daily)} days to the next{since}; {verb} up to each day: "
            "export what each day had by itself"
        )
    return None


def _runs(amount: Array, steps: Array) -> bool:
    falls = steps < 0
    left = amount[1:][falls] < FALLS_TO * amount[:-1][falls]
    return bool(
        len(steps) >= RUNNING
        and falls.mean() <= RESETS
        and left.all()
        and (steps > 0).sum() >= RISING * (~falls).sum()
        and not _ragged(falls)
    )


def _ragged(falls: npt.NDArray[np.bool_]) -> bool:
    """Whether what lies between falls is no week or month."""
    at = np.flatnonzero(falls)
    return len(at) > 1 and bool((np.diff(at) < 7).any())


def _grows(amount: Array, steps: Array) -> bool:
    """Whether each run ends at several times what it began with."""
    runs = np.split(amount, np.flatnonzero(steps < 0) + 1)
    whole = [run for run in runs if len(run) >= 7 and run[0] > 0]
    return bool(whole) and min(run[-1] / run[0] for run in whole) >= TIMES


def ratios(frame: pd.DataFrame) -> str | None:
    """Revenue that is an order's average value or a return on spend, conversions that are a rate."""
    for name, rows in frame.groupby("platform", observed=True):
        sound = rows[(rows[["spend", "clicks", "conversions", "revenue"]] > 0).all(axis=1)]
        if len(sound) < LEAST_ROWS:
            continue
        log = np.log(sound[["spend", "clicks", "conversions", "revenue"]])
        each = _spread(log["revenue"] - log["conversions"])
        if _steadier(log["revenue"], each):
            meant, instead = f"revenue: of {name!r} it is about the same each day", "the average value of an order"
        elif _steadier(log["revenue"] + log["spend"] - log["conversions"], each):
            meant, instead = f"revenue: of {name!r} it falls as spend rises", "the return on spend (ROAS)"
        elif _is_rate(rows):
            return _ratio(
                f"conversions: of {name!r} they are above 0 and below 1 on nearly all days", "a conversion rate"
            )
        else:
            continue
        return _ratio(f"{meant}, whatever the conversions are", instead)
    return None


def _is_rate(rows: pd.DataFrame) -> bool:
    """Whether a day's conversions are hardly ever none, and hardly ever one: parts of some would be both."""
    daily = rows.groupby("day")[["clicks", "conversions"]].sum()
    daily = daily[daily["clicks"] > 0]
    below = (daily["conversions"] > 0) & (daily["conversions"] < 1)
    return len(daily) >= LEAST_ROWS and bool(below.mean() >= BELOW_ONE)


def _ratio(what: str, instead: str) -> str:
    field = what.partition(":")[0]
    return f"{what}; it may be {instead}: name the column of amounts (--map {field}=NAME)"


def _spread(log: pd.Series) -> float:
    return float(1.4826 * (log - log.median()).abs().median())


def _steadier(log: pd.Series, than: float) -> bool:
    return than > VARIES and _spread(log) < STEADIER * than


def changed(frame: pd.DataFrame) -> str | None:
    """From a day on money in another currency, or conversions of another kind: two figures step against each other."""
    for name, rows in frame.groupby("platform", observed=True):
        daily = rows.groupby("day")[[*FIGURES, "conversions", "revenue"]].sum()
        if (exchanged := _exchanged(daily)) is not None:
            day, size = exchanged
            return (
                f"spend: of {str(name)!r} from {day:%Y-%m-%d} on impressions and clicks cost, and a "
                f"conversion is worth, {max(size, 1 / size):.1f} times {'as much as' if size > 1 else 'less than'} "
                "before, all at once; its amounts may be in another currency or unit: bring spend and revenue to one"
            )
        cases: Sequence[tuple[str, str, str, str]] = (
            ("spend", "impressions", "clicks", "{size:.1f} times as much as before buys what was bought before; it may "
             "be in another currency or unit: bring spend to one"),
            ("conversions", "clicks", "revenue", "{size:.1f} times as many follow a click, and all together earn what "
             "they earned; other things may be counted since: bring them to one kind, or begin the history there"),
        )  # fmt: skip
        for figure, one, other, sentence in cases:
            for day, size in _steps(daily, figure, one, other):
                more = max(size, 1 / size)
                told = sentence if size > 1 else sentence.replace("as much as", "less than").replace("as many", "fewer")
                return f"{figure}: of {str(name)!r} from {day:%Y-%m-%d} on {told.format(size=more)}"
    return None


def _exchanged(daily: pd.DataFrame) -> tuple[pd.Timestamp, float] | None:
    """The day from which on all prices and values are another multiple, whatever else moved; and that multiple."""
    sound = daily[(daily > 0).all(axis=1)]
    if len(sound) < 2 * BESIDE:
        return None
    log = np.log(sound)
    ratios = [
        (log[money] - log[per]).to_numpy(float)
        for money, per in (("spend", "impressions"), ("spend", "clicks"), ("revenue", "conversions"))
    ]
    at = _cut(np.sum(ratios, axis=0))
    sizes = np.array([_step(ratio, at) for ratio in ratios])
    near = np.array([_step(ratio, at, near=True) for ratio in ratios])
    size = float(sizes[np.argmin(np.abs(sizes))])
    spread = max(_spread(pd.Series(np.r_[one[:at] - np.median(one[:at]), one[at:] - np.median(one[at:])]))
                 for one in ratios)  # fmt: skip
    alike = max(np.abs(sizes - size).max(), np.abs(near - size).max()) <= SAME_SIZE * abs(size)
    far = abs(size) >= max(CHANGED, CLEAR * spread / np.sqrt(BESIDE))
    return (pd.Timestamp(sound.index[at]), float(np.exp(size))) if alike and far else None


def _steps(daily: pd.DataFrame, figure: str, one: str, other: str) -> Iterator[tuple[pd.Timestamp, float]]:
    """Days from which on a figure is another multiple of two others, which did not move."""
    sound = daily[(daily[[figure, one, other]] > 0).all(axis=1)]
    if len(sound) < 2 * BESIDE:
        return
    log = np.log(sound[[figure, one, other]])
    both = [(log[figure] - log[name]).to_numpy(float) for name in (one, other)]
    at = _cut(both[0])
    sizes = [_step(ratio, at) for ratio in both]
    own = [_step(log[name].to_numpy(float), at, near=True) for name in (one, other)]
    spread = max(_spread(pd.Series(np.r_[ratio[:at] - np.median(ratio[:at]), ratio[at:] - np.median(ratio[at:])]))
                 for ratio in both)  # fmt: skip
    size = min(sizes, key=abs)
    if (
        max(CHANGED, CLEAR * spread) <= abs(size) < np.log(FAR)
        and abs(sizes[0] - sizes[1]) <= SAME_SIZE * abs(size)
        and max(map(abs, own)) <= SAME_SIZE * abs(size)
    ):
        yield pd.Timestamp(sound.index[at]), float(np.exp(size))


def _cut(ratio: Array) -> int:
    """The row from which on a ratio's mean is most surely another."""
    cuts = np.arange(BESIDE, len(ratio) - BESIDE + 1)
    before = np.cumsum(ratio)[cuts - 1]
    apart = before / cuts - (ratio.sum() - before) / (len(ratio) - cuts)
    return int(cuts[np.argmax(np.abs(apart) * np.sqrt(cuts * (len(ratio) - cuts)))])


def _step(log: Array, at: int, *, near: bool = False) -> float:
    """Median from a row on less that before; `near`: of the rows beside it alone."""
    before, after = (log[max(at - BESIDE, 0) : at], log[at : at + BESIDE]) if near else (log[:at], log[at:])
    return float(np.median(after) - np.median(before))
