"""Which gates must pass, and what their verdicts are told by; the types are `crossmix.verdicts`'."""

from __future__ import annotations

from crossmix.config import Config
from crossmix.evaluate.fidelity.two_sample import limit


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
