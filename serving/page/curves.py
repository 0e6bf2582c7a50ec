"""What-if curves of a campaign: revenue and marginal ROI of each platform over its amount, as plain data and as SVG.

An arm with a part w of the users has that part of the supply, so that its amount a stands on the campaign's curve at
a / w: what the platform would get if every user were in that arm. Both arms so share one curve.

Shapes: K points, P platforms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import escape

from crossmix.allocate import Z95
from crossmix.response import ResponseTable

POINTS = 49
BEYOND = 2.2
"""How far a curve goes on beyond the largest amount of now."""
COLOURS = {"policy": "var(--accent)", "control": "var(--warm)"}
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 260, 164, 40, 10, 18, 24
"""Of a chart, px."""


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
    found = table.at(amount_KP)
    there = {arm: table.at(values[None]) for arm, values in now.items()}
    return [
        {
            "platform": platform,
            "amount": _plain(amount_KP[:, slot]),
            "revenue": _plain(found.revenue_P[:, slot]),
            "revenue_interval": _interval(found.revenue_P[:, slot], found.revenue_se_P[:, slot]),
            "marginal_roi": _plain(found.marginal_P[:, slot]),
            "marginal_roi_interval": _interval(found.marginal_P[:, slot], found.marginal_se_P[:, slot]),
            "now": {
                arm: {
                    "amount": _number(values[slot]),
                    "revenue": _number(there[arm].revenue_P[0, slot]),
                    "marginal_roi": _number(there[arm].marginal_P[0, slot]),
                }
                for arm, values in now.items()
            },
        }
        for slot, platform in enumerate(platforms)
    ]


def drawn(found: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Both charts of each curve; marginal ROI has one scale over all platforms, revenue each its own."""
    # Where nothing is spent the next unit earns what no other will: that scale would flatten every curve.
    typical = [
        mark["marginal_roi"]
        for one in found
        for mark in one["now"].values()
        if mark["marginal_roi"] is not None and mark["amount"] > 0.02 * one["amount"][-1]
    ]
    if not typical:
        typical = [value for one in found for value in one["marginal_roi"][POINTS // 4 :] if value is not None]
    top = 1.7 * max(typical, default=1.0)
    return [
        {
            "platform": one["platform"],
            "revenue": _chart(one, "revenue", None, f"Revenue of {one['platform']} over its amount"),
            "marginal": _chart(one, "marginal_roi", top, f"Marginal ROI of {one['platform']} over its amount"),
        }
        for one in found
    ]


def short(value: float) -> str:
    """A number for an axis: 1200 as 1.2k."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def _chart(one: Mapping[str, Any], name: str, top: float | None, label: str) -> str:
    x, y, spans = one["amount"], one[name], one[f"{name}_interval"]
    points = [(a, b, span) for a, b, span in zip(x, y, spans, strict=True) if b is not None and None not in span]
    if not points:
        return ""
    reach = max(x[-1], 1e-12)
    height = top or 1.05 * max(max(span[1] for _, _, span in points), 1e-12)

    def at(a: float, b: float) -> tuple[float, float]:
        right = LEFT + a / reach * (WIDTH - LEFT - RIGHT)
        return right, HEIGHT - BOTTOM - min(max(b / height, 0.0), 1.0) * (HEIGHT - TOP - BOTTOM)

    def path(pairs: Sequence[tuple[float, float]]) -> str:
        return " ".join("{:.1f},{:.1f}".format(*at(a, b)) for a, b in pairs)

    around = [(a, span[1]) for a, _, span in points] + [(a, span[0]) for a, _, span in reversed(points)]
    parts = [*_axes(reach, height, at)]
    parts.append(f'<polygon points="{path(around)}" fill="var(--muted)" opacity=".22"/>')
    line = path([(a, b) for a, b, _ in points])
    parts.append(f'<polyline points="{line}" fill="none" stroke="var(--ink)" stroke-width="1.6"/>')
    for arm, mark in one["now"].items():
        if mark["amount"] is not None and mark[name] is not None:
            parts.append(_mark(arm, *at(min(mark["amount"], reach), mark[name])))
    title = {"revenue": "revenue", "marginal_roi": "marginal ROI"}[name]
    parts.append(_text(2, 10, title, "start"))
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'


def _axes(reach: float, height: float, at: Any) -> list[str]:
    parts = []
    for value in _ticks(height, 3):
        left, place = at(0.0, value)
        parts.append(
            f'<line x1="{left:.1f}" x2="{WIDTH - RIGHT}" y1="{place:.1f}" y2="{place:.1f}" stroke="var(--line)"/>'
        )
        parts.append(_text(left - 5, place + 3.5, short(value), "end"))
    for value in _ticks(reach, 3):
        place, _ = at(value, 0.0)
        parts.append(_text(place, HEIGHT - BOTTOM + 15, short(value), "middle"))
    return parts


def _mark(arm: str, x: float, y: float) -> str:
    colour = COLOURS.get(arm, "var(--ink)")
    if arm == "policy":
        return f'<circle class="now {escape(arm)}" cx="{x:.1f}" cy="{y:.1f}" r="4.4" fill="{colour}"/>'
    corners = f"{x:.1f},{y - 5.5:.1f} {x + 5.5:.1f},{y:.1f} {x:.1f},{y + 5.5:.1f} {x - 5.5:.1f},{y:.1f}"
    # Hollow, so that a policy's mark at the same place shows through.
    return f'<polygon class="now {escape(arm)}" points="{corners}" fill="none" stroke="{colour}" stroke-width="1.8"/>'


def _text(x: float, y: float, told: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="10.5" fill="var(--muted)">{told}</text>'


def _ticks(top: float, most: int) -> list[float]:
    """Round values from 0 to `top`, about `most` steps."""
    rough = top / most
    power = 10.0 ** math.floor(math.log10(max(rough, 1e-12)))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= rough * (1 - 1e-9))
    return [count * step for count in range(math.floor(top / step + 1e-9) + 1)]


def _interval(value_K: Any, se_K: Any) -> list[list[float | None]]:
    low_K = np.maximum(value_K - Z95 * se_K, 0.0)
    return [list(pair) for pair in zip(_plain(low_K), _plain(value_K + Z95 * se_K), strict=True)]


def _plain(values_K: Any) -> list[float | None]:
    return [_number(value) for value in values_K]


def _number(value: Any) -> float | None:
    plain = float(value)
    return float(f"{plain:.6g}") if math.isfinite(plain) else None
