"""The picture of a simulated loop: ROI, residuals, alerts and quarantines, versions served, over days."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix.evaluate.loop.diary import TRAILING, Diary
from crossmix.pages.charts import ACCENT, DASHES, INK, MUTED, WARM, Chart, Panel, standalone
from crossmix.pages.scales import Axis, Scale, whole_ticks

Array = NDArray[np.float64]
WIDE = 760.0
GUTTER = 46.0
FIRST, OTHER, LAST = 260.0, 120.0, 44.0
"""Heights: of ROI, of each panel below, and what the days' axis needs."""


def picture(diary: Diary, beside: Diary | None = None) -> str:
    """An SVG of its own.

    Args:
        beside: the same world without the loop, or with another policy.
    """
    below = [panel for there, panel in PANELS if there(diary)]
    chart = Chart("Simulated loop: " + asked(diary), WIDE, FIRST + OTHER * len(below) + LAST)
    last = len(diary.days) - 1
    days = Scale(-0.5, max(last, 1) + 0.5)
    bottom = 0.0
    for place, draw in enumerate([_roi, *below]):
        top, bottom = bottom, bottom + (FIRST if place == 0 else OTHER)
        final = place == len(below)
        x = Axis(days, "day" if final else "", ticks=whole_ticks(0, max(last, 1), 10), labelled=final)
        panel = draw(chart, x, (0.0, top, WIDE, bottom + (LAST if final else 0)), diary, beside)
        start = diary.question.get("start")
        if start is not None and (diary.question["scenario"] or diary.question["poison"]):
            panel.upright(start - 0.5, WARM, DASHES)
            if place == 0:
                panel.note(start - 0.5, 0.0, f"\u2002{_happens(diary)}", WARM, lift=6)
    return standalone(chart.svg())


def asked(diary: Diary) -> str:
    """What was simulated, in a line."""
    question = diary.question
    parts = [f"{question['days']} days, {question['campaigns']} campaigns"]
    if question["scenario"]:
        parts.append(f"{question['scenario']} from day {question['start']}")
    if question["poison"]:
        parts.append(f"poison {question['poison']} ({question['arms']}) from day {question['start']}")
    return ", ".join([*parts, "with the loop" if question["loop"] else "without the loop"])


def _happens(diary: Diary) -> str:
    """What begins at the upright line."""
    return " and ".join(str(diary.question[name]) for name in ("scenario", "poison") if diary.question[name])


def _roi(chart: Chart, x: Axis, area: Any, diary: Diary, beside: Diary | None) -> Panel:
    lines = [("policy", "policy", diary, ACCENT, ""), ("control", "control", diary, MUTED, "")]
    if beside is not None:
        name = "policy, with the loop" if beside.question["loop"] else "policy, without the loop"
        lines.append((name, "policy", beside, WARM, DASHES))
    rows = [(name, one.roi(arm), one.roi(arm, TRAILING), colour, dash) for name, arm, one, colour, dash in lines]
    seen = np.concatenate([one for _, single, _, _, _ in rows for one in [single[np.isfinite(single)]]] or [np.ones(1)])
    y = Axis(Scale(0.0, float(seen.max(initial=0.1)) * 1.15), f"ROI, {TRAILING} days")
    panel = chart.panel(x, y, area=area, gutter=GUTTER)
    for _, single, trailing, colour, dash in rows:
        if not dash:
            panel.dots(range(len(single)), single, colour, size=1.6)
        panel.line(range(len(trailing)), trailing, colour, dash=dash)
    panel.legend([(name, colour, dash) for name, _, _, colour, dash in rows], low=True)
    return panel


def _residuals(chart: Chart, x: Axis, area: Any, diary: Diary, _: Diary | None) -> Panel:
    beyond = diary.each("beyond")
    top = float(np.nanmax(np.append(beyond, 1.0)))
    panel = chart.panel(x, Axis(Scale(0.0, 1.1 * top), "residual", most=3), area=area, gutter=GUTTER)
    panel.bars(range(len(beyond)), beyond, ACCENT)
    panel.level(1.0, WARM, DASHES)
    panel.note(-0.5, 1.0, "\u2002threshold", WARM, lift=4)
    return panel


def _alerts(chart: Chart, x: Axis, area: Any, diary: Diary, _: Diary | None) -> Panel:
    """Marks of the days' alerts and runs, over the columns of quarantined cells where any was held."""
    held = diary.each("quarantined")
    most = float(np.nanmax(np.append(held, 0.0)))
    top = max(4.0, most)
    scale = Scale(0.0, 1.3 * top)
    y = Axis(scale, "cells held", most=3) if most else Axis(scale, "alerts, runs", ticks=())
    panel = chart.panel(x, y, area=area, gutter=GUTTER)
    panel.bars(range(len(held)), held, MUTED)
    entries = []
    for name, colour, shape, height in (("alert", WARM, "diamond", 1.2), ("run", ACCENT, "circle", 1.05)):
        days = [day["day"] for day in diary.days if day.get(f"{name}s") or (name == "run" and day.get("scheduled"))]
        panel.dots(days, [height * top] * len(days), colour, shape="diamond" if shape == "diamond" else "circle")
        entries.append((name, colour, shape))
    panel.legend(entries, right=True)
    return panel


def _versions(chart: Chart, x: Axis, area: Any, diary: Diary, _: Diary | None) -> Panel:
    served = {arm: [day["arms"].get(arm, {}).get("version") for day in diary.days] for arm in ("policy", "canary")}
    known = sorted({one for some in served.values() for one in some if one is not None}) or [0]
    y = Axis(Scale(known[0] - 0.5, known[-1] + 0.5), "version", ticks=[(one, str(one)) for one in known])
    panel = chart.panel(x, y, area=area, gutter=GUTTER)
    for arm, colour in (("policy", INK), ("canary", WARM)):
        days, steps = _steps(served[arm])
        panel.line(days, steps, colour, dash="" if arm == "policy" else DASHES)
    return panel


def _steps(served: Sequence[int | None]) -> tuple[list[float], list[float]]:
    """A line that stands through each day."""
    pairs = [
        (at, math.nan if one is None else float(one)) for day, one in enumerate(served) for at in (day - 0.5, day + 0.5)
    ]
    return [at for at, _ in pairs], [one for _, one in pairs]


def _any(*names: str) -> Callable[[Diary], bool]:
    return lambda diary: any(name in day for day in diary.days for name in names)


PANELS: list[tuple[Callable[[Diary], bool], Callable[..., Panel]]] = [
    (_any("beyond"), _residuals),
    (_any("alerts", "quarantined", "runs"), _alerts),
    (lambda _: True, _versions),
]
"""Below ROI: whether a diary has what a panel shows, and the panel."""
