"""Residuals: what came back of each platform against what the fitted market leads one to expect of it.

The bundle that serves carries what is usual in its market, and thresholds from quiet flights of it
(`crossmix.evaluate.watch`). Both arms' feedback is followed by the levels' filter, campaigns of the bundle together.
What the filter believes is kept in the ledger (`monitoring.followed`), so that a look reads the cycles that are new and
goes back to where a report that came late or a correction makes the past another.

An alarm is told at every look from the cycle in which it came until that is settled, under the same cause and cycle.

Shapes: T cycles, C campaigns, P platforms, Q quantities.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crossmix import bundle as bundles
from crossmix.config import STRICT, PositiveInt
from crossmix.evaluate.watch.expectation import Expectation, ExpectationError
from crossmix.evaluate.watch.statistic import SUMMED_UP
from crossmix.ledger import campaigns
from crossmix.ledger.store import Store
from crossmix.market.level_evidence import QUANTITIES
from monitoring import followed
from monitoring.followed import Look, named
from monitoring.monitors import EVERY, MONITORS, Finding, Monitor, MonitorError, Served

if TYPE_CHECKING:
    import pandas as pd

UNITS = {"requests": "requests", "price": "spent", "ctr": "clicks", "cvr": "conversions", "value": "earned"}
"""What is seen of each quantity; money in the campaign's currency."""
WORDS = {
    "requests": "requests",
    "price": "price of what was won",
    "ctr": "click rate",
    "cvr": "conversion rate",
    "value": "value per conversion",
}
NAME = "residuals"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How feedback is followed."""

    __pydantic_config__ = STRICT
    settle: PositiveInt = 3
    """Newest cycles whose alarms every look tells; a report that comes later than that makes it follow all anew."""


def expected_of(served: Served) -> tuple[Expectation, str] | str:
    """What the serving bundle leads one to expect, and its digest; or why that is not known.

    Raises:
        MonitorError: the bundle cannot be read.
    """
    if served.bundle is None:
        return "what serves is not known: name the folder of a run, or --bundle FOLDER"
    try:
        return _expected(served.bundle.resolve(), (served.bundle / "manifest.json").stat().st_mtime_ns)
    except (OSError, bundles.BundleError, ExpectationError) as error:
        raise MonitorError(f"bundle: {error}") from None


@lru_cache(maxsize=4)
def _expected(folder: Path, _: int) -> tuple[Expectation, str] | str:
    # As `folder.load`, but for the policy: a monitor asks it nothing.
    data, digest = bundles.watch_of(folder)
    if data is None:
        return f"bundle {digest[:12]} carries no thresholds; train anew, with thresholds.flights above 0"
    return Expectation.from_bytes(data), digest


def take(store: Store, now: datetime, settings: Settings, expectation: Expectation, digest: str) -> Look | None:
    """Follow what came back since the last look, and keep it; `None`: no cycle has finished.

    Raises:
        StoreAwayError: the database is away.
    """
    name = f"{NAME}@{expectation.cycle_hours:g}h"
    return followed.take(store, now, name, settings.settle, expectation, digest)


def look(store: Store, now: datetime, settings: Settings, served: Served) -> Iterator[Finding]:
    """A finding per quantity, of its platform that is furthest from what is expected in the newest cycle; and one per
    alarm."""
    expected = expected_of(served)
    if isinstance(expected, str):
        yield _unknown(expected)
        return
    expectation, digest = expected
    strangers = sorted(set(campaigns.first_names(store, None)) - set(expectation.campaigns))
    if strangers:
        yield _unknown(f"{', '.join(strangers)}: not in the bundle that serves, so nothing is expected; train anew")
    seen = take(store, now, settings, expectation, digest)
    if seen is None:
        yield _unknown("no cycle has finished")
        return
    if seen.trouble:
        yield _unknown(seen.trouble)
    looked, newest = seen.shown.looked, len(seen.shown) - 1
    first = newest + 1 - seen.fresh
    for q, quantity in enumerate(QUANTITIES):
        alarms = np.argwhere(looked.alarms[first:, 0, :, q]).tolist()
        for t, p in alarms:
            yield _finding(seen, quantity, first + t, p, alarming=True)
        score_P = looked.score[newest, 0, :, q] if newest >= 0 else np.array([np.nan])
        if not alarms and np.isfinite(score_P).any():
            yield _finding(seen, quantity, newest, int(np.nanargmax(score_P)), alarming=False)


def _finding(seen: Look, quantity: str, t: int, p: int, *, alarming: bool) -> Finding:
    q, looked, thresholds = QUANTITIES.index(quantity), seen.shown.looked, seen.expectation.thresholds
    width = thresholds.windows[int(looked.window[t, 0, p, q])]
    score, limit, rule = float(looked.score[t, 0, p, q]), thresholds.largest, "one cycle"
    if width > 1:
        rule = f"{width} cycles"
    if alarming and not looked.by_largest[t, 0, p, q]:
        k = SUMMED_UP.index(quantity)
        score, limit = abs(float(looked.cusum_TFPK[t, 0, p, k])), thresholds.cusum
        width = int(looked.since_TFPK[t, 0, p, k])
        rule = f"CUSUM over {looked.since_TFPK[t, 0, p, k]} cycles"
    width = min(width, named(seen.expectation))
    span = slice(max(t - width + 1, 0), t + 1)
    observed, expected, variance = (float(table[span, 0, p, q].sum()) for table in seen.shown.sums)
    z = (observed - expected) / math.sqrt(variance) if variance > 0 else math.nan
    z_C = np.nan_to_num(seen.shown.z_TCPQ[span, :, p, q]).sum(0) / math.sqrt(span.stop - span.start)
    order = np.argsort(-z_C * np.sign(z))
    names = tuple(seen.expectation.campaigns[c] for c in order if z_C[c] * np.sign(z) > 1)
    platform = seen.expectation.platforms[p]
    word = "below" if observed < expected else "above"
    cycle = int(seen.shown.cycle_T[t])
    unit = UNITS[quantity]
    detail = (
        f"{WORDS[quantity]} on {platform}: {observed:,.6g} {unit}, {expected:,.6g} expected, z {z:+.1f}; {rule}: "
        f"{score:.1f} {'beyond' if alarming else 'of'} {limit:.1f}"
    )
    if alarming:
        detail += f"; {word} what the fitted market gives, since cycle {cycle}"
        detail += f", most in {', '.join(names[:3])}" if names else ""
    return Finding(
        monitor=NAME,
        campaign_id=EVERY,
        arm=EVERY,
        observed=observed,
        expected=expected,
        limit=limit,
        unit=unit,
        alarming=alarming,
        detail=detail,
        cause=quantity,
        platform=platform,
        quantity=quantity,
        cycle=cycle,
        z=z if math.isfinite(z) else None,
        score=score,
        campaigns=names,
    )


def _unknown(why: str) -> Finding:
    return Finding(
        monitor=NAME, campaign_id=EVERY, arm=EVERY, observed=None, limit=0.0, unit="", alarming=False, detail=why
    )


def residual_table(
    store: Store, now: datetime, settings: Settings, served: Served
) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Quiet z of the calibration, and that of the newest cycles: a column per platform and quantity, as search ctr.

    `None`: nothing is expected, or no cycle has finished. Raises as `look`.
    """
    import pandas as pd

    expected = expected_of(served)
    seen = None if isinstance(expected, str) else take(store, now, settings, *expected)
    if seen is None:
        return None
    names = [f"{platform} {quantity}" for platform in seen.expectation.platforms for quantity in QUANTITIES]
    quiet, recent = (z.reshape(len(z), -1) for z in (seen.expectation.quiet_IPQ, seen.after.z_NPQ))
    return pd.DataFrame(quiet, columns=names), pd.DataFrame(recent, columns=names)


MONITORS.register(
    Monitor(
        name="residuals",
        label="what platforms deliver against what the fitted market gives",
        look=look,
        settings=Settings,
        served=True,
    )
)
