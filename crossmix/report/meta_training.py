"""A start for re-adaptation: how meta-training went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossmix.artifacts import MetaTraining
from crossmix.pages.format import decimal
from crossmix.report.charts import series
from crossmix.report.section import SECTIONS, Section, markup

if TYPE_CHECKING:
    from markupsafe import Markup

    from crossmix.report.inputs import ReportInputs


def curve(training: MetaTraining) -> Markup:
    """Revenue on validation tasks over the trained policy's, by iteration."""
    x = [point.iteration for point in training.points]
    rows = [
        ("before adaptation", x, [point.unadapted for point in training.points]),
        ("after its inner steps", x, [point.adapted for point in training.points]),
    ]
    return series(rows, "iteration", "meta-training")


def _body(inputs: ReportInputs) -> Markup | None:
    training = inputs.meta_training
    if training is None or not training.points:
        return None
    return markup(
        "meta_training.html.j2",
        iterations=training.iterations,
        first=decimal(training.points[0].adapted, 4),
        last=decimal(training.points[-1].adapted, 4),
        curve=curve(training),
    )


META_TRAINING = SECTIONS.register(
    Section(name="readaptation", order=48, title="A start for re-adaptation", link="Re-adaptation", body=_body)
)
