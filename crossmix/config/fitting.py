"""Settings of what is fitted: fusion, market, reward weights, limits (§2.1, 2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from crossmix.config.values import STRICT, Fraction, NonNegative, Positive, PositiveInt


@dataclass(frozen=True, kw_only=True, slots=True)
class Fusion:
    """Multimodal fusion (§2.1, eq. 1-2)."""

    __pydantic_config__ = STRICT
    seed: int = 0
    """Seed of the initial weights, the order of the rows and the calibration (not in the paper)."""
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
    """Impressions per gradient step (not in the paper)."""
    epochs: PositiveInt = 3
    """Passes over the training rows (not in the paper)."""
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
    """Conversions later than so many cycles arrive in the last of them. Of a spend history whose conversions come late
    as many cycles more as it takes until nearly all have come."""
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
    probe: Annotated[float, Field(gt=0, le=1)] = 0.02
    """Share that a platform may have to find out what it does: one that has gone silent; of a spend history one on
    which a campaign never ran, where none that did can be compared. Where some can, it is the most that a change is
    proved with, and what a first test gives."""
