"""The feed itself: a platform that is silent while others report, and reports that cannot be.

| cause    | what                                                                                                   |
|----------|--------------------------------------------------------------------------------------------------------|
| silent   | a platform that was told to spend, of which nobody reports while others of its campaign do              |
| identity | clicks above impressions, impressions above requests, conversions above the clicks that they can be of, |
|          | spend below 0, spend above what was told                                                                |

Each is looked for per campaign, in the newest cycles of every arm. A late feed as a whole is `late_feed`'s.

Shapes: T cycles, C campaigns, P platforms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from crossmix import bundle as bundles
from crossmix.config import STRICT, NonNegative, PositiveInt
from crossmix.feedback import Array, Feedback
from crossmix.ledger import campaigns, returned
from crossmix.ledger.store import Store
from monitoring.monitors import EVERY, MONITORS, Finding, Monitor, MonitorError, Served


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """When a feed is taken to be broken."""

    __pydantic_config__ = STRICT
    silent: PositiveInt = 2
    """Finished cycles on end without a report of a platform."""
    window: PositiveInt = 28
    """Newest cycles whose reports are checked."""
    delay: PositiveInt = 28
    """Cycles that a conversion may come after its click."""
    over: NonNegative = 0.05
    """Part by which spend may lie above what was told: the last impression's price, and rounding."""


def look(store: Store, now: datetime, settings: Settings, served: Served) -> Iterator[Finding]:
    """A finding per alarm, and one per check where there is none."""
    silent: list[Finding] = []
    wrong: list[Finding] = []
    for one in returned.read(store, _platforms(store, served), now, newest=settings.window + settings.delay):
        if not one.arms or not len(one.ends_TC):
            continue
        silent += _silent(list(one.arms.values()), settings)
        for arm, feedback in one.arms.items():
            wrong += _identities(arm, feedback, settings)
    yield from silent or [_quiet("silent", float(settings.silent), "cycles", "every platform reports")]
    yield from wrong or [_quiet("identity", 0.0, "cells", "reports add up")]


def _platforms(store: Store, served: Served) -> tuple[str, ...]:
    """The bundle's; without one, those of the campaigns' plans."""
    if served.bundle is not None:
        try:
            return bundles.platforms_of(served.bundle)
        except bundles.BundleError as error:
            raise MonitorError(f"bundle: {error}") from None
    return tuple(sorted({name for one in campaigns.load_all(store).values() for name in one.share}))


def _silent(arms: Sequence[Feedback], settings: Settings) -> Iterator[Finding]:
    first = arms[0]
    told_TCP = np.nansum([one.told_TCP for one in arms], axis=0) > 0
    reported_TCP = np.any([one.reported_TCP for one in arms], axis=0)
    # Where nobody reports of a campaign the whole feed is late, which another monitor tells.
    missing_TCP = told_TCP & ~reported_TCP & reported_TCP.any(2, keepdims=True)
    for c, campaign in enumerate(first.campaigns):
        ran_T = np.flatnonzero((first.cycle_TC[:, c] >= 0) & (missing_TCP | reported_TCP)[:, c].any(1))
        for p, platform in enumerate(first.platforms):
            length = _at_the_end(missing_TCP[ran_T, c, p])
            if length < settings.silent:
                continue
            cycle = int(first.cycle_TC[ran_T[-length], c])
            yield Finding(
                monitor="feed",
                campaign_id=campaign,
                arm=EVERY,
                observed=float(length),
                limit=float(settings.silent),
                unit="cycles",
                alarming=True,
                detail=f"nobody has reported of {platform} since cycle {cycle}, while other platforms report",
                cause="silent",
                platform=platform,
                cycle=cycle,
                campaigns=(campaign,),
            )


def _at_the_end(flags_T: np.ndarray) -> int:
    """How many of the last are set."""
    unset = np.flatnonzero(~flags_T)
    return len(flags_T) - (int(unset[-1]) + 1 if len(unset) else 0)


def _identities(arm: str, feedback: Feedback, settings: Settings) -> Iterator[Finding]:
    first = max(len(feedback) - settings.window, 0)
    recent = feedback.between(first, len(feedback))
    told = np.nan_to_num(recent.told_TCP)
    checks: tuple[tuple[str, Array, Array], ...] = (
        ("clicks above impressions", recent.clicks_TCP, recent.impressions_TCP),
        ("impressions above requests", recent.impressions_TCP, recent.requests_TCP),
        ("spend below 0", -recent.spend_TCP, 0 * recent.spend_TCP),
        ("spend above what was told", recent.spend_TCP, told * (1 + settings.over) + 1e-9),
    )
    for what, most, least in checks:
        # Requests of a cell are those of the events that tell them, scaled: equal up to rounding.
        for t, c, p in np.argwhere(most > least * (1 + 1e-9)).tolist():
            yield _wrong(arm, recent, what, (t, c, p), float(most[t, c, p]), float(least[t, c, p]))
    conversions_CP = np.nansum(recent.conversions_TCP, 0)
    clicks_CP = np.nansum(feedback.clicks_TCP[max(first - settings.delay, 0) :], 0)
    complete_CP = np.isfinite(feedback.clicks_TCP).any(0)
    for c, p in np.argwhere((conversions_CP > clicks_CP) & complete_CP).tolist():
        at = int(np.flatnonzero(np.nan_to_num(recent.conversions_TCP[:, c, p]) > 0)[0])
        amounts = float(conversions_CP[c, p]), float(clicks_CP[c, p])
        yield _wrong(arm, recent, "conversions above clicks", (at, c, p), *amounts)


def _wrong(
    arm: str, feedback: Feedback, what: str, cell: tuple[int, int, int], observed: float, most: float
) -> Finding:
    t, c, p = cell
    campaign, platform, cycle = feedback.campaigns[c], feedback.platforms[p], int(feedback.cycle_TC[t, c])
    return Finding(
        monitor="feed",
        campaign_id=campaign,
        arm=arm,
        observed=abs(observed),
        limit=most,
        unit=what.split()[0],
        alarming=True,
        detail=f"{what} on {platform} in cycle {cycle}: {abs(observed):,.6g}, at most {most:,.6g} can be",
        cause="identity",
        platform=platform,
        cycle=cycle,
        campaigns=(campaign,),
    )


def _quiet(cause: str, limit: float, unit: str, detail: str) -> Finding:
    return Finding(
        monitor="feed",
        campaign_id=EVERY,
        arm=EVERY,
        observed=0.0,
        limit=limit,
        unit=unit,
        alarming=False,
        detail=detail,
        cause=cause,
    )


MONITORS.register(
    Monitor(
        name="feed",
        label="platforms that fall silent, reports that cannot be",
        look=look,
        settings=Settings,
        served=True,
    )
)
