"""Settings of journeys; a section of the config can wrap them as they are. Defaults are the paper's (4.1.3, 4.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from crossmix.config.values import STRICT, Fraction, NonNegative, Positive, PositiveInt

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
    """Of eq. 15."""
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


def paper() -> Journeys:
    """The seed's hyper-parameters."""
    return Journeys()


def laptop() -> Journeys:
    """Other sizes only."""
    return Journeys(learning=Learning(width=64, batch=256, rate=2e-3, epochs=40, patience=6))
