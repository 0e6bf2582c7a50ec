"""Charts of a what-if, drawn for a phone's width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from crossmix.pages.charts import ACCENT, DASHES, INK, LINE, MUTED, PAPER, SMALL, WARM, Chart
from crossmix.pages.format import compact
from crossmix.pages.scales import Axis, Scale, as_percent

if TYPE_CHECKING:
    from markupsafe import Markup

    from crossmix.whatif.curves import Band, Curve
    from crossmix.whatif.perturbation import Perturbation
    from crossmix.whatif.target import Frontier

PARAMETER_SHADE, CYCLE_SHADE = 0.28, 0.16


def frontier(known: Frontier, marks: Sequence[tuple[str, float]], today: float, currency: str) -> Markup:
    """Revenue over the total budget: best split with its interval, today's split; `marks`: label and budget."""
    end = _end(known, marks)
    shown = known.budget_G <= end * 1.3
    x = np.concatenate([[0.0], known.budget_G[shown]])
    best, low, high, plan = (
        np.concatenate([[0.0], curve[shown]])
        for curve in (known.revenue.value, known.revenue.low, known.revenue.high, known.today_revenue_G)
    )
    chart = Chart("Revenue over the total budget")
    panel = chart.panel(
        _money(end, f"budget per cycle, {currency}"), _money(1.06 * float(np.interp(end, x, high)), "revenue per cycle")
    )
    panel.band(x, low, high, ACCENT, PARAMETER_SHADE)
    panel.line(x, best, ACCENT)
    panel.line(x, plan, WARM, dash=DASHES)
    panel.upright(today)
    budgets = np.array([budget for _, budget in marks])
    panel.dots(budgets, np.interp(budgets, x, best), ACCENT, hollow=True, fill=PAPER, size=4.5)
    panel.legend([("best split", ACCENT, ""), ("today’s split", WARM, DASHES)])
    return chart.svg()


def next_money(known: Frontier, marks: Sequence[tuple[str, float]], today: float, currency: str) -> Markup:
    """Amount by platform of the best split over the total budget, stacked in the platforms' order."""
    end = _end(known, marks)
    shown = known.budget_G <= end * 1.3
    budget_G, share_GP = known.budget_G[shown], known.share_GP[shown]
    amount_PG = np.concatenate([np.zeros((share_GP.shape[1], 1)), (share_GP * budget_G[:, None]).T], 1)
    chart = Chart("Best amounts by platform over the total budget")
    panel = chart.panel(_money(end, f"budget per cycle, {currency}"), _money(end, "on each platform"))
    panel.stack(np.concatenate([[0.0], budget_G]), amount_PG)
    panel.upright(today, INK)
    return chart.svg()


def revenue(curve: Curve, today: float, best: float, top: float, most: float | None = None) -> Markup:
    """Revenue of a platform over its budget; `today`, `best` and `most`, that a week ever spent, are amounts; `top` is
    the axes' upper end."""
    chart = Chart(f"Revenue of {curve.platform} over its budget", *SMALL)
    return _response(chart, curve, curve.revenue, curve.cycle_revenue, today, best, top, most)


def marginal(curve: Curve, today: float, best: float, top: float, most: float | None = None) -> Markup:
    """Marginal ROI of a platform over its budget."""
    chart = Chart(f"Marginal ROI of {curve.platform} over its budget", *SMALL)
    return _response(chart, curve, curve.marginal_roi, curve.cycle_marginal_roi, today, best, top, most, start=2)


def perturbation(measured: Perturbation, today: float, edges: tuple[float, float]) -> Markup:
    """Fig. 4 of one platform: dots with Monte-Carlo bars are measured, lines are the closed form."""
    x = measured.share_G
    chart = Chart(f"Marginal ROI of {measured.platform}, measured and closed form", *SMALL)
    panel = chart.panel(Axis(Scale(0, float(x[-1])), form=as_percent, most=3), Axis(Scale(*edges), most=4))
    panel.level(0, LINE, "")
    for slope, colour, dash in ((measured.own, ACCENT, ""), (measured.net, WARM, DASHES)):
        panel.band(x, slope.measured.low, slope.measured.high, colour, PARAMETER_SHADE)
        panel.dots(x, slope.measured.value, colour, size=1.8)
        panel.line(x, slope.closed, colour, width=1.4, dash=dash)
    panel.upright(today)
    return chart.svg()


def _response(
    chart: Chart,
    curve: Curve,
    band: Band,
    cycle: Band,
    today: float,
    best: float,
    top: float,
    most: float | None,
    start: int = 0,
) -> Markup:
    """One platform: currency below, the share of today's cycle budget above."""
    x = curve.budget_G[start:]
    end = float(x[-1])
    above = Axis(Scale(0, end / float(curve.budget_G[-1] / curve.share_G[-1])), form=as_percent, most=3)
    panel = chart.panel(_money(end, most=3), _money(1.04 * top, most=4), above=above)
    panel.band(x, cycle.low[start:], cycle.high[start:], MUTED, CYCLE_SHADE)
    panel.band(x, band.low[start:], band.high[start:], ACCENT, PARAMETER_SHADE)
    panel.line(x, band.value[start:], ACCENT, width=1.7)
    if most is not None:
        panel.upright(most)
    best_height, today_height = (min(float(np.interp(at, x, band.value[start:])), top) for at in (best, today))
    panel.dots([best], [best_height], INK, shape="diamond", size=4.5, hollow=True, fill=PAPER)
    panel.dots([today], [today_height], WARM, size=3.5)
    return chart.svg()


def _end(known: Frontier, marks: Sequence[tuple[str, float]]) -> float:
    """Right end of the budget axis: a little beyond what was asked, within what is known."""
    return float(min(1.25 * max(budget for _, budget in marks), known.budget_G[-1]))


def _money(end: float, title: str = "", **settings: Any) -> Axis:
    return Axis(Scale(0, end), title, compact, **settings)
