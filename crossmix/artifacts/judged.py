"""What the gate and register steps tell: the evaluation, the gates, the registry's answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from crossmix.artifacts.file import Artifact, Part


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval(Part):
    """A mean over market seeds."""

    mean: float
    ci95: tuple[float, float]
    """Bootstrap 95 % interval."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures(Part):
    """Totals over all market seeds and their ratios; a ratio without a denominator is null."""

    planned: float
    """Planned budget, currency."""
    spend: float
    """Currency."""
    revenue: float
    """Currency."""
    impressions: float
    clicks: float
    conversions: float
    utilisation: float | None
    """Spend over planned budget."""
    roi: float | None
    """Revenue over planned budget."""
    roas: float | None
    """Revenue over spend."""
    cpa: float | None
    """Spend over conversions, currency."""
    ctr: float | None
    """Clicks over impressions."""
    cvr: float | None
    """Conversions over clicks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlatformFigures(Figures):
    """`Figures` of one platform."""

    share: float
    """Mean share of the budget."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlayerResult(Part):
    """How a policy or competitor did on the judge's markets."""

    label: str
    clairvoyant: bool
    """Whether it knows the market: the oracle."""
    oracle_ratio: Interval
    """Expected revenue over the oracle's."""
    gap_closed: Interval
    """Share of the way from the uniform split to the oracle."""
    difference: Interval | None
    """The policy's expected revenue less this one's, over the oracle's; null for the policy itself."""
    roi: Interval
    roas: Interval
    utilisation: Interval
    dynamic_reward: Interval | None = None
    """Eq. 10, mean of cycles: a figure beside revenue, by which nothing is judged; absent in files of before."""
    limit_breaks: int
    """Cycles in which a limit was broken."""
    total: Figures
    platform: dict[str, PlatformFigures]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trajectory(Part):
    """One flight's splits, cycles down and platforms across; shares."""

    campaign: str
    seed: int
    """Market seed."""
    policy: tuple[tuple[float, ...], ...]
    oracle: tuple[tuple[float, ...], ...]
    low: tuple[tuple[float, ...], ...]
    """Least share that the limits allow."""
    high: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class MarginalCurve(Part):
    """A platform's response to its share of the budget."""

    share: tuple[float, ...]
    marginal: tuple[float, ...]
    """Marginal ROI at each share."""
    revenue: tuple[float, ...]
    """Expected revenue per cycle at each share, currency."""
    at_policy: float
    """Mean share of the policy."""
    at_oracle: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Deviation(Part):
    """One side over the other, less 1; null where undefined."""

    value: float | None
    low: float | None
    """Of the 95 % interval."""
    high: float | None
    conversions: int
    """Behind it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Divergence(Part):
    """A KL divergence; null where either side has too few values."""

    value: float | None
    """Nats."""
    count: int
    """Values behind it."""
    bins: int
    noise: float | None
    """What 99 of 100 divergences of equal laws stay below, nats."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassifierTest(Part):
    """How well a classifier tells two samples apart; null where there are too few rows."""

    auc: float | None
    error: float | None
    """Its standard error."""
    p_value: float | None
    rows: int
    """Of the smaller sample."""
    classifier: str
    low: float | None
    """Of the 95 % interval of the AUC."""
    high: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison(Part):
    """Two sides compared, by `total` or platform."""

    deviations: dict[str, dict[str, Deviation]]
    """Then by metric: ctr, cvr, roi, spend."""
    divergences: dict[str, dict[str, Divergence]]
    """Then by quantity."""
    two_sample: dict[str, ClassifierTest]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds(Part):
    """What the gates judge the market by."""

    deviation: float
    """Largest deviation."""
    divergence: float
    """Largest KL divergence, nats."""
    auc: float
    """Largest AUC."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation(Artifact):
    """The judge's figures."""

    FILE: ClassVar[str] = "evaluation.json"

    platforms: tuple[str, ...]
    campaigns: tuple[str, ...]
    currency: str
    generated: bool
    """Whether the log comes from our own generator."""
    cycles: int
    """Judged per market seed."""
    cycle_hours: int
    market_seeds: int
    """Market seeds judged on."""
    policies: dict[str, PlayerResult]
    """policy, oracle, and every competitor by name."""
    trajectory: Trajectory
    marginal_roi: dict[str, MarginalCurve]
    """By platform, of the first campaign."""
    fidelity: Comparison
    """The market against the held-out log."""
    shift: Comparison
    """The log's test period against its training period."""
    bounds: Bounds


@dataclass(frozen=True, kw_only=True, slots=True)
class GateRow(Part):
    """One gate's verdict."""

    name: str
    value: float | None
    """The figure judged; null where there is none."""
    threshold: str
    verdict: str
    """pass, fail, insufficient data or not applicable."""
    required: bool
    """Whether nothing is registered unless it passes."""
    detail: str
    """Sentence: the figures behind it, or why there are none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GateTable(Artifact):
    """The verdict of every gate."""

    FILE: ClassVar[str] = "gates.json"

    gates: tuple[GateRow, ...]
    passed: bool
    """Whether every required gate passed or did not apply."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Registration(Artifact):
    """The registry's answer."""

    FILE: ClassVar[str] = "registration.json"

    name: str
    """Of the registered model."""
    version: int
    aliases: tuple[str, ...]
    run_id: str
    """Of the registry's run."""
    bundle_digest: str
    note: str
    """Why it is champion, or why it is not."""
