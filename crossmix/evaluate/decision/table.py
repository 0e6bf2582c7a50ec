"""The decisions of a spend history: every campaign's change judged, its first test, and the file that tells them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace

import torch

from crossmix.artifacts import CampaignDecision, Decision, FirstTest, PlatformChange
from crossmix.artifacts.decided import too_short
from crossmix.config import Config
from crossmix.evaluate.decision.backtest import Backtest, backtest
from crossmix.evaluate.decision.change import changes, retold
from crossmix.evaluate.decision.elasticities import UNKNOWN
from crossmix.evaluate.decision.first_test import first_test
from crossmix.evaluate.decision.held_out import began, contradiction
from crossmix.evaluate.decision.judged import Judged, furthest, judged
from crossmix.market.fit.log import Log
from crossmix.market.model import Market
from crossmix.market.reach import ever, reaching
from crossmix.schema import campaign_called


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """What was found."""

    campaigns: tuple[Judged, ...]
    """The longest way of each campaign's change that is sure; the whole of it where none is."""
    proved: tuple[bool, ...]
    """Whether it is sure."""
    test: Backtest
    market: Market
    """Fitted on all of the history: the changes are its own."""
    withheld: tuple[str | None, ...] = ()
    """Why nothing is said to be sure of a campaign's change, whatever its draws say (`withheld`); `()`: of none."""

    @property
    def margin(self) -> float:
        """Relative error of every platform's revenue at which the gain of all changes is gone at worst."""
        gain = sum(max(one.gain, 0.0) for one in self.campaigns)
        moved = sum(one.moved for one in self.campaigns)
        return gain / moved if moved > 0 else 0.0

    def within(self, market: Market) -> Market:
        """The market with limits that keep its splits within what was proved, where any campaign's change was.

        Of a part of the way, or one without a platform never tried, shares that the change raises may rise so far and
        no further, those that it lowers may fall so far; where the whole way is proved its drift is followed freely;
        campaigns of which nothing was proved stay as today. What was never tried has a probe at most. Where nothing
        was proved at all the limits are the market's.
        """
        if not any(self.proved):
            return market
        minimum, maximum = market.minimum.clone(), market.maximum.clone()
        for slot, (one, proved) in enumerate(zip(self.campaigns, self.proved, strict=True)):
            today_P, then_P = (torch.as_tensor(share).to(minimum) for share in (one.change.today_P, one.change.best_P))
            if not proved:
                then_P = today_P
            least_P, most_P = torch.minimum(today_P, then_P), torch.maximum(today_P, then_P)
            if not (proved and one.change.part == 1 and one.change.new is None):
                # Beyond what was proved nothing was; on today's side of it a split under drift has some room.
                falls_P, rises_P = then_P < today_P, then_P > today_P
                down_P, up_P = (torch.where(ends_P, 0.0, SLACK) if proved else SLACK for ends_P in (~rises_P, ~falls_P))
                minimum[slot] = torch.maximum(minimum[slot], least_P - down_P).clamp(min=0)
                maximum[slot] = torch.minimum(maximum[slot], most_P + up_P).clamp(max=1)
            probed_P = torch.where(torch.as_tensor(one.tried_P), 1.0, most_P.clamp(min=one.change.probe))
            maximum[slot] = torch.minimum(maximum[slot], probed_P)
        return replace(market, minimum=minimum, maximum=maximum)

    def narrowed(self, market: Market) -> dict[str, dict[str, list[str]]]:
        """Platforms whose limit `within` drew closer than anybody set it, by campaign and `min` or `max`."""
        within, found = self.within(market), {}
        for slot, campaign in enumerate(market.campaigns):
            closer = {
                "min": (within.minimum[slot] > market.minimum[slot] + 1e-6).tolist(),
                "max": (within.maximum[slot] < market.maximum[slot] - 1e-6).tolist(),
            }
            if any(map(any, closer.values())):
                found[campaign] = {
                    side: [name for name, yes in zip(market.platforms, row, strict=True) if yes]
                    for side, row in closer.items()
                }
        return found


def as_today(fitted: Market, served: Market) -> Market:
    """A market fitted on the training period whose budgets, splits, limits and cells never tried are those that will be
    served: what began since is tried, what ended so long ago that the fit no longer looks there is not."""
    return replace(
        # Money that rose since is no wall.
        reaching(fitted, served.budget),
        budget=served.budget,
        static=served.static,
        minimum=served.minimum,
        maximum=served.maximum,
        step=served.step,
        freeze=served.freeze,
        untried=served.untried,
        ended=served.ended,
    )


def decided(config: Config, fitted: Market, served: Market, log: Log) -> Decided:
    """Judge the change that a market recommends for every campaign of the history it was fitted on.

    Args:
        fitted: on the training period; held-out weeks are held against it, as from where the money is today
            (`as_today`).
        served: fitted on all of the history, which knows what the held-out weeks told of money's effect: what it
            recommends is judged, by its errors.
    """
    market, reached = as_today(fitted, served), reaching(served, served.budget)
    test, sure = backtest(market, log), config.gates.decision
    tried_CP = ~market.untried.numpy()
    found, proved, reasons = [], [], []
    began_CP = began(fitted, served, log)
    for slot, parts in enumerate(changes(reached, tried_CP, probe=config.limits.probe)):
        earlier = retold(market, slot)
        ways = [
            judged(change, test, slot, tried_CP[slot], earlier=earlier(change), began_P=began_CP[slot])
            for change in parts
        ]
        reason = withheld(market, slot) or too_short(test.cycles, market.cycle_hours)
        one = None if reason else furthest(ways, sure)
        found.append(one or ways[0])
        proved.append(one is not None)
        reasons.append(reason)
    return Decided(tuple(found), tuple(proved), test, served, tuple(reasons))


def withheld(market: Market, slot: int) -> str | None:
    """Why nothing can be sure of a campaign's change: it is over, or today's money lies far beyond all that was spent
    before the held-out weeks, of which hardly any were at such spend.

    Args:
        market: of `as_today`: fitted on the time before those weeks.
    """
    campaign = campaign_called(market.campaigns[slot])
    if market.ended and market.ended[slot] is not None:
        return f"{campaign} ended on {market.ended[slot]}: it spends nothing today, so nothing of it is judged"
    seen = ever(market, slot)
    if seen is None:
        return None
    today_P = (market.budget[slot] * market.static[slot] / market.static[slot].sum()).tolist()
    rose = [
        f"{name} spends {today:,.2f} {market.currency} a cycle today, and {most:,.2f} in the largest week "
        "before the held-out ones"
        for name, today, most in zip(market.platforms, today_P, seen.platforms, strict=True)
        if most > 0 and today > ROSE * most and today > ROSE_SHARE * sum(today_P)
    ]
    return f"of {campaign} {'; '.join(rose)}: what it earns at such money is to be seen longer" if rose else None


ROSE, ROSE_SHARE = 2.0, 0.02
"""Today's money on a platform over that of the largest week before the held-out ones, and its share, above which no
proof is given."""
SLACK = 0.01
"""Points of share that a limit leaves on today's side of what was proved, and around a split of which nothing was: one
under drift is not the one judged."""


def told(config: Config, found: Decided) -> Decision:
    """The file."""
    market = found.market
    return Decision(
        currency=market.currency,
        cycle_hours=market.cycle_hours,
        cycles=found.test.cycles,
        held_out=found.test.held_out,
        miss=_known(found.test.miss),
        miss_as_before=_known(found.test.miss_as_before),
        margin=found.margin,
        sure=config.gates.decision,
        plausible=config.gates.plausible,
        campaigns=tuple(
            _campaign(market, one, proved, config.gates.decision, reason)
            for one, proved, reason in zip(
                found.campaigns, found.proved, found.withheld or (None,) * len(found.proved), strict=True
            )
        ),
    )


def _campaign(market: Market, one: Judged, proved: bool, sure: float, reason: str | None) -> CampaignDecision:
    change = one.change
    test = first_test(market, change, one.by_platform_NP, one.tried_P, one.known_error_P, one.demand_led_P)
    plain = asdict(test)
    plain.pop("campaign")
    return CampaignDecision(
        campaign=change.campaign,
        budget=change.budget,
        proved=proved,
        part=change.part,
        new=change.new,
        withheld=reason,
        ended=market.ended[market.campaigns.index(change.campaign)] if market.ended else None,
        revenue=float(change.now_P.sum()),
        gain=float(one.gain_N.mean()),
        gain_interval=one.interval(sure),
        probability=one.probability,
        weeks=one.weeks(sure),
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
                counted=bool(one.counted_P[p]),
                together=bool(one.together_P[p]),
                follows=float(one.follows_P[p]),
                demand_led=bool(one.demand_led_P[p]),
                began=one.began_P[p] if one.began_P else None,
            )
            for p, platform in enumerate(change.platforms)
        ),
        first_test=FirstTest(**plain),
        contradicted=contradiction(one),
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
