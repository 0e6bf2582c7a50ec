"""What the steps show in the Kubeflow UI: metrics, ROC curves, the gate table, the report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossmix.artifacts import GateTable, HeadQuality

if TYPE_CHECKING:
    from kfp import dsl


def given(**artifacts: dsl.Artifact | None) -> dict[str, str]:
    """Paths of the artifacts that a task's pipeline hands over, by name: some step inputs are of one task alone."""
    return {name: artifact.path for name, artifact in artifacts.items() if artifact is not None}


def log_numbers(metrics: dsl.Metrics, values: Mapping[str, Any]) -> None:
    """Every finite number among the values; what is undefined or no number has no metric."""
    for name, value in values.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            metrics.log_metric(name, round(float(value), 6))


def log_roc(curve: dsl.ClassificationMetrics, head: HeadQuality | None) -> None:
    """A head's ROC curve; nothing for a spend history, which has no impression to judge."""
    if head is None:
        return
    # The curve's first threshold may be infinite, which JSON cannot hold; a probability never exceeds 1.
    thresholds = [min(value, 1.0) if value is not None else 1.0 for value in head.roc.threshold]
    curve.log_roc_curve(list(head.roc.fpr), list(head.roc.tpr), thresholds)


def gate_table(verdict: GateTable, path: str) -> None:
    """The gates as a Markdown table."""
    lines = ["| gate | value | threshold | verdict | required |", "|---|---|---|---|---|"]
    for gate in verdict.gates:
        value = "–" if gate.value is None else f"{gate.value:.4g}"
        required = "yes" if gate.required else "no"
        lines.append(f"| {gate.name} | {value} | {gate.threshold} | {gate.verdict} | {required} |")
    Path(path).write_text("\n".join(lines) + "\n")


def write_report(steps: Mapping[str, str], path: str) -> None:
    """The report without a registry's answer, for the Kubeflow UI."""
    from crossmix.report.inputs import ReportInputs
    from crossmix.report.page import render

    render(ReportInputs.collect({name: Path(folder) for name, folder in steps.items()}), Path(path))
