"""The market for other people's learners: Gymnasium environments around `MarketEnvironment`.

`MarketVectorEnv` advances a batch of campaign flights at once; `MarketEnv` is one flight with the single-environment
interface. Gymnasium comes with the extra `bench`; nothing else in crossmix imports this module or needs it.

Shapes: B sub-environments (flights), S = 640 state, P platforms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from torch import Tensor

from crossmix.config import Config
from crossmix.history import Outcome
from crossmix.market.environment import MarketEnvironment, Observation, episode_campaigns
from crossmix.market.model import Market
from crossmix.state import ALLOCATION

Array = NDArray[Any]
Floats = NDArray[np.float32]


class MarketVectorEnv(VectorEnv[Floats, Floats, Array]):
    """
    ## Description

    Campaigns split each delivery cycle's budget over the platforms of a fitted market (§2.2) and earn what the
    auctions there bring. Sub-environment i flies campaign i modulo the number of campaigns, or the one named in
    `campaigns`, with a drift, volume, contexts and auctions of its own. All flights start and end together.

    ## Action Space

    The action of a flight is a `ndarray` with shape `(P,)`, one number per platform. `softmax(scale * action)` is the
    split asked for (eq. 9); its Euclidean projection onto the limits (caps, floors, freezes, largest steps) is the
    split in force. Numbers beyond the range are clipped, NaN is an error.

    | Num | Action               | Min  | Max | Unit                      |
    |-----|----------------------|------|-----|---------------------------|
    | i   | logit of platform i  | -1.0 | 1.0 | 1 / `scale`, dimensionless |

    With the default `scale` of 5 one platform can be asked for up to e^10 times the share of another. To ask for a
    split a, give `log(a) / scale` plus any constant that brings it into the range.

    ## Observation Space

    The observation of a flight is a `ndarray` with shape `(640,)`, `crossmix.state`, at the start of a cycle. A
    statistic outside its range is clamped.

    | Num                  | Observation                                          | Min  | Max  |
    |----------------------|------------------------------------------------------|------|------|
    | 0 .. 511             | fused context of the campaign's recent impressions   | -Inf | Inf  |
    | 512 + 12 i           | previous share of platform i                         | 0    | 1    |
    | 512 + 12 i + 1       | platform spend so far / campaign budget so far       | 0    | 2    |
    | 512 + 12 i + 2       | utilisation: spend / planned, over the window        | 0    | 2    |
    | 512 + 12 i + 3       | ROI: revenue / planned budget, over the window       | 0    | 50   |
    | 512 + 12 i + 4       | ROI, last cycle                                      | 0    | 50   |
    | 512 + 12 i + 5       | CTR: clicks / impressions, over the window           | 0    | 1    |
    | 512 + 12 i + 6       | CVR: conversions / clicks, over the window           | 0    | 1    |
    | 512 + 12 i + 7       | win rate: impressions / requests, last cycle         | 0    | 1    |
    | 512 + 12 i + 8       | ln of the mean price paid, last cycle                | -20  | 20   |
    | 512 + 12 i + 9       | upper limit of the share                             | 0    | 1    |
    | 512 + 12 i + 10      | lower limit of the share                             | 0    | 1    |
    | 512 + 12 i + 11      | ln of cost of all requests / campaign's cycle budget | -10  | 10   |
    | 632                  | cycles gone / cycles planned                         | 0    | 1    |
    | 633                  | spend so far / campaign budget                       | 0    | 2    |
    | 634                  | pace: remaining budget per remaining cycle / planned | 0    | 5    |
    | 635, 636             | sin, cos of 2 pi weekday / 7                         | -1   | 1    |
    | 637                  | campaign's ROI over the window                       | 0    | 50   |
    | 638, 639             | campaign's CTR, CVR over the window                  | 0    | 1    |

    i runs from 0 to 9; slots from P on are zero.

    ## Rewards

    Eq. 3: *alpha ROI + beta CTR - gamma max_i(0, a_i - high_i)*, with ROI = revenue / planned budget of the cycle, and
    the excess that of the split asked for, before the projection. The weights are `config.reward`. Revenue counts in
    the cycle of its impression, however late the conversion comes; the observation sees it when it arrives.

    ## Starting State

    Drifts from their stationary law, a random weekday, and a history of `config.window` cycles under the plan's own
    split. `reset(seed=s)` starts the flights that `MarketEnvironment.reset(s)` starts; a reset without a seed draws the
    next market's seed from `np_random`. The same seed brings the same drift, volume and contexts whatever the actions.

    ## Episode End

    Every flight terminates after `cycles` cycles: the horizon is part of the task, as unspent budget returns to the
    cycles that are left and the observation tells the time. It is never truncated. Autoreset is Gymnasium's default,
    next-step: the step after the last ignores its action, restarts all flights and rewards 0.

    ## Information

    Each entry has a row per flight and, beside it, the mask `_<name>` that Gymnasium asks for.

    | Name          | Shape  | Unit            | When       | Meaning                                       |
    |---------------|--------|-----------------|------------|-----------------------------------------------|
    | `low`, `high` | (B, P) | share           | always     | limits of the coming cycle's split            |
    | `share`       | (B, P) | share           | after step | split in force in the cycle                   |
    | `revenue`     | (B,)   | currency        | after step | of the cycle's impressions                    |
    | `spend`       | (B,)   | currency        | after step |                                               |
    | `roi`         | (B,)   | ratio           | after step | revenue / planned budget of the cycle         |
    | `utilisation` | (B,)   | ratio           | after step | spend / planned budget of the cycle           |

    ## Arguments

    - `market`: fitted parameters.
    - `config`: window, reward weights, `market.return_unspent`.
    - `num_envs`: flights side by side.
    - `campaigns`: which campaign of the market each flight is; default: round robin.
    - `cycles`: cycles of a flight; default: `config.train.cycles`.
    - `mechanism`: `exact`, `counts` (default; for learning) or `expected`.
    - `scale`: logit of the action 1.
    - `device`: torch device of the market; actions and observations are numpy arrays.

    ```python
    >>> envs = MarketVectorEnv(market, laptop(), num_envs=64)
    >>> observations, infos = envs.reset(seed=1)
    >>> observations, rewards, terminations, truncations, infos = envs.step(envs.action_space.sample())
    ```
    """

    def __init__(
        self,
        market: Market,
        config: Config,
        *,
        num_envs: int,
        campaigns: Sequence[int] | None = None,
        cycles: int | None = None,
        mechanism: str = "counts",
        scale: float = 5.0,
        device: str | torch.device = "cpu",
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs: {num_envs} flights cannot be flown; give 1 or more")
        if not (np.isfinite(scale) and scale > 0):
            raise ValueError(f"scale: {scale} is not a positive number")
        count = len(market.campaigns)
        if campaigns is not None and (len(campaigns) != num_envs or not all(0 <= c < count for c in campaigns)):
            raise ValueError(f"campaigns: {list(campaigns)} are not {num_envs} of 0 .. {count - 1}")
        self.metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}
        self.num_envs, self.scale = num_envs, scale
        platforms = len(market.platforms)
        self.single_action_space = Box(-1.0, 1.0, (platforms,), np.float32)
        low, high = ALLOCATION.bounds()
        infinite = np.full(ALLOCATION.context_size, np.inf, np.float32)
        self.single_observation_space = Box(
            np.concatenate([-infinite, low]), np.concatenate([infinite, high]), (ALLOCATION.size,), np.float32
        )
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.market = MarketEnvironment(
            market,
            config,
            campaign_B=episode_campaigns(market, num_envs) if campaigns is None else torch.tensor(campaigns),
            cycles=config.train.cycles if cycles is None else cycles,
            mechanism=mechanism,
            seed=0,
            device=device,
        )
        self._over = True

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, dict[str, Any]]:
        """Restart all flights.

        Raises:
            ValueError: `options` asks for something; the flights share one clock and restart together.
        """
        if options:
            raise ValueError(f"options: {', '.join(options)} is unknown; the market takes none")
        super().reset(seed=seed)
        observation = self.market.reset(int(self.np_random.integers(1 << 31)) if seed is None else seed)
        self._over = False
        return _array(observation.state_BS), self._infos(observation)

    def step(self, actions: Floats) -> tuple[Floats, Array, Array, Array, dict[str, Any]]:
        """Play one cycle of every flight, or restart all of them after their last.

        Raises:
            ValueError: the actions have another shape than the action space, or hold NaN.
        """
        false = np.zeros(self.num_envs, bool)
        if self._over:
            state, infos = self.reset()
            return state, np.zeros(self.num_envs), false, false.copy(), infos
        step = self.market.step(self._split(actions))
        self._over = step.done
        return (
            _array(step.observation.state_BS),
            _array(step.reward_B).astype(np.float64),
            np.full(self.num_envs, step.done),
            false,
            self._infos(step.observation, step.outcome, step.share_BP),
        )

    def _split(self, actions: Floats) -> Tensor:
        """The split asked for, (B, P)."""
        array = np.asarray(actions, np.float32)
        if array.shape != self.action_space.shape:
            raise ValueError(f"actions: got shape {array.shape}, want {self.action_space.shape}")
        if np.isnan(array).any():
            raise ValueError("actions: NaN is no action; has the learner diverged?")
        logits = self.scale * torch.from_numpy(np.clip(array, -1, 1)).to(self.market.device)
        return torch.softmax(logits, 1)

    def _infos(
        self, observation: Observation, outcome: Outcome | None = None, share_BP: Tensor | None = None
    ) -> dict[str, Any]:
        info = {"low": observation.low_BP, "high": observation.high_BP}
        if outcome is not None and share_BP is not None:
            planned = outcome.planned.sum(1).clamp(min=1e-12)
            revenue, spend = outcome.revenue.sum(1), outcome.spend.sum(1)
            info |= {
                "share": share_BP,
                "revenue": revenue,
                "spend": spend,
                "roi": outcome.roi_B(),
                "utilisation": spend / planned,
            }
        arrays = {name: _array(tensor) for name, tensor in info.items()}
        return arrays | {f"_{name}": np.ones(self.num_envs, bool) for name in arrays}


class MarketEnv(gymnasium.Env[Floats, Floats]):
    """One flight: `MarketVectorEnv` with `num_envs` 1, for what wants a single environment.

    Spaces, rewards, start, end and information are those of `MarketVectorEnv`, without the first axis and the masks.
    A flight that is over has to be reset. `campaign` picks which campaign of the market flies; the other arguments are
    `MarketVectorEnv`'s.
    """

    def __init__(self, market: Market, config: Config, *, campaign: int = 0, **arguments: Any) -> None:
        self.metadata = {"render_modes": []}
        self.flights = MarketVectorEnv(market, config, num_envs=1, campaigns=[campaign], **arguments)
        self.action_space = self.flights.single_action_space
        self.observation_space = self.flights.single_observation_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, dict[str, Any]]:
        """Restart the flight."""
        super().reset(seed=seed)
        market_seed = int(self.np_random.integers(1 << 31)) if seed is None else seed
        state, infos = self.flights.reset(seed=market_seed, options=options)
        return state[0], _single(infos)

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Play one cycle."""
        state, reward, terminated, truncated, infos = self.flights.step(np.asarray(action, np.float32)[None])
        return state[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), _single(infos)


def _single(infos: dict[str, Any]) -> dict[str, Any]:
    """Information of the only flight."""
    return {name: array[0] for name, array in infos.items() if not name.startswith("_")}


def _array(tensor: Tensor) -> Floats:
    """A copy of its own: what is handed out stays what it was."""
    copy: Floats = np.array(tensor.detach().cpu().numpy())
    return copy


__all__ = ["MarketEnv", "MarketVectorEnv"]
