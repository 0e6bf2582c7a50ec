"""report.html: one self-contained page about a run: a head that says how it ended, then every registered section.

The head of a spend history's report says what to do: the standing of every campaign's answer.

A part that is not there yet (no registry after failed gates, no training) is told as such; nothing is fetched from
anywhere and no script runs.
"""

from __future__ import annotations

from pathlib import Path

from crossmix.artifacts import Evaluation
from crossmix.pages.charts import standalone
from crossmix.pages.render import render as page
from crossmix.report.allocation import simplex
from crossmix.report.charts import shares
from crossmix.report.decision import answers, headline, lines
from crossmix.report.inputs import ReportInputs
from crossmix.report.policies import forest
from crossmix.report.section import SECTIONS
from crossmix.report.verdict import keys, verdict

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
    found, told = answers(inputs.gates, inputs.decision), verdict(inputs)
    text = page(
        TEMPLATE,
        sections=[(section.name, section.link) for section, _ in parts],
        parts=parts,
        subject=SUBJECTS[inputs.task],
        source=inputs.source,
        generated=inputs.generated,
        headline=headline(found) if found else told["headline"],
        answers=lines(found, inputs.decision) if inputs.decision is not None else [],
        verdict=told,
        keys=keys(inputs),
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
