"""The whole tree, and its presets: `paper()`, `laptop()`, and `strict` of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from pydantic import Field

from crossmix.config.alerting import Alerts
from crossmix.config.creators import Creators
from crossmix.config.data import Data
from crossmix.config.fitting import Fusion, LimitDefaults, Market, Reward
from crossmix.config.journeys import Journeys
from crossmix.config.judging import Evaluate, Gates
from crossmix.config.learning import Align, MAMLConfig, Online, Train
from crossmix.config.readapting import Readapt
from crossmix.config.serving import Monitor, Registry, Serving
from crossmix.config.storing import Features
from crossmix.config.values import STRICT, PositiveInt
from crossmix.config.watching import Levels, Thresholds


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The whole tree."""

    __pydantic_config__ = STRICT
    preset: Literal["paper", "laptop", "strict", "laptop-strict"] = "paper"
    """The preset this tree started from; kept for the record."""
    task: Literal["split", "journeys", "creators"] = "split"
    """What is learned: the split of a budget over platforms; the channel of each user; or a brief's creators. Sections
    that another task alone reads (`crossmix.config.OF_TASKS`) reach nothing."""
    data: Data = field(default_factory=Data)
    """The log: where it comes from, how it is cleaned and split (§3)."""
    features: Features = field(default_factory=Features)
    """The feature store's online side."""
    fusion: Fusion = field(default_factory=Fusion)
    """Multimodal fusion (§2.1)."""
    market: Market = field(default_factory=Market)
    """The simulator fitted from the log (§2.2)."""
    reward: Reward = field(default_factory=Reward)
    """Weights of the reward (§2.2, 2.4, 2.5)."""
    limits: LimitDefaults = field(default_factory=LimitDefaults)
    """Limits where the plan names none (§4)."""
    train: Train = field(default_factory=Train)
    """The training loop (§2.2)."""
    align: Align = field(default_factory=Align)
    """Adversarial alignment (§2.3.1)."""
    meta: MAMLConfig = field(default_factory=MAMLConfig)
    """Meta-training (§2.3.2)."""
    online: Online = field(default_factory=Online)
    """Daily fine-tuning on feedback (§2.4, 2.5)."""
    evaluate: Evaluate = field(default_factory=Evaluate)
    """The judge (§3)."""
    gates: Gates = field(default_factory=Gates)
    """What must pass before a policy is registered (§2.2)."""
    registry: Registry = field(default_factory=Registry)
    """Where models are registered (MLflow)."""
    serving: Serving = field(default_factory=Serving)
    """The server and its experiment (§2.4)."""
    monitor: Monitor = field(default_factory=Monitor)
    """What watches served campaigns."""
    readapt: Readapt = field(default_factory=Readapt)
    """What is tried when the market has moved, and what it must show."""
    levels: Levels = field(default_factory=Levels)
    """How far the market is taken to have moved."""
    alerts: Alerts = field(default_factory=Alerts)
    """Where alerts go, and the webhook that takes them."""
    thresholds: Thresholds = field(default_factory=Thresholds)
    """From when on residuals alarm."""
    journeys: Journeys = field(default_factory=Journeys)
    """User journeys (task `journeys`)."""
    creators: Creators = field(default_factory=Creators)
    """Creator matrices (task `creators`)."""
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
        journeys=replace(
            base.journeys,
            most_users=8_000,
            learning=replace(base.journeys.learning, width=64, batch=256, rate=2e-3, epochs=12, patience=12),
        ),
        creators=replace(
            base.creators,
            walk=replace(base.creators.walk, episodes=600),
            briefs=replace(base.creators.briefs, count=12),
        ),
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
