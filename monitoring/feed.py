"""The feed itself: a platform that is silent while others report, and reports that cannot be.

| cause                | what                                                                                         |
|----------------------|----------------------------------------------------------------------------------------------|
| silent               | a platform that was told to spend, of which nobody reports while others of its campaign do    |
| converted            | more conversions than clicks that they can be of                                             |
| identity, overspent, | `crossmix.market.plausible`'s, by `serving.guard`; where the bundle says what is usual        |
| impossible, disagree |                                                                                              |

Each is looked for per campaign, in the newest cycles of every arm, and told once per platform. A late feed as a
whole is `late_feed`'s.

Shapes: T cycles, C campaigns, P platforms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from crossmix import bundle as bundles
from crossmix.config import STRICT, Guard, PositiveInt
from crossmix.evaluate.watch import following
from crossmix.evaluate.watch.expectation import Expectation
from crossmix.feedback import Feedback
from crossmix.ledger import campaigns, returned
from crossmix.ledger.store import Store
from crossmix.market import plausible
from crossmix.market.plausible import Suspect
from monitoring import residuals
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


def look(store: Store, now: datetime, settings: Settings, served: Served) -> Iterator[Finding]:
    """A finding per alarm, and one per check where there is none."""
    silent: list[Finding] = []
    wrong: list[Finding] = []
    expected = residuals.expected_of(served) if served.bundle is not None else "no bundle"
    for one in returned.read(store, _platforms(store, served), now, newest=settings.window + settings.delay):
        if not one.arms or not len(one.ends_TC):
            continue
        silent += _silent(list(one.arms.values()), settings)
        for arm, feedback in one.arms.items():
            wrong += _converted(arm, feedback, settings)
        if not isinstance(expected, str) and expected[0].cycle_hours == one.cycle_hours:
            wrong += _implausible(one.arms, expected[0], served.config.serving.guard, settings)
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


def _converted(arm: str, feedback: Feedback, settings: Settings) -> Iterator[Finding]:
    """Platforms that have more conversions in the window than clicks in it and in the delay before."""
    first = max(len(feedback) - settings.window, 0)
    conversions_CP = np.nansum(feedback.conversions_TCP[first:], 0)
    clicks_CP = np.nansum(feedback.clicks_TCP[max(first - settings.delay, 0) :], 0)
    for c, p in np.argwhere((conversions_CP > clicks_CP) & np.isfinite(feedback.clicks_TCP).any(0)).tolist():
        at = first + int(np.flatnonzero(np.nan_to_num(feedback.conversions_TCP[first:, c, p]) > 0)[0])
        campaign, platform, cycle = feedback.campaigns[c], feedback.platforms[p], int(feedback.cycle_TC[at, c])
        few, many = float(clicks_CP[c, p]), float(conversions_CP[c, p])
        yield Finding(
            monitor="feed",
            campaign_id=campaign,
            arm=arm,
            observed=many,
            limit=few,
            unit="conversions",
            alarming=True,
            detail=f"{many:,.6g} conversions of {few:,.6g} clicks on {platform} since cycle {cycle}, which cannot be",
            cause="converted",
            platform=platform,
            cycle=cycle,
            campaigns=(campaign,),
        )


def _implausible(
    arms: Mapping[str, Feedback], expectation: Expectation, guard: Guard, settings: Settings
) -> Iterator[Finding]:
    """Each cause of a platform once, by its newest cells and since the first of them."""
    spread = {
        arm: following.spread(one.only(_known(one, expectation)), expectation.campaigns) for arm, one in arms.items()
    }
    newest_C = np.max([one.cycle_TC.max(0) for one in spread.values()], axis=0)
    least = dict(zip(expectation.campaigns, (newest_C - settings.window + 1).tolist(), strict=True))
    newest: dict[tuple[str, ...], tuple[Suspect, int]] = {}
    for suspect in plausible.suspects(expectation.usual, spread, guard):
        if suspect.cycle < least[suspect.campaign]:
            continue
        key = (suspect.cause, suspect.arm, suspect.campaign, suspect.platform)
        newest[key] = (suspect, min(newest[key][1] if key in newest else suspect.first, suspect.first))
    for suspect, cycle in newest.values():
        yield Finding(
            monitor="feed",
            campaign_id=suspect.campaign,
            arm=suspect.arm,
            observed=suspect.observed,
            limit=suspect.expected,
            unit=suspect.quantity,
            alarming=True,
            detail=suspect.sentence,
            cause=suspect.cause,
            platform=suspect.platform,
            quantity=suspect.quantity,
            cycle=cycle,
            expected=suspect.expected,
            z=suspect.z,
            campaigns=(suspect.campaign,),
        )


def _known(feedback: Feedback, expectation: Expectation) -> np.ndarray:
    return np.array([name in expectation.campaigns for name in feedback.campaigns], bool)


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
