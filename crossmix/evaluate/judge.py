"""The judge: every policy and competitor plays the `exact` market on the same market seeds.

Worlds are paired: the same seed gives the same drift, volume and contexts to everybody, and differences are taken
seed by seed. Quality is told twice: revenue over the oracle's, and the share of the gap from the uniform split to the
oracle that is closed. Both use the revenue that the impressions won are expected to bring (`Outcome.merit`), which
leaves out the luck of single conversions; ROI, ROAS, CPA, CTR, CVR and utilisation are as they happened.

Shapes: N market seeds, B rows, P platforms, T cycles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from crossmix.baselines.player import Delivery, Player, Task
from crossmix.config import Config
from crossmix.market.environment import MarketEnvironment, Observation, episode_campaigns
from crossmix.market.model import Market
from crossmix.market.oracle import solve

Array = NDArray[np.float64]

Act = Callable[[MarketEnvironment, Observation], Tensor]
"""A player: the environment (for its campaign numbers; only the oracle may read its conditions) and what it sees."""

QUANTITIES = ("planned", "spend", "revenue", "impressions", "clicks", "conversions", "merit")


@dataclass(frozen=True, slots=True)
class Record:
    """What a player delivered: totals per market seed and platform, and its first flight."""

    total_NPQ: Array
    share_NP: Array
    """Mean share."""
    breaks: int
    """Cycles in which a limit was broken by more than rounding."""
    flight_TP: Array
    low_TP: Array
    high_TP: Array

    def column(self, name: str) -> Array:
        """A quantity per seed and platform, (N, P)."""
        return self.total_NPQ[..., QUANTITIES.index(name)]


def from_state(competitor: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> Act:
    """A player that sees the state, the limits and the campaign's number, and nothing else."""

    def act(environment: MarketEnvironment, seen: Observation) -> Tensor:
        return competitor(seen.state_BS, seen.low_BP, seen.high_BP, environment.campaign_B)

    return act


def with_memory(make: Callable[[Market, Tensor], Player]) -> Act:
    """A player that is shown every finished cycle's delivery report, those of the warm-up first.

    One such `Act` plays one batch of flights.
    """
    player: Player | None = None

    def act(environment: MarketEnvironment, seen: Observation) -> Tensor:
        nonlocal player
        history, reports = environment.history, 1
        if player is None:
            player, reports = make(environment.market, environment.campaign_B), history.window
        for age in reversed(range(reports)):
            player.learn(_report(environment, age))
        return player.act(
            Task(
                budget_B=environment.cycle_budget_B(),
                low_BP=seen.low_BP,
                high_BP=seen.high_BP,
                share_BP=history.share_BP,
                weekday_B=environment.weekday_B,
                context_BD=environment.context_BD,
                elapsed_B=history.elapsed_B / history.horizon_B,
            )
        )

    return act


def _report(environment: MarketEnvironment, age: int) -> Delivery:
    """The delivery of `age` cycles before the last."""
    history = environment.history
    impressions, clicks, conversions, revenue, spend, planned = history.past(age)
    return Delivery(impressions, clicks, conversions, revenue, spend, planned, (environment.weekday_B - 1 - age) % 7)


def oracle(environment: MarketEnvironment, seen: Observation) -> Tensor:
    """The clairvoyant myopic optimum."""
    return solve(environment.conditions, environment.cycle_budget_B(), seen.low_BP, seen.high_BP).share_BP


@torch.no_grad()
def play(market: Market, config: Config, act: Act, name: str, flights: int = 2) -> Record:
    """Play `config.evaluate.market_seeds` markets, `flights` flights of every campaign in each.

    All markets run side by side as rows of one batch: rows of market n draw their drift, volume, contexts and
    auctions from the n-th stretch of one generator seeded by `config.evaluate.market_seed`, the same for everybody.
    """
    settings = config.evaluate
    rows = settings.market_seeds * flights * len(market.campaigns)
    environment = MarketEnvironment(
        market,
        config,
        campaign_B=episode_campaigns(market, rows),
        cycles=settings.cycles,
        mechanism="exact",
        seed=settings.market_seed,
    )
    platforms = environment.platforms
    seen = environment.observe()
    total_BPQ = torch.zeros(rows, platforms, len(QUANTITIES), dtype=torch.float64)
    share_BP = torch.zeros(rows, platforms, dtype=torch.float64)
    breaks = 0
    first: list[tuple[Tensor, Tensor, Tensor]] = []
    for _ in tqdm(range(settings.cycles), desc=f"judge {name}", unit="cycle", mininterval=2.0):
        action = act(environment, seen)
        outside = (action < seen.low_BP - 1e-4) | (action > seen.high_BP + 1e-4)
        breaks += int((outside.any(1) | ((action.sum(1) - 1).abs() > 1e-4)).sum())
        step = environment.step(action)
        total_BPQ += torch.stack([getattr(step.outcome, quantity).double() for quantity in QUANTITIES], 2)
        share_BP += step.share_BP.double()
        first.append((step.share_BP[0], seen.low_BP[0], seen.high_BP[0]))
        seen = step.observation
    flight, low, high = (torch.stack(column).double().numpy() for column in zip(*first, strict=True))
    return Record(
        total_BPQ.reshape(settings.market_seeds, -1, platforms, len(QUANTITIES)).sum(1).numpy(),
        share_BP.reshape(settings.market_seeds, -1, platforms).mean(1).numpy() / settings.cycles,
        breaks,
        flight,
        low,
        high,
    )


def interval(values_N: Array, resamples: int, seed: int = 0) -> dict[str, Any]:
    """Mean over market seeds with a bootstrap 95 % interval."""
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(values_N), size=(resamples, len(values_N)))
    means = values_N[picks].mean(1)
    return {"mean": float(values_N.mean()), "ci95": [float(x) for x in np.percentile(means, [2.5, 97.5])]}


def summarise(
    records: dict[str, Record], labels: dict[str, str], config: Config, platforms: tuple[str, ...]
) -> dict[str, Any]:
    """The table of all players; `records` must hold policy, oracle and uniform."""
    resamples = config.evaluate.bootstrap
    merit = {name: record.column("merit").sum(1) for name, record in records.items()}
    best, floor = merit["oracle"], merit["uniform"]
    table: dict[str, Any] = {}
    for name, record in records.items():
        sums = {quantity: record.column(quantity).sum(1) for quantity in QUANTITIES}
        ratio = merit[name] / best
        table[name] = {
            "label": labels.get(name, name),
            "clairvoyant": name == "oracle",
            "oracle_ratio": interval(ratio, resamples),
            "gap_closed": interval((merit[name] - floor) / (best - floor), resamples),
            "difference": None if name == "policy" else interval((merit["policy"] - merit[name]) / best, resamples),
            "roi": interval(sums["revenue"] / sums["planned"], resamples),
            "roas": interval(sums["revenue"] / np.maximum(sums["spend"], 1e-12), resamples),
            "utilisation": interval(sums["spend"] / sums["planned"], resamples),
            "limit_breaks": record.breaks,
            "total": _figures({quantity: float(value.sum()) for quantity, value in sums.items()}),
            "platform": {
                platform: {
                    "share": float(record.share_NP[:, p].mean()),
                    **_figures({quantity: float(record.column(quantity)[:, p].sum()) for quantity in QUANTITIES}),
                }
                for p, platform in enumerate(platforms)
            },
        }
    return table


def _figures(sums: dict[str, float]) -> dict[str, float | None]:
    def over(top: str, bottom: str) -> float | None:
        return sums[top] / sums[bottom] if sums[bottom] > 0 else None

    return {
        **{name: sums[name] for name in QUANTITIES if name != "merit"},
        "utilisation": over("spend", "planned"),
        "roi": over("revenue", "planned"),
        "roas": over("revenue", "spend"),
        "cpa": over("spend", "conversions"),
        "ctr": over("clicks", "impressions"),
        "cvr": over("conversions", "clicks"),
    }
