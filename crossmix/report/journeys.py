"""Task `journeys`: what every player earns in the planted world, how clicks are told, what was learned from whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossmix.artifacts.journeys import ESTIMATED
from crossmix.pages.charts import ACCENT, INK, LINE, MUTED, WIDTH, Chart
from crossmix.pages.format import count, decimal, percent
from crossmix.pages.scales import Axis, Scale
from crossmix.pages.table import Cell, Table
from crossmix.report.section import SECTIONS, Section, absent, markup

if TYPE_CHECKING:
    from markupsafe import Markup

    from crossmix.artifacts import JourneysJudged
    from crossmix.report.inputs import ReportInputs

RESPONSE = "response"
ROW, AROUND = 24.0, 62.0
"""Height of a line of the chart, and of what stands around all of them."""


def earned(judged: JourneysJudged) -> Markup:
    """Revenue per cost of every player with its interval, the best on top."""
    rows = sorted(judged.players.items(), key=lambda item: -item[1].revenue_per_cost)
    high = max(one.high for _, one in rows)
    chart = Chart("revenue per cost by player", WIDTH, AROUND + ROW * len(rows))
    panel = chart.panel(
        Axis(Scale(0.0, 1.05 * high), "revenue per cost"),
        Axis(Scale(len(rows) - 0.5, -0.5), ticks=[(at, name) for at, (name, _) in enumerate(rows)], grid=False),
        head=24,
    )
    for at, (name, one) in enumerate(rows):
        panel.line([max(one.low, 0.0), one.high], [at, at], LINE, width=3.0)
        colour = ACCENT if name == RESPONSE else INK if name == "oracle" else MUTED
        panel.dots([one.revenue_per_cost], [at], colour, size=4.6)
    return chart.svg()


def table(judged: JourneysJudged) -> Table:
    """A row per player."""
    rows = [
        (
            Cell(name),
            Cell(decimal(one.revenue_per_cost), "num"),
            Cell(f"{decimal(one.low)} to {decimal(one.high)}", "num"),
            Cell(percent(one.spent), "num"),
        )
        for name, one in sorted(judged.players.items(), key=lambda item: -item[1].revenue_per_cost)
    ]
    return Table(f"World: {judged.world}.", ("", "Revenue per cost", "95 % interval", "Budget spent"), tuple(rows))


def _value(inputs: ReportInputs) -> Markup:
    judged = inputs.journeys
    if judged is None:
        return absent("Nothing was judged: the gate step has not run.")
    if not judged.players:
        return absent(
            "What another choice of channels would have earned cannot be told: the log does not say with which chance "
            "it took its channel, and there is no world whose answer is known."
        )
    estimated = judged.world == ESTIMATED
    return markup("journeys.html.j2", judged=judged, earned=earned(judged), table=table(judged), estimated=estimated)


def _told(inputs: ReportInputs) -> Markup:
    trained, judged = inputs.journeys_trained, inputs.journeys
    if trained is None:
        return absent("Nothing was learned: the train step has not run.")
    return markup("journeys_told.html.j2", trained=trained, judged=judged, count=count, decimal=decimal)


VALUE = SECTIONS.register(
    Section(name="earned", order=12, title="What players earn", link="Earned", body=_value, tasks=("journeys",))
)
TOLD = SECTIONS.register(
    Section(name="told", order=54, title="What journeys tell", link="Told", body=_told, tasks=("journeys",))
)
