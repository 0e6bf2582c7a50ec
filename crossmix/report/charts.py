"""Charts that several sections draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from crossmix.pages.charts import ACCENT, WIDTH, Chart
from crossmix.pages.scales import Axis, Scale, as_percent, whole_ticks
from crossmix.pages.shapes import text_width

if TYPE_CHECKING:
    from markupsafe import Markup

SHARES_HEIGHT = 270.0
PANEL_HEIGHT, BELOW = 88.0, 40.0
"""Of one panel of several, and of what stands below the last."""


def shares(share_TP: Sequence[Sequence[float]], label: str, unit: str = "cycle") -> Markup:
    """Stacked shares of all platforms over time."""
    last = len(share_TP) - 1
    chart = Chart(label, height=SHARES_HEIGHT)
    panel = chart.panel(
        Axis(Scale(0, last) if last else Scale(-0.5, 0.5), unit, ticks=whole_ticks(0, last), grid=False),
        Axis(Scale(0, 1), "share of the cycle budget", as_percent, grid=False),
    )
    panel.stack(range(last + 1), zip(*share_TP, strict=True))
    return chart.svg()


def series(rows: Sequence[tuple[str, Sequence[float], Sequence[float]]], axis: str, label: str) -> Markup:
    """Small panels under each other, one per (name, x, y), over one axis; y is cut at its 1st and 99th percentile."""
    chart = Chart(label, height=PANEL_HEIGHT * len(rows) + BELOW)
    scales = [_middle(y) for _, _, y in rows]
    low, high = min(min(x) for _, x, _ in rows), max(max(x) for _, x, _ in rows)
    across, named = wider(low, high), whole_ticks(low, high)
    # Panels line up whatever their numbers.
    ticks = [Axis(scale, most=3).marks() for scale in scales]
    gutter = max(text_width([text for _, text in marks]) for marks in ticks) + 8
    for index, ((name, x, y), scale, marks) in enumerate(zip(rows, scales, ticks, strict=True)):
        last = index == len(rows) - 1
        panel = chart.panel(
            Axis(across, axis if last else "", ticks=named, labelled=last),
            Axis(scale, ticks=marks),
            area=(0, index * PANEL_HEIGHT, WIDTH, (index + 1) * PANEL_HEIGHT + (BELOW if last else 0)),
            gutter=gutter,
            head=22,
        )
        panel.note(panel.x.scale.low, scale.high, name, lift=7)
        panel.line(x, y, ACCENT)
    return chart.svg()


def wider(low: float, high: float) -> Scale:
    """With a margin, so that marks at either end stand free."""
    margin = 0.04 * (high - low) or 0.5
    return Scale(low - margin, high + margin)


def _middle(y: Sequence[float]) -> Scale:
    low, high = np.percentile(np.asarray(y, float), [1, 99])
    margin = 0.1 * (high - low) or 0.05 * abs(high) or 1.0
    return Scale(float(low - margin), float(high + margin))
