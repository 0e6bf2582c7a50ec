"""Settings of learning: training, alignment, meta-training, online updates (§2.2 to 2.5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from crossmix.config.values import STRICT, Fraction, Name, NonNegative, NonNegativeInt, Positive, PositiveInt


@dataclass(frozen=True, kw_only=True, slots=True)
class Pathwise:
    """Gradient of the expected return through the market's closed form and the projection."""

    __pydantic_config__ = STRICT
    hidden: tuple[int, ...] = (512, 512)
    """Actor widths (§2.2: two layers of 512, ReLU)."""
    learning_rate: Positive = 1e-3
    """Adam (not in the paper)."""
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
    """lambda of generalised advantage estimation (not in the paper); 0: one-step, 1: the whole return."""
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
    solves the fitted market every cycle (the base policy). Each file of `crossmix/agents` that registers one adds a
    name."""
    agent_of_history: Name = "mpc"
    """As `agent`, of a market that was fitted to a spend history and has a plan (one without takes `agent`). What is
    served of a history is refitted on all its periods, and what networks learned to add in the judged market need not
    hold there."""
    settings: dict[Name, Any] = field(default_factory=dict)
    """Settings that only this agent has (`Agent.settings`), by key; `pathwise`, `ddpg` and `ppo` have sections."""
    plan: bool = True
    """The actor learns what to add to the base policy, which solves the fitted market (`crossmix/agents/mpc.py`);
    otherwise it starts from the uniform split (§2.2)."""
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
    """The phase before DDPG and PPO (not in the paper)."""
    ddpg: DDPGConfig = field(default_factory=DDPGConfig)
    """The off-policy half of the hybrid (§2.2)."""
    ppo: PPOConfig = field(default_factory=PPOConfig)
    """The on-policy half of the hybrid (§2.2, eq. 4)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Align:
    """Adversarial alignment of simulated with logged transitions (§2.3.1, eq. 5 and 6)."""

    __pydantic_config__ = STRICT
    target: Literal["market", "policy", "off"] = "market"
    """What the discriminator moves: the market's parameters, on which the policy is then trained on; the policy itself
    (the paper's eq. 6); or nothing."""
    of_history: bool = False
    """Align a spend history's market too. Its response is fitted as a whole and refitted on all periods, which tells
    what alignment would."""
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
    """Seed of the discriminator's initial weights and of the transitions that are drawn (not in the paper)."""


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
    iterations_of_history: NonNegativeInt = 0
    """As `iterations`, of a market that was fitted to a spend history; 0: re-adaptation starts from the policy as it
    is. Tasks are shifts of one market there, and training on them has not bettered it."""
    learn_rates: bool = True
    """Learn an inner rate per parameter tensor; off: the paper's fixed rate."""
    rate_rate: Positive = 0.05
    """Adam's rate of the logarithms of the inner rates."""
    tasks: PositiveInt = 50
    """Tasks drawn from the log's strata; each iteration adds shifts of its own."""
    validate_every: PositiveInt = 100
    """Iterations between validations and checkpoints."""
    seed: int = 0
    """Seed of the tasks and of their rows (not in the paper)."""


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
    daily: bool = False
    """The daily refit tries eq. 12 beside the new plan."""
