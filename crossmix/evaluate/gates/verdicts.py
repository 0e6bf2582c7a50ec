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


def bounds(config: Config) -> dict[str, float]:
    """What the report draws its lines at: largest deviation, KL divergence and AUC."""
    return {
        "deviation": config.gates.deviation,
        "divergence": config.gates.divergence,
        "auc": limit(config.gates.divergence),
    }
