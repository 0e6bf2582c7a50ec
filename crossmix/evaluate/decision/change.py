"""The change that a fitted market recommends against going on as today, and what its own uncertainty leaves of it.

Same money, same conditions: the best split of today's budget under the limits against today's split, at the fitted
parameters and at draws around them (`crossmix.market.draws`). Platforms' draws are shared by both splits, so that
their difference is paired. Beside the whole change stand parts of it (`PARTS`): a step in its direction earns less and
is surer, since it lies nearer to what was spent. Where the best split gives money to platforms on which the campaign
never spent, whose earnings no history proves, the best splits that give those a probe at most (`limits.probe`), or
none, stand beside it too: what moves between platforms that were tried can be sure whatever the others would earn.

Shapes: C campaigns, P platforms, N draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from crossmix import constraints
from crossmix.market.conditions import Conditions, nominal
from crossmix.market.curves import begun, marginal
from crossmix.market.draws import doubled, drawn_around, spread
from crossmix.market.model import Market
from crossmix.market.oracle import best_share
from crossmix.response import idle

Array = npt.NDArray[np.float64]

DRAWS = 400
PARTS = tuple(eighths / 8 for eighths in range(8, 0, -1))
"""Parts of the way from today's split to the best one, the whole way first."""
MOVED = 0.005
"""Share that a split moves at least to be another than today's."""


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """One campaign's recommended change; money in currency per cycle."""

    campaign: str
    platforms: tuple[str, ...]
    budget: float
    part: float
    """Of the way to the best split at the fitted parameters."""
    today_P: Array
    """Today's split; shares."""
    best_P: Array
    """The split that this part of the way leads to."""
    now_P: Array
    """Revenue of today's split by platform, at the fitted parameters."""
    then_P: Array
    """Revenue of the best split."""
    now_NP: Array
    """At draws of the parameters."""
    then_NP: Array
    marginal_P: Array
    """Marginal ROI at today's split."""
    marginal_NP: Array
    probe: float
    """Share of the budget that a platform that was never tried may have, to find out (`limits.probe`)."""
    new: float | None = None
    """Largest share that this best split was let give a platform that was never tried: `probe`, 0, or `None`: what the
    limits leave."""

    @property
    def idle_P(self) -> npt.NDArray[np.bool_]:
        """Where today's split has nothing: there is no amount that another could be a multiple of."""
        return idle(self.today_P)

    @property
    def beyond_P(self) -> npt.NDArray[np.bool_]:
        """Whether the best split gives a platform more than a probe."""
        return beyond(self.best_P, self.probe)

    @property
    def gain(self) -> float:
        """Revenue of the best split less today's, at the fitted parameters."""
        return float((self.then_P - self.now_P).sum())

    @property
    def moved(self) -> float:
        """Revenue that the change takes from platforms and adds to others, both counted."""
        return float(np.abs(self.then_P - self.now_P).sum())

    @property
    def margin(self) -> float:
        """Relative error of every platform's revenue at which the gain is gone at worst: gain / moved revenue."""
        return max(self.gain, 0.0) / self.moved if self.moved > 0 else 0.0

    @property
    def elasticity_NP(self) -> Array:
        """d ln revenue / d ln money at today's split, of each draw; 0 where there is none."""
        money_NP = np.broadcast_to(self.budget * self.today_P, self.now_NP.shape)
        return np.divide(
            self.marginal_NP * money_NP,
            self.now_NP,
            out=np.zeros_like(self.now_NP),
            where=(self.now_NP > 0) & ~self.idle_P,
        )

    @property
    def log_ratio_P(self) -> Array:
        """ln of each platform's best amount over today's; 0 where today or then it has none."""
        both = ~self.idle_P & (self.best_P > 0)
        ratio = np.where(both, self.best_P / np.where(both, self.today_P, 1.0), 1.0)
        return np.asarray(np.log(ratio))


def changes(
    market: Market, tried_CP: npt.NDArray[np.bool_] | None = None, *, probe: float, draws: int = DRAWS, seed: int = 0
) -> tuple[tuple[Change, ...], ...]:
    """The recommended change of every campaign of a market, on an average weekday without drift: `PARTS` of each.

    Args:
        tried_CP: where campaigns spent within what is fitted on; `None`: everywhere. If the best split
            gives another platform more than the probe, parts of that with the probe at most, and of that with nothing
            there, follow.
        probe: share of the budget, `limits.probe`.
    """
    exact = doubled(market)
    tried_CP = np.ones(market.static.shape, bool) if tried_CP is None else tried_CP
    return tuple(_change(exact, slot, tried_CP[slot], probe, draws, seed) for slot in range(len(market.campaigns)))


@dataclass(frozen=True, slots=True, eq=False)
class Believed:
    """What a change, of another fit, earns by the fit on all of the history; money in currency per cycle."""

    now: float
    """Revenue of today's split, at the fitted parameters."""
    gain_N: Array
    """Revenue of the change's split less today's, at draws around them."""

    @property
    def gain(self) -> float:
        """Mean of the draws."""
        return float(self.gain_N.mean())

    @property
    def probability(self) -> float:
        """That the change earns more than as today: the part of the draws."""
        return float((self.gain_N > 0).mean())


def believed(market: Market, slot: int, *, draws: int = DRAWS, seed: int = 0) -> Callable[[Change], Believed]:
    """What a campaign's change, of another fit, earns by this market.

    Args:
        market: fitted on all of a history, where the change was found by its training period.
        slot: the campaign's number.
    """
    exact = doubled(market)
    conditions, budget = nominal(exact, torch.tensor([slot])), float(exact.budget[slot])
    around = drawn_around(exact, slot, conditions, draws, torch.Generator().manual_seed(2 * seed))

    def earned_N(share_P: Array) -> Array:
        """At the fitted parameters, then at the draws, (1 + N,)."""
        revenue, _ = _responses(conditions, around, budget * torch.as_tensor(share_P), budget)
        return np.asarray(revenue.sum(1))

    def asked(change: Change) -> Believed:
        now_N, then_N = earned_N(change.today_P), earned_N(change.best_P)
        return Believed(float(now_N[0]), then_N[1:] - now_N[1:])

    return asked


def beyond(share_P: Array, probe: float) -> npt.NDArray[np.bool_]:
    """Whether shares are above the probe, by more than limits and splits are rounded."""
    return np.asarray(share_P > probe + 1e-6)


def _change(
    market: Market, slot: int, tried_P: npt.NDArray[np.bool_], probe: float, draws: int, seed: int
) -> tuple[Change, ...]:
    conditions = nominal(market, torch.tensor([slot]))
    today_P = market.static[slot] / market.static[slot].sum()
    limits = constraints.Limits(
        market.minimum[slot], market.maximum[slot], market.freeze[slot].double(), market.step[slot]
    )
    low_BP, high_BP = constraints.box(limits, today_P[None])
    budget = float(market.budget[slot])
    around = drawn_around(market, slot, conditions, draws, torch.Generator().manual_seed(2 * seed))
    (now, slope), found = _responses(conditions, around, budget * today_P, budget), list[Change]()
    for new, part, share_P in _ways(conditions, budget, today_P, torch.as_tensor(tried_P), probe, low_BP, high_BP):
        then, _ = _responses(conditions, around, budget * share_P, budget)
        found.append(
            Change(
                campaign=market.campaigns[slot],
                platforms=market.platforms,
                budget=budget,
                part=part,
                probe=probe,
                new=new,
                today_P=today_P.numpy(),
                best_P=share_P.numpy(),
                now_P=now[0],
                then_P=then[0],
                now_NP=now[1:],
                then_NP=then[1:],
                marginal_P=slope[0],
                marginal_NP=slope[1:],
            )
        )
    return tuple(found)


def _ways(
    conditions: Conditions,
    budget: float,
    today_P: torch.Tensor,
    tried_P: torch.Tensor,
    probe: float,
    low_BP: torch.Tensor,
    high_BP: torch.Tensor,
) -> Iterator[tuple[float | None, float, torch.Tensor]]:
    """Splits to judge, the first choice first: the largest share of a new platform, the part of the way, the split."""
    for new in (None, probe, 0.0):
        most_BP = high_BP if new is None else torch.where(tried_P, high_BP, high_BP.clamp(max=new))
        most_BP = torch.maximum(most_BP, torch.minimum(high_BP, torch.maximum(low_BP, today_P)))
        best_P = best_share(conditions, torch.tensor([budget], dtype=torch.float64), low_BP, most_BP)[0]
        if new is None or float((best_P - today_P).abs().max()) >= MOVED:
            for part in PARTS:
                yield new, part, today_P + part * (best_P - today_P)
        if new is None and not bool((~tried_P.numpy() & beyond(best_P.numpy(), probe)).any()):
            return


def _responses(fitted: Conditions, drawn: Conditions, amount_P: torch.Tensor, budget: float) -> tuple[Array, Array]:
    """Revenue and marginal ROI of amounts, currency: at the fitted parameters, then at the draws, (1 + N, P) each."""
    revenue, slope = [], []
    for one in (spread(fitted, 1), drawn):
        amount_NP = amount_P.expand(len(one.requests), -1)
        earned_NP, slope_NP = marginal(one, amount_NP)
        revenue.append(earned_NP)
        slope.append(begun(one, amount_NP, slope_NP, budget))
    return torch.cat(revenue).numpy(), torch.cat(slope).numpy()
