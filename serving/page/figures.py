"""Delivery on the page: its tables and charts. What is not final is hollow and named; the unreported is no column."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from markupsafe import Markup

from crossmix.cycles import zone
from crossmix.metrics import ARMS
from crossmix.pages.charts import ACCENT, DASHES, INK, LINE, MUTED, WARM, WIDTH, Chart
from crossmix.pages.format import DASH, change, compact, count, decimal, finite, interval, money
from crossmix.pages.scales import Axis, Scale, as_percent
from crossmix.pages.table import Cell, Table, lift_kind
from serving.page import delivery

HEIGHT = 200.0
SPARK = (124.0, 30.0)
UNTOLD = Cell("not reported", "num muted")
CHIPS = {
    delivery.SETTLED: "pass",
    delivery.RUNNING: "none",
    delivery.STILL: "none",
    delivery.DUE: "insufficient-data",
    delivery.PARTLY: "insufficient-data",
    delivery.UNREPORTED: "fail",
}
"""The look of a cycle's state."""


def label(day: Mapping[str, Any], hours: float) -> str:
    """A cycle's name: its day, and its time where cycles are shorter than a day."""
    own = date.fromisoformat(day["date"])
    text = f"{own:%a} {own.day} {own:%b}"
    return text if hours >= 24 else f"{text}, {day['begins'][11:16]} UTC"


def local(moment: str, timezone: str | None) -> str:
    """Day and minute of an ISO moment in a campaign's time zone."""
    at = datetime.fromisoformat(moment)
    return f"{at.astimezone(UTC if timezone is None else zone(timezone)):%Y-%m-%d %H:%M} {timezone or 'UTC'}"


def pace(value: Any) -> str:
    """Spend of what was planned, as whole percent."""
    plain = finite(value)
    return DASH if plain is None else as_percent(round(plain, 2))


def amount(value: Any) -> Cell:
    """Money, or that it was not reported."""
    return UNTOLD if value is None else Cell(money(value), "num")


def overview(one: Mapping[str, Any]) -> dict[str, Any]:
    """A campaign's line: what stands in the list."""
    figures = one["delivery"]
    if figures is None:
        return {"cells": [Cell(DASH, "num muted")] * 6, "spark": "", "silent": []}
    total, left = figures["total"], figures["left"]
    notes = [f"{total['unreported']} not reported" if total["unreported"] else ""]
    notes.append(f"{total['partly']} partly reported" if total["partly"] else "")
    part = f"of {money(total['told'])} told" if total["told"] is not None else ""
    if not figures["days"]:
        return {"cells": [Cell(DASH, "num muted")] * 5 + [_left(left)], "spark": "", "silent": []}
    basis = "" if total["final"] else "not final"
    cells = [
        amount(total["spend"]) if total["spend"] is None else Cell(money(total["spend"]), "num", part),
        amount(total["revenue"]),
        Cell(decimal(total["roas"], 2), "num", basis if total["roas"] is not None else ""),
        Cell(money(total["cpa"]), "num", basis if total["cpa"] is not None else ""),
        Cell(pace(total["pace"]), "num", "; ".join(filter(None, notes))),
        _left(left),
    ]
    silent = [name for name, part in figures["platforms"].items() if part["silent_since"]]
    return {"cells": cells, "spark": spark(one["campaign_id"], figures["days"]), "silent": silent}


def _left(left: Mapping[str, Any]) -> Cell:
    small = f"{money(left['assumed'])} taken as spent" if left["assumed"] > 0 else f"of {money(left['flight'])}"
    return Cell(money(left["left"]), "num", small)


def lift(one: Mapping[str, Any] | None) -> Cell:
    """The policy's lift over control; its colour is that of what all of its interval says."""
    if one is None or finite(one.get("lift")) is None:
        return Cell("not yet", "num muted")
    low, high = one.get("low"), one.get("high")
    span = interval(low, high, change)
    if not span:
        ends = ((low, "at least"), (high, "at most"))
        span = next((f"{word} {change(end)}" for end, word in ends if finite(end) is not None), "not yet bounded")
    return Cell(change(one["lift"]), f"num {lift_kind(low, high)}".strip(), span)


def days(one: Mapping[str, Any]) -> Table:
    """A campaign's cycles, the newest first."""
    rows = []
    for day in reversed(one["delivery"]["days"]):
        word = day["state"]
        small = f"no report of {', '.join(day['missing'])}" if word == delivery.PARTLY else ""
        # A column of amounts lines up: all whole, or all with cents.
        form = count if day["planned"] >= 100 else money
        planned = Cell(form(day["planned"]), "num muted")
        asked = Cell(form(day["told"]), "num muted") if day["told"] is not None else Cell("not asked", "num muted")
        known = day["spend"] is not None
        still = word == delivery.STILL
        blank = Cell(DASH, "num muted") if still else UNTOLD
        figures = (
            (
                Cell(form(day["spend"]), "num"),
                Cell(form(day["revenue"]), "num"),
                Cell(count(day["conversions"]), "num"),
                Cell(decimal(day["roas"], 2), "num"),
                Cell(money(day["cpa"]), "num"),
                Cell(pace(day["pace"]), "num"),
                Cell(form(day["left"]), "num"),
            )
            if known
            else (blank, blank, blank, *[Cell(DASH, "num muted")] * 4)
        )
        state = Cell(word, f"chip {CHIPS[word]}", small)
        rows.append((Cell(label(day, one["cycle_hours"])), state, planned, asked, *figures))
    head = ("Day" if one["cycle_hours"] == 24 else "Cycle", "State", "Planned", "Told", "Spend", "Revenue")
    return Table(
        f"In {one['currency']}, both arms. Planned: the cycle budget that was in force; told: what the answers said to "
        "spend. Pace: spend of planned; left: planned less spend.",
        (*head, "Conversions", "ROAS", "CPA", "Pace", "Left"),
        tuple(rows),
    )


def platforms(one: Mapping[str, Any]) -> Table:
    """Platforms over the finished cycles of the range."""
    figures = one["delivery"]
    rows = []
    named = [(name, "", part) for name, part in figures["platforms"].items()]
    for name, kind, part in [*named, *((f"Arm {arm}", "own", figures["arms"][arm]) for arm in ARMS)]:
        since, spent = part.get("silent_since"), part["spend"]
        of_told = DASH if spent is None or not part["told"] else pace(spent / part["told"])
        rows.append(
            (
                Cell(name, kind, f"silent since {since}" if since else ""),
                Cell(money(part["told"]), "num muted"),
                amount(spent),
                Cell(of_told, "num"),
                amount(part["revenue"]),
                Cell(decimal(part["roas"], 2), "num"),
                Cell(money(part["cpa"]), "num"),
            )
        )
    return Table(
        f"Finished cycles of the range, in {one['currency']}; platforms over both arms, arms over all platforms.",
        ("Platform", "Told", "Spend", "Of told", "Revenue", "ROAS", "CPA"),
        tuple(rows),
    )


def grid(one: Mapping[str, Any]) -> Table:
    """What every platform delivered on every day: spend, beside what was told, and what came of it."""
    figures = one["delivery"]
    names = list(figures["platforms"])
    rows = []
    for day in reversed(figures["days"]):
        cells = [Cell(label(day, one["cycle_hours"]), "", "" if day["state"] in delivery.FINAL else day["state"])]
        for name in names:
            part = day["platforms"].get(name)
            if part is None:
                cells.append(Cell(DASH, "num muted"))
                continue
            small = " · ".join(
                f"{word}\u00a0{form(part[name])}" for name, word, form in _OF_A_PLATFORM if part[name] is not None
            )
            if part["spend"] is None:
                waits = day["state"] == delivery.RUNNING
                cells.append(Cell("not yet" if waits else "not reported", "num muted", small))
            else:
                cells.append(Cell(money(part["spend"]), "num", small))
        rows.append(tuple(cells))
    caption = f"Spend in {one['currency']}, both arms; below it what was told, and what came of it."
    return Table(caption, ("Day", *names), tuple(rows))


_OF_A_PLATFORM = (
    ("told", "told", money),
    ("revenue", "revenue", money),
    ("roas", "ROAS", lambda value: decimal(value, 2)),
    ("cpa", "CPA", money),
)
"""Small, below a platform's spend of a day: field, word, form."""


def spark(name: str, days: Sequence[Mapping[str, Any]]) -> Markup:
    """Spend by cycle as small columns under what was planned."""
    chart = Chart(f"Spend of {name} by cycle", *SPARK)
    top = _top(max(day["spend"] or 0.0, day["planned"]) for day in days)
    panel = chart.bare((0, 1, SPARK[0], SPARK[1] - 1), Scale(-0.5, max(len(days), 7) - 0.5), Scale(0, 1.05 * top))
    planned = [day["planned"] for day in days]
    panel.line(_edges(len(days)), [value for value in planned for _ in (0, 1)], LINE, width=1.2)
    _columns(panel, days)
    return chart.svg()


def spend(one: Mapping[str, Any]) -> Markup:
    """Spend by cycle: columns, beside what was told and planned."""
    days = one["delivery"]["days"]
    chart = Chart(f"Spend of {one['campaign_id']} by cycle, {one['currency']}", WIDTH, HEIGHT)
    top = _top(max(day["spend"] or 0.0, day["planned"], day["told"] or 0.0) for day in days)
    low = min([0.0, *(day["spend"] or 0.0 for day in days)])
    panel = chart.panel(_across(days), Axis(Scale(1.05 * low, 1.08 * top), form=compact, most=4), head=22)
    panel.note(-0.5, 1.08 * top, f"spend, {one['currency']}", lift=9)
    _columns(panel, days)
    across = _edges(len(days))
    panel.line(across, [day["planned"] for day in days for _ in (0, 1)], MUTED, width=1.2, dash=DASHES)
    panel.line(across, [_known(day["told"]) for day in days for _ in (0, 1)], INK, width=1.4)
    _words(panel, days, low)
    _uprights(panel, one)
    return chart.svg()


def roas(one: Mapping[str, Any]) -> Markup:
    """ROAS of both arms by cycle; a hollow mark is not final."""
    days = one["delivery"]["days"]
    chart = Chart(f"ROAS of {one['campaign_id']} by cycle and arm", WIDTH, HEIGHT)
    values = {arm: [_known(day["arms"][arm]["roas"]) for day in days] for arm in ARMS}
    highest = _top(value for row in values.values() for value in row if math.isfinite(value))
    panel = chart.panel(_across(days), Axis(Scale(0, 1.12 * highest), most=4), head=22)
    panel.note(-0.5, 1.12 * highest, "ROAS", lift=9)
    _uprights(panel, one)
    for arm, colour, dash in zip(ARMS, (ACCENT, WARM), ("", DASHES), strict=True):
        row = values[arm]
        settled = [value if day["state"] in delivery.FINAL else math.nan for day, value in zip(days, row, strict=True)]
        open_ = [math.nan if day["state"] in delivery.FINAL else value for day, value in zip(days, row, strict=True)]
        panel.line(range(len(days)), settled, colour, dash=dash)
        panel.dots(range(len(days)), settled, colour, size=2.8, kind=f"roas {arm}")
        panel.dots(range(len(days)), open_, colour, size=3.2, hollow=True, kind=f"roas {arm} open")
    return chart.svg()


def _top(values: Iterable[float]) -> float:
    """The largest value of a chart; 1 where none is above 0, so that an empty chart has an axis of whole numbers."""
    return max((value for value in values if value > 0), default=1.0)


def _columns(panel: Any, days: Sequence[Mapping[str, Any]]) -> None:
    values = [_known(day["spend"]) for day in days]
    panel.bars(range(len(days)), values, ACCENT, hollow=[day["state"] not in delivery.FINAL for day in days])


def _words(panel: Any, days: Sequence[Mapping[str, Any]], foot: float) -> None:
    """What has no column says why."""
    few = len(days) <= 31
    for index, day in enumerate(days):
        if day["spend"] is None and day["state"] == delivery.UNREPORTED:
            panel.note(index, foot, "?" if few else "", MUTED, anchor="middle", lift=5, bold=True)


def _uprights(panel: Any, one: Mapping[str, Any]) -> None:
    """A line at each change of the campaign or the bundle while the experiment ran."""
    days = one["delivery"]["days"]
    begins = [datetime.fromisoformat(day["begins"]) for day in days]
    for change_ in one["changes"]:
        at = datetime.fromisoformat(change_["at"])
        if begins and at >= begins[0]:
            panel.upright(sum(begin <= at for begin in begins) - 1.5, MUTED)


def _across(days: Sequence[Mapping[str, Any]]) -> Axis:
    step = max(1, math.ceil(len(days) / 6))
    ticks = []
    for index in range(len(days) - 1, -1, -step):
        own = date.fromisoformat(days[index]["date"])
        ticks.append((float(index), f"{own.day} {own:%b}"))
    return Axis(Scale(-0.5, max(len(days), 7) - 0.5), ticks=tuple(reversed(ticks)), grid=False)


def _edges(number: int) -> list[float]:
    return [index + side for index in range(number) for side in (-0.5, 0.5)]


def _known(value: float | None) -> float:
    return math.nan if value is None else value
