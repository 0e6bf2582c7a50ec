"""report.html: one self-contained page about a run: a head that says how it ended, then every registered section.

A part that is not there yet (no registry after failed gates, no training) is told as such; nothing is fetched from
anywhere and no script runs.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from crossmix.artifacts import Evaluation, TaskFigure
from crossmix.metrics import METRIC
from crossmix.pages.charts import standalone
from crossmix.pages.format import decimal, estimate, finite, interval, metric, number, percent, points
from crossmix.pages.render import render as page
from crossmix.report.allocation import simplex
from crossmix.report.charts import shares
from crossmix.report.inputs import ReportInputs
from crossmix.report.policies import forest
from crossmix.report.section import SECTIONS
from crossmix.verdicts import FAIL, INSUFFICIENT

SUBJECTS = {
    "split": "budget allocation over media platforms",
    "journeys": "channels for users, journey by journey",
    "creators": "creators for briefs, by channel, phase and tier",
}
"""What the head of the page calls a task."""
TEMPLATE = Path(__file__).with_name("report.html.j2")


def render(inputs: ReportInputs, path: Path | None = None) -> str:
    """The page; also written to `path` if given."""
    ordered = sorted(
        (section for section in SECTIONS.all() if inputs.task in section.tasks), key=lambda section: section.order
    )
    bodies = [(section, section.body(inputs)) for section in ordered]
    parts = [(section, body) for section, body in bodies if body is not None]
    text = page(
        TEMPLATE,
        sections=[(section.name, section.link) for section, _ in parts],
        parts=parts,
        subject=SUBJECTS[inputs.task],
        source=inputs.source,
        generated=inputs.generated,
        verdict=_verdict(inputs),
        keys=_keys(inputs),
        versions=inputs.versions,
    )
    if path is not None:
        path.write_text(text, encoding="utf-8")
    return text


def judged_figures(evaluation: Evaluation) -> dict[str, str]:
    """The charts of an evaluation by file name, as files of their own, for the registry."""
    trajectory = evaluation.trajectory
    drawn = {
        "oracle_ratio.svg": forest(evaluation),
        "simplex.svg": simplex(trajectory.policy, trajectory.oracle, evaluation.platforms)[0],
        "shares_policy.svg": shares(trajectory.policy, "shares of the policy"),
        "shares_oracle.svg": shares(trajectory.oracle, "shares of the oracle"),
    }
    return {name: standalone(chart) for name, chart in drawn.items()}


def _verdict(inputs: ReportInputs) -> dict[str, Any]:
    """Headline, its colour, and a sentence per required gate that failed or could not be judged."""
    quality = _quality(inputs)
    if inputs.gates is None:
        return {"kind": "none", "word": "Not judged", "headline": quality, "failures": []}
    if inputs.gates.passed:
        return {"kind": "pass", "word": "Gates passed", "headline": quality, "failures": []}
    reasons = [
        f"{gate.name}: {number(gate.value) if gate.verdict == FAIL else gate.verdict}, threshold {gate.threshold}"
        + (f" ({gate.detail})" if gate.detail else "")
        for gate in inputs.gates.gates
        if gate.required and gate.verdict in (FAIL, INSUFFICIENT)
    ]
    word = f"{len(reasons)} required gate{'s' if len(reasons) > 1 else ''} did not pass"
    return {"kind": "fail", "word": word, "headline": f"{quality} Nothing was registered.", "failures": reasons}


def _key(figure: TaskFigure) -> dict[str, str]:
    form = percent if figure.form == "share" else number
    span = "" if figure.ci95 is None else interval(*figure.ci95, form)
    return {"title": figure.label, "mean": form(figure.mean), "interval": span, "meaning": figure.meaning}


def _quality(inputs: ReportInputs) -> str:
    """How good the policy is, in one sentence."""
    if inputs.judged is not None:
        return inputs.judged.headline
    policy = inputs.policy
    if policy is None or finite(policy.oracle_ratio.mean) is None:
        return "No policy was judged."
    earned = f"The policy earns {percent(policy.oracle_ratio.mean)} of what a clairvoyant oracle would"
    if finite(policy.gap_closed.mean) is None:
        return f"{earned}."
    return f"{earned} and closes {percent(policy.gap_closed.mean, 2)} of the gap from an even split to it."


def _keys(inputs: ReportInputs) -> list[dict[str, str]]:
    """The figures to remember, each with interval and meaning."""
    if inputs.judged is not None:
        return [_key(figure) for figure in inputs.judged.figures.values()]
    policy, evaluation = inputs.policy, inputs.evaluation
    if policy is None or evaluation is None:
        return []
    control = evaluation.policies.get("control")
    rows = [
        (
            "Oracle ratio",
            estimate(policy.oracle_ratio, decimal),
            "revenue over the clairvoyant oracle’s, judged auction by auction",
        ),
        ("Gap closed", estimate(policy.gap_closed, percent), "of the way from the uniform split to the oracle"),
        (
            "Ahead of control",
            estimate(None if control is None else control.difference, points),
            "points of the oracle’s revenue more than the historical split",
        ),
    ]
    for key in ("roi", "utilisation"):
        value = estimate(getattr(policy, key), partial(metric, key))
        rows.append((METRIC[key].label, value, METRIC[key].definition))
    return [
        {"title": title, "mean": mean, "interval": interval, "meaning": meaning}
        for title, (mean, interval), meaning in rows
    ]
