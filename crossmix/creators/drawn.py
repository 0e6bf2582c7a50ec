"""The matrix drawn: a row per channel and tier, a column per phase, darker where more money lies."""

from __future__ import annotations

from markupsafe import Markup

from crossmix.creators.plan import Cell, Plan
from crossmix.pages.charts import INK, LINE, MUTED, Chart, Panel
from crossmix.pages.format import count
from crossmix.pages.scales import Scale
from crossmix.pages.shapes import FONT, text, text_width

ROW, COLUMN, HEAD, GAP = 40.0, 118.0, 24.0, 8.0
"""Heights of a row and of the head, width of a column, room between channels; units of the view box."""
DARKEST = 0.5
"""Opacity of the cell with most money: ink stays legible on it, on light pages and on dark ones."""


def matrix(plan: Plan) -> Markup:
    """The plan's cells as SVG."""
    channels = list(dict.fromkeys(cell.channel for cell in plan.cells))
    phases = list(dict.fromkeys(cell.phase for cell in plan.cells))
    tiers = list(dict.fromkeys(cell.tier for cell in plan.cells))
    cells = {(cell.channel, cell.phase, cell.tier): cell for cell in plan.cells}
    first = text_width(channels, 1.08 * FONT) + 12
    left = first + text_width(tiers) + 14
    total = text_width([_money(plan.cost, plan), "in all"]) + 18
    width = left + COLUMN * len(phases) + total
    height = HEAD + len(channels) * (len(tiers) * ROW + GAP) + ROW
    chart = Chart(_label(plan), width, height)
    panel = chart.bare((0.0, 0.0, width, height), Scale(0, 1), Scale(0, 1))
    for at, phase in enumerate(phases):
        _write(panel, left + (at + 0.5) * COLUMN, HEAD - 9, phase, "middle", INK, bold=True)
    _write(panel, width - 6, HEAD - 9, "in all", "end", MUTED)
    most = max((cell.cost for cell in plan.cells), default=0.0)
    top = HEAD
    for channel in channels:
        _write(panel, 0, top + 0.5 * ROW + 4, channel, "start", INK, bold=True)
        for tier in tiers:
            _write(panel, first, top + 0.5 * ROW + 4, tier, "start", MUTED)
            for at, phase in enumerate(phases):
                _cell(panel, left + at * COLUMN, top, cells[channel, phase, tier], most)
            _sum(panel, width - 6, top, [cells[channel, phase, tier] for phase in phases])
            top += ROW
        top += GAP
    for at, phase in enumerate(phases):
        _sum(panel, left + (at + 0.5) * COLUMN, top, [cell for cell in plan.cells if cell.phase == phase], "middle")
    _sum(panel, width - 6, top, list(plan.cells))
    return chart.svg()


def _cell(panel: Panel, left: float, top: float, cell: Cell, most: float) -> None:
    right, bottom, inset = left + COLUMN - 3, top + ROW - 3, 0.5 * COLUMN - 1.5
    outline = [(left, top), (right, top), (right, bottom), (left, bottom)]
    if cell.cost <= 0:
        panel.area(outline, f'fill="none" stroke="{LINE}" stroke-dasharray="3 3"')
        return
    part = DARKEST * cell.cost / most if most > 0 else 0.0
    panel.area(outline, f'fill="var(--accent)" fill-opacity="{0.06 + part:.3f}" stroke="{LINE}"')
    how_many = f"{cell.creators} · " if cell.creators else ""
    _write(panel, left + inset, top + 15, f"{how_many}{count(cell.cost)}", "middle", INK)
    _write(
        panel, left + inset, top + 30, f"→ {count(cell.effect)}" if cell.creators else "done", "middle", INK, small=True
    )


def _sum(panel: Panel, across: float, top: float, cells: list[Cell], anchor: str = "end") -> None:
    _write(panel, across, top + 15, count(sum(cell.cost for cell in cells)), anchor, INK)
    new = any(cell.creators for cell in cells)
    added = f"→ {count(sum(cell.effect for cell in cells))}" if new else "done" if any(c.cost for c in cells) else ""
    _write(panel, across, top + 30, added, anchor, MUTED, small=True)


def _write(
    panel: Panel, x: float, y: float, label: str, anchor: str, colour: str, *, bold: bool = False, small: bool = False
) -> None:
    panel.parts.append(text((x, y), label, anchor, colour, bold=bold, size=0.9 * FONT if small else FONT))


def _money(value: float, plan: Plan) -> str:
    return count(max(value, sum(cell.cost for cell in plan.cells)))


def _label(plan: Plan) -> str:
    """For who does not see it."""
    bought = [cell for cell in plan.cells if cell.cost > 0]
    told = "; ".join(f"{c.channel} {c.phase} {c.tier}: {c.creators} creators for {c.cost:,.0f}" for c in bought)
    return f"Money by channel, phase and tier, {plan.currency}. {told}"
