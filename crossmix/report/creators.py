"""Briefs of task `creators`: every plan beside template and bound, and where the money of some of them lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crossmix.artifacts.creators import LEFTOVERS, PLAN, TEMPLATE
from crossmix.pages.charts import ACCENT, INK, LINE, MUTED, PAPER, WIDTH, Chart
from crossmix.pages.format import count, number, percent
from crossmix.pages.scales import Axis, Scale
from crossmix.pages.table import NOTHING, Cell, Table
from crossmix.report.section import SECTIONS, Section, absent, markup

if TYPE_CHECKING:
    from markupsafe import Markup

    from crossmix.artifacts.creators import CreatorsJudged, PlayedBrief
    from crossmix.report.inputs import ReportInputs

ROW, AROUND = 24.0, 62.0
"""Height of a line of the chart, and of what stands around all of them."""
DRAWN = 3
"""Briefs whose matrix is shown."""


def shares(judged: CreatorsJudged) -> Markup:
    """Expected effect over the bound: a line per brief, plan and templates on it, the best plan on top."""
    rows = sorted(judged.briefs, key=lambda one: -one.share)
    low = min(min(one.expected.values()) / one.bound for one in rows)
    chart = Chart("share of the bound by brief", WIDTH, AROUND + ROW * max(len(rows), 2))
    panel = chart.panel(
        Axis(Scale(max(low - 0.03, 0.0), 1.02), "expected effect / bound on all plans"),
        Axis(Scale(len(rows) - 0.5, -0.5), ticks=[(at, one.name) for at, one in enumerate(rows)], grid=False),
        head=24,
    )
    panel.upright(1.0, INK, "")
    for at, one in enumerate(rows):
        share = {name: value / one.bound for name, value in one.expected.items()}
        panel.line([share[TEMPLATE], share[PLAN]], [at, at], LINE, width=1.5)
        panel.dots([share[TEMPLATE]], [at], MUTED, hollow=True, fill=PAPER)
        panel.dots([share[LEFTOVERS]], [at], MUTED)
        panel.dots([share[PLAN]], [at], ACCENT, size=4.6)
    return chart.svg()


def table(judged: CreatorsJudged) -> Table:
    """A row per brief."""
    rows = []
    for one in judged.briefs:
        lead = one.judged[PLAN] / one.judged[LEFTOVERS] - 1 if one.judged.get(LEFTOVERS) else None
        broken = Cell("; ".join(one.broken), "wrap bad") if one.broken else Cell("none", "muted")
        rows.append(
            (
                Cell(one.name, "mono"),
                Cell(f"{count(one.budget)} {one.currency}", "num"),
                Cell(percent(one.cost[PLAN] / one.budget), "num"),
                Cell(count(one.creators), "num"),
                Cell(percent(one.share), "num"),
                NOTHING if lead is None else Cell(percent(lead), "num", ""),
                broken,
                Cell(number(one.seconds), "num"),
            )
        )
    head = ("", "Budget", "Spent", "Creators", "Of the bound", "Ahead of template", "Rules broken", "Processor s")
    return Table(
        f"“Ahead of template”: effect over that of the template with leftovers spent, {judged.judged_by}.",
        head,
        tuple(rows),
    )


def matrix(one: PlayedBrief) -> Table:
    """Spend of a plan by channel and tier, a column per phase."""
    spend = np.asarray(one.spend).reshape(len(one.channels), len(one.phases), len(one.tiers))
    rows = []
    for at, channel in enumerate(one.channels):
        for tier, name in enumerate(one.tiers):
            cells = [Cell(count(value), "num") if value > 0 else NOTHING for value in spend[at, :, tier]]
            total = float(spend[at, :, tier].sum())
            rows.append((Cell(f"{channel}, {name}"), *cells, Cell(percent(total / max(one.cost[PLAN], 1e-9)), "num")))
    caption = f"{one.name}: {count(one.cost[PLAN])} of {count(one.budget)} {one.currency} on {one.creators} creators."
    return Table(caption, ("", *one.phases, "Of the spend"), tuple(rows))


def _result(inputs: ReportInputs) -> Markup:
    judged = inputs.briefs
    if judged is None:
        return absent("No brief was judged: the gate step has not run.")
    return markup(
        "creators.html.j2", judged=judged, shares=shares(judged), table=table(judged), count=len(judged.briefs)
    )


def _matrices(inputs: ReportInputs) -> Markup | None:
    if inputs.briefs is None:
        return None
    return markup("creators_matrix.html.j2", tables=[matrix(one) for one in inputs.briefs.briefs[:DRAWN]])


RESULT = SECTIONS.register(
    Section(
        name="briefs", order=11, title="Every brief, beside template and bound", link="Briefs", body=_result,
        tasks=("creators",),
    )
)  # fmt: skip
MATRICES = SECTIONS.register(
    Section(
        name="matrices", order=52, title="Where the money lies", link="Matrices", body=_matrices, tasks=("creators",)
    )
)
