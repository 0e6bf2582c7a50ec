"""Settings of user journeys (task `journeys`); defaults are the paper's (MTORL, KDD 2025, sections 4.1.3 and 4.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from crossmix.config.values import STRICT, Fraction, Name, NonNegative, Positive, PositiveInt

RewardKind = Literal["binary", "continuous", "compatible", "incompatible"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mtorl:
    """MTORL's own (section 3); what an ablation switches off is named by its equations."""

    __pydantic_config__ = STRICT
    tcn_layers: PositiveInt = 2
    """L1 of eq. 5."""
    kernel: PositiveInt = 4
    """Filter size k_c of eq. 5; the paper has none, the authors' code 4. The dilation of layer l is 2^(l-1)."""
    norm_layers: PositiveInt = 2
    """L2 of eq. 8."""
    reward_layers: PositiveInt = 3
    """L3 of eq. 12."""
    reward_kind: RewardKind = "binary"
    """Which gains the reward head learns (appendix A): the click; gain less penalised cost; clicks and conversions by
    weight; each on its own."""
    penalty: NonNegative = 0.5
    """s of eq. 3, of a `continuous` reward; gain per currency."""
    conversion_weight: Positive = 10.0
    """Of a conversion where a click is 1, in a `continuous` and a `compatible` reward (appendix A.1)."""
    mu: NonNegative = 0.04
    """Weight of the reward loss (eq. 16; 4.4.3, Criteo)."""
    dpo: NonNegative = 1.4
    """Weight lambda of the DPO loss (eq. 16; 4.4.2); 0: without."""
    beta: Positive = 0.1
    """How strongly eq. 15 prefers (3.6: 0.1)."""
    use_tcn: bool = True
    """Eq. 5 and 6; otherwise the causal state is the embedding of eq. 4."""
    use_attention: bool = True
    """Eq. 7; otherwise A is the causal state."""
    use_norm: bool = True
    """Residual connection and layer normalisation of eq. 8; otherwise its layers alone."""
    reward_sees_action: bool = False
    """Whether the reward head is given the channel of the coming exposure; the paper's is not (3.5)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Learning:
    """How an encoder and its heads are trained."""

    __pydantic_config__ = STRICT
    width: PositiveInt = 512
    """Of embeddings and hidden states."""
    dropout: Fraction = 0.2
    """In training alone."""
    batch: PositiveInt = 512
    """Windows per update."""
    rate: Positive = 1e-3
    """Adam's learning rate at its peak; it falls to 0 as half a cosine."""
    decay: NonNegative = 0.0
    """AdamW's weight decay."""
    epochs: PositiveInt = 800
    """Most passes over the training windows."""
    patience: PositiveInt = 800
    """Epochs without a better validation loss after which training ends; the best epoch's weights are kept."""
    seed: int = 0
    """Initial weights, order of windows, dropout."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Allocation:
    """What is worth how much, and how Algorithm 1 is played."""

    __pydantic_config__ = STRICT
    worth_click: NonNegative = 0.0
    """Currency per click; a conversion is worth its campaign's mean revenue of one on its channel, leaning on all
    campaigns'."""
    alpha: Fraction = 0.5
    """Of the implicit policy in eq. 17; tuned by the paper, which does not give it."""
    eta: Fraction = 0.5
    """Of MTORL's policy in Algorithm 1, line 12; as alpha."""
    rounds: PositiveInt = 20
    """K of Algorithm 1, a day apart."""
    picked: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of the users that a round's part of the budget pays for, at the log's mean cost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JourneysGates:
    """What must be shown before a response model is registered."""

    __pydantic_config__ = STRICT
    required: tuple[Name, ...] = ("journey",)
    """Gate names, or prefixes ending before a dot, that must pass."""
    slope: tuple[Positive, Positive] = (0.9, 1.1)
    """Between which the calibration slope of clicks must lie on test users, give or take twice its error."""
    clicks: PositiveInt = 200
    """Clicks of test users below which neither AUC nor slope is judged."""
    ratio: tuple[Positive, Positive] = (0.9, 1.1)
    """Between which clicks, conversions and value predicted over observed must lie on test users, give or take the 95 %
    interval."""
    widest: Positive = 0.15
    """Half that interval, and twice the slope's error, beyond which nothing is told: insufficient data. It widens what
    passes, so that a model that knows nothing would pass by it."""
    bootstrap: Annotated[int, Field(ge=100)] = 400
    """Resamples of users behind an interval."""
    blocks: Annotated[int, Field(ge=4)] = 8
    """Groups of test users that play in a planted world, each with a budget of its own."""
    latency_ms: Positive = 50.0
    """Largest processor time of one question of `questions` users, 99th percentile, milliseconds."""
    questions: PositiveInt = 16
    """Users of that question."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Journeys:
    """Windows, features, encoder."""

    __pydantic_config__ = STRICT
    window: PositiveInt = 20
    """Steps of a window (n; 4.4.1)."""
    stride: PositiveInt = 10
    """Steps between two windows of a user; a step is judged once."""
    lately: PositiveInt = 5
    """Exposures that count as lately in running summaries."""
    summaries: bool = True
    """Whether steps have running summaries (shares of channels, own click share)."""
    encoder: Literal["mtorl", "gru"] = "mtorl"
    """What turns steps into hidden states."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of held-out users that training stops by and calibrates on; the others are the test users."""
    learning: Learning = field(default_factory=Learning)
    """How it is trained."""
    mtorl: Mtorl = field(default_factory=Mtorl)
    """MTORL's own."""
    most_users: PositiveInt | None = None
    """Most training users, most test users, and half as many validation users, chosen by a hash of their ids; `None`:
    all."""
    allocation: Allocation = field(default_factory=Allocation)
    """What is worth how much, and how Algorithm 1 is played."""
    gates: JourneysGates = field(default_factory=JourneysGates)
    """What must be shown."""
