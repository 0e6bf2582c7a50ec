"""What the fusion and market steps tell of what they fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from crossmix.artifacts.file import Artifact, Part


@dataclass(frozen=True, kw_only=True, slots=True)
class RocCurve(Part):
    """A ROC curve by falling threshold; empty where one class is absent."""

    fpr: tuple[float, ...]
    """False positive rates."""
    tpr: tuple[float, ...]
    """True positive rates."""
    threshold: tuple[float | None, ...]
    """Probabilities; the first may be null or above 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reliability(Part):
    """Predicted against observed probability, in bins of equal mass."""

    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    count: tuple[int, ...]
    """Rows per bin."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadQuality(Part):
    """How well one head predicts, on held-out users; null where there is no row, or one class only."""

    auc: float | None
    """Chance that an event scores above a non-event."""
    log_loss: float | None
    """Nats."""
    ece: float | None
    """Expected calibration error of the probability."""
    base_log_loss: float | None
    """Log loss of the rows' own base rate, nats."""
    roc: RocCurve
    reliability: Reliability
    rows: int
    positives: int
    """Rows with the event."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FusionRows(Part):
    """Impressions by what the fusion did with them."""

    trained: int
    """Distinct rows seen in training."""
    heldout: int
    """Rows judged on."""
    available: int
    """Rows that training could have seen."""
    predicted: int


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadCalibration(Part):
    """How a head was calibrated."""

    method: str
    rows: int
    error_out_of_fold: dict[str, float]
    """Candidate to its calibration error; empty where one only was tried."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlatformFit(Part):
    """Observed rates and mean predictions of a platform's held-out rows."""

    platform: str
    rows: int
    ctr: float
    """Clicks over impressions."""
    p_click: float
    """Mean predicted click probability."""
    conversions_per_impression: float
    p_joint: float
    """Mean predicted probability of click and conversion."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch(Part):
    """One epoch of the fusion's training."""

    epoch: int
    training_loss: float
    """Nats."""
    validation_loss: float
    """Nats."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FusionReport(Artifact):
    """The fusion's report; a spend history has no heads."""

    FILE: ClassVar[str] = "report.json"

    encoders: dict[str, str]
    """Modality to its encoder, or `missing`."""
    modalities: tuple[str, ...]
    """Those that the log has, of image, text, behaviour."""
    click: HeadQuality | None
    conversion: HeadQuality | None
    """Judged as p_click x p_conv over all impressions."""
    rows: FusionRows
    attention: dict[str, float]
    """Modality to its mean weight in the fusion."""
    calibration: dict[str, HeadCalibration]
    """By head: click, conversion."""
    platforms: tuple[PlatformFit, ...]
    curve: tuple[Epoch, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate(Part):
    """A fitted parameter."""

    value: float
    se: float | None
    """Standard error; null where none is known."""
    provenance: str
    """`crossmix.schema.Provenance`: `approximated` rests on an assumption, not on the log."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MarketCell(Part):
    """A campaign's platform as fitted."""

    OPEN: ClassVar[str] = "parameters"

    campaign: str
    platform: str
    mean_price: Estimate
    """Mean of the highest competing price, currency per impression."""
    parameters: dict[str, Estimate]
    """By the names of `crossmix.market.model.PARAMETERS`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MarketReport(Artifact):
    """The fitted market in figures."""

    FILE: ClassVar[str] = "report.json"

    price_kind: str
    """`empirical` or `lognormal`."""
    cycle_hours: int
    """Hours of a delivery cycle."""
    generated: bool
    """Whether the log comes from our own generator."""
    notes: tuple[str, ...]
    platforms: tuple[MarketCell, ...]
    """Campaign by campaign."""
    late: str | None = None
    """How late conversions come, a sentence; absent: at once, or as the log's own times say."""
