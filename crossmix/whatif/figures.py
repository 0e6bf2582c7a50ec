"""Figures of a what-if, in the report's manner: drawn for a phone's width, themed by the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from crossmix.pages.charts import ACCENT, INK, LINE, MUTED, PAPER, PLATFORM_COLOURS, WARM, _compact, _figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from crossmix.whatif.curves import Band, Curve
    from crossmix.whatif.perturbation import Perturbation
    from crossmix.whatif.target import Frontier

SMALL = (1.9, 2.3)
"""Height and width in inches; two of a kind stand side by side on a phone."""
PARAMETER_SHADE, CYCLE_SHADE = 0.28, 0.16


def frontier(line: Frontier, marks: Sequence[tuple[str, float]], today: float, currency: str) -> Figure:
    """Revenue over the total budget: best split with its interval, today's split; `marks`: label and budget."""
    with _figure() as (figure, axes):
        end = _end(line, marks)
        shown = line.budget_G <= end * 1.3
        x = np.concatenate([[0.0], line.budget_G[shown]])
        best, low, high, plan = (
            np.concatenate([[0.0], curve[shown]])
            for curve in (line.revenue.value, line.revenue.low, line.revenue.high, line.today_revenue_G)
        )
        axes.fill_between(x, low, high, color=ACCENT, alpha=PARAMETER_SHADE, lw=0)
        axes.plot(x, best, color=ACCENT, label="best split")
        axes.plot(x, plan, color=WARM, ls="--", label="today’s split")
        axes.axvline(today, color=MUTED, lw=0.9, ls=(0, (1, 2)))
        at = np.array([budget for _, budget in marks])
        axes.plot(at, np.interp(at, x, best), "o", color=ACCENT, mfc=PAPER, ms=5, zorder=5)
        axes.set(xlim=(0, end), ylim=(0, 1.06 * float(np.interp(end, x, high))))
        axes.set(xlabel=f"budget per cycle, {currency}", ylabel="revenue per cycle")
        _money(axes.xaxis, axes.yaxis)
        axes.legend(loc="upper left")
    return figure


def next_money(line: Frontier, marks: Sequence[tuple[str, float]], today: float, currency: str) -> Figure:
    """Amount by platform of the best split over the total budget, stacked in the platforms' order."""
    with _figure() as (figure, axes):
        end = _end(line, marks)
        shown = line.budget_G <= end * 1.3
        budget, share = line.budget_G[shown], line.share_GP[shown]
        amount_PG = np.concatenate([np.zeros((share.shape[1], 1)), (share * budget[:, None]).T], 1)
        colours = [PLATFORM_COLOURS[index % len(PLATFORM_COLOURS)] for index in range(len(amount_PG))]
        x = np.concatenate([[0.0], budget])
        axes.stackplot(x, amount_PG, colors=colours, edgecolor=PAPER, linewidth=0.4)
        axes.axvline(today, color=INK, lw=0.9, ls=(0, (1, 2)))
        axes.set(xlim=(0, end), ylim=(0, end))
        axes.set(xlabel=f"budget per cycle, {currency}", ylabel="on each platform")
        axes.grid(visible=False)
        _money(axes.xaxis, axes.yaxis)
    return figure


def revenue(curve: Curve, today: float, best: float, top: float) -> Figure:
    """Revenue of a platform over its budget; `today` and `best` are amounts; `top` is the axes' upper end."""
    return _response(curve, curve.revenue, curve.cycle_revenue, today, best, top)


def marginal(curve: Curve, today: float, best: float, top: float) -> Figure:
    """Marginal ROI of a platform over its budget."""
    return _response(curve, curve.marginal_roi, curve.cycle_marginal_roi, today, best, top, start=2)


def perturbation(measured: Perturbation, today: float, edges: tuple[float, float]) -> Figure:
    """Fig. 4 of one platform: dots with Monte-Carlo bars are measured, lines are the closed form."""
    with _figure(*SMALL) as (figure, axes):
        x = measured.share_G
        axes.axhline(0, color=LINE, lw=1)
        for slope, colour, dash in ((measured.own, ACCENT, "-"), (measured.net, WARM, "--")):
            band = slope.measured
            axes.fill_between(x, band.low, band.high, color=colour, alpha=PARAMETER_SHADE, lw=0)
            axes.plot(x, band.value, ".", color=colour, ms=3.2)
            axes.plot(x, slope.closed, color=colour, lw=1.1, ls=dash)
        axes.axvline(today, color=MUTED, lw=0.9, ls=(0, (1, 2)))
        axes.set(xlim=(0, float(x[-1])), ylim=edges)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.locator_params(nbins=4)
    return figure


def _response(curve: Curve, band: Band, cycle: Band, today: float, best: float, top: float, start: int = 0) -> Figure:
    with _figure(*SMALL) as (figure, axes):
        x = curve.budget_G[start:]
        axes.fill_between(x, cycle.low[start:], cycle.high[start:], color=MUTED, alpha=CYCLE_SHADE, lw=0)
        axes.fill_between(x, band.low[start:], band.high[start:], color=ACCENT, alpha=PARAMETER_SHADE, lw=0)
        axes.plot(x, band.value[start:], color=ACCENT, lw=1.3)
        for at, marker, face, edge, size in ((best, "D", PAPER, INK, 6.0), (today, "o", WARM, WARM, 4.5)):
            axes.plot(
                [at], [min(float(np.interp(at, x, band.value[start:])), top)], marker, mfc=face, mec=edge, ms=size
            )
        axes.set(xlim=(0, float(x[-1])), ylim=(0, 1.04 * top))
        axes.locator_params(axis="y", nbins=4)
        _both_scales(axes, curve)
    return figure


def _both_scales(axes: Axes, curve: Curve) -> None:
    """Currency below, share of today's cycle budget above."""
    from matplotlib.ticker import MaxNLocator

    axes.locator_params(axis="x", nbins=3)
    _money(axes.xaxis, axes.yaxis)
    unit = float(curve.budget_G[-1] / curve.share_G[-1])

    def share(money: Any) -> Any:
        return np.asarray(money) / unit

    def money(share: Any) -> Any:
        return np.asarray(share) * unit

    above = axes.secondary_xaxis("top", functions=(share, money))
    above.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    above.xaxis.set_major_locator(MaxNLocator(3))
    above.tick_params(labelsize=7.5, labelcolor=MUTED, length=2)
    above.spines["top"].set_visible(False)


def _end(line: Frontier, marks: Sequence[tuple[str, float]]) -> float:
    """Right end of the budget axis: a little beyond what was asked, within what is known."""
    return float(min(1.25 * max(budget for _, budget in marks), line.budget_G[-1]))


def _money(*axes: Any) -> None:
    for axis in axes:
        axis.set_major_formatter(lambda value, _: _compact(value))
