"""Ways to go on when the market moves, side by side in rows of flights (`_flights`): for `readapt`.

Shapes: S seeds, C campaigns, R = S x C rows, P platforms.
"""

from __future__ import annotations

import time
from collections import deque

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from benchmarks._flights import Planner
from crossmix.agents.policy import Policy
from crossmix.constraints import project, project_through
from crossmix.feedback import Feedback
from crossmix.market import level_evidence as evidence
from crossmix.market.conditions import nominal, scaled_market
from crossmix.market.environment import MarketEnvironment, Observation
from crossmix.market.level_evidence import QUANTITIES, Seen, Usual
from crossmix.market.levels import State, refit, rows
from crossmix.market.mechanism import expected
from crossmix.market.model import Market
from crossmix.training.policy_file import AdaptationStart


class Kept:
    """The champion as it is."""

    def __init__(self, planner: Planner, networks: bool = True) -> None:
        self.planner, self.networks = planner, networks
        self.plan = planner.plan(planner.market)
        self.seconds, self.updates = 0.0, 0.0

    def share(self, world: MarketEnvironment, seen: Observation) -> Tensor:
        return self.planner.share(self.plan, seen, self.networks)

    def told(self, feedback: Feedback, cycle: int) -> None: ...

    def replan(self, market: Market) -> None:
        self.plan = self.planner.plan(market)
        self.updates += 1


class Known(Kept):
    """The plan is that of the world as it is, from the cycle on in which it becomes so."""

    def __init__(self, planner: Planner, world: Market, since: int = 0, networks: bool = True) -> None:
        super().__init__(planner, networks)
        self.world, self.since = world, since

    def share(self, world: MarketEnvironment, seen: Observation) -> Tensor:
        if world.cycle == self.since:
            self.replan(self.world)
        return super().share(world, seen)


class Loop(Kept):
    """The market refitted to what came back, and planned for, every so many cycles."""

    def __init__(self, planner: Planner, every: int = 1, networks: bool = True) -> None:
        super().__init__(planner, networks)
        self.every = every
        self.state: State | None = None

    def told(self, feedback: Feedback, cycle: int) -> None:
        began = time.process_time()
        found = refit(self.planner.market, feedback, self.planner.config.levels, self.state)
        self.state = found.state
        if (cycle + 1) % self.every == 0:
            self.replan(found.market)
        self.seconds += time.process_time() - began


class Rule(Kept):
    """A rule without a filter: where the ROI of `SHORT` cycles is off the planned one, raw rates of `LONG` replace the
    fitted ones.

    Per campaign. Planned is what the market that is planned for expects of the money told. Once replaced, it waits
    `SHORT` cycles. A cell that showed nothing of a quantity keeps it as fitted.
    """

    SHORT, LONG, OFF = 7, 14, 0.15

    def __init__(self, planner: Planner, seeds: int) -> None:
        super().__init__(planner)
        self.seeds, self.replaced = seeds, 0
        market = planner.market
        self.usual, self.believed = Usual.of(market), market
        self.campaigns = torch.arange(len(market.campaigns))
        self.clicks_DCP = torch.full_like(self.usual.delay_DCP, torch.nan)
        self.seen: deque[tuple[Tensor, Tensor]] = deque(maxlen=self.LONG)
        self.money: deque[tuple[Tensor, Tensor]] = deque(maxlen=self.SHORT)
        self.waits_R = torch.zeros(len(market.campaigns), dtype=torch.long)
        self.log_QRP = torch.zeros(len(QUANTITIES), *market.static.shape)

    def told(self, feedback: Feedback, cycle: int) -> None:
        began = time.process_time()
        self._take(feedback)
        self.waits_R = (self.waits_R - 1).clamp(min=0)
        if len(self.money) == self.SHORT:
            earned_R, planned_R = (torch.stack(part).sum(0) for part in zip(*self.money, strict=True))
            off_R = ((earned_R / planned_R.clamp(min=1e-9) - 1).abs() > self.OFF) & (self.waits_R == 0)
            if bool(off_R.any()):
                self._replace(off_R)
        self.seconds += time.process_time() - began

    def _take(self, feedback: Feedback) -> None:
        weekday_R = torch.from_numpy(feedback.weekday_TC[0])
        told_RP = torch.from_numpy(feedback.told_TCP[0]).float()
        planned_R = expected(nominal(self.believed, self.campaigns, weekday_R), told_RP).revenue.sum(1)
        self.money.append((torch.from_numpy(feedback.revenue_TCP[0]).nan_to_num(0.0).sum(1), planned_R.double()))
        (_, row), none = next(rows(feedback)), torch.zeros_like(self.usual.cvr)
        win, unsure = evidence.win_rate(self.usual, row, none, none)
        self.clicks_DCP = torch.cat([row.clicks_CP[None], self.clicks_DCP[:-1]])
        seen = (
            evidence.requests_seen(self.usual, row),
            evidence.price_seen(self.usual, row, win, unsure),
            evidence.clicks_seen(self.usual, row, win),
            evidence.conversions_seen(self.usual, row, self.clicks_DCP),
            evidence.value_seen(self.usual, row),
        )
        self.seen.append((_known(seen, "amount"), _known(seen, "usual")))

    def _replace(self, off_R: Tensor) -> None:
        amount_QRP, usual_QRP = (torch.stack(part).sum(0) for part in zip(*self.seen, strict=True))
        shown = (amount_QRP > 0) & (usual_QRP > 0) & off_R[:, None]
        raw = (amount_QRP / usual_QRP.clamp(min=1e-12)).clamp(min=1e-3, max=1e3).log().float()
        self.log_QRP = torch.where(shown, raw, self.log_QRP)
        self.waits_R[off_R] = self.SHORT
        factor = dict(zip(QUANTITIES, self.log_QRP.exp(), strict=True))
        self.believed = scaled_market(self.planner.market, price_multiplier=factor.pop("price"), **factor)
        self.replan(self.believed)
        # Of one advertiser.
        self.replaced += int(off_R.sum())
        self.updates = self.replaced / self.seeds


def _known(seen: tuple[Seen, ...], name: str) -> Tensor:
    return torch.stack([torch.where(one.known, getattr(one, name), 0.0) for one in seen])


class _Raw(nn.Module):
    """`Policy.raw` given the plan's split, for `functional_call`."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, state_BS: Tensor, base_BP: Tensor) -> Tensor:
        return torch.softmax(self.policy.logits(state_BS, base_BP), 1)


class Meta(Kept):
    """The meta-trained start with the champion's plan, and an inner step (eq. 7) a cycle; each seed's apart.

    The step is on the cycle that is played, its gradient that of the true conditions, which no advertiser knows: what
    MAML alone can do at best.
    """

    def __init__(self, planner: Planner, start: AdaptationStart, seeds: int) -> None:
        super().__init__(planner)
        policy = start.policy()
        self.raw, self.seeds = _Raw(policy), seeds
        self.rates = {f"policy.{name}": rate for name, rate in start.rates().items()}
        self.now = {
            f"policy.{name}": value.detach().expand(seeds, *value.shape).clone()
            for name, value in policy.named_parameters()
        }

    def share(self, world: MarketEnvironment, seen: Observation) -> Tensor:
        began = time.process_time()
        base_RP = self.planner.base(self.plan, seen.state_BS)
        state, base = self._apart(seen.state_BS), self._apart(base_RP)
        with torch.enable_grad():
            now = {name: value.requires_grad_(True) for name, value in self.now.items()}
            raw_SCP = vmap(lambda given, *of: functional_call(self.raw, given, of, strict=False))(now, state, base)
            raw_RP = raw_SCP.flatten(0, 1)
            share = project_through(raw_RP, seen.low_BP, seen.high_BP)
            objective_SC = self._apart(world.objective(world.expected(share), raw_RP, seen.high_BP))
            scale_S = objective_SC.detach().mean(1, keepdim=True).abs().clamp(min=1e-6)
            loss = -(objective_SC / scale_S).mean(1).sum()
            gradients = torch.autograd.grad(loss, list(now.values()))
        self.now = {
            name: (value - self.rates[name] * gradient).detach()
            for (name, value), gradient in zip(now.items(), gradients, strict=True)
        }
        self.updates += 1
        self.seconds += time.process_time() - began
        return project(raw_RP.detach(), seen.low_BP, seen.high_BP)

    def _apart(self, table_R: Tensor) -> Tensor:
        """Rows by seed, (S, C, ...)."""
        return table_R.reshape(self.seeds, -1, *table_R.shape[1:])
