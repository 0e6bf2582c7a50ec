"""The fit of the click and conversion heads: encoders, quality, calibration and ROC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crossmix.artifacts import HeadQuality
from crossmix.pages.charts import ACCENT, DASHES, LINE, WARM, Chart
from crossmix.pages.format import count, number, percent
from crossmix.pages.scales import Axis, Scale
from crossmix.pages.shapes import Marker
from crossmix.pages.table import Cell, Table
from crossmix.report.section import SECTIONS, Section, absent, markup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup

    from crossmix.report.inputs import ReportInputs

MODALITIES = ("image", "text", "behaviour")
MARKS: tuple[tuple[str, Marker, str], ...] = ((ACCENT, "circle", ""), (WARM, "diamond", DASHES))
"""Colour, marker and dash of each head."""


def roc(heads: Mapping[str, HeadQuality]) -> Markup:
    """True against false positive rate."""
    chart = Chart("ROC")
    unit = Scale(0, 1)
    panel = chart.panel(Axis(unit, "false positive rate"), Axis(unit, "true positive rate"), square=True)
    panel.line([0, 1], [0, 1], LINE)
    for head, (colour, _, dash) in zip(heads.values(), MARKS, strict=False):
        panel.line(head.roc.fpr, head.roc.tpr, colour, dash=dash)
    entries = [(name, colour, dash) for name, (colour, _, dash) in zip(heads, MARKS, strict=False)]
    panel.legend(entries, right=True, low=True)
    return chart.svg()


def reliability(heads: Mapping[str, HeadQuality]) -> Markup:
    """Observed against predicted rate on logarithmic axes."""
    points = {}
    for name, head in heads.items():
        bins = head.reliability
        # A bin without an event has no place on a logarithmic axis; its count is in the report's data.
        rows = zip(bins.predicted, bins.observed, bins.count, strict=True)
        points[name] = [(p, o, n) for p, o, n in rows if p > 0 and o > 0]
    rates = [rate for rows in points.values() for p, o, _ in rows for rate in (p, o)] or [0.01, 0.1]
    scale = Scale(min(rates) / 1.6, max(rates) * 1.6, log=True)
    chart = Chart("reliability")
    panel = chart.panel(Axis(scale, "predicted probability", most=4), Axis(scale, "observed rate", most=4), square=True)
    panel.line([scale.low, scale.high], [scale.low, scale.high], LINE)
    for known, (colour, shape, _) in zip(points.values(), MARKS, strict=False):
        for p, o, n in known:
            error = 1.96 * float(np.sqrt(o * (1 - min(o, 1)) / n))
            panel.line([p, p], [o - min(error, 0.99 * o), o + error], colour, width=1.1)
        panel.dots([p for p, _, _ in known], [o for _, o, _ in known], colour, shape=shape, size=3.2)
    panel.legend([(name, colour, shape) for name, (colour, shape, _) in zip(heads, MARKS, strict=False)])
    return chart.svg()


def quality(heads: Mapping[str, HeadQuality]) -> Table:
    """How well each head predicts."""
    return Table(
        "Judged on held-out users. AUC: chance that an event scores above a non-event. ECE: expected calibration error "
        "of the probability. Log loss in nats; below that of the base rate is information.",
        ("", "AUC", "ECE", "Log loss", "Base rate’s", "Rows", "Events"),
        tuple(
            (
                Cell(name),
                Cell(number(head.auc), "num"),
                Cell(percent(head.ece, 2), "num"),
                Cell(number(head.log_loss), "num"),
                Cell(number(head.base_log_loss), "num"),
                Cell(count(head.rows), "num"),
                Cell(count(head.positives), "num"),
            )
            for name, head in heads.items()
        ),
    )


def _body(inputs: ReportInputs) -> Markup:
    report = inputs.fusion
    if report is None:
        return absent("No fit is there: the fusion step has not run.")
    heads = {name: head for name, head in (("click", report.click), ("conversion", report.conversion)) if head}
    if not heads:
        return absent(
            "The log is a spend history: it has no single impressions, so there is nothing to fuse and no click or "
            "conversion model to judge."
        )
    return markup(
        "fusion.html.j2",
        encoders=[
            (name, report.encoders[name], report.attention.get(name)) for name in MODALITIES if name in report.encoders
        ],
        rows=[(name, getattr(report.rows, name)) for name in ("trained", "heldout", "available", "predicted")],
        quality=quality(heads),
        roc=roc(heads),
        reliability=reliability(heads),
    )


FIT = SECTIONS.register(Section(name="fit", order=30, title="The fit", link="Fit", body=_body))
