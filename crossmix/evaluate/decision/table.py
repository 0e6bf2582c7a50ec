"""The decisions of a spend history: every campaign's change judged, its first test, and the file that tells them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from crossmix.artifacts import CampaignDecision, Decision, FirstTest, PlatformChange
from crossmix.config import Config
from crossmix.evaluate.decision.backtest import UNKNOWN, Backtest, backtest
from crossmix.evaluate.decision.change import changes
from crossmix.evaluate.decision.first_test import first_test
from crossmix.evaluate.decision.judged import Judged, judged
from crossmix.market.fit.log import Log
from crossmix.market.model import Market


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """What was found."""

    campaigns: tuple[Judged, ...]
    test: Backtest


def decided(market: Market, log: Log) -> Decided:
    """Judge the change that a market recommends for every campaign of the history it was fitted on."""
    test = backtest(market, log)
    tried_CP = log.totals()["spend"].sum(0) > 0
    found = (judged(change, test, slot, tried_CP[slot]) for slot, change in enumerate(changes(market)))
    return Decided(tuple(found), test)


def told(config: Config, market: Market, found: Decided) -> Decision:
    """The file."""
    gain = sum(max(one.change.gain, 0.0) for one in found.campaigns)
    moved = sum(one.change.moved for one in found.campaigns)
    return Decision(
        currency=market.currency,
        cycle_hours=market.cycle_hours,
        cycles=found.test.cycles,
        held_out=found.test.held_out,
        miss=_known(found.test.miss),
        miss_as_before=_known(found.test.miss_as_before),
        margin=gain / moved if moved > 0 else 0.0,
        sure=config.gates.decision,
        plausible=config.gates.plausible,
        campaigns=tuple(_campaign(market, one) for one in found.campaigns),
    )


def _campaign(market: Market, one: Judged) -> CampaignDecision:
    change = one.change
    test = first_test(market, change, one.by_platform_NP, one.tried_P, one.known_error_P)
    plain = asdict(test)
    plain.pop("campaign")
    return CampaignDecision(
        campaign=change.campaign,
        budget=change.budget,
        revenue=float(change.now_P.sum()),
        gain=float(one.gain_N.mean()),
        gain_ci95=one.interval,
        probability=one.probability,
        weeks=one.weeks if len(one.realised_W) else None,
        blocks=len(one.realised_W),
        more_cycles=one.more(),
        platforms=tuple(
            PlatformChange(
                platform=platform,
                today=float(change.today_P[p]),
                best=float(change.best_P[p]),
                revenue_today=float(change.now_P[p]),
                revenue_best=float(change.then_P[p]),
                marginal_roi=float(change.marginal_P[p]) if one.tried_P[p] else None,
                elasticity_error=float(one.known_error_P[p]) if one.known_error_P[p] < UNKNOWN else None,
                tried=bool(one.tried_P[p]),
            )
            for p, platform in enumerate(change.platforms)
        ),
        first_test=FirstTest(**plain),
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
