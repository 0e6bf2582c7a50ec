"""Gate, as declared (`components.declared`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.declared import Step
from crossmix.artifacts import Evaluation
from crossmix.config import CARRIED


def figures(folder: Path) -> dict[str, Any]:
    """The policy's means, and every competitor's oracle ratio."""
    policies = Evaluation.load(folder).policies
    own = policies["policy"]
    return {
        "policy_oracle_ratio": own.oracle_ratio.mean,
        "policy_gap_closed": own.gap_closed.mean,
        "policy_utilisation": own.utilisation.mean,
    } | {
        f"{name}_oracle_ratio": result.oracle_ratio.mean
        for name, result in policies.items()
        if name not in {"policy", "oracle"}
    }


STEP = Step(
    name="gate",
    order=70,
    core="crossmix.evaluate.gates.judge_step:judge",
    settings=CARRIED,  # its bundle carries the config: a bundle that is reused must not carry an old one
    figures=figures,
    shown=("policy_oracle_ratio",),
)
