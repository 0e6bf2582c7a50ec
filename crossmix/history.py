"""Running statistics of a campaign: the one definition behind the state in the market, in Feast and in the server.

Feed it one `Outcome` per cycle; ask it for the fields of a `state.Layout`, per platform and of the campaign. Windowed
sums cover the last `window` cycles (§2.4: 20), a cycle of age a with weight `decay`^a: response drifts, and old cycles
tell less of the coming one.

Where conversions of an account that ran before come late, those of a window are of other clicks than the window's:
clicks that doubled this week, with the conversions of those before, look like a rate that halved. Conversions and
revenue over clicks or money are then told as if as many clicks had been due as there were: times clicks over clicks due
by the delay's law.

Shapes: B batch of campaigns, P platforms, W window, D + 1 delays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from crossmix.state import ALLOCATION, Layout, weekday_fields


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one cycle delivered, each (B, P). Conversions and revenue are credited to the cycle of the impression."""

    requests: Tensor
    """Auction requests."""
    impressions: Tensor
    """Requests won."""
    clicks: Tensor
    conversions: Tensor
    revenue: Tensor
    """Currency."""
    spend: Tensor
    """Currency."""
    planned: Tensor
    """Currency: share x the cycle's budget."""
    expected_revenue: Tensor | None = None
    """Revenue that the impressions won are expected to bring, currency; only where a cycle was drawn."""

    def roi_B(self) -> Tensor:
        """Revenue / planned budget of the cycle; 0 without a budget."""
        planned = self.planned.sum(1)
        return self.revenue.sum(1) / planned.clamp(min=1e-12) * (planned > 0)

    def ctr_B(self) -> Tensor:
        """Clicks / impressions."""
        return self.clicks.sum(1) / self.impressions.sum(1).clamp(min=1e-12)

    def cvr_B(self) -> Tensor:
        """Conversions / clicks."""
        return self.conversions.sum(1) / self.clicks.sum(1).clamp(min=1e-12)


# Order of the windowed quantities in the ring buffer.
_IMPRESSIONS, _CLICKS, _CONVERSIONS, _REVENUE, _SPEND, _PLANNED = range(6)


def due(clicks_DBP: Tensor, delay_DBP: Tensor) -> Tensor:
    """Clicks that a cycle's conversions are due of, (B, P).

    Args:
        clicks_DBP: of the cycle and those before it, newest first, at most D + 1; NaN where nobody knows. Those, and
            the ones before the first, are taken as the mean of the known.
        delay_DBP: probability that a conversion comes d cycles after its click, (D + 1, B, P).
    """
    law_DBP = delay_DBP[: len(clicks_DBP)]
    mean_BP = clicks_DBP.nanmean(0).nan_to_num(0.0)
    told_DBP = torch.where(clicks_DBP.isfinite(), clicks_DBP, mean_BP)
    return (law_DBP * told_DBP).sum(0) + (1 - law_DBP.sum(0)).clamp(min=0) * mean_BP


class History:
    """Windowed and running sums for a batch of campaigns.

    Args:
        batch, platforms: sizes.
        window: cycles in the window.
        decay: weight of a cycle over that of the next younger one; 1 is the paper's flat window.
        horizon: planned cycles of the campaign, (B,) or a number.
        cycle_budget_B: planned budget per cycle, (B,), currency.
        minimum_BP, maximum_BP: limits, shown in the state.
        share_BP: the split in force before the first cycle.
        delay_BPD: probability that a conversion becomes known d cycles after its click, (B, P, D + 1), of an account
            that ran before; `None`: conversions are told over the clicks of the same cycles.
    """

    def __init__(
        self,
        *,
        window: int,
        decay: float,
        horizon: float | Tensor,
        cycle_budget_B: Tensor,
        minimum_BP: Tensor,
        maximum_BP: Tensor,
        share_BP: Tensor,
        delay_BPD: Tensor | None = None,
    ) -> None:
        batch, platforms = share_BP.shape
        kind: Any = {"dtype": share_BP.dtype, "device": share_BP.device}
        self.window = window
        self.weight_W = decay ** torch.arange(window, **kind)
        self.horizon_B = torch.as_tensor(horizon, **kind).expand(batch)
        self.cycle_budget_B = cycle_budget_B.to(share_BP)
        self.minimum_BP, self.maximum_BP = minimum_BP.expand(batch, platforms), maximum_BP.expand(batch, platforms)
        self.share_BP = share_BP
        self.ring_WQBP = torch.zeros(window, 6, batch, platforms, **kind)
        late = delay_BPD is not None and bool((delay_BPD[..., 1:] > 0).any())
        self.delay_DBP = delay_BPD.to(share_BP).permute(2, 0, 1) if late and delay_BPD is not None else None
        """`None`: all come at once."""
        self.due_WBP = torch.zeros(window, batch, platforms, **kind)
        """Clicks that conversions were due of, as the ring's."""
        self.clicks_DBP = torch.zeros(0, batch, platforms, **kind)
        """Of the last cycles, newest first."""
        self.cycles = 0
        """Cycles taken in."""
        self.spent_BP = torch.zeros(batch, platforms, **kind)
        self.elapsed_B = torch.zeros(batch, **kind)
        self.shift_B = torch.zeros(batch, **kind)
        """Planned so far beyond elapsed cycles x `cycle_budget_B`, currency: plans that changed on the way."""
        self.win_rate_BP = torch.zeros(batch, platforms, **kind)
        self.log_price_BP = torch.zeros(batch, platforms, **kind)
        self.log_supply_BP = torch.zeros(batch, platforms, **kind)

    def update(
        self,
        outcome: Outcome,
        arrived_conversions_BP: Tensor,
        arrived_revenue_BP: Tensor,
        supply_cost_BP: Tensor,
        share_BP: Tensor,
        known_BP: Tensor | None = None,
    ) -> None:
        """Take in a finished cycle.

        Conversions come late: `arrived_*` are those that became known in this cycle, whenever their impression was.
        `supply_cost_BP`: what all of the cycle's requests would have cost, currency. `known_BP`: false where nothing is
        known of the cycle, of which no conversions are due then; `None`: all is.
        """
        row = torch.stack(
            [
                outcome.impressions,
                outcome.clicks,
                arrived_conversions_BP,
                arrived_revenue_BP,
                outcome.spend,
                outcome.planned,
            ]
        )
        self.ring_WQBP[self.cycles % self.window] = row
        self.due_WBP[self.cycles % self.window] = self._due_BP(outcome.clicks, known_BP)
        self.cycles += 1
        self.spent_BP = self.spent_BP + outcome.spend
        self.elapsed_B = self.elapsed_B + 1
        self.share_BP = share_BP
        self.win_rate_BP = outcome.impressions / outcome.requests.clamp(min=1e-12)
        price_BP = outcome.spend / outcome.impressions.clamp(min=1e-12)
        # Without a single win there is no price to see: the last one stands.
        self.log_price_BP = torch.where(price_BP > 0, price_BP.clamp(min=1e-8).log(), self.log_price_BP)
        self.log_supply_BP = (supply_cost_BP / self.cycle_budget_B[:, None].clamp(min=1e-12)).clamp(min=1e-4).log()

    def _due_BP(self, clicks_BP: Tensor, known_BP: Tensor | None) -> Tensor:
        """Clicks that conversions of this cycle are due of (`due`); none where the cycle is not known."""
        if self.delay_DBP is None:
            return clicks_BP
        seen_BP = torch.ones_like(clicks_BP, dtype=torch.bool) if known_BP is None else known_BP
        newest_BP = torch.where(seen_BP, clicks_BP, torch.nan)
        self.clicks_DBP = torch.cat([newest_BP[None], self.clicks_DBP])[: len(self.delay_DBP)]
        return torch.where(seen_BP, due(self.clicks_DBP, self.delay_DBP), 0.0)

    def restart(self, horizon: float | Tensor) -> None:
        """Begin a new flight: elapsed cycles and spend start from 0, the window stays."""
        self.horizon_B = torch.as_tensor(horizon).to(self.share_BP).expand(len(self.share_BP))
        self.spent_BP = torch.zeros_like(self.spent_BP)
        self.elapsed_B = torch.zeros_like(self.elapsed_B)

    def past(self, age: int) -> Tensor:
        """Impressions, clicks, conversions, revenue, spend and planned budget of the cycle `age` before the last."""
        row_QBP: Tensor = self.ring_WQBP[(self.cycles - 1 - age) % self.window]
        return row_QBP

    def remaining_per_cycle_B(self) -> Tensor:
        """Remaining budget over remaining cycles, currency."""
        left = (self.horizon_B - self.elapsed_B).clamp(min=1)
        whole_B = self.horizon_B * self.cycle_budget_B + self.shift_B
        remaining: Tensor = (whole_B - self.spent_BP.sum(1)).clamp(min=0) / left
        return remaining

    def statistics(self, weekday_B: Tensor, layout: Layout = ALLOCATION) -> tuple[Tensor, Tensor]:
        """The layout's fields of every platform (B, P, F) and of the campaign (B, C).

        Args:
            weekday_B: of the coming cycle, Monday 0.

        Raises:
            LayoutError: the layout has a field that is not known here.
        """
        age_W = (self.cycles - 1 - torch.arange(self.window, device=self.weight_W.device)) % self.window
        sums_QBP = torch.einsum("w,wqbp->qbp", self.weight_W[age_W], self.ring_WQBP)
        last_QBP = self.past(0)

        def ratio(top: Tensor, bottom: Tensor) -> Tensor:
            return top / bottom.clamp(min=1e-12) * (bottom > 0)

        if self.delay_DBP is not None:
            due_BP = torch.einsum("w,wbp->bp", self.weight_W[age_W], self.due_WBP)
            sums_QBP = _for_own_clicks(sums_QBP, due_BP)
            last_QBP = _for_own_clicks(last_QBP, self.due_WBP[(self.cycles - 1) % self.window])

        planned_so_far_B = (self.elapsed_B * self.cycle_budget_B + self.shift_B).clamp(min=1e-12)
        platform = {
            "previous_share": self.share_BP,
            "budget_consumed": self.spent_BP / planned_so_far_B[:, None] * (self.elapsed_B > 0)[:, None],
            "utilisation": ratio(sums_QBP[_SPEND], sums_QBP[_PLANNED]),
            "windowed_roi": ratio(sums_QBP[_REVENUE], sums_QBP[_PLANNED]),
            "last_roi": ratio(last_QBP[_REVENUE], last_QBP[_PLANNED]),
            "windowed_ctr": ratio(sums_QBP[_CLICKS], sums_QBP[_IMPRESSIONS]),
            "windowed_cvr": ratio(sums_QBP[_CONVERSIONS], sums_QBP[_CLICKS]),
            "win_rate": self.win_rate_BP,
            "log_price": self.log_price_BP,
            "max": self.maximum_BP,
            "min": self.minimum_BP,
            "log_supply": self.log_supply_BP,
        }
        total_QB = sums_QBP.sum(2)
        whole_B = (self.horizon_B * self.cycle_budget_B + self.shift_B).clamp(min=1e-12)
        campaign = {
            "elapsed": self.elapsed_B / self.horizon_B,
            "consumed": self.spent_BP.sum(1) / whole_B,
            "pace": self.remaining_per_cycle_B() / self.cycle_budget_B.clamp(min=1e-12),
            **weekday_fields(weekday_B.to(self.share_BP)),
            "windowed_roi": ratio(total_QB[_REVENUE], total_QB[_PLANNED]),
            "windowed_ctr": ratio(total_QB[_CLICKS], total_QB[_IMPRESSIONS]),
            "windowed_cvr": ratio(total_QB[_CONVERSIONS], total_QB[_CLICKS]),
        }
        return layout.stack(platform, campaign)


def _for_own_clicks(sums_QBP: Tensor, due_BP: Tensor) -> Tensor:
    """Sums whose conversions and revenue are what as many would have brought as there were clicks."""
    clicks_BP = sums_QBP[_CLICKS]
    factor_BP = torch.where((due_BP > 0) & (clicks_BP > 0), clicks_BP / due_BP.clamp(min=1e-12), 1.0)
    parts = list(sums_QBP)
    for place in (_CONVERSIONS, _REVENUE):
        parts[place] = parts[place] * factor_BP
    return torch.stack(parts)
