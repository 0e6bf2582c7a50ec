"""Budgets that stepped within today's window: what is told as today is then a mean of two budgets.

A day's ln spend is held against the median of the same weekday in the four weeks before. Where all days since some day
of the window lie beyond half of a step, that is large beside how days strayed before, and days of the window before it
do not, the window holds both sides, and the run says what is spent since and how today is told of that alone.

Shapes: T days, W days of the window.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from crossmix.market.fit.promotions import NORMAL

BEFORE = 28
"""Days that tell what is usual."""
FEWEST = 3
"""Days since, and days of the window before, that it takes."""
LEAST, CLEAR = float(np.log(1.3)), 4.0
"""|ln| of a step that is worth telling; robust deviations of a day before."""
STAYED = 0.5
"""Part of the step beyond which every day since lies."""
WORTH = 0.1
"""Part of today's money that a platform has at least."""


def told(frame: pd.DataFrame, window: int) -> list[str]:
    """A sentence where all budgets stepped together, else one for each platform whose own did.

    Args:
        frame: date, platform, spend; a row a day.
        window: days of today.
    """
    first, last = frame["date"].min(), frame["date"].max()
    days = [first + timedelta(days=at) for at in range((last - first).days + 1)]
    spend = frame.pivot_table("spend", "date", "platform", "sum", observed=True).reindex(days).fillna(0.0)
    at = {name: _step(spend[name].to_numpy(float), window) for name in spend}
    whole, total = spend.sum(axis=1).to_numpy(float), float(spend.to_numpy()[-window:].sum())
    everywhere = _step(whole, window)
    if everywhere is not None and (len(at) == 1 or sum(one == everywhere for one in at.values()) > len(at) / 2):
        return [_sentence("Spend", whole, everywhere, window, days)]
    return [
        _sentence(f"Spend on {name}", spend[name].to_numpy(float), step, window, days)
        for name, step in at.items()
        if step is not None and spend[name].to_numpy()[-window:].sum() > WORTH * total
    ]


def _step(spend_T: npt.NDArray[np.float64], window: int) -> int | None:
    """First day after the step; `None`: there is none."""
    times = len(spend_T)
    if times < window + 2 * BEFORE or (spend_T[-window - 2 * BEFORE :] <= 0).any():
        return None
    log_T = np.log(spend_T)
    usual_T = np.array([np.median(log_T[day % 7 : times - window : 7][-BEFORE // 7 :]) for day in range(times)])
    off_W = (log_T - usual_T)[-window:]
    before = log_T[times - window - BEFORE : times - window]
    strayed = before - usual_T[times - window - BEFORE : times - window]
    least = max(LEAST, CLEAR * NORMAL * float(np.median(np.abs(strayed))))
    found = []
    for split in range(FEWEST, window - FEWEST + 1):
        step = float(np.median(off_W[split:]))
        side_W = np.sign(step) * off_W > STAYED * abs(step)
        if abs(step) >= least and side_W[split:].all() and not side_W[:split].any():
            found.append(times - window + split)
    return found[0] if found else None


def _sentence(what: str, spend_T: npt.NDArray[np.float64], at: int, window: int, days: list[object]) -> str:
    since, mean = float(spend_T[at:].mean()), float(spend_T[-window:].mean())
    before = float(spend_T[len(spend_T) - window : at].mean())
    return (
        f"{what} {'rose' if since > before else 'fell'} by {abs(since / before - 1):.0%} on {days[at]}, within the "
        f"last {window} days: what is told as today is the mean of both, {mean:,.2f} a day, where {since:,.2f} are "
        f"spent since. If it stays so, say --set data.today_days={len(spend_T) - at}."
    )
