"""Settings of judging: the evaluation and the gates (§2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from crossmix.config.values import STRICT, Fraction, NonNegative, Positive, PositiveInt


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
    decision: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Least probability that the change recommended from a spend history earns more than going on as today; the
    back-test on its held-out weeks asks for the same (not in the paper)."""
    plausible: Annotated[float, Field(ge=0.5, lt=1)] = 0.8
    """The same from which an answer that is not proved counts as plausible (not in the paper)."""
    required_of_history: tuple[str, ...] = (
        "fidelity.campaign",
        "decision",
        "policy.beats.uniform",
        "policy.beats.static",
        "policy.beats.control",
        "policy.beats.rule",
        "policy.beats.windowed_roi",
        "policy.limits",
        "policy.utilisation",
        "policy.worst_platform",
        "policy.off_policy",
        "policy.latency",
    )
    """As `required`, of a spend history, whose fidelity is asked for as far as its decision needs. Not
    `policy.beats.plug_in`: the plug-in is the fit itself, which a history's policy is at best level with (decision
    18)."""
