"""The picture of a spend history: spend, conversions and cost per conversion of each platform over time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from crossmix.ingest.checked import Checked, as_split
from crossmix.pages.charts import Chart, head_of, platform_colour, standalone
from crossmix.pages.scales import Axis, Scale

WIDE, HIGH, LAST = 760.0, 190.0, 40.0
"""Width; height of a panel, and what the days' axis needs."""
GUTTER = 52.0
WINDOW = 7
"""Days of the trailing mean that is drawn: a weekday is one of a week."""
MOST = 9
"""Platforms drawn by themselves where nothing says which are split as one; the others are `other`."""


def picture(checked: Checked) -> str:
    """An SVG of its own."""
    days = as_split(checked)
    spent = days.groupby("platform", observed=True)["spend"].sum().sort_values(ascending=False, kind="stable")
    names = [str(name) for name in spent.index]
    shown = names if len(names) <= MOST + 1 else names[:MOST]
    days = days.assign(platform=days["platform"].where(days["platform"].isin(shown), "other"))
    shown = [*shown, "other"] if len(shown) < len(names) else shown
    span = _apart(days["day"])
    index = pd.date_range(days["day"].min(), days["day"].max() + pd.Timedelta(days=span - 1))
    spend, conversions = (_trailing(days, name, index, shown, span) for name in ("spend", "conversions"))
    cost = spend / conversions.where(conversions > 0)
    title = f"Spend history, {index[0]:%Y-%m-%d} to {index[-1]:%Y-%m-%d}, trailing means of {WINDOW} days"
    above = head_of(shown, WIDE - 2 * GUTTER)
    chart = Chart(title, WIDE, 3 * HIGH + LAST + above)
    panels = (("spend a day", spend), ("conversions a day", conversions), ("spend per conversion", cost))
    for place, (label, table) in enumerate(panels):
        final = place == len(panels) - 1
        x = Axis(Scale(-0.5, max(len(index) - 0.5, 1.0)), ticks=_months(index), labelled=final)
        area = (0.0, place * HIGH + (above if place else 0), WIDE, (place + 1) * HIGH + above + (LAST if final else 0))
        y = Axis(_of_ratios(table) if final else _of_amounts(table), label, most=4)
        panel = chart.panel(x, y, area=area, gutter=GUTTER, head=7.0 if place else above)
        for number, name in enumerate(shown):
            panel.line(range(len(index)), table[name].tolist(), platform_colour(number), width=1.6)
        if place == 0:
            panel.names_above([(name, platform_colour(number)) for number, name in enumerate(shown)])
    return standalone(chart.svg())


def _of_amounts(table: pd.DataFrame) -> Scale:
    """From 0 to a little more than the largest."""
    return Scale(0.0, 1.1 * (float(np.nanmax(np.append(table.to_numpy(), 0.0))) or 1.0))


def _of_ratios(table: pd.DataFrame) -> Scale:
    """By factors where they differ tenfold: one platform's may be a hundred times another's, which would lie on 0."""
    known = table.to_numpy()[table.to_numpy() > 0]
    if known.size and known.max() >= 10 * known.min():
        return Scale(float(known.min()) / 1.2, 1.2 * float(known.max()), log=True)
    return _of_amounts(table)


def _apart(day: pd.Series[pd.Timestamp]) -> int:
    """Days that a row stands for: 7 of a history by week."""
    gaps = np.diff(np.sort(day.unique())) / np.timedelta64(1, "D")
    return max(int(np.median(gaps)), 1) if len(gaps) else 1


def _trailing(days: pd.DataFrame, name: str, index: pd.DatetimeIndex, shown: Sequence[str], span: int) -> pd.DataFrame:
    """Trailing means by day and platform; a day without a row counts as 0, days before the first row as nothing.

    Args:
        span: days that a row stands for, over which its amount is spread.
    """
    table = days.pivot_table(index="day", columns="platform", values=name, aggfunc="sum", observed=True) / span
    table = table.reindex(index=index, columns=list(shown))
    table = table.ffill(limit=span - 1) if span > 1 else table
    begun = table.notna().cummax()
    ended = table[::-1].notna().cummax()[::-1]
    filled = table.fillna(0.0).where(begun & ended)
    return filled.rolling(WINDOW, min_periods=1).mean().where(begun & ended)


def _months(index: pd.DatetimeIndex) -> list[tuple[float, str]]:
    """About eight firsts of a month, or the first day where there is none."""
    firsts = [at for at, day in enumerate(index) if day.day == 1] or [0]
    step = -(-len(firsts) // 8)
    return [(float(at), f"{index[at]:%b %Y}") for at in firsts[::step]]
