"""Registry and use: what was registered, how to ask it, what each step told and how long it took."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from crossmix.pages.format import number
from crossmix.report.section import SECTIONS, TASKS, Section, markup

if TYPE_CHECKING:
    from markupsafe import Markup

    from crossmix.artifacts import Summary
    from crossmix.report.inputs import ReportInputs


def steps(summary: Summary) -> list[tuple[str, str]]:
    """Each step's time, and the figures that it declares."""
    declared = summary.steps or {}
    rows = []
    for name, seconds in summary.seconds.items():
        figures = [
            f"{key.replace('_', ' ')} {value if isinstance(value, str) else number(value)}"
            for key, value in declared.get(name, {}).items()
        ]
        rows.append((name, "; ".join([f"{number(seconds)} s", *([", ".join(figures)] if figures else [])])))
    return [*rows, ("all", f"{number(sum(summary.seconds.values()))} s")] if rows else []


def _body(inputs: ReportInputs) -> Markup:
    summary = inputs.summary
    # The summary has the aliases as they are now, the step as they were when it registered.
    registered = (summary.registry if summary is not None else None) or inputs.registration
    return markup(
        "registry.html.j2",
        registered=registered,
        note="" if inputs.registration is None else inputs.registration.note,
        bundle=None if summary is None else summary.bundle,
        run_id=None if summary is None else summary.run_id,
        campaign=shlex.quote(next((one for one in inputs.campaigns if one not in inputs.ended), "CAMPAIGN")),
        task=inputs.task,
        failed=inputs.gates is not None and not inputs.gates.passed,
        steps=[] if summary is None else steps(summary),
    )


REGISTRY = SECTIONS.register(
    Section(name="registry", order=100, title="Registry and use", link="Registry", body=_body, tasks=TASKS)
)
