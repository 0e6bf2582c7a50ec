"""The whole tree, and its presets: `paper()`, `laptop()`, and `strict` of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from pydantic import Field

from crossmix.config.data import Data
from crossmix.config.fitting import Fusion, LimitDefaults, Market, Reward
from crossmix.config.judging import Evaluate, Gates
from crossmix.config.learning import Align, MAMLConfig, Online, Train
from crossmix.config.serving import Monitor, Registry, Serving
from crossmix.config.values import STRICT, PositiveInt
from crossmix.config.watching import Levels, Thresholds


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The whole tree."""

    __pydantic_config__ = STRICT
    preset: Literal["paper", "laptop", "strict", "laptop-strict"] = "paper"
    """The preset this tree started from; kept for the record."""
    data: Data = field(default_factory=Data)
    fusion: Fusion = field(default_factory=Fusion)
    market: Market = field(default_factory=Market)
    reward: Reward = field(default_factory=Reward)
    limits: LimitDefaults = field(default_factory=LimitDefaults)
    train: Train = field(default_factory=Train)
    align: Align = field(default_factory=Align)
    meta: MAMLConfig = field(default_factory=MAMLConfig)
    online: Online = field(default_factory=Online)
    evaluate: Evaluate = field(default_factory=Evaluate)
    gates: Gates = field(default_factory=Gates)
    registry: Registry = field(default_factory=Registry)
    serving: Serving = field(default_factory=Serving)
    monitor: Monitor = field(default_factory=Monitor)
    levels: Levels = field(default_factory=Levels)
    thresholds: Thresholds = field(default_factory=Thresholds)
    window: PositiveInt = 20
    """Sliding window of the state's statistics, cycles (§2.4: 20)."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.6
    """Weight of a cycle in the window over that of the next younger one; 1: the paper's flat window."""


def paper() -> Config:
    """The paper's hyper-parameters, section by section, in every default above."""
    return Config()


def laptop() -> Config:
    """`paper()` with sizes and steps for two cores and minutes."""
    base = paper()
    return replace(
        base,
        preset="laptop",
        fusion=replace(
            base.fusion,
            image_encoder="packaged:efficientnet-lite0",
            text_encoder="packaged:all-minilm-l6-v2",
            behaviour_embedding=32,
            behaviour_layers=1,
            behaviour_hidden=64,
            behaviour_heads=4,
            epochs=2,
            train_rows=60_000,
        ),
        train=replace(
            base.train,
            ranks=1,
            episodes=128,
            pathwise=replace(base.train.pathwise, updates=800),
        ),
        align=replace(base.align, iterations=600),
        meta=replace(base.meta, iterations=25, validate_every=5),
    )


def strict(base: Config) -> Config:
    """Learning as the paper writes it (§2.2): `base` without what crossmix adds.

    No plan to start from, no pathwise phase, no network shared by platforms, no decay of the window; DDPG and PPO by
    turns from a random actor, DDPG without its guards against the corners, PPO without the bound on its step.
    `docs/deviations.md` says what each addition buys.
    """
    train = base.train
    return replace(
        base,
        decay=1.0,
        train=replace(
            train,
            start="fresh",
            plan=False,
            platform_net=0,
            ddpg=replace(
                train.ddpg,
                warm_up=0,
                logit_penalty=0.0,
                twin=False,
                layer_norm=False,
                centred_action=False,
                reward_scale=False,
            ),
            ppo=replace(train.ppo, target_kl=1e9),
        ),
        align=replace(base.align, target="policy", gradient_penalty=0.0),
        meta=replace(base.meta, learn_rates=False),
        online=replace(base.online, baseline=False, clip=None, max_kl=None),
    )


PRESETS: Mapping[str, Callable[[], Config]] = {
    "paper": paper,
    "laptop": laptop,
    "strict": lambda: replace(strict(paper()), preset="strict"),
    "laptop-strict": lambda: replace(strict(laptop()), preset="laptop-strict"),
}
