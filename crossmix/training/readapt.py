"""Re-adaptation: what a moved market asks of the policy that serves, tried and compared (§2.3.2, 2.5).

The market that the champion's plan came from is refitted to the feedback (`crossmix.market.levels`); then ways to adapt
are tried, and compared in simulated flights of the refitted market, the same for all:

| name      | what                                                                                             |
|-----------|--------------------------------------------------------------------------------------------------|
| champion  | what serves, as it is                                                                            |
| replanned | its plan made from the refitted market; the networks stay                                        |
| retrained | that, and `readapt.updates` pathwise updates in the refitted market                              |
| meta      | `readapt.steps` inner steps (eq. 7) from the meta-trained start, planned anew                    |
| online    | the champion after eq. 12 on what was served and came back                                       |

What is kept is the best; that it is better than the champion is for the gates to say (`crossmix.evaluate.gates`).

Shapes: N simulated markets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from crossmix.agents import online
from crossmix.agents.maml import adapt, named, pathwise_loss
from crossmix.agents.policy import Policy
from crossmix.config import Config
from crossmix.constraints import project
from crossmix.exploration import Exploration, FeedbackError
from crossmix.feedback import Feedback
from crossmix.market.environment import MarketEnvironment
from crossmix.market.levels import Refit, refit
from crossmix.market.model import Market
from crossmix.market.oracle import best_share
from crossmix.training.finetune import replanned, retrained
from crossmix.training.loop import VALIDATION_CYCLES
from crossmix.training.policy_file import AdaptationStart, TrainedPolicy

Array = NDArray[np.float64]
FIRST_SEED = 7_000_000
"""Of the markets in which what was tried is compared, beside `train.market_seed`."""
CHAMPION = "champion"


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """One way to adapt."""

    name: str
    label: str
    policy: Policy
    ratio_N: Array
    """Expected revenue over the oracle's in the refitted market."""
    seconds: float
    """Processor time that making it took."""
    updates: int
    """Gradient steps that it took."""

    def lead(self, other: Tried) -> tuple[float, float, float]:
        """Mean of what it earns more than another, in parts of the oracle's revenue, and its 95 % interval."""
        gap_N = self.ratio_N - other.ratio_N
        mean, reach = float(gap_N.mean()), 0.0
        if len(gap_N) > 1:
            reach = float(stats.t.ppf(0.975, len(gap_N) - 1) * gap_N.std(ddof=1) / np.sqrt(len(gap_N)))
        return mean, mean - reach, mean + reach


@dataclass(frozen=True, slots=True, eq=False)
class Adapted:
    """What was found, tried, and is best."""

    refit: Refit
    tried: tuple[Tried, ...]
    """The champion first."""
    left_out: dict[str, str]
    """What was not tried, and why."""
    trained: TrainedPolicy
    """The best, as a registry keeps it."""

    @property
    def champion(self) -> Tried:
        return self.tried[0]

    @property
    def best(self) -> Tried:
        """The one of most expected revenue; of equals the first."""
        return max(self.tried, key=lambda one: float(one.ratio_N.mean()))


def readapt(
    config: Config,
    market: Market,
    champion: TrainedPolicy,
    feedback: Feedback,
    *,
    start: AdaptationStart | None = None,
    served: online.Feedback | None = None,
    day: int = 1,
) -> Adapted:
    """Refit the market, try what can be tried, keep the best.

    Args:
        market: the one that the champion's plan came from.
        feedback: of both arms together, quarantined cells unknown; campaigns and platforms as the market's.
        start: meta-trained; `None`: the champion's version has none.
        served: what the policy arm served and got, for eq. 12; `None`: nothing that can be learned from.
        day: t of eq. 12's step size.

    Raises:
        ValueError: the feedback is of other campaigns or platforms than the market.
        TrainingError: a loss is not finite.
    """
    found = refit(market, feedback, config.levels)
    serving = champion.policy()
    left_out: dict[str, str] = {}
    tried = [_tried(config, found.market, CHAMPION, "what serves, as it is", lambda: (serving, 0))]
    for name, label, make in _ways(config, found.market, champion, serving, start, served, day, left_out):
        try:
            tried.append(_tried(config, found.market, name, label, make))
        except FeedbackError as error:
            left_out[name] = str(error)
    outcome = Adapted(found, tuple(tried), left_out, champion)
    best = outcome.best
    kept = champion if best.name == CHAMPION else replace(champion, weights=best.policy.state_dict())
    return replace(outcome, trained=kept)


Way = tuple[str, str, Callable[[], tuple[Policy, int]]]


def _ways(
    config: Config,
    market: Market,
    champion: TrainedPolicy,
    serving: Policy,
    start: AdaptationStart | None,
    served: online.Feedback | None,
    day: int,
    left_out: dict[str, str],
) -> Iterator[Way]:
    """Name, label, and what makes the policy and counts its updates; what cannot be tried goes into `left_out`."""
    settings = config.readapt
    if serving.planner is None:
        left_out["replanned"] = "the champion has no plan (train.plan was false)"
    else:
        yield "replanned", "its plan made from the refitted market", lambda: (replanned(config, market, serving), 0)
    if settings.updates:
        label = f"that, and {settings.updates} pathwise updates"
        yield "retrained", label, lambda: (retrained(config, market, serving, settings.updates), settings.updates)
    else:
        left_out["retrained"] = "readapt.updates is 0"
    if start is None:
        left_out["meta"] = "the champion's version holds no meta-trained start"
    elif not settings.steps:
        left_out["meta"] = "readapt.steps is 0"
    else:
        label = f"{settings.steps} inner steps from the meta-trained start, planned anew"
        yield "meta", label, lambda: (meta_steps(config, market, start, settings.steps), settings.steps)
    if served is None:
        left_out["online"] = "no served cycle has the density of what was explored"
    else:
        yield "online", "the champion after eq. 12 on what was served", lambda: _online(config, champion, served, day)


def meta_steps(config: Config, market: Market, start: AdaptationStart, steps: int) -> Policy:
    """Inner steps of eq. 7 from the meta-trained start, one a simulated cycle of the market, with its plan."""
    policy = replanned(config, market, start.policy())
    world = MarketEnvironment(
        market,
        config,
        campaign_B=torch.arange(config.meta.batch) % len(market.campaigns),
        cycles=steps + 1,
        mechanism="counts",
        seed=config.train.market_seed + FIRST_SEED - 1,
    )
    begun = {name: value.detach().clone().requires_grad_(True) for name, value in named(policy).items()}
    end = adapt(policy, begun, start.rates(), world, steps, pathwise_loss())
    with torch.no_grad():
        for name, value in policy.named_parameters():
            value.copy_(end[name])
    return policy.eval()


def _online(config: Config, champion: TrainedPolicy, served: online.Feedback, day: int) -> tuple[Policy, int]:
    exploration = Exploration.of(config)
    result = online.update(champion.policy(), exploration, served, day, config.online)
    return result.policy, result.steps


def _tried(config: Config, market: Market, name: str, label: str, make: Callable[[], tuple[Policy, int]]) -> Tried:
    began = time.process_time()
    policy, updates = make()
    seconds = time.process_time() - began
    return Tried(name, label, policy, ratios(config, market, policy), seconds, updates)


@torch.no_grad()
def ratios(config: Config, market: Market, policy: Policy) -> Array:
    """Expected revenue over the oracle's in `readapt.seeds` markets, a flight of every campaign in each, (N,)."""
    seeds, campaigns = config.readapt.seeds, len(market.campaigns)
    world = MarketEnvironment(
        market,
        config,
        campaign_B=torch.arange(seeds * campaigns) % campaigns,
        cycles=VALIDATION_CYCLES,
        mechanism="counts",
        seed=config.train.market_seed + FIRST_SEED,
    )
    earned, best = torch.zeros(2, seeds * campaigns, dtype=torch.float64)
    observation = world.observe()
    for _ in range(VALIDATION_CYCLES):
        share = policy(observation.state_BS, observation.low_BP, observation.high_BP)
        budget_B = world.cycle_budget_B()
        ideal = best_share(world.conditions, budget_B, observation.low_BP, observation.high_BP, grid=32, zooms=2)
        inside = project(share, observation.low_BP, observation.high_BP)
        earned += world.expected(inside).revenue.sum(1).double()
        best += world.expected(ideal).revenue.sum(1).double()
        observation = world.step(share).observation
    totals = (one.reshape(seeds, campaigns).sum(1) for one in (earned, best))
    revenue_N, ideal_N = (one.numpy() for one in totals)
    return np.asarray(revenue_N / np.maximum(ideal_N, 1e-12))


def table(adapted: Adapted) -> list[dict[str, Any]]:
    """What was tried, as plain data, the champion first."""
    rows = []
    for one in adapted.tried:
        mean, low, high = one.lead(adapted.champion)
        rows.append(
            {
                "name": one.name,
                "label": one.label,
                "oracle_ratio": float(one.ratio_N.mean()),
                "lead": {"mean": mean, "ci95": [low, high]},
                "seconds": one.seconds,
                "updates": one.updates,
                "kept": one is adapted.best,
            }
        )
    return rows + [{"name": name, "left_out": why} for name, why in adapted.left_out.items()]
