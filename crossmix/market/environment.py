"""The market as an environment: drift, seasons, history and the 640-d state around one of the three mechanisms.

Time runs in delivery cycles. Every row of the batch is a campaign flight with its own drift; actions are splits of
the cycle's budget, kept inside the limits by `constraints.project` (an action outside is projected, and the reward
sees by how much it was outside).

| part        | what                                                                            |
|-------------|---------------------------------------------------------------------------------|
| state       | (B, 640), `crossmix.state`                                                      |
| action      | (B, P) share of the cycle budget                                                |
| transition  | AR(1) log-drift of click and conversion rate and price; weekday; context resampled; |
|             | carry-over of exposure, where `config.market` switches it on (`CarryOver`)      |
| reward      | eq. 3, `crossmix.reward.simulator`                                              |
| shift       | `market.scenario` multiplies conditions by the flight's cycle (`market.shift`)  |
| start       | `window` cycles under the plan's own split, so that the history is not empty    |
| delay       | conversions come by `market.delay`; of an account whose totals were fitted also those   |
|             | of the clicks before it, as it ran                                              |
| end         | after `cycles` cycles                                                           |

Shapes: B batch, P platforms.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from crossmix import drift, reward
from crossmix.config import Config
from crossmix.config import Market as Settings
from crossmix.constraints import Limits, box, project
from crossmix.history import History, Outcome
from crossmix.market.conditions import Average, Bank, scaled
from crossmix.market.mechanism import counts, exact, expected
from crossmix.market.model import Market, check, check_action
from crossmix.market.shift import Schedule
from crossmix.state import ALLOCATION

MECHANISMS = ("exact", "counts", "expected")
_DRIFTS = ("ctr", "cvr", "price")
ARRIVAL = 1 << 30
"""Apart from the seeds of world and luck; a generator on the CPU takes 32 bits of its seed."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a policy sees before a cycle."""

    state_BS: Tensor
    low_BP: Tensor
    high_BP: Tensor


@dataclass(frozen=True, slots=True)
class Step:
    """What a cycle gave."""

    observation: Observation
    reward_B: Tensor
    outcome: Outcome
    share_BP: Tensor
    """The share in force: the action, projected."""
    done: bool


@dataclass(frozen=True, slots=True)
class CarryOver:
    """What past exposure still does (docs/design.md#market), with f = wins / requests of a cycle; each (B, P).

    fatigue_{t+1} = phi (fatigue_t + f_t): saturation goes on where it ended, clicks times exp(-kappa fatigue).
    stock_{t+1} = theta stock_t + f_t (geometric adstock): conversions times 1 + lift (1 - theta) stock.
    """

    fatigue_BP: Tensor
    stock_BP: Tensor

    def after(self, outcome: Outcome, settings: Settings) -> CarryOver:
        """The stocks of the next cycle."""
        part = outcome.impressions / outcome.requests.clamp(min=1)
        return CarryOver(settings.fatigue * (self.fatigue_BP + part), settings.adstock * self.stock_BP + part)

    def click_factor(self, saturation_BP: Tensor) -> Tensor:
        return torch.exp(-saturation_BP * self.fatigue_BP)

    def conversion_factor(self, settings: Settings) -> Tensor:
        return 1 + settings.adstock_lift * (1 - settings.adstock) * self.stock_BP


class MarketEnvironment:
    """A batch of campaign flights in one fitted market.

    Args:
        market: fitted parameters.
        config: window, reward weights, `market.return_unspent`, carry-over.
        campaign_B: which campaign each row is.
        cycles: length of the flight.
        mechanism: exact, counts or expected.
        seed: of the market: drift, volume, contexts and auctions. Two environments with the same seed see the same
            drift, volume and contexts whatever the actions (their draws come from a generator of their own).
        whole: every conversion arrives on a day of its own, with its revenue. Otherwise each cycle's conversions arrive
            in the parts that the delay's law gives, as what is learned from has less noise.
        weekday: of every flight's first cycle, Monday 0; `None`: each flight's own, by chance.
        value: parameters of each row where they are not the market's, (B, P) each.

    Raises:
        DomainError: a parameter of the market, or an action, is outside its domain.
        ValueError: the mechanism is unknown, or has no whole conversions.
    """

    def __init__(
        self,
        market: Market,
        config: Config,
        *,
        campaign_B: Tensor,
        cycles: int,
        mechanism: str,
        seed: int,
        device: str | torch.device = "cpu",
        whole: bool = False,
        weekday: int | None = None,
        value: Mapping[str, Tensor] | None = None,
    ) -> None:
        if mechanism not in MECHANISMS:
            raise ValueError(f"mechanism: {mechanism!r} is unknown; use one of {', '.join(MECHANISMS)}")
        if whole and mechanism == "expected":
            raise ValueError("whole: expected conversions are no whole numbers; use mechanism counts or exact")
        check(market)
        self.whole, self.weekday = whole, weekday
        self.market, self.config, self.mechanism, self.cycles = market, config, mechanism, cycles
        self.device = torch.device(device)
        self.campaign_B = campaign_B.to(self.device)
        self.batch, self.platforms = len(campaign_B), len(market.platforms)
        self.average = Average.of(market, campaign_B, self.device)
        self.parameter = self.average.parameter
        self.parameter.update({name: table.to(self.device) for name, table in (value or {}).items()})
        self.limits = Limits(
            *(
                table[campaign_B].to(self.device)
                for table in (market.minimum, market.maximum, market.freeze, market.step)
            )
        )
        self.budget_B = market.budget[campaign_B].to(self.device)
        self.static_BP = market.static[campaign_B].to(self.device)
        self.control_BP = market.control[campaign_B].to(self.device)
        self.delay_BPD = market.delay[campaign_B].to(self.device)
        self.responses = Bank.of(market.response.flatten(0, 1).to(self.device), self.campaign_B)
        self.groups = market.response.shape[1]
        self.group_CN = market.context_group.to(self.device)
        self.schedule = Schedule(market, self.device)
        self.context_CND, self.context_rate = market.context.to(self.device), market.context_rate.to(self.device)
        self.reset(seed)

    def reset(self, seed: int) -> Observation:
        """Start new flights: drifts drawn from their stationary law, then `window` cycles under the plan's split."""
        self.world = torch.Generator(self.device).manual_seed(2 * seed)
        self.luck = torch.Generator(self.device).manual_seed(2 * seed + 1)
        self.arrival = torch.Generator(self.device).manual_seed(2 * seed + ARRIVAL)
        shape = (self.batch, self.platforms)
        self.drift = {name: self.parameter[f"{name}_drift"] * self._normal(shape) for name in _DRIFTS}
        self.weekday_B = torch.randint(7, (self.batch,), generator=self.world, device=self.device)
        if self.weekday is not None:
            self.weekday_B = torch.full_like(self.weekday_B, (self.weekday - self.config.window) % 7)
        self.pending_DBP = torch.zeros(2, self.delay_BPD.shape[-1], *shape, device=self.device)
        self.history = History(
            window=self.config.window,
            decay=self.config.decay,
            horizon=self.cycles,
            cycle_budget_B=self.budget_B,
            minimum_BP=self.limits.minimum_P,
            maximum_BP=self.limits.maximum_P,
            share_BP=self.static_BP,
            delay_BPD=self.delay_BPD if self.market.of_totals else None,
        )
        self.cycle = -self.config.window
        none = torch.zeros(shape, device=self.device)
        self.carried = CarryOver(none, none)
        self._advance()
        if self.market.of_totals:
            self._ran_before()
        while self.cycle < 0:
            self._deliver(self.static_BP, self.budget_B, "counts")
        self.history.restart(self.cycles)
        return self.observe()

    def _ran_before(self) -> None:
        """An account whose totals were fitted ran before: conversions of its clicks are due, of the plan's own split at
        the rates of the first cycle."""
        later_DBP = (1 - self.delay_BPD.cumsum(-1)).clamp(min=0).permute(2, 0, 1)
        if not bool((later_DBP > 0).any()):
            return
        usual = expected(self.conditions, self.budget_B[:, None] * self.static_BP)
        self.pending_DBP[0] = later_DBP * usual.conversions
        self.pending_DBP[1] = later_DBP * usual.revenue
        if self.whole:
            conversions = torch.poisson(self.pending_DBP[0], self.arrival)
            per_conversion = usual.revenue / usual.conversions.clamp(min=1e-9)
            self.pending_DBP = torch.stack([conversions, self._worth(conversions, per_conversion)])

    def _worth(self, conversions_DBP: Tensor, value_BP: Tensor) -> Tensor:
        """Revenue of whole conversions, a sum of Gamma values each."""
        cv2 = self.parameter["value_cv"].clamp(min=1e-3) ** 2
        drawn = torch._standard_gamma((conversions_DBP / cv2).clamp(min=1e-6), generator=self.arrival)
        return drawn * cv2 * value_BP * (conversions_DBP > 0)

    def observe(self) -> Observation:
        """State and the box that the limits leave for the coming cycle."""
        platform, campaign = self.history.statistics(self.weekday_B)
        low, high = self.box()
        return Observation(ALLOCATION.encode(self.context_BD, platform, campaign), low, high)

    def box(self) -> tuple[Tensor, Tensor]:
        """Low and high of the coming cycle's share, (B, P) each."""
        return box(self.limits, self.history.share_BP)

    def cycle_budget_B(self) -> Tensor:
        """Budget of the coming cycle: the plan's, or what is left over the cycles left."""
        return self.history.remaining_per_cycle_B() if self.config.market.return_unspent else self.budget_B

    def expected(self, share_BP: Tensor) -> Outcome:
        """Expected outcome of the coming cycle; differentiable in the share."""
        return expected(self.conditions, self.cycle_budget_B()[:, None] * share_BP)

    def following(self, share_BP: Tensor) -> tuple[Tensor, Tensor]:
        """Statistics after the coming cycle, were its outcome the expected one: platform (B, P, 12), campaign (B, 8).

        By `History`'s own formulas, so that a sampled cycle's statistics differ by its luck alone; differentiable in
        the share and in the market's conditions.
        """
        outcome = self.expected(share_BP)
        first = self.delay_BPD[..., 0]
        due = [self.pending_DBP[k, 0] + first * part for k, part in enumerate((outcome.conversions, outcome.revenue))]
        after = copy(self.history)
        after.ring_WQBP, after.due_WBP = self.history.ring_WQBP.clone(), self.history.due_WBP.clone()
        after.update(outcome, due[0], due[1], self.conditions.supply_cost(), share_BP)
        return after.statistics((self.weekday_B + 1) % 7)

    def reward(self, outcome: Outcome, raw_share_BP: Tensor, high_BP: Tensor) -> Tensor:
        """Eq. 3 on an outcome; the penalty sees the share before projection."""
        return reward.simulator(
            self.config.reward, outcome.roi_B(), outcome.ctr_B(), reward.excess(raw_share_BP, high_BP)
        )

    def objective(self, outcome: Outcome, raw_share_BP: Tensor, high_BP: Tensor) -> Tensor:
        """Eq. 3 without its CTR term: what quality is measured in."""
        return reward.money(self.config.reward, outcome.roi_B(), reward.excess(raw_share_BP, high_BP))

    def step(self, action_BP: Tensor) -> Step:
        """Play one cycle with the given split."""
        low, high = self.box()
        check_action(action_BP, (self.batch, self.platforms))
        share = project(action_BP, low, high)
        outcome = self._deliver(share, self.cycle_budget_B(), self.mechanism)
        return Step(self.observe(), self.reward(outcome, action_BP, high), outcome, share, self.cycle >= self.cycles)

    def deliver(self, share_BP: Tensor, budget_B: Tensor) -> Outcome:
        """Play one cycle with a split and a budget that somebody else is answerable for: nothing is projected or paced.

        Args:
            share_BP: rows sum to 1.
            budget_B: currency.
        """
        check_action(share_BP, (self.batch, self.platforms))
        return self._deliver(share_BP, budget_B, self.mechanism)

    def _deliver(self, share_BP: Tensor, budget_B: Tensor, mechanism: str) -> Outcome:
        budget_BP = budget_B[:, None] * share_BP
        if mechanism == "expected":
            outcome = expected(self.conditions, budget_BP)
        else:
            outcome = (counts if mechanism == "counts" else exact)(self.conditions, budget_BP, self.luck)
        # Conversions become known by the delay's law; the ring's slot 0 is due now.
        delay = self.delay_BPD.permute(2, 0, 1)
        if self.whole:
            self.pending_DBP += arrivals(outcome, delay, self.parameter["value_cv"], self.arrival)
        else:
            self.pending_DBP[0] += delay * outcome.conversions
            self.pending_DBP[1] += delay * outcome.revenue
        due = self.pending_DBP[:, 0].clone()
        self.pending_DBP = torch.roll(self.pending_DBP, -1, 1)
        self.pending_DBP[:, -1] = 0
        self.history.update(outcome, due[0], due[1], self.conditions.supply_cost(), share_BP)
        self.carried = self.carried.after(outcome, self.config.market)
        self.cycle += 1
        self.weekday_B = (self.weekday_B + 1) % 7
        for name in _DRIFTS:
            rho, sigma = self.parameter[f"{name}_persistence"], self.parameter[f"{name}_drift"]
            self.drift[name] = drift.advance(self.drift[name], rho, sigma, self._normal(sigma.shape))
        self._advance()
        return outcome

    def _advance(self) -> None:
        """Conditions and context of the coming cycle."""
        noise = self.parameter["requests_sd"] * self._normal(self.drift["ctr"].shape)
        mean = self.average.requests(self.weekday_B) * noise.exp()
        mean = mean * self.schedule.factor_P("requests", self.cycle)
        # Normal for Poisson: means are in the hundreds, and it runs the same on a GPU.
        requests = (mean + mean.sqrt() * self._normal(mean.shape)).round().clamp(min=1)
        pick = torch.randint(self.context_CND.shape[1], (self.batch,), generator=self.world, device=self.device)
        self.context_BD = self.context_CND[self.campaign_B, pick]
        rate = self.context_rate[self.campaign_B, pick]
        # Responses of impressions whose cycles had a like context.
        like_B = self.campaign_B * self.groups + self.group_CN[self.campaign_B, pick]
        tired = self.carried.click_factor(self.parameter["saturation"])
        primed = self.carried.conversion_factor(self.config.market)
        moved = scaled(
            self.average.conditions(self.weekday_B),
            price_multiplier=self._factor("price"),
            ctr=(self._factor("ctr"), rate, tired),
            cvr=(self._factor("cvr"), primed),
        )
        bank = replace(self.responses, row_B=like_B) if self.mechanism == "exact" else None
        self.conditions = self.schedule.apply(replace(moved, requests=requests, bank=bank), self.cycle)

    def _factor(self, name: str) -> Tensor:
        """What the drift multiplies the rate or price by, (B, P)."""
        return drift.factor(self.drift[name], self.parameter[f"{name}_drift"] ** 2)

    def _normal(self, shape: tuple[int, ...] | torch.Size) -> Tensor:
        return torch.randn(shape, generator=self.world, device=self.device)


def arrivals(outcome: Outcome, delay_DBP: Tensor, value_cv_BP: Tensor, generator: torch.Generator) -> Tensor:
    """Conversions and revenue by the cycles until they become known, (2, D, B, P): one multinomial draw of the delays.

    Revenue is parted as sums of Gamma values are (`value_cv`), so that both totals are the outcome's.
    """
    left, mass = outcome.conversions, torch.ones_like(outcome.conversions)
    counts = []
    for delay in delay_DBP[:-1]:
        now = torch.binomial(left, (delay / mass.clamp(min=1e-9)).clamp(0, 1), generator)
        counts.append(now)
        left, mass = left - now, mass - delay
    count_DBP = torch.stack([*counts, left])
    shape = (count_DBP / value_cv_BP.clamp(min=1e-3) ** 2).clamp(min=1e-6)
    value_DBP = torch._standard_gamma(shape, generator=generator) * (count_DBP > 0)
    return torch.stack([count_DBP, outcome.revenue * value_DBP / value_DBP.sum(0).clamp(min=1e-12)])


def episode_campaigns(market: Market, batch: int) -> Tensor:
    """Campaign of each of `batch` rows: round robin."""
    return torch.arange(batch) % len(market.campaigns)


__all__ = ["MECHANISMS", "CarryOver", "MarketEnvironment", "Observation", "Step", "arrivals", "episode_campaigns"]
