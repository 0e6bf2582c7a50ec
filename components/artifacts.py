"""What the steps show in the Kubeflow UI: metrics, ROC curves, the gate table, the report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kfp import dsl


def log_numbers(metrics: dsl.Metrics, values: Mapping[str, Any]) -> None:
    """Every finite number among the values; what is undefined or no number has no metric."""
    for name, value in values.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            metrics.log_metric(name, round(float(value), 6))


def log_head(metrics: dsl.Metrics, curve: dsl.ClassificationMetrics, head: str, report: Mapping[str, Any]) -> None:
    """AUC, log loss and calibration error of one head, and its ROC curve."""
    log_numbers(metrics, {f"{head}_{name}": report[name] for name in ("auc", "log_loss", "ece")})
    roc = report["roc"]
    # The curve's first threshold may be infinite, which JSON cannot hold; a probability never exceeds 1.
    thresholds = [min(value, 1.0) if value is not None else 1.0 for value in roc["threshold"]]
    curve.log_roc_curve(roc["fpr"], roc["tpr"], thresholds)


def policy_numbers(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """The policy's means, and every competitor's oracle ratio."""
    policies = evaluation["policies"]
    own = {f"policy_{name}": policies["policy"][name]["mean"] for name in ("oracle_ratio", "gap_closed", "utilisation")}
    others = {name: row["oracle_ratio"]["mean"] for name, row in policies.items() if name not in {"policy", "oracle"}}
    return own | {f"{name}_oracle_ratio": mean for name, mean in others.items()}


def gate_table(verdict: Mapping[str, Any], path: str) -> None:
    """The gates as a Markdown table."""
    lines = ["| gate | value | threshold | verdict | required |", "|---|---|---|---|---|"]
    for gate in verdict["gates"]:
        value = "–" if gate["value"] is None else f"{gate['value']:.4g}"
        required = "yes" if gate["required"] else "no"
        lines.append(f"| {gate['name']} | {value} | {gate['threshold']} | {gate['verdict']} | {required} |")
    Path(path).write_text("\n".join(lines) + "\n")


def write_report(steps: Mapping[str, str], path: str) -> None:
    """The report without a registry's answer, for the Kubeflow UI."""
    from crossmix.report.page import ReportInputs, render

    render(ReportInputs.collect({name: Path(folder) for name, folder in steps.items()}, {}), Path(path))
