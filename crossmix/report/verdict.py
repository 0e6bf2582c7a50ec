"""How a run ended: what its gates say, and how its policy did in simulated markets.

The head of a report says so; of a spend history, whose report begins with the decision, the section after that.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from crossmix.metrics import METRIC
from crossmix.pages.format import decimal, estimate, finite, interval, metric, number, percent, points
from crossmix.report.section import SECTIONS, Section, markup
from crossmix.verdicts import FAIL, INSUFFICIENT

if TYPE_CHECKING:
    from markupsafe import Markup

    from crossmix.artifacts import TaskFigure
    from crossmix.report.inputs import ReportInputs


def verdict(inputs: ReportInputs) -> dict[str, Any]:
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


def keys(inputs: ReportInputs) -> list[dict[str, str]]:
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
            f"revenue over the clairvoyant oracle’s{'' if inputs.of_totals else ', judged auction by auction'}",
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


def _body(inputs: ReportInputs) -> Markup | None:
    if inputs.gates is None or inputs.decision is None:
        return None
    proved = all(one.proved for one in inputs.decision.campaigns if one.ended is None)
    return markup(
        "verdict.html.j2",
        verdict=verdict(inputs),
        keys=keys(inputs),
        campaigns=inputs.campaigns,
        ended=inputs.ended,
        proved=proved,
    )


VERDICT = SECTIONS.register(
    Section(name="policy", order=6, title="The policy in simulated markets", link="Policy", body=_body)
)
