"""stable-baselines3's learners on the market: an adapter of its VecEnv, training by steps or CPU seconds, and judging.

Observations are normalised by `VecNormalize`, as stable-baselines3's guide recommends, and networks have the widths of
`config.train`, the paper's; everything else is its default.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from stable_baselines3 import DDPG, PPO, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecNormalize
from torch import Tensor

from crossmix.config import Config
from crossmix.market.gym import MarketVectorEnv
from crossmix.market.model import Market

SCALE = 5.0
"""Of actions, as `MarketVectorEnv` has it: the split is softmax(SCALE x action)."""
KINDS: dict[str, Any] = {"ppo": PPO, "ddpg": DDPG, "td3": TD3, "sac": SAC}


class Flights(VecEnv):
    """A `MarketVectorEnv` for stable-baselines3, which restarts a finished flight in the same step."""

    def __init__(self, inner: MarketVectorEnv, seed: int) -> None:
        super().__init__(inner.num_envs, inner.single_observation_space, inner.single_action_space)
        self.inner = inner
        self.inner.reset(seed=seed)
        self.actions: Any = None

    def reset(self) -> Any:
        return self.inner.reset()[0]

    def step_async(self, actions: Any) -> None:
        self.actions = actions

    def step_wait(self) -> Any:
        state, reward, ended, _, _ = self.inner.step(self.actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if ended.all():
            for info, last in zip(infos, state, strict=True):
                info["terminal_observation"] = last
            state = self.inner.reset()[0]
        return state, reward, ended, infos

    def close(self) -> None:
        self.inner.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self.inner, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        setattr(self.inner, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        return [getattr(self.inner, method_name)(*args, **kwargs)] * self.num_envs

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs


class Trained:
    """A learner with its normaliser; called with states and limits it gives splits, as a policy does."""

    def __init__(self, model: Any, envs: VecNormalize) -> None:
        self.model, self.envs = model, envs

    def __call__(self, state_BS: Tensor, low_BP: Tensor, high_BP: Tensor) -> Tensor:
        action, _ = self.model.predict(self.envs.normalize_obs(state_BS.numpy()), deterministic=True)
        return torch.softmax(SCALE * torch.from_numpy(np.asarray(action)), 1)


class _Clock(BaseCallback):
    """Stops at a number of CPU seconds; tells points of a curve."""

    def __init__(self, seconds: float, every: int, note: Callable[[int, float], None] | None, began: float) -> None:
        super().__init__()
        self.seconds, self.every, self.note, self.began, self.next = seconds, every, note, began, every
        self.outside = 0.0

    def _on_step(self) -> bool:
        spent = time.process_time() - self.began - self.outside
        if self.note is not None and self.num_timesteps >= self.next:
            self.next += self.every
            before = time.process_time()
            self.note(self.num_timesteps, spent)
            self.outside += time.process_time() - before
        return spent < self.seconds


def learn(
    kind: str,
    market: Market,
    config: Config,
    *,
    envs: int,
    steps: int,
    seconds: float = float("inf"),
    seed: int = 0,
    every: int = 1 << 62,
    note: Callable[[Trained, int, float], None] | None = None,
) -> tuple[Trained, int, float]:
    """Train for so many campaign cycles or CPU seconds, whichever ends first; the learner, cycles, CPU seconds.

    Args:
        note: called every `every` cycles with the learner so far; its own time does not count.
    """
    inner = MarketVectorEnv(market, config, num_envs=envs, cycles=config.train.cycles, scale=SCALE)
    wrapped = VecNormalize(Flights(inner, config.train.market_seed + 7_000_000 + seed), norm_reward=kind == "ppo")
    actor, critic = list(config.train.pathwise.hidden), list(config.train.ddpg.critic_hidden)
    sizes: dict[str, Any] = {"policy_kwargs": {"net_arch": {"pi": actor, "qf": critic}}}
    if kind == "ppo":
        # Its default rollout of 2,048 cycles, however many flights share it.
        sizes = {"n_steps": max(2_048 // envs, config.train.cycles if envs > 1 else 2_048)}
        sizes["policy_kwargs"] = {"net_arch": {"pi": actor, "vf": list(config.train.ppo.critic_hidden)}}
    model = KINDS[kind]("MlpPolicy", wrapped, device="cpu", seed=seed, verbose=0, **sizes)
    trained = Trained(model, wrapped)
    began = time.process_time()

    def pass_on(done: int, spent: float) -> None:
        if note is not None:
            wrapped.training = False
            note(trained, done, spent)
            wrapped.training = True

    clock = _Clock(seconds, every, pass_on if note else None, began)
    model.learn(total_timesteps=steps, callback=clock)
    spent = time.process_time() - began - clock.outside
    wrapped.training = False
    return trained, int(model.num_timesteps), spent


def names(text: str) -> Sequence[str]:
    """`ppo,sac` or `all`.

    Raises:
        ValueError: a name that is none.
    """
    chosen = list(KINDS) if text == "all" else text.split(",")
    unknown = [name for name in chosen if name not in KINDS]
    if unknown:
        raise ValueError(f"--learners: {unknown[0]!r} is unknown; use some of {', '.join(KINDS)}, or all")
    return chosen
