"""An answer with its reasons: how a bundle splits a campaign's next cycle, what that should earn, and what binds it.

The bundle decides the split; a `Responder` (handed in: the bundle's own table of the fitted market's closed form) says
what the split should earn and what one more unit of money would earn on each platform: under what the policy believes
of the coming cycle, where the bundle tells it, so that free platforms earn alike but for what moved the split away from
the base plan's. No torch here.

Shapes: P platforms, X the state's statistics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix import constraints
from crossmix.bundle import Bundle
from crossmix.config import ConfigError
from crossmix.proof import of_a_proof
from crossmix.reasons import Decided, PlatformShare, interval_of, overall, reasoned
from crossmix.response import FIRST, MOST, Belief, Ever, Responder, Response, idle
from crossmix.state import Layout

Array = NDArray[Any]
ALIKE = 0.01
"""Amounts this close, relative, count as the same."""
MOVED = 5e-4
"""A share as far from today's as a tenth of a percent, rounded, shows is not today's."""
LEAST_LEFT = 0.01
"""Part of a flight up to which a policy's plan reads no pace from what is left (`crossmix.agents.mpc`)."""


@dataclass(frozen=True, slots=True)
class LimitChange:
    """Limits that one call changes, by platform name; shares of the cycle budget. Absent: as in the bundle."""

    minimum: Mapping[str, float] = field(default_factory=dict)
    maximum: Mapping[str, float] = field(default_factory=dict)
    step: Mapping[str, float] = field(default_factory=dict)
    freeze: frozenset[str] = frozenset()
    """Platforms frozen in addition to those of the bundle."""
    unfreeze: frozenset[str] = frozenset()
    """Platforms of the bundle's freeze that may move."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """The answer: a split, what it should earn (95 % interval), and why."""

    campaign: str
    budget: float
    currency: str
    platforms: tuple[PlatformShare, ...]
    expected_revenue: float
    expected_revenue_interval: tuple[float, float]
    expected_roi: float
    """Expected revenue / budget."""
    expected_roi_interval: tuple[float, float]
    static_revenue: float
    """What the plan's static split should earn in the same coming cycle with the same budget."""
    usual_static_revenue: float
    """The same of an average day without drift: what `crossmix whatif` calls today's split's."""
    binding: tuple[str, ...]
    """One sentence per limit that binds."""
    reasons: tuple[str, ...]
    """What holds for the answer as a whole: what the figures are of, who moved the split, what is at a limit."""
    belief: Mapping[str, Sequence[float]] | None
    """`crossmix.response.BELIEF` of the coming cycle, a number per platform; `None`: the bundle does not tell."""
    moved: Mapping[str, Sequence[float]] | None
    """How far each of `crossmix.reasons.MOVERS` moved the shares away from the base plan's; `None`: as before."""
    notes: tuple[str, ...]
    bundle: str
    """Digest of the bundle that answered."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return asdict(self) | {"platforms": [one._asdict() for one in self.platforms]}


def explain(
    bundle: Bundle,
    statistics_X: Array,
    campaign: str,
    responder: Responder,
    *,
    budget: float | None = None,
    change: LimitChange | None = None,
    previous_P: Array | None = None,
    context_D: Array | None = None,
    keep: bool = False,
) -> Allocation:
    """Split a campaign's next cycle and say why.

    Args:
        statistics_X: the state's budget statistics in the bundle's layout, (X,), as the feature service yields them.
        responder: the fitted market of this campaign.
        budget: money of the cycle, currency; `None`: the plan's. It enters the state as its pace (remaining budget per
            cycle over the plan's), whatever a flight that ended before left over.
        change: limits that differ from the bundle's.
        previous_P: last shares, (P,); `None`: no last cycle, so freezes and steps do not bind.
        context_D: fused context, (D,); `None`: the campaign's last one in the bundle.
        keep: today's split, the plan's, as near as the limits let it, in place of the policy's.

    Raises:
        BundleError: the campaign is unknown.
        ConfigError: an unknown platform, or a budget or last share that cannot be; names field, value and remedy.
        InfeasibleError: the limits leave no split.
        LayoutError: the statistics are not of the bundle's layout.
    """
    bundle.check_campaign(campaign)
    plan = bundle.plans[campaign]
    money = plan.cycle_budget if budget is None else float(budget)
    if not (np.isfinite(money) and money > 0):
        raise ConfigError(f"budget: {budget!r}; give an amount above 0 in {plan.currency}")
    limits = changed(bundle.limits[campaign], bundle.platforms, change or LimitChange())
    previous = None if previous_P is None else last_shares(previous_P, bundle.platforms)
    ever = bundle.ever_of(campaign)
    if ever is not None and money > (most := farthest(ever, plan.cycle_budget)):
        raise ConfigError(ever.too_far(money, most, plan.currency))
    low_BP, high_BP = constraints.box(limits, previous)
    try:
        constraints.check(low_BP, high_BP, bundle.platforms)
    except constraints.InfeasibleError as error:
        told = of_a_proof(bundle, campaign, limits)
        raise (constraints.InfeasibleError(f"{error}. {told}") if told else error) from None
    statistics = with_limits(bundle.layout, statistics_X, limits, previous, money / plan.cycle_budget)
    state_BS = bundle.encode(campaign, statistics, context_D)
    decision = bundle.decision(state_BS, low_BP, high_BP)
    static_P = np.asarray(plan.share, float)
    share_P: Any = constraints.nearest(static_P, low_BP[0], high_BP[0]) if keep else decision.share_BM[0].astype(float)
    decided, asked = None, responder
    if decision.beliefs is not None:
        belief = decision.beliefs[0]
        usual = responder if belief.usual == campaign else bundle.responses.get(belief.usual, responder)
        asked = partial(belief.response, usual)
        elsewhere = other_budget(bundle, belief, state_BS[0], money)
        of_policy = Decided.of(belief, share_P, decision.logits_BM[0], elsewhere=elsewhere)
        decided = Decided(belief, None) if keep else of_policy
    # Bundles of before, which tell no belief, answer as they did.
    response = asked(share_P, money) if decided is None else at_least(asked, share_P, money)
    static = asked(static_P, money)
    shares = reasoned(
        bundle.platforms, limits, previous, share_P, (low_BP[0], high_BP[0]), response, money, decided,
        supply_known=ever is None, proved=bundle.proved(campaign, limits),
    )  # fmt: skip
    if keep:
        shares = as_today(shares, static_P)
    revenue = float(response.revenue_P.sum())
    interval = interval_of(revenue, response.total_se)
    return Allocation(
        campaign=campaign,
        budget=money,
        currency=plan.currency,
        platforms=shares,
        expected_revenue=revenue,
        expected_revenue_interval=interval,
        expected_roi=revenue / money,
        expected_roi_interval=(interval[0] / money, interval[1] / money),
        static_revenue=float(static.revenue_P.sum()),
        usual_static_revenue=float(responder(static_P, money).revenue_P.sum()),
        binding=tuple(f"{one.platform}: {one.reason}" for one in shares if one.binding),
        reasons=overall(shares, decided, campaign),
        **({"belief": None, "moved": None} if decided is None else decided.as_dict()),
        notes=(
            *over(campaign, bundle.ended.get(campaign), money, plan.currency),
            *([] if ever is None else ever.beyond(bundle.platforms, share_P * money, "This split", plan.currency)),
            *notes(limits, previous),
        ),
        bundle=bundle.digest,
    )


def as_today(shares: Iterable[PlatformShare], today_P: Array) -> tuple[PlatformShare, ...]:
    """What is said of platforms that keep today's shares, (P,), or what limits leave of them."""
    told = []
    for one, today in zip(shares, today_P.tolist(), strict=True):
        kept = abs(one.share - today) < MOVED
        held = "as today" if kept else f"{one.share:.1%}, as near today's {today:.1%} as the limits let"
        binding = None if kept else one.binding
        reason = f"{held}; the next unit earns {one.marginal_roi:.3g}"
        told.append(one._replace(binding=binding, held=held, reason=reason))
    return tuple(told)


def farthest(ever: Ever, cycle_budget: float) -> float:
    """The largest budget of a spend history's campaign that a bundle answers, currency: what it holds of responses ends
    at so many times its plan's `cycle_budget`."""
    return max(min(ever.farthest, MOST * cycle_budget), 2 * cycle_budget)


def at_least(asked: Responder, share_P: Array, money: float) -> Response:
    """The response to a split; the marginal ROI of a share of nothing is what its first `FIRST` earns on average."""
    response, first_P = asked(share_P, money), idle(share_P)
    if not first_P.any():
        return response
    begun = asked(np.where(first_P, FIRST, share_P), money)
    each = FIRST * money
    return replace(
        response,
        marginal_P=np.where(first_P, begun.revenue_P / each, response.marginal_P),
        marginal_se_P=np.where(first_P, begun.revenue_se_P / each, response.marginal_se_P),
    )


def changed(
    limits: constraints.Limits[Array], platforms: tuple[str, ...], change: LimitChange
) -> constraints.Limits[Array]:
    """`limits` with `change` applied; raises `ConfigError` for an unknown platform or a share outside [0, 1]."""

    def values(name: str, base_P: Array, new: Mapping[str, float]) -> Array:
        values_P = base_P.copy()
        for platform, value in new.items():
            if not 0 <= value <= 1:
                raise ConfigError(f"limits.{name}: {value!r} for {platform}; give a share of the budget from 0 to 1")
            values_P[_slot(platform, platforms, f"limits.{name}")] = value
        return values_P

    def flags(base_P: Array, names: Iterable[str], value: bool, where: str) -> Array:
        flags_P = base_P.copy()
        flags_P[[_slot(name, platforms, where) for name in sorted(names)]] = value
        return flags_P

    freeze_P = flags(limits.freeze_P, change.freeze, True, "limits.freeze")
    return constraints.Limits(
        values("min", limits.minimum_P, change.minimum),
        values("max", limits.maximum_P, change.maximum),
        flags(freeze_P, change.unfreeze, False, "limits.unfreeze"),
        values("step", limits.step_P, change.step),
    )


def _slot(platform: str, platforms: tuple[str, ...], where: str) -> int:
    if platform not in platforms:
        raise ConfigError(f"{where}: platform {platform!r} is unknown; use one of {', '.join(platforms)}")
    return platforms.index(platform)


def last_shares(previous_P: Array, platforms: tuple[str, ...]) -> Array:
    """The last shares as (1, P) float32."""
    share_P = np.asarray(previous_P, np.float32).reshape(-1)
    if len(share_P) != len(platforms):
        raise ConfigError(f"previous share: {len(share_P)} numbers; give one per platform: {', '.join(platforms)}")
    if not np.isfinite(share_P).all() or (share_P < 0).any() or abs(float(share_P.sum()) - 1) > 1e-3:
        raise ConfigError(f"previous share: {np.round(share_P, 4).tolist()}; give shares from 0 to 1 that sum to 1")
    return share_P[None]


def with_limits(
    layout: Layout, statistics_X: Array, limits: constraints.Limits[Array], previous_BP: Array | None, pace: float
) -> Array:
    """The statistics with what this call decides written in: limits, last shares, and the budget's pace."""
    decided_P = {"max": limits.maximum_P, "min": limits.minimum_P}
    if previous_BP is not None:
        decided_P["previous_share"] = previous_BP[0]
    return layout.write(statistics_X, decided_P, {"pace": pace})


def with_money(layout: Layout, statistics_X: Array, flight: float | None, coming: float) -> Array:
    """The statistics of a flight as if its money were that of another plan, on which a policy was trained.

    A policy's plan takes the pace times its own plan's budget for what the coming cycle spends, and for what the last
    one was told (remaining / planned budget) / (remaining / planned cycles). A campaign whose budget was edited says so
    by another pace: what it has consumed is what leaves that much, and where that would be less than nothing, elapsed
    cycles are, too. Statistics that say so already stay as they are.

    Args:
        flight: money of a cycle as the flight goes, over that plan's budget of a cycle; `None`: the statistics are of
            no flight of the campaign's, and tell the plan's own money.
        coming: the coming cycle's, which a call may have changed.
    """
    fields = {"pace": coming}
    if flight is None:
        return layout.write(statistics_X, campaign=fields)
    elapsed, consumed = (float(layout.of_campaign(statistics_X, name)) for name in ("elapsed", "consumed"))
    left, highest = 1 - elapsed, layout.campaign_fields[layout.campaign("pace")].high
    goes = min(max(flight, 0.0), highest)
    says = min(max((1 - consumed) / left, 0.0), highest) if left > LEAST_LEFT else 1.0
    if abs(says - goes) > ALIKE * goes:
        left = max(left, 2 * LEAST_LEFT)
        if goes * left > 1:
            left = 1 / goes
        fields |= {"elapsed": 1 - left, "consumed": 1 - goes * left}
    return layout.write(statistics_X, campaign=fields)


def other_budget(bundle: Bundle, belief: Belief, state_S: Array, money: float) -> str | None:
    """Says so where the policy solved for another budget of a cycle than `money`, currency.

    Args:
        state_S: as the policy saw it: its pace is over the plan's budget.
    """
    pace = float(bundle.layout.of_campaign(bundle.layout.statistics(state_S), "pace"))
    solved = pace * bundle.plans[belief.usual].cycle_budget
    if abs(solved - money) <= ALIKE * money:
        return None
    highest = bundle.layout.campaign_fields[bundle.layout.campaign("pace")].high
    most = (
        f": its state tells no more than {highest:g} times the plan that it was trained on" if pace >= highest else ""
    )
    return f"the policy solved for {solved:,.2f} a cycle where {money:,.2f} are to be spent{most}"


def over(campaign: str, ended: str | None, money: float, currency: str) -> tuple[str, ...]:
    """That a campaign is over, a sentence; none of one that runs."""
    if ended is None:
        return ()
    return (
        f"{campaign} ended on {ended}: today it spends nothing. {money:,.2f} {currency} a cycle are for the case that "
        "it comes back.",
    )


def notes(limits: constraints.Limits[Array], previous_BP: Array | None) -> tuple[str, ...]:
    if previous_BP is None and (limits.freeze_P.any() or (limits.step_P < 1).any()):
        return ("No last shares were given, so freezes and step limits do not bind.",)
    return ()
