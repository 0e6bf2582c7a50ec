"""What-if curves of a campaign: revenue and marginal ROI of each platform over its amount, as plain data and as charts.

An arm with a part w of the users has that part of the supply, so that its amount a stands on the campaign's curve at
a / w: what the platform would get if every user were in that arm. Both arms so share one curve.

Shapes: K points, P platforms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crossmix.metrics import ARMS
from crossmix.pages.charts import ACCENT, INK, MUTED, SMALL, WARM, Chart
from crossmix.pages.format import compact
from crossmix.pages.scales import Axis, Scale
from crossmix.pages.shapes import Marker
from crossmix.reasons import intervals_of
from crossmix.response import ResponseTable

POINTS = 49
BEYOND = 2.2
"""How far a curve goes on beyond the largest amount of now."""
COLOURS = dict(zip(ARMS, (ACCENT, WARM), strict=True))
MARKS: dict[str, tuple[Marker, bool]] = dict(zip(ARMS, (("circle", False), ("diamond", True)), strict=True))
"""Shape, and whether it is hollow: control's, so that a policy's mark at the same place shows through."""
SHADE, HEIGHT = 0.22, 160.0


def curves(
    table: ResponseTable, platforms: Sequence[str], amounts: Mapping[str, Sequence[float]], cycle_budget: float
) -> list[dict[str, Any]]:
    """One curve per platform.

    Args:
        amounts: arm to what each platform would get now if every user were in it, currency per cycle.
        cycle_budget: of the campaign, currency.
    """
    now = {arm: np.asarray(values, float) for arm, values in amounts.items()}
    largest_P = np.max([np.full(len(platforms), cycle_budget / len(platforms) / 2), *now.values()], axis=0)
    reach_P = np.minimum(BEYOND * largest_P, table.amount_K[-1])
    amount_KP = np.linspace(0, 1, POINTS)[:, None] * reach_P
    response = table.at(amount_KP)
    response_now = {arm: table.at(values[None]) for arm, values in now.items()}
    return [
        {
            "platform": platform,
            "amount": _plain(amount_KP[:, slot]),
            "revenue": _plain(response.revenue_P[:, slot]),
            "revenue_interval": _interval(response.revenue_P[:, slot], response.revenue_se_P[:, slot]),
            "marginal_roi": _plain(response.marginal_P[:, slot]),
            "marginal_roi_interval": _interval(response.marginal_P[:, slot], response.marginal_se_P[:, slot]),
            "now": {
                arm: {
                    "amount": _number(values[slot]),
                    "revenue": _number(response_now[arm].revenue_P[0, slot]),
                    "marginal_roi": _number(response_now[arm].marginal_P[0, slot]),
                }
                for arm, values in now.items()
            },
        }
        for slot, platform in enumerate(platforms)
    ]


def panels(data: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Both charts of each curve; marginal ROI has one scale over all platforms, revenue each its own."""
    # Where nothing is spent the next unit earns what no other will: that scale would flatten every curve.
    typical = [
        mark["marginal_roi"]
        for one in data
        for mark in one["now"].values()
        if mark["marginal_roi"] is not None and mark["amount"] > 0.02 * one["amount"][-1]
    ]
    if not typical:
        typical = [value for one in data for value in one["marginal_roi"][POINTS // 4 :] if value is not None]
    top = 1.7 * max(typical, default=1.0)
    return [
        {
            "platform": one["platform"],
            "revenue": _chart(one, "revenue", None),
            "marginal": _chart(one, "marginal_roi", top),
        }
        for one in data
    ]


def _chart(one: Mapping[str, Any], name: str, top: float | None) -> str:
    """A curve with its interval and where the arms stand; `top`: upper end of its axis, its own if absent."""
    rows = zip(one["amount"], one[name], one[f"{name}_interval"], strict=True)
    known = [(amount, value, *span) for amount, value, span in rows if value is not None and None not in span]
    if not known:
        return ""
    amounts, values, low, high = (list(column) for column in zip(*known, strict=True))
    title = {"revenue": "revenue", "marginal_roi": "marginal ROI"}[name]
    chart = Chart(f"{title[0].upper()}{title[1:]} of {one['platform']} over its amount", SMALL[0], HEIGHT)
    height = top or 1.05 * max(*high, 1e-12)
    panel = chart.panel(
        Axis(Scale(0, max(one["amount"][-1], 1e-12)), form=compact, most=3, grid=False),
        Axis(Scale(0, height), form=compact, most=3),
        head=20,
    )
    panel.note(0, height, title, lift=8)
    panel.band(amounts, low, high, MUTED, SHADE)
    panel.line(amounts, values, INK, width=1.6)
    for arm, mark in one["now"].items():
        if mark["amount"] is not None and mark[name] is not None:
            shape, hollow = MARKS[arm]
            panel.dots([mark["amount"]], [mark[name]], COLOURS[arm], shape=shape, hollow=hollow, kind=f"now {arm}")
    return chart.svg()


def _interval(value_K: Any, se_K: Any) -> list[list[float | None]]:
    low_K, high_K = intervals_of(value_K, se_K)
    return [list(pair) for pair in zip(_plain(low_K), _plain(high_K), strict=True)]


def _plain(values_K: Any) -> list[float | None]:
    return [_number(value) for value in values_K]


def _number(value: Any) -> float | None:
    plain = float(value)
    return float(f"{plain:.6g}") if math.isfinite(plain) else None
