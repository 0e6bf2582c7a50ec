"""Gates and verdicts: pass, fail, insufficient data (with the number needed), not applicable (with the reason)."""

from __future__ import annotations

from dataclasses import dataclass

from crossmix.config import Config
from crossmix.evaluate.fidelity.two_sample import limit

PASS, FAIL, INSUFFICIENT, NOT_APPLICABLE = "pass", "fail", "insufficient data", "not applicable"


@dataclass(frozen=True, slots=True)
class Gate:
    """One row of the table that the Kubeflow UI, MLflow and the console all show."""

    name: str
    value: float | None
    threshold: str
    verdict: str
    required: bool
    detail: str


def is_required(name: str, required: tuple[str, ...]) -> bool:
    """Whether a gate, or a prefix of its name that ends before a dot, is listed."""
    return any(name == prefix or name.startswith(prefix + ".") for prefix in required)


def required_of(config: Config, *, aggregate: bool) -> tuple[str, ...]:
    """The gates that must pass for a log of impressions, or for a spend history (`aggregate`)."""
    return config.gates.required_of_history if aggregate else config.gates.required


def bounds(config: Config) -> dict[str, float]:
    """What the report draws its lines at: largest deviation, KL divergence and AUC."""
    return {
        "deviation": config.gates.deviation,
        "divergence": config.gates.divergence,
        "auc": limit(config.gates.divergence),
    }


def days_more(cycles: int, cycle_hours: int) -> str:
    """What a verdict lacks, in words."""
    days = max(1, -(-cycles * cycle_hours // 24))
    return f"about {days:,} more day{'' if days == 1 else 's'}"
