"""Is the market like the log: deviations, divergences and the classifier's test, and how the log's periods differ."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from crossmix.artifacts import Bounds, Comparison, Deviation
from crossmix.metrics import title
from crossmix.pages.charts import ACCENT, INK, LINE, MUTED, WIDTH, Chart
from crossmix.pages.format import change, decimal, finite, interval, number
from crossmix.pages.scales import Axis, Scale, as_percent
from crossmix.pages.shapes import text_width
from crossmix.pages.table import Cell, Table
from crossmix.report.section import SECTIONS, Section, absent, markup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from markupsafe import Markup

    from crossmix.report.inputs import ReportInputs

DIVERGENCES = (
    ("click_probability", "click probability"),
    ("price", "price"),
    *(
        (f"change.{key}", f"{title(key) if title(key).isupper() else key} step")
        for key in ("ctr", "cvr", "roi", "spend")
    ),
)
"""Key and heading, in this order."""
ROW, AROUND = 20.0, 75.0
"""Height of a line of the chart, and of what stands around all of them."""


def deviations(rows: Mapping[str, Mapping[str, Deviation]], bound: float) -> Markup:
    """Market over log, less 1, with 95 % intervals; `rows`: "total" or platform, then metric.

    One panel per metric on a common scale; the band within `bound` is marked. What reaches beyond the scale is cut.
    """
    groups, keys = list(rows), list(next(iter(rows.values())))
    known = [finite(end) for row in rows.values() for one in row.values() for end in (one.low, one.high)]
    ends = [abs(end) for end in known if end is not None]
    reach = max(2 * bound, min(float(np.quantile(ends, 0.9)) if ends else 0.0, 8 * bound))
    names = [(index, "all" if group == "total" else group) for index, group in enumerate(groups)]
    gutter = text_width([name for _, name in names]) + 8
    wide = (WIDTH - gutter) / len(keys)
    edges = [(end, as_percent(end)) for end in (-bound, bound)]
    # Where the band is too narrow for both labels, one in its middle says the same.
    narrow = wide * 2 * bound / (2.1 * reach) < text_width([label for _, label in edges]) + 4
    ticks = [(0.0, f"±{as_percent(bound)}")] if narrow else edges
    across = Axis(Scale(-1.05 * reach, 1.05 * reach), ticks=ticks, grid=False)
    chart = Chart("deviation of the market", WIDTH, AROUND + ROW * max(len(groups), 3))
    for column, key in enumerate(keys):
        panel = chart.panel(
            across,
            Axis(Scale(len(groups) - 0.5, -0.5), ticks=names if column == 0 else (), grid=False),
            area=(gutter + column * wide, 0, gutter + (column + 1) * wide - 4, chart.height),
            gutter=0,
            head=24,
        )
        panel.note(0, -0.5, title(key), INK, anchor="middle", lift=8)
        panel.upright(0, LINE, "")
        for edge in (-bound, bound):
            panel.upright(edge, MUTED)
        for index, group in enumerate(groups):
            one, colour = rows[group][key], ACCENT if group == "total" else INK
            if one.low is not None and one.high is not None:
                panel.line([one.low, one.high], [index, index], colour, width=1.6)
            value = finite(one.value)
            if value is not None and abs(value) <= 1.05 * reach:
                panel.dots([value], [index], colour, size=3.0)
    return chart.svg()


def compared(comparison: Comparison, bounds: Bounds | None, caption: str) -> Table:
    """Deviations, KL divergences and the classifier's AUC, a row per platform; beyond a bound in bold.

    `bounds`: `None` where no gate judges.
    """
    metrics = list(next(iter(comparison.deviations.values())))
    quantities = [item for item in DIVERGENCES if any(item[0] in row for row in comparison.divergences.values())]
    most = bounds or Bounds(deviation=math.inf, divergence=math.inf, auc=math.inf)
    rows = []
    for group, row in comparison.deviations.items():
        cells = [Cell("all" if group == "total" else group, "sum" if group == "total" else "")]
        for key in metrics:
            one = row[key]
            span = f"{change(one.low)} to {change(one.high)}"
            cells.append(_judged(one.value, most.deviation, change, span))
        for quantity, _ in quantities:
            divergence = comparison.divergences.get(group, {}).get(quantity)
            noise = "" if divergence is None else f"noise {number(divergence.noise, 2)}"
            value = None if divergence is None else divergence.value
            cells.append(_judged(value, most.divergence, lambda one: number(one, 2), noise))
        test = comparison.two_sample.get(group)
        span = "" if test is None else interval(test.low, test.high, decimal)
        cells.append(_judged(None if test is None else test.auc, most.auc, decimal, span))
        rows.append(tuple(cells))
    return Table(
        caption,
        ("", *(title(key) for key in metrics), *(heading for _, heading in quantities), "AUC"),
        tuple(rows),
        (("Deviation", len(metrics)), ("KL divergence, nats", len(quantities)), ("Classifier", 1)),
    )


def _judged(value: float | None, limit: float, form: Callable[[Any], str], small: str) -> Cell:
    """Bold beyond its limit."""
    known = finite(value)
    return Cell(
        form(known),
        "num sum" if known is not None and abs(known) > limit else "num",
        small if known is not None else "",
    )


def _body(inputs: ReportInputs) -> Markup:
    evaluation = inputs.evaluation
    if evaluation is None:
        return absent("No comparison with the log is there.")
    bounds = evaluation.bounds
    judged = compared(
        evaluation.fidelity,
        bounds,
        "The market less the held-out log over the log; KL(log || market); and the area under the ROC curve (AUC) of "
        "the better of two classifiers that try to tell the log’s cycles from the market’s. Small: 95 % interval; "
        "noise: what 99 of 100 divergences between two samples of one law stay below, at this many values. "
        f"Bold: beyond ±{bounds.deviation:.0%}, KL {bounds.divergence:g} or AUC {decimal(bounds.auc)}.",
    )
    shift = compared(
        evaluation.shift,
        None,
        "The log’s test period less its training period over the latter (spend per cycle); KL(test || training); and "
        "how well a classifier tells in which period a cycle lies. Drift alone does that: it is the world’s doing, not "
        "the market model’s, and no gate reads it.",
    )
    chart = deviations(evaluation.fidelity.deviations, bounds.deviation)
    return markup("fidelity.html.j2", of_totals=inputs.of_totals, deviations=chart, judged=judged, shift=shift)


FIDELITY = SECTIONS.register(
    Section(name="fidelity", order=80, title="Is the market like the log?", link="Fidelity", body=_body)
)
