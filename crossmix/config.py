"""One frozen configuration tree, with two presets.

`paper()` holds the hyper-parameters of the paper (section numbers in each field's comment);
`laptop()` is `paper()` with other sizes and steps, never with other semantics.

Strict loading: `load(preset, overrides)` and `from_json` reject unknown keys, wrong types and
values outside their domain with a `ConfigError` that names the field, the value and the remedy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from functools import cache
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from crossmix.registered import PACKAGES, declared

PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1)]

STRICT = ConfigDict(extra="forbid")
T = TypeVar("T")


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names field, value and remedy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Demo:
    """Sizes of the generated log (source `demo`). Everything in it is labelled generated."""

    __pydantic_config__ = STRICT
    seed: int = 7
    """Seed of the generated world and of its log."""
    days: PositiveInt = 70
    """Length of the log, days."""
    campaigns: PositiveInt = 3
    """Number of campaigns."""
    users: PositiveInt = 60_000
    """Number of users with histories."""
    creatives: PositiveInt = 60
    """Number of rendered 224x224 creatives with copy, over all campaigns."""
    requests_per_day: PositiveInt = 1_300
    """Mean auction requests per campaign, platform and day."""
    response_drift: NonNegative = 0.30
    """Stationary standard deviation of the planted AR(1) log-drift of response."""
    price_drift: NonNegative = 0.20
    """Stationary standard deviation of the planted AR(1) log-drift of price."""
    drift_persistence: Fraction = 0.93
    """Day-to-day persistence of both planted drifts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """Where the log comes from and how it is cleaned and split (§3)."""

    __pydantic_config__ = STRICT
    source: Name = "demo"
    """Which adapter reads the log; every file of `crossmix/sources` that registers one adds its name."""
    path: str | None = None
    """The log's file, or the folder of its files where the source takes one; `None` for `demo`."""
    engine: Literal["duckdb", "spark"] = "duckdb"
    """What runs the ingest expressions: DuckDB on one machine, Spark on a cluster."""
    cycle_hours: PositiveInt | None = None
    """Length of a delivery cycle, hours; `None`: the source's own (§2.5: 24; a log of two days: 1)."""
    attribution_days: Positive = 30.0
    """Attribution window: a conversion counts to its impression within so many days."""
    train_fraction: Fraction = 0.7
    """Share of the period used for training (split by time)."""
    validation_fraction: Fraction = 0.1
    """Share of the period used for validation; the rest is the test period."""
    holdout_users: Fraction = 0.4
    """Share of users held out of every fit, in every period."""
    holdout_days: Annotated[float, Field(ge=0, le=0.5)] = 0.25
    """Share of the training period's cycles held out of every fit, where the log is a spend history without users."""
    sequence_length: PositiveInt = 30
    """Behaviour sequence: the user's last so many interactions before the impression (§2.1: 30)."""
    keep_platforms: Annotated[int, Field(gt=0, le=10)] = 10
    """Platforms kept, at most the state's ten slots; a log with more keeps the ones with most spend less one, and
    `other`."""
    platform_groups: dict[Name, Name] = field(default_factory=dict)
    """Raw platform to the group that it is counted in, before `keep_platforms`; one not named keeps its own name."""
    value_per_conversion: Positive | None = None
    """What a conversion is worth, currency; for logs that do not say (`ipinyou`, `kuairand`)."""
    value_per_click: Positive | None = None
    """Instead: every click counts as a conversion worth this, currency; for logs without values or conversions."""
    cost_model: str | None = None
    """Price paid per impression where the log has none (`openbandit`, `kuairand`): `constant:PRICE`, or
    `lognormal:MU,SIGMA` of the price's logarithm; currency."""
    conversion_column: Literal["long_view", "is_like", "is_follow", "is_comment", "is_forward"] | None = None
    """Which signal of a `kuairand` log is the conversion; `None`: `long_view`."""
    settings: dict[Name, Any] = field(default_factory=dict)
    """Settings that only this source has (`Source.settings`), by key; most have none."""
    demo: Demo = field(default_factory=Demo)


ASKABLE = ("value_per_conversion", "value_per_click", "cost_model", "conversion_column")
"""Keys of `Data` that tell what a log lacks; a source that lacks it asks for it (`Source.asks`)."""
FREE = ("data.settings", "train.settings", "monitor.settings")
"""Mappings whose keys the tree does not know, so that `--set` may add one, below another too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fusion:
    """Multimodal fusion (§2.1, eq. 1-2)."""

    __pydantic_config__ = STRICT
    seed: int = 0
    image_encoder: str = "microsoft/resnet-50"
    """Hugging Face hub name, a path to a saved model, or `packaged:efficientnet-lite0` (§2.1: ResNet-50)."""
    text_encoder: str = "bert-base-uncased"
    """Hugging Face hub name, a path to a saved model, or `packaged:all-minilm-l6-v2` (§2.1: BERT-base)."""
    text_tokens: PositiveInt = 128
    """Tokens per copy (§2.1: 128)."""
    text_pooling: Literal["mean", "cls"] = "mean"
    """How a text encoder's tokens become one sentence vector (not in the paper): their mean, or the first token's."""
    modality_dim: PositiveInt = 512
    """Width of each modality and of the fused context (§2.1: 512)."""
    behaviour_embedding: PositiveInt = 128
    """Embedding of a behaviour id (§2.1: 128)."""
    behaviour_layers: PositiveInt = 4
    """Transformer encoder layers (§2.1: 4)."""
    behaviour_hidden: PositiveInt = 256
    """Feed-forward width of the behaviour encoder (§2.1: 256)."""
    behaviour_heads: PositiveInt = 8
    """Attention heads of the behaviour encoder (§2.1: 8)."""
    attention_heads: PositiveInt = 8
    """Heads of the fusion attention (§2.1: 8)."""
    head_dim: PositiveInt = 64
    """d_k, width of one fusion head (§2.1, eq. 2: 64)."""
    dropout: Fraction = 0.2
    """Dropout of the fusion (§2.1: 0.2)."""
    modality_dropout: Fraction = 0.1
    """Chance that a present modality is masked in training, so that a missing one does no harm (§2.1, masking)."""
    learning_rate: Positive = 5e-4
    """AdamW, peak after the warm-up (not in the paper; best of 5e-4 to 3e-3 on both logs)."""
    batch: PositiveInt = 512
    epochs: PositiveInt = 3
    train_rows: PositiveInt = 5_000_000
    """Most training rows seen per epoch; a larger log is subsampled, and the report says so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Market:
    """The simulator fitted from the log (§2.2)."""

    __pydantic_config__ = STRICT
    price: Literal["empirical", "lognormal"] = "empirical"
    """Highest competing price: empirical quantiles, or the paper's LN(1.2, 0.5) fitted by moments."""
    lognormal_mu: float = 1.2
    """Location used where a platform has no price data (§2.2: 1.2)."""
    lognormal_sigma: Positive = 0.5
    """Scale used where a platform has no price data (§2.2: 0.5)."""
    quantiles: PositiveInt = 128
    """Knots of an empirical price quantile function, less one."""
    assumed_win_rate: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Wins over requests where the log has no bids to tell it; the report calls volume approximated then."""
    assumed_bid_dispersion: NonNegative = 0.5
    """Deviation of the log bid between requests where the log has no bids; prices are scaled so that, at the assumed
    win rate, wins cost on average what was paid."""
    saturation: NonNegative = 1.0
    """kappa: the k-th win of N requests responds at exp(-kappa k/N); prior where the log cannot tell it."""
    return_unspent: bool = True
    """Unspent budget returns to the campaign and is spread over its remaining cycles."""
    fatigue: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Carry-over: share of a cycle's exposure (wins over requests) that still saturates in the next; 0: none."""
    adstock: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Carry-over: share of the exposure stock that is still remembered in the next cycle (geometric adstock)."""
    adstock_lift: NonNegative = 0.0
    """Relative rise of the conversion probability at a stock of full, lasting exposure; 0: none."""
    max_delay_cycles: PositiveInt = 7
    """Conversions later than so many cycles arrive in the last of them."""
    context_bank: PositiveInt = 256
    """Most fused contexts kept per campaign for resampling."""
    context_groups: PositiveInt = 8
    """Groups of cycles with like contexts; a cycle's impressions are resampled from its own group (§2.2)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reward:
    """Reward weights; the return's discount is not among them (that is `Train.discount`)."""

    __pydantic_config__ = STRICT
    roi: NonNegative = 0.5
    """alpha (§2.2 eq. 3, §2.4 eq. 10, §2.5 eq. 11: 0.5)."""
    ctr: NonNegative = 0.3
    """beta (0.3)."""
    cvr: NonNegative = 0.2
    """gamma of eq. 10 and 11 (0.2)."""
    budget: NonNegative = 0.2
    """gamma of eq. 3: weight of the budget excess penalty (0.2)."""
    excess: NonNegative = 0.1
    """delta of eq. 10: weight of the largest share above its maximum (0.1)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LimitDefaults:
    """Limits where the plan names none; shares of the cycle budget."""

    __pydantic_config__ = STRICT
    minimum: Fraction = 0.0
    """Least share of every platform (§4, contractual floors)."""
    maximum: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Largest share of every platform (§4, hard caps)."""
    step: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Largest change of a platform's share from one cycle to the next."""
    freeze: tuple[str, ...] = ()
    """Platforms whose share stays where it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pathwise:
    """Gradient of the expected return through the market's closed form and the projection."""

    __pydantic_config__ = STRICT
    hidden: tuple[int, ...] = (512, 512)
    """Actor widths (§2.2: two layers of 512, ReLU)."""
    learning_rate: Positive = 1e-3
    updates: PositiveInt = 3_000
    """Gradient steps; one per delivery cycle of the batch."""
    batch: PositiveInt = 256
    """Campaign episodes advanced side by side."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PPOConfig:
    """Proximal policy optimisation (§2.2, eq. 4)."""

    __pydantic_config__ = STRICT
    critic_hidden: tuple[int, ...] = (256, 256, 256)
    """Critic widths, tanh (§2.2: three layers of 256)."""
    clip: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """epsilon (§2.2: 0.2)."""
    learning_rate: Positive = 3e-4
    """Adam (§2.2: 3e-4)."""
    entropy: NonNegative = 0.01
    """Entropy coefficient (§2.2, 2.5: 0.01)."""
    sigma: Positive = 0.5
    """Standard deviation of the Gaussian logits before softmax, at the start."""
    gae_lambda: Fraction = 0.95
    epochs: PositiveInt = 4
    """Passes over a round's cycles."""
    minibatches: PositiveInt = 4
    """Parts that a pass is split into."""
    target_kl: Positive = 0.02
    """A pass over the batch stops when the policy has moved so far."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DDPGConfig:
    """Deep deterministic policy gradient (§2.2); what the paper does not have can be switched off (`strict`)."""

    __pydantic_config__ = STRICT
    critic_hidden: tuple[int, ...] = (512, 512)
    """Critic widths, ReLU (§2.2: two layers of 512)."""
    actor_rate: Positive = 1e-4
    """Adam of the actor."""
    critic_rate: Positive = 3e-4
    """Adam of the critic."""
    replay: PositiveInt = 1_000_000
    """Transitions kept (§2.2: 10^6)."""
    batch: PositiveInt = 256
    """Transitions per update (§2.2: 256)."""
    tau: Annotated[float, Field(gt=0, le=1)] = 0.005
    """Soft update of the targets (§2.2: 0.005)."""
    updates: PositiveInt = 1
    """Updates after every cycle of the batch."""
    noise: Positive = 0.7
    """Deviation of the exploring noise on the logits."""
    warm_up: NonNegativeInt = 300
    """First updates that move the critic alone; 0: none."""
    logit_penalty: NonNegative = 0.1
    """Weight, in the actor's loss, of the centred logits' mean square distance from those of the actor that DDPG took
    over; 0: none."""
    twin: bool = True
    """Two critics, the smaller of which makes the target."""
    layer_norm: bool = True
    """Layer norm in the critic."""
    centred_action: bool = True
    """The critic sees a M - 1 in place of the share a."""
    reward_scale: bool = True
    """Rewards are centred and divided by their running deviation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Train:
    """The training loop (§2.2)."""

    __pydantic_config__ = STRICT
    agent: Name = "hybrid"
    """What trains the actor: the hybrid alternates DDPG and PPO (§2.2); the others are alone. `mpc` trains nothing: it
    solves the fitted market's plan every cycle. Every file of `crossmix/agents` that registers one adds its name."""
    settings: dict[Name, Any] = field(default_factory=dict)
    """Settings that only this agent has (`Agent.settings`), by key; `pathwise`, `ddpg` and `ppo` have sections."""
    plan: bool = True
    """The actor learns what to add to the fitted market's plan; otherwise it starts from the uniform split (§2.2)."""
    start: Literal["pathwise", "fresh"] = "pathwise"
    """Where the hybrid starts: from the pathwise phase's best actor, or from the uniform split (§2.2)."""
    fine_tuning: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Where the hybrid starts from the pathwise actor: factor on the actor's rates of DDPG and PPO, divisor of DDPG's
    logit penalty."""
    platform_net: NonNegativeInt = 64
    """Width of the actor's small network that all platforms share, beside the paper's trunk; 0: none."""
    ranks: PositiveInt = 4
    """Processes that train together, one GPU each where there are any (§3: four GPUs); batches are divided by it."""
    restarts: NonNegativeInt = 3
    """How often the ranks are started again after one of them died."""
    seed: int = 0
    """Training seed: initial weights and exploration; not the market's."""
    market_seed: int = 1_000
    """Seed of the markets trained on; validation and test markets never share it."""
    episodes: PositiveInt = 2_000
    """Episodes of DDPG, PPO or both together (§2.2: 2,000)."""
    cycles: PositiveInt = 100
    """Delivery cycles per episode (§2.2: 100)."""
    parallel: PositiveInt = 16
    """Episodes that an algorithm plays side by side; a round is one such batch, of the hybrid one for each."""
    discount: Fraction = 0.0
    """Discount of the return: 0 where actions do not move the market's state, 0.99 with carry-over."""
    patience: PositiveInt = 50
    """Rounds without better validation ROI before training stops (§2.2: 50)."""
    validate_every: PositiveInt = 1
    """Rounds between validations."""
    checkpoint_every: PositiveInt = 1
    """Rounds between checkpoints."""
    pathwise: Pathwise = field(default_factory=Pathwise)
    ddpg: DDPGConfig = field(default_factory=DDPGConfig)
    ppo: PPOConfig = field(default_factory=PPOConfig)


@dataclass(frozen=True, kw_only=True, slots=True)
class Align:
    """Adversarial alignment of simulated with logged transitions (§2.3.1, eq. 5 and 6)."""

    __pydantic_config__ = STRICT
    target: Literal["market", "policy", "off"] = "market"
    """What the discriminator moves: the market's parameters, on which the policy is then trained on; the policy itself
    (the paper's eq. 6); or nothing."""
    hidden: tuple[int, ...] = (256, 256)
    """Discriminator widths, LeakyReLU (§2.3.1: two layers of 256)."""
    learning_rate: Positive = 1e-4
    """Adam of the discriminator (§2.3.1: 1e-4)."""
    batch: PositiveInt = 128
    """Transitions of each kind per update (§2.3.1: 128)."""
    weight: NonNegative = 0.1
    """lambda: weight of eq. 5 in the policy's loss (§2.3.1: 0.1)."""
    iterations: PositiveInt = 1_000
    """Alternations of one update of the discriminator and one of what it moves."""
    gradient_penalty: NonNegative = 1.0
    """Weight of the squared gradient of D at logged transitions (R1), without which it memorises the few there are."""
    policy_rate: Positive = 1e-4
    """Adam of the policy, as target."""
    market_rate: Positive = 0.01
    """Adam of the logarithms of the market's multipliers, as target."""
    prior: Positive = 0.4
    """Deviation of a multiplier's logarithm before any evidence, where the market's own standard error is smaller."""
    least: Positive = 0.15
    """A multiplier whose logarithm stays within this counts as none."""
    enough: PositiveInt = 100
    """Logged transitions (campaigns x cycles) below which nothing is moved: the log says too little."""
    updates: NonNegativeInt = 300
    """Pathwise updates of the policy on the aligned market."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class MAMLConfig:
    """Meta-training for quick re-adaptation (§2.3.2, eq. 7 and 8)."""

    __pydantic_config__ = STRICT
    inner_rate: Positive = 1e-3
    """alpha (§2.3.2: 1e-3); where the learned rates start."""
    steps: PositiveInt = 5
    """Inner steps, one per cycle (§2.3.2: 5)."""
    outer_rate: Positive = 1e-4
    """beta, Adam (§2.3.2: 1e-4)."""
    batch_tasks: PositiveInt = 4
    """Tasks per iteration (§2.3.2: 4)."""
    batch: PositiveInt = 64
    """Campaign rows per task (§2.3.2: 64)."""
    iterations: PositiveInt = 20_000
    """Outer iterations (§2.3.2: 20,000)."""
    learn_rates: bool = True
    """Learn an inner rate per parameter tensor; off: the paper's fixed rate."""
    rate_rate: Positive = 0.05
    """Adam's rate of the logarithms of the inner rates."""
    tasks: PositiveInt = 50
    """Tasks drawn from the log's strata; each iteration adds shifts of its own."""
    validate_every: PositiveInt = 100
    """Iterations between validations and checkpoints."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Online:
    """Daily fine-tuning on logged feedback (§2.4, 2.5; eq. 12)."""

    __pydantic_config__ = STRICT
    learning_rate: Positive = 1e-4
    """eta_0 (§2.5: 1e-4); day t steps by eta_0 / sqrt(t)."""
    window: PositiveInt = 20
    """Newest cycles learned from (§2.5: 20)."""
    batch: PositiveInt = 128
    """Rows per gradient step (§2.5: 128)."""
    epochs: PositiveInt = 1
    """Passes over the window."""
    entropy: NonNegative = 0.01
    """lambda of eq. 12 (§2.5: 0.01); no effect while the deviation is fixed."""
    sigma: Positive = 0.01
    """Deviation of the logits that the server explores with. Its cost grows with the square: 0.03 costs up to 0.001 of
    the oracle's revenue, 0.1 up to 0.004 (`benchmarks/online`)."""
    baseline: bool = True
    """Rewards less their campaign's mean; off: eq. 12's plain rewards."""
    clip: Annotated[float, Field(gt=0, lt=1)] | None = 0.2
    """Bound on importance weights, as PPO's; null: eq. 12's plain gradient."""
    max_kl: Positive | None = 0.05
    """A day's update ends before it moves the served density further; null: no bound."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluate:
    """The judge."""

    __pydantic_config__ = STRICT
    market_seed: int = 900_000
    """First of the market seeds judged on; never trained or validated on."""
    market_seeds: Annotated[int, Field(ge=2)] = 20
    """Market seeds judged on."""
    cycles: PositiveInt = 30
    """Cycles judged per market seed."""
    bootstrap: Annotated[int, Field(ge=100)] = 2_000
    """Resamples behind each interval."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gates:
    """Thresholds and which gates must pass (§2.2)."""

    __pydantic_config__ = STRICT
    deviation: Positive = 0.05
    """Equivalence bound on CTR, CVR, ROI and spend, market against held-out log (§2.2: 5 %)."""
    divergence: Positive = 0.1
    """Bound on the KL divergence (§2.2: 0.1)."""
    utilisation: Fraction = 0.9
    """Least mean spend over planned budget that the policy may reach, relative to the oracle's."""
    worst_platform: NonNegative = 0.0
    """Least ROAS of the worst platform that carries at least 1 % of spend, over the control's worst."""
    latency_ms: Positive = 5.0
    """Largest processor time of one policy call, 99th percentile, milliseconds."""
    required: tuple[str, ...] = ("fidelity.campaign", "fidelity.divergence", "policy")
    """Gate names, or prefixes ending before a dot, that must pass."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Registry:
    """Where models are registered (MLflow)."""

    __pydantic_config__ = STRICT
    tracking_uri: str | None = None
    """MLflow tracking URI; `None`: sqlite in the run's own folder."""
    experiment: str = "crossmix"
    model: str = "crossmix-policy"
    """Name of the registered model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Guardrails:
    """What ends a running experiment before its time, and rolls the policy back."""

    __pydantic_config__ = STRICT
    roi_drop: NonNegative = 0.0
    """Ends it when the whole always-valid interval of the lift of ROI lies below minus this."""
    utilisation_drop: Positive = 0.2
    """Ends it when the policy's utilisation lies this far, relative, below the control's; always-valid too."""
    cpa_rise: Positive = 0.3
    """Ends it when the whole always-valid interval of the rise of CPA lies above this."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Serving:
    """The server and its experiment (§2.4: 7:3)."""

    __pydantic_config__ = STRICT
    experiment: Annotated[str, Field(min_length=1)] = "first"
    """Id of the running experiment."""
    salt: Annotated[str, Field(min_length=1)] = "crossmix"
    """Shuffles users into arms; another salt is another shuffle."""
    weight: Fraction = 0.7
    """The policy arm's part of users and of the budget (§2.4: 0.7), whole ten-thousandths."""
    days: PositiveInt = 14
    """Planned cycles of the experiment (§3: 14 days)."""
    level: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    """Chance of a false positive of its tests."""
    guardrails: Guardrails = field(default_factory=Guardrails)
    """What ends it early."""
    explore: bool = True
    """The policy arm explores around the policy's logits with deviation `online.sigma`."""
    explore_bound: Positive = 2.0
    """Largest exploration of a logit, in deviations."""
    state_seconds: Positive = 2.0
    """How often a campaign's state is read anew from the feature store."""
    watch_seconds: Positive = 2.0
    """How often the registry is asked which version is champion."""
    database: str | None = None
    """SQLAlchemy URL of campaigns, feedback and audit; null: sqlite `serving.db` in the server's folder."""
    largest_body: PositiveInt = 1_048_576
    """Largest request body, bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Monitor:
    """What watches served campaigns; every file of `monitoring` that registers a monitor adds its name."""

    __pydantic_config__ = STRICT
    watch: tuple[Name, ...] = ("late_feed",)
    """Monitors that look, in this order."""
    settings: dict[Name, dict[Name, Any]] = field(default_factory=dict)
    """Monitor to its own settings, where they are not its defaults."""


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


@cache
def _adapter() -> TypeAdapter[Config]:
    return TypeAdapter(Config)


def to_json(config: Config) -> str:
    """Canonical JSON of the tree: sorted keys, no white space."""
    return json.dumps(asdict(config), sort_keys=True, separators=(",", ":"))


ELSEWHERE = ("registry", "serving")
"""Sections that say where a policy is registered and how a server is set up: the same is served whatever they say."""
CARRIED = tuple(item.name for item in fields(Config) if item.name not in ELSEWHERE)
"""What a bundle carries of the config, but for where its log lay (`data.path`)."""


def carried(config: Config) -> dict[str, Any]:
    """The config as a bundle carries it: `CARRIED`, as plain data."""
    tree: dict[str, Any] = {}
    for name in CARRIED:
        part = replace(config.data, path=None) if name == "data" else getattr(config, name)
        tree[name] = asdict(part) if is_dataclass(part) and not isinstance(part, type) else part
    del tree["data"]["path"]
    return tree


def from_carried(text: str) -> Config:
    """The config that a bundle carries, defaults in place of what it does not; raises as `from_json`."""
    tree = json.loads(text)
    tree["data"]["path"] = None  # bundles of earlier versions have one
    config = _validated(json.dumps(tree))
    _check(replace(config, data=replace(config.data, path="log")))
    return config


def from_json(text: str) -> Config:
    """Load strictly: unknown keys, wrong types and values outside their domain raise `ConfigError`."""
    config = _validated(text)
    _check(config)
    return config


def _validated(text: str) -> Config:
    try:
        return _adapter().validate_json(text)
    except ValidationError as error:
        raise ConfigError(_explain(error)) from None


def load(preset: str = "paper", overrides: Sequence[str] = (), values: Mapping[str, Any] | None = None) -> Config:
    """A preset with changes: `values` by dotted key, then `overrides` as `a.b=c` strings (JSON, or plain words).

    Raises `ConfigError` for an unknown preset, an unknown key, or a value that does not fit.
    """
    if preset not in PRESETS:
        raise ConfigError(f"preset: {preset!r} is unknown; use one of {', '.join(PRESETS)}")
    tree: dict[str, Any] = asdict(PRESETS[preset]())
    pairs: list[tuple[str, Any]] = list((values or {}).items())
    for item in overrides:
        key, sep, raw = item.partition("=")
        if not sep or not key:
            raise ConfigError(f"--set {item!r}: write it as a.b=c")
        try:
            pairs.append((key.strip(), json.loads(raw)))
        except json.JSONDecodeError:
            pairs.append((key.strip(), raw))
    for key, value in pairs:
        node = tree
        *parents, leaf = key.split(".")
        for depth, part in enumerate(parents):
            if part not in node and ".".join(parents[:depth]) in FREE:
                node[part] = {}
            if not isinstance(node.get(part), dict):
                raise ConfigError(f"{key}: unknown config key; {_near(tree, key)}")
            node = node[part]
        free = any(f"{key}.".startswith(f"{name}.") for name in FREE)
        if leaf not in node and not free:
            raise ConfigError(f"{key}: unknown config key; {_near(tree, key)}")
        node[leaf] = value
    return from_json(json.dumps(tree))


def strictly(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """A settings dataclass from a mapping, as strictly as the tree itself.

    Args:
        where: dotted key that an error begins with.

    Raises:
        ConfigError: an unknown key, a wrong type, a value outside its domain.
    """
    known = [item.name for item in fields(kind)]  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise ConfigError(f"{where}.{key}: unknown config key; use {', '.join(known)}")
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        raise ConfigError("; ".join(f"{where}.{problem}" for problem in _explain(error).split("; "))) from None


def digest(part: Any) -> str:
    """SHA-256 of a dataclass, or of anything JSON can hold: what a step's cache key is made of."""
    plain = asdict(part) if is_dataclass(part) and not isinstance(part, type) else part
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def _check(config: Config) -> None:
    data = config.data
    if data.train_fraction + data.validation_fraction >= 1:
        raise ConfigError(
            f"data.train_fraction + data.validation_fraction = {data.train_fraction + data.validation_fraction:g}: "
            "leave something below 1 for the test period"
        )
    sources = declared(PACKAGES["data.source"])
    if data.source not in sources:
        raise ConfigError(f"data.source: {data.source!r} is unknown; use one of {', '.join(sources)}")
    if not sources[data.source].literals.get("generated") and not data.path:
        raise ConfigError(f"data.path: source {data.source!r} reads a file; pass --data FILE")
    for name in ASKABLE:
        asking = [source for source, thing in sources.items() if name in thing.literals.get("asks", ())]
        if getattr(data, name) is not None and data.source not in asking:
            raise ConfigError(
                f"data.{name}: source {data.source!r} has its own; drop the key, it is for {', '.join(asking)}"
            )
    monitors = declared(PACKAGES["monitor.watch"])
    for name in config.monitor.watch:
        if name not in monitors:
            raise ConfigError(f"monitor.watch: no monitor is called {name!r}; use {', '.join(monitors)}")
    agents = declared(PACKAGES["train.agent"])
    if config.train.agent not in agents:
        raise ConfigError(f"train.agent: {config.train.agent!r} is unknown; use one of {', '.join(agents)}")
    gates = declared(PACKAGES["gates.required"])
    for name in config.gates.required:
        if not any(f"{name}.".startswith(f"{gate}.") or f"{gate}.".startswith(f"{name}.") for gate in gates):
            raise ConfigError(f"gates.required: no gate is called {name!r}; gates are {', '.join(gates)}")
    if config.fusion.attention_heads * config.fusion.head_dim != config.fusion.modality_dim:
        raise ConfigError(
            f"fusion.head_dim: {config.fusion.attention_heads} heads x {config.fusion.head_dim} must equal "
            f"fusion.modality_dim = {config.fusion.modality_dim}"
        )
    if config.fusion.behaviour_embedding % config.fusion.behaviour_heads:
        raise ConfigError(
            f"fusion.behaviour_heads: {config.fusion.behaviour_heads} must divide "
            f"fusion.behaviour_embedding = {config.fusion.behaviour_embedding}"
        )
    train = config.train
    for name, rows in (
        ("parallel", train.parallel),
        ("pathwise.batch", train.pathwise.batch),
        ("ddpg.batch", train.ddpg.batch),
    ):
        if rows % train.ranks:
            raise ConfigError(
                f"train.ranks: {train.ranks} ranks cannot share {rows} rows evenly (train.{name}); "
                f"take a divisor of {rows}"
            )
    if config.limits.minimum > config.limits.maximum:
        raise ConfigError(
            f"limits.minimum: {config.limits.minimum} is above limits.maximum = {config.limits.maximum}; lower it"
        )


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"]) or "config"
        if item["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
            lines.append(f"{where}: unknown config key; {_near(asdict(paper()), where)}")
        else:
            lines.append(f"{where}: {item['input']!r} does not fit: {item['msg']}")
    return "; ".join(lines)


def _near(tree: Mapping[str, Any], key: str) -> str:
    import difflib

    known = list(_leaves(tree))
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.4) or [
        name for name in known if name.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]
    ]
    return f"did you mean {close[0]}?" if close else "`crossmix config` lists them"


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> list[str]:
    names: list[str] = []
    for key, value in tree.items():
        names += _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) and value else [prefix + key]
    return names


def documented(config: Config) -> list[tuple[str, Any]]:
    """Every dotted key with its value, in order: what `crossmix config` prints."""

    def walk(node: Any, prefix: str) -> list[tuple[str, Any]]:
        rows: list[tuple[str, Any]] = []
        for item in fields(node):
            value = getattr(node, item.name)
            rows += walk(value, f"{prefix}{item.name}.") if is_dataclass(value) else [(prefix + item.name, value)]
        return rows

    return walk(config, "")
