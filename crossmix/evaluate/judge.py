"""The judge: every policy and competitor plays the market on the same market seeds, auction by auction (`exact`).

Worlds are paired: the same seed gives the same drift, volume and contexts to everybody, and differences are taken
seed by seed. Quality is told twice: revenue over the oracle's, and the share of the gap from the uniform split to the
oracle that is closed. Both use the revenue that the impressions won are expected to bring, which
leaves out the luck of single conversions; ROI, ROAS, CPA, CTR, CVR and utilisation are as they happened.

Shapes: N market seeds, B rows, P platforms, T cycles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from crossmix.baselines.player import Delivery, Player, Task
from crossmix.baselines.registry import Baseline
from crossmix.config import Config, Reward
from crossmix.evaluate.play import QUANTITIES, Act, Played, play
from crossmix.market.environment import MarketEnvironment, Observation, episode_campaigns
from crossmix.market.model import Market
from crossmix.market.oracle import solve
from crossmix.metrics import AMOUNTS, JUDGED, METRIC

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Record:
    """What a player delivered: totals per market seed and platform, and a flight of the first campaign that runs."""

    total_NPQ: Array
    share_NP: Array
    """Mean share."""
    breaks: int
    """Cycles in which a limit was broken by more than rounding."""
    flight_TP: Array
    campaign_P: Array
    """Mean share of that flight's campaign, over all its flights."""
    low_TP: Array
    high_TP: Array
    dynamic_reward_N: Array
    """Eq. 10, mean of cycles."""

    @classmethod
    def of(cls, played: Played, market: Market, seeds: int, weights: Reward) -> Record:
        """The record of `seeds` markets, whose rows lie one market after the other; `weights`: of eq. 10."""
        shown = market.running[0]
        cycles, _, platforms = played.share_TBP.shape
        low, high, asked = played.low_TBP, played.high_TBP, played.asked_TBP
        outside = ((asked < low - 1e-4) | (asked > high + 1e-4)).any(2) | (np.abs(asked.sum(2) - 1) > 1e-4)
        return cls(
            total_NPQ=played.amount_TBPQ.sum(0).reshape(seeds, -1, platforms, len(QUANTITIES)).sum(1),
            share_NP=played.share_TBP.sum(0).reshape(seeds, -1, platforms).mean(1) / cycles,
            breaks=int(outside.sum()),
            flight_TP=played.share_TBP[:, shown],
            campaign_P=played.share_TBP[:, shown :: len(market.campaigns)].mean((0, 1)),
            low_TP=low[:, shown],
            high_TP=high[:, shown],
            dynamic_reward_N=played.dynamic_reward(weights).mean(0).reshape(seeds, -1).mean(1),
        )

    def column(self, name: str) -> Array:
        """A quantity per seed and platform, (N, P)."""
        return self.total_NPQ[..., QUANTITIES.index(name)]


def act_of(baseline: Baseline, market: Market) -> Act:
    """A competitor that knows this market, for one batch of flights."""
    if baseline.split is not None:
        return from_state(baseline.split(market))
    make = baseline.player
    assert make is not None
    return with_memory(lambda _, campaign_B: make(market, campaign_B))


def from_state(competitor: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> Act:
    """A player that sees the state, the limits and the campaign's number, and nothing else."""

    def act(environment: MarketEnvironment, observation: Observation) -> Tensor:
        return competitor(observation.state_BS, observation.low_BP, observation.high_BP, environment.campaign_B)

    return act


def with_memory(make: Callable[[Market, Tensor], Player]) -> Act:
    """A player that is shown every finished cycle's delivery report, those of the warm-up first.

    One such `Act` plays one batch of flights.
    """
    player: Player | None = None

    def act(environment: MarketEnvironment, observation: Observation) -> Tensor:
        nonlocal player
        history, reports = environment.history, 1
        if player is None:
            player, reports = make(environment.market, environment.campaign_B), history.window
        for age in reversed(range(reports)):
            player.learn(_report(environment, age))
        return player.act(
            Task(
                budget_B=environment.cycle_budget_B(),
                low_BP=observation.low_BP,
                high_BP=observation.high_BP,
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


def oracle(environment: MarketEnvironment, observation: Observation) -> Tensor:
    """The clairvoyant myopic optimum."""
    return solve(environment.conditions, environment.cycle_budget_B(), observation.low_BP, observation.high_BP).share_BP


def mechanism_of(market: Market) -> str:
    """How cycles are drawn that judge: every auction is played, but of a market of totals counts are drawn.

    Totals show no auctions, and the requests, which they do not tell either, may be many times the impressions.
    """
    return "counts" if market.of_totals else "exact"


def judge_act(market: Market, config: Config, act: Act, name: str, flights: int = 2) -> Record:
    """`config.evaluate.market_seeds` markets, `flights` flights of every campaign in each, as an act plays them.

    All markets run side by side as rows of one batch: rows of market n draw their drift, volume, contexts and
    auctions from the n-th stretch of one generator seeded by `config.evaluate.market_seed`, the same for everybody.

    They are drawn as `mechanism_of` says.
    """
    settings = config.evaluate
    environment = MarketEnvironment(
        market,
        config,
        campaign_B=episode_campaigns(market, settings.market_seeds * flights * len(market.campaigns)),
        cycles=settings.cycles,
        mechanism=mechanism_of(market),
        seed=settings.market_seed,
    )
    played = play(environment, act, settings.cycles, label=f"judge {name}")
    return Record.of(played, market, settings.market_seeds, config.reward)


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
    earned = {name: record.column("expected_revenue").sum(1) for name, record in records.items()}
    best, floor = earned["oracle"], earned["uniform"]
    table: dict[str, Any] = {}
    for name, record in records.items():
        sums = {quantity: record.column(quantity).sum(1) for quantity in QUANTITIES}
        floored = sums | {"spend": np.maximum(sums["spend"], 1e-12)}
        ratio = earned[name] / best
        table[name] = {
            "label": labels.get(name, name),
            "clairvoyant": name == "oracle",
            "oracle_ratio": interval(ratio, resamples),
            "gap_closed": interval((earned[name] - floor) / (best - floor), resamples),
            "difference": None if name == "policy" else interval((earned["policy"] - earned[name]) / best, resamples),
            **{key: interval(METRIC[key].divide(floored), resamples) for key in ("roi", "roas", "utilisation")},
            "dynamic_reward": interval(record.dynamic_reward_N, resamples),
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
    return {**{name: sums[name] for name in AMOUNTS}, **{key: METRIC[key].of(sums) for key in JUDGED}}
