"""The paper's rule (§2.5): ROI more than 10 % below what it was, three cycles on end. It informs, it raises no alert.

ROI is revenue that became known over spend, of all campaigns and arms of a currency together; what it was is that of
the cycles before (the paper's window of 20). Beside the rule stands the drop of the three cycles together with its
interval, from how the logarithm of ROI differs between cycles: by itself it crosses 10 % about once a month, so a rule
without the interval cries wolf.

Shapes: T cycles.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from scipy.special import stdtrit

from crossmix.config import STRICT, Fraction, PositiveInt
from crossmix.feedback import Array
from crossmix.ledger import campaigns, returned
from crossmix.ledger.returned import Returned
from crossmix.ledger.store import Store
from monitoring.monitors import EVERY, MONITORS, Finding, Monitor

LEAST = 5
"""Cycles before, from which on a deviation is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The rule's numbers, the paper's by default."""

    __pydantic_config__ = STRICT
    drop: Fraction = 0.1
    """Part of its ROI that is lost (§2.5: 10 %)."""
    cycles: PositiveInt = 3
    """On end (§2.5: 3 days)."""
    window: PositiveInt = 20
    """Cycles before, whose ROI it is held against (§2.5: 20)."""
    level: Fraction = 0.95
    """Of the interval."""


@dataclass(frozen=True, slots=True)
class Ruled:
    """What the rule says after a cycle."""

    roi: float
    """Of the last cycles together."""
    before: float
    """Of the window before them."""
    fired: bool
    drop: float
    """1 - roi / before."""
    low: float
    """Of its interval; NaN where there are too few cycles before."""
    high: float


def rule(revenue_T: Array, spend_T: Array, settings: Settings) -> Ruled | None:
    """The rule after the last cycle; `None`: too few cycles, or nothing was earned or spent before.

    Args:
        revenue_T, spend_T: currency, oldest first.
    """
    last = settings.cycles
    if len(revenue_T) < last + 1:
        return None
    window = slice(max(len(revenue_T) - last - settings.window, 0), len(revenue_T) - last)
    earned, spent = float(revenue_T[window].sum()), float(spend_T[window].sum())
    if earned <= 0 or spent <= 0:
        return None
    before = earned / spent
    roi_T = np.divide(revenue_T, spend_T, out=np.zeros(len(spend_T)), where=spend_T > 0)
    together = float(revenue_T[-last:].sum()) / max(float(spend_T[-last:].sum()), 1e-12)
    fired = bool((roi_T[-last:] < (1 - settings.drop) * before).all())
    logs = np.log(roi_T[window][roi_T[window] > 0])
    low = high = math.nan
    if len(logs) >= LEAST and together > 0:
        error = float(logs.std(ddof=1)) * math.sqrt(1 / last + 1 / len(logs))
        reach = float(stdtrit(len(logs) - 1, (1 + settings.level) / 2)) * error
        middle = math.log(together / before)
        low, high = 1 - math.exp(middle + reach), 1 - math.exp(middle - reach)
    return Ruled(together, before, fired, 1 - together / before, low, high)


def look(store: Store, now: datetime, settings: Settings) -> Iterator[Finding]:
    """A finding per length of cycle and currency."""
    known = campaigns.load_all(store)
    platforms = tuple(sorted({name for one in known.values() for name in one.share}))
    for one in returned.read(store, platforms, now, newest=settings.window + settings.cycles):
        for currency, (revenue_T, spend_T) in _money(one, {name: known[name].currency for name in known}).items():
            ruled = rule(revenue_T, spend_T, settings)
            if ruled is not None:
                yield _finding(ruled, settings, one.cycle_hours, currency)


def _money(found: Returned, currency_of: Mapping[str, str]) -> dict[str, tuple[Array, Array]]:
    """Revenue and spend of all arms by currency; cycles of which nobody has reported yet are left out."""
    names = next(iter(found.arms.values())).campaigns
    result = {}
    for currency in sorted({currency_of[name] for name in names}):
        of_C = np.array([currency_of[name] == currency for name in names])
        totals = [
            np.sum([np.nansum(getattr(arm, name)[:, of_C], (1, 2)) for arm in found.arms.values()], axis=0)
            for name in ("revenue_TCP", "spend_TCP")
        ]
        reported_T = np.any([arm.reported_TCP[:, of_C].any((1, 2)) for arm in found.arms.values()], axis=0)
        result[currency] = (totals[0][reported_T], totals[1][reported_T])
    return result


def _finding(ruled: Ruled, settings: Settings, hours: float, currency: str) -> Finding:
    known = not math.isnan(ruled.low)
    interval = f", {settings.level:.0%} from {ruled.low:+.0%} to {ruled.high:+.0%}" if known else ""
    says = "the paper's rule says re-adapt" if ruled.fired else "below the paper's rule"
    return Finding(
        monitor="roi",
        campaign_id=EVERY,
        arm=EVERY,
        observed=ruled.drop,
        limit=settings.drop,
        unit=f"of ROI in {currency}",
        alarming=False,
        detail=(
            f"ROI {ruled.roi:.3g} in {settings.cycles} cycles of {hours:g} h, {ruled.before:.3g} before: "
            f"{ruled.drop:+.0%} lost{interval}; {says}"
        ),
        cause="roi",
        expected=0.0,
    )


MONITORS.register(
    Monitor(name="roi", label="the paper's rule on a drop of ROI; it informs only", look=look, settings=Settings)
)
