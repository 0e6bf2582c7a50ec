"""The MPC base policy: what the fitted market says of the coming cycle, read from the state alone and solved.

Every actor starts from it.

Model-predictive control without a memory. The state's windowed click and conversion rates, its value per conversion and
its last price and win rate are compared with what the fitted market leads one to expect. Usually the gap is the fitted
AR(1) law's, predicted by its best linear filter; now and then a rate, a value or the volume has moved for good, or the
fit was wrong, and then what is seen counts: the two explanations are weighed by Bayes' rule (`_moved`). Then marginal
ROI is equalised over the platforms. Only tensors of fixed size, so that it is exported with the policy that
it starts.

Shapes: B batch, S = 640 state, P platforms, C campaigns, N contexts of all campaigns, K + 1 knots of the cost curve.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from crossmix.agents.learner import AGENTS, Agent
from crossmix.drift import ahead_of_one, expected_factor
from crossmix.fading import Fading, per_click, per_win
from crossmix.response import BELIEF
from crossmix.state import ALLOCATION, weekday_index

TABLES: tuple[str, ...] = (
    "context",  # (N, 512) contexts of all campaigns
    "campaign",  # (N,) whose each is
    "rate",  # (N, P) click-rate multiplier of each
    "budget",  # (C,) planned budget per cycle
    "requests",  # (C, P, 7) by weekday of the coming cycle, as all tables with 7
    "ctr",  # (C, P, 7) click probability of a cycle's first impression
    "ctr_seen",  # (C, P, 7) what the window's click rate is expected to be, before saturation
    "cvr",  # (C, P)
    "value",  # (C, P) currency per conversion
    "saturation",  # (C, P)
    "usual_share",  # (C, P) and the next two: `crossmix.fading`
    "elasticity",  # (C, P)
    "bend",  # (C, P)
    "win",  # (K + 1,) win rates of the knots
    "price",  # (C, P, K + 1) price of the marginal impression at each
    "spend",  # (C, P, K + 1) cost of winning up to each, per request
    "ctr_drift",  # (C, P, 4) covariance with the coming cycle, variance, noise per 1 / click, other noise
    "cvr_drift",  # (C, P, 4)
    "price_drift",  # (C, P, 3) persistence, stationary variance, variance of log requests
    "requests_error",  # (C, P) variance of the log of what they are fitted as
)
HALVINGS = 20
"""The logarithm of the common marginal ROI is found to 2^-20 of its range."""
FEW_ROWS = 16
"""Up to so many rows an operation costs its call: 4 searches among 32 instead of 20 among 2. A bundle's probe, with
which the policy is exported, has fewer, so served answers search so too."""

MOVED, SHIFT = 0.03, 1.0
"""Prior probability that a rate, price or volume is not where the fitted law has it, and the variance of the log of its
move."""
MOST = 15.0
"""Most that a rate is taken to have risen, as a multiple of the usual one."""
BEGUN, FULL = 0.1, 4.0
"""Part of its planned cycles after which a campaign's window is full, and the variance of its first cycle's counts over
that of a full one's."""
READ = 1e-3
"""Variance of the log of impressions, which the state tells by money and price."""
LEAST = 0.02
"""Least factor on a rate or a value."""
HIGHEST_ROI = ALLOCATION.platform_fields[ALLOCATION.platform("windowed_roi")].high


class Planned(NamedTuple):
    """A base split and what it was solved with."""

    share: Tensor
    """(B, P)."""
    belief: Tensor
    """`crossmix.response.BELIEF` of the coming cycle, (B, Q, P)."""
    campaign: Tensor
    """Whose usual it is: index of the tables' campaign, (B,)."""


class BasePolicy(nn.Module):
    """State -> share that equalises marginal ROI within the state's minima and maxima.

    Args:
        tables: `TABLES`, as `crossmix.market.pacing.tables` makes them of a fitted market.
    """

    def __init__(self, tables: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name in TABLES:
            self.register_buffer(name, tables[name].clone())

    def forward(self, state_BS: Tensor) -> Tensor:
        """Share, (B, P)."""
        return self.plan(state_BS).share

    @torch.no_grad()
    def plan(self, state_BS: Tensor) -> Planned:
        """Share of the coming cycle, and what is believed of it."""
        table = dict(self.named_buffers())
        platforms = table["rate"].shape[1]
        context, platform_BPF, campaign_BC = ALLOCATION.split(state_BS, platforms)
        observed, flight = ALLOCATION.by_platform(platform_BPF), ALLOCATION.by_campaign(campaign_BC)
        # Nearest context: its campaign, and its click-rate multiplier.
        near_B = (context @ table["context"].T - 0.5 * table["context"].square().sum(1)).argmax(1)
        c_B, rate = table["campaign"][near_B], table["rate"][near_B]
        day_B7 = nn.functional.one_hot(weekday_index(flight), 7).to(state_BS.dtype)

        def by_day(name: str) -> Tensor:
            return (table[name][c_B] * day_B7[:, None]).sum(2)

        budget_B = table["budget"][c_B] * flight["pace"]
        kappa = table["saturation"][c_B].clamp(min=1e-4)
        price = observed["log_price"].exp()
        # As `pace`, which a caller's budget replaces; a flight that is over leaves nothing to pace.
        left_B = 1 - flight["elapsed"]
        paced_B = torch.where(left_B > 1e-2, (1 - flight["consumed"]) / left_B.clamp(min=1e-2), 1.0).clamp(0, 5)
        money = observed["previous_share"] * observed["utilisation"] * (table["budget"][c_B] * paced_B)[:, None]
        impressions = (money / price).clamp(min=1e-3)
        # Volume that lies far beyond its noise has moved. The cost curve passes through what was paid: the win rate is
        # that of the impressions at this volume, also where none is reported.
        usual = (table["requests"][c_B] * day_B7.roll(-1, 1)[:, None]).sum(2).clamp(min=1e-9)
        noise = table["price_drift"][c_B][..., 2] + table["requests_error"][c_B]
        grown = _volume(observed, impressions, usual, noise)
        win = (impressions / (usual * grown)).clamp(1e-6, 1)
        faded = (kappa * win).clamp(min=1e-3)
        sated = (1 - torch.exp(-faded)) / faded

        expected_ctr = (by_day("ctr_seen") * sated).clamp(min=1e-9)
        full = 1 + (FULL - 1) * (1 - flight["elapsed"] / BEGUN).clamp(min=0)[:, None]
        ratio = observed["windowed_ctr"] / expected_ctr
        ctr = _predicted(ratio, table["ctr_drift"][c_B], impressions * expected_ctr, full)
        clicks = (impressions * observed["windowed_ctr"]).clamp(min=1e-3)
        fading = Fading(kappa, *(table[name][c_B] for name in ("usual_share", "elasticity", "bend")))
        cvr_0 = table["cvr"][c_B].clamp(min=1e-9)
        # What the window's clicks convert at where conversions do not follow them.
        cvr_seen = cvr_0 * per_click(fading, win)
        ratio = observed["windowed_cvr"] / cvr_seen
        # Where delivery stops or begins again rates are off.
        doubt = _due(clicks * observed["windowed_cvr"], clicks * cvr_seen) * (ratio < 1)
        doubt = doubt + (1 - observed["utilisation"]).clamp(min=0) ** 2
        reported = flight["windowed_cvr"][:, None] > 0
        cvr = _predicted(ratio, table["cvr_drift"][c_B], clicks * cvr_seen, full, doubt, reported)
        multiplier, uncertain = self._price_multiplier(table, c_B, price, win, impressions)
        usual_value = table["value"][c_B]
        square = table["cvr_drift"][c_B][..., 2]
        reported = flight["windowed_roi"][:, None] > 0
        value = _value(observed, price, uncertain, clicks, square, usual_value, reported)

        worth = by_day("ctr") * rate * ctr * cvr_0 * cvr * (usual_value * value)
        knots = table["win"]
        marginal = worth[..., None] * per_win(Fading(*(one[..., None] for one in fading)), knots)
        marginal = marginal / (multiplier[..., None] * table["price"][c_B]).clamp(min=1e-12)
        cost = (by_day("requests") * grown * multiplier)[..., None] * table["spend"][c_B]
        share = cost / budget_B.clamp(min=1e-9)[:, None, None]
        usual_ctr, usual_requests = (table[name].mean(2).clamp(min=1e-12)[c_B] for name in ("ctr", "requests"))
        weekday = by_day("ctr") / usual_ctr, by_day("requests") / usual_requests
        # Joined, not stacked: of a few rows an operation costs its call, and a stack is one for each.
        belief = torch.cat([rate * ctr, cvr, value, multiplier, grown, *weekday, cost[..., -1]], 1)
        belief = belief.reshape(-1, len(BELIEF), platforms)
        return Planned(_equalised(share, marginal, observed["min"], observed["max"]), belief, c_B)

    def _price_multiplier(
        self, table: dict[str, Tensor], c_B: Tensor, price: Tensor, win: Tensor, impressions: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Price multiplier of the coming cycle, from what an impression cost at the win rate seen.

        Beside it the variance of ln(price of the window / last price).
        """
        knots, spend = table["win"], table["spend"][c_B]

        def mean_price(w: Tensor) -> Tensor:
            low = (w[..., None] >= knots[1:-1]).to(w.dtype).sum(2).long()
            left, right = (spend.gather(2, index[..., None]).squeeze(2) for index in (low, low + 1))
            part = (w - knots[low]) / (knots[low + 1] - knots[low])
            return ((left + (right - left) * part) / w).clamp(min=1e-12)

        usual = mean_price(win)
        wider = (1.1 * win).clamp(max=1.0)
        elasticity = (mean_price(wider) / usual).log() / (wider / win).log().clamp(min=1e-3)
        drift = table["price_drift"][c_B]
        rho, variance, volume = drift[..., 0], drift[..., 1], drift[..., 2]
        # Prices spread about as widely as they are high, so that a mean of n has a relative variance near 1 / n.
        noise = 1 / impressions.clamp(min=1) + elasticity**2 * volume
        # Nothing won, nothing learned.
        won = (impressions >= 1).to(win.dtype)
        surprise = won * ((price / usual).log().clamp(-3, 3) + 0.5 * variance)
        gain = won * variance / (variance + noise + 1e-9)
        belief = ahead_of_one(rho, variance, gain, surprise)
        uncertain = 2 * (1 - rho) * variance + 1 / impressions.clamp(min=1)
        uncertain = uncertain + _moved(surprise, variance + noise) * surprise**2
        return expected_factor(belief, variance), uncertain


def _predicted(
    ratio: Tensor,
    drift_BP4: Tensor,
    events: Tensor,
    full: Tensor | float = 1.0,
    doubt: Tensor | float = 0.0,
    reported: Tensor | None = None,
) -> Tensor:
    """Prediction of the coming factor (mean 1) from the window's rate over its expectation.

    Args:
        events: expected a cycle.
        full: variance of the window's counts over that of a full one, (B, 1).
        doubt: variance of the ratio's log that is neither the law's nor the counts'; it speaks against a move.
        reported: false where nobody reports such events, which is no fall.
    """
    noise = drift_BP4[..., 2] / events.clamp(min=1e-3) + drift_BP4[..., 3] + 1e-9
    variance = drift_BP4[..., 1] + noise
    drifted = (1 + drift_BP4[..., 0] / variance * (ratio - 1).clamp(-1, 3)).clamp(min=LEAST)
    moved = (1 + (drift_BP4[..., 0] + SHIFT) / (variance + SHIFT) * (ratio - 1).clamp(max=MOST)).clamp(min=LEAST)
    count = full * drift_BP4[..., 2] / events.clamp(min=1e-3)
    weight = _moved(_root(ratio, count), drift_BP4[..., 1] + drift_BP4[..., 3] + count + doubt)
    return torch.lerp(drifted, moved, weight if reported is None else weight * reported)


def _due(observed: Tensor, expected: Tensor) -> Tensor:
    """Variance of the log of a conversion rate below the usual one: conversions that are due look like a fall.

    One that all platforms share, and that moves no split: the more the other platforms lack, the less is a platform's
    own fall believed. One event is added to both, so that few tell little.

    Args:
        seen, expected: conversions of a cycle.
    """
    others = [count.sum(1, keepdim=True) - count + 1 for count in (observed, expected)]
    return (others[0] / others[1]).clamp(1e-2, 1).log() ** 2


def _volume(observed: Mapping[str, Tensor], impressions: Tensor, usual: Tensor, noise: Tensor) -> Tensor:
    """Factor on the requests a cycle, from the reported win rate; 1 unless they have moved, or where none is reported.

    What moves on all platforms alike is no volume but the budget: of how much money a share was, the state tells only
    what was planned.

    Args:
        usual: requests of the last cycle's weekday.
        noise: variance of their log.
    """
    reported = (observed["win_rate"] > 1e-6) & (impressions >= 1)
    gap = reported * (impressions / usual / observed["win_rate"].clamp(min=1e-6)).log().clamp(-3, 3)
    # Impressions are read from the window's utilisation, which an outage takes from the last cycle's.
    variance = noise + 1 / usual + READ + (1 - observed["utilisation"]).clamp(min=0) ** 2
    alike = (gap / variance).sum(1, keepdim=True) / (1 / variance).sum(1, keepdim=True)
    gap = gap - alike
    return torch.exp(reported * _moved(gap, variance) * SHIFT / (SHIFT + variance) * gap)


def _value(
    observed: Mapping[str, Tensor],
    price: Tensor,
    uncertain: Tensor,
    clicks: Tensor,
    square: Tensor,
    usual: Tensor,
    reported: Tensor,
) -> Tensor:
    """Factor on the value per conversion: the window's revenue over its conversions, over `usual`.

    Values do not drift, so it is 1 unless they have moved. The window's conversions are counted with the last price:
    `uncertain` is the variance of the log that this adds.

    Args:
        clicks: of a cycle.
        square: sum of the window's squared weights.
        reported: false where nobody reports revenue, which is no fall.
    """
    conversions = observed["utilisation"] / price.clamp(min=1e-12) * observed["windowed_ctr"] * observed["windowed_cvr"]
    ratio = (observed["windowed_roi"] / (conversions * usual).clamp(min=1e-12)).clamp(max=1 + MOST)
    # As if values spread as widely as they are high: they spread half as widely, which leaves room for `FULL`.
    count = square / (clicks * observed["windowed_cvr"]).clamp(min=1e-3)
    variance = count + uncertain
    moved = (1 + SHIFT / (SHIFT + variance) * (ratio - 1)).clamp(min=LEAST)
    # A return at the state's upper bound may be any above it.
    reported = reported & (observed["windowed_roi"] < HIGHEST_ROI)
    return torch.lerp(torch.ones_like(moved), moved, _moved(_root(ratio, count), variance) * reported)


def _root(ratio: Tensor, count: Tensor) -> Tensor:
    """About ln ratio near 1, and of the same variance everywhere for Poisson counts (Anscombe, 1948).

    Args:
        count: 1 / expected count.
    """
    small = 0.375 * count
    return 2 * ((ratio.clamp(0, 1 + MOST) + small).sqrt() - (1 + small).sqrt())


def _moved(gap: Tensor, variance: Tensor) -> Tensor:
    """Probability, by Bayes' rule, that a quantity has moved by N(0, SHIFT) besides the fitted law's N(0, variance)."""
    wide = variance + SHIFT
    odds = math.log(MOVED / (1 - MOVED)) + 0.5 * ((variance / wide).log() + gap**2 * (1 / variance - 1 / wide))
    return torch.sigmoid(odds)


def _equalised(share_BPK: Tensor, marginal_BPK: Tensor, low_BP: Tensor, high_BP: Tensor) -> Tensor:
    """Shares at one marginal ROI within [low, high], summing to 1: search of its logarithm on a grid of 2^20.

    Between two knots the marginal ROI falls evenly with the share.
    """
    width = share_BPK[..., 1:] - share_BPK[..., :-1]
    log_m = marginal_BPK.clamp(min=1e-12).log()
    top, fall = log_m[..., :-1], (log_m[..., :-1] - log_m[..., 1:]).clamp(min=1e-9)
    top, slope = top[:, None], (1 / fall)[:, None]
    first, width = share_BPK[:, None, :, 0], width[:, None]
    low, high = low_BP[:, None], high_BP[:, None]

    def bought(at_BG: Tensor) -> Tensor:
        """Shares (B, G, P) at G levels."""
        part = ((top - at_BG[..., None, None]) * slope).clamp(0, 1)
        return (first + (part * width).sum(3)).clamp(low, high)

    ways = 32 if len(share_BPK) <= FEW_ROWS else 2
    inner = torch.arange(1, ways, device=log_m.device, dtype=log_m.dtype)
    lower, upper = log_m.flatten(1).amin(1, keepdim=True), log_m.flatten(1).amax(1, keepdim=True)
    step = upper - lower
    for _ in range(round(HALVINGS / math.log2(ways))):
        step = step / ways
        over = bought(lower + step * inner).sum(2) > 1
        lower = lower + step * over.sum(1, keepdim=True)
    share = bought(lower + step)[:, 0]
    # What no platform can spend is spread evenly over the room that is left.
    room = (high_BP - share).clamp(min=0) + 1e-6
    missing = (1 - share.sum(1, keepdim=True)).clamp(min=0)
    share = share + missing * room / room.sum(1, keepdim=True)
    return share / share.sum(1, keepdim=True)


AGENTS.register(Agent(name="mpc", label="the base policy as it is; nothing is trained", start="base"))
