"""How the page at `/` looks: `serving.page.routes`'s plain data as HTML, in the report's look."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from crossmix.pages import format as formats
from crossmix.pages.charts import PLATFORM_COLOURS
from crossmix.pages.format import DASH, Cell, Table, number, percent
from crossmix.pages.render import look
from crossmix.report import tables
from serving.page import curves

ARMS = ("policy", "control")
REFRESH_SECONDS = 60
CHIPS = {"running": "pass", "paused": "insufficient-data", "not begun": "none", "over": "none"}
VERDICT_CHIPS = {"policy better": "pass", "control better": "fail", "blocked": "fail", "ended by guardrail": "fail"}
SOURCES = {
    "own": "statistics of the arm’s own feedback",
    "log": "statistics of the log",
    "cold": "no statistics yet",
    "request": "as asked",
}
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
BINDS = {"min": "floor", "max": "cap", "step": "step limit", "frozen": "freeze"}


def render(found: Mapping[str, Any]) -> str:
    """The page."""
    macros, style, template = look(Path(__file__).with_name("page.html.j2"))
    platforms = list(dict.fromkeys(line["platform"] for one in found["details"] for line in one["platforms"]))
    colours = {name: PLATFORM_COLOURS[place % len(PLATFORM_COLOURS)] for place, name in enumerate(platforms)}
    details = [
        {
            **one,
            "table": _split_table(one),
            "bars": _bars(one, colours),
            "reasons": _reasons(one),
            "legend": [(line["platform"], colours[line["platform"]]) for line in one["platforms"]],
            "panels": curves.drawn(one["curves"]),
        }
        for one in found["details"]
    ]
    passed = [gate for gate in found["bundle"]["gates"] if gate.get("verdict") == "pass"]
    return template.render(
        found=found,
        look=macros,
        style=style,
        refresh=REFRESH_SECONDS,
        headline=_headline(found),
        details=details,
        opened=next((one["campaign_id"] for one in details if one["panels"]), None),
        anchors={one["campaign_id"]: f"campaign-{place}" for place, one in enumerate(details)},
        chips=CHIPS,
        verdict_chip=VERDICT_CHIPS.get(str((found["experiment"] or {}).get("word")), "none"),
        experiment=_experiment_table(found["experiment"]),
        gates=tables.gates(found["bundle"]["gates"]),
        passed=len(passed),
        changes=_changes,
        sources=SOURCES,
        day=_day,
        number=number,
        percent=percent,
        count=formats.count,
    )


def _split_table(one: Mapping[str, Any]) -> Table:
    shown = [arm for arm in ARMS if arm in one["arms"]]
    policy = "policy" in shown
    rows = []
    for line in one["platforms"]:
        cells = [Cell(line["platform"])]
        for arm in shown:
            part = line["arms"][arm]
            cells.append(Cell(_share(part["share"]), f"num {'own' if arm == 'policy' else ''}", number(part["amount"])))
            cells.append(Cell(number(part["marginal_roi"]), "num", _span(part["marginal_roi_interval"])))
            if arm == "policy":
                held = part["binding"]
                cells.append(Cell(BINDS.get(held, held or DASH), "" if held else "muted"))
        cells.append(Cell(line["arms"][shown[0]]["reason"], "prose"))
        rows.append(tuple(cells))
    columns = {"policy": ("Share", "Marginal ROI", "Held by"), "control": ("Share", "Marginal ROI")}
    return Table(
        f"Share of the arm’s budget; small type: the amount in {one['currency']} per cycle. Marginal ROI: revenue of "
        "the next unit of money; small type: 95 % interval from the market’s fitted parameters.",
        ("", *(title for arm in shown for title in columns[arm]), "Why, policy" if policy else "Why"),
        tuple(rows),
        (*((arm, len(columns[arm])) for arm in shown), ("", 1)),
    )


def _reasons(one: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the table's last column says, for a screen too narrow for it."""
    first = next(iter(one["arms"]), "policy")
    return [(line["platform"], line["arms"][first]["reason"]) for line in one["platforms"]]


def _bars(one: Mapping[str, Any], colours: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "arm": arm,
            "parts": [
                {
                    "platform": line["platform"],
                    "share": _share(line["arms"][arm]["share"]),
                    "width": f"{100 * line['arms'][arm]['share']:.3f}",
                    "colour": colours[line["platform"]],
                }
                for line in one["platforms"]
                if line["arms"][arm]["share"] > 0
            ],
        }
        for arm in one["arms"]
    ]


def _experiment_table(one: Mapping[str, Any] | None) -> Table | None:
    if one is None:
        return None
    rows = []
    for arm in ARMS:
        roi = one["roi"][arm] or {}
        rows.append(
            (
                Cell(arm),
                Cell(formats.count((one["users"] or {}).get(arm)), "num"),
                Cell(number(roi.get("value")), "num", _span([roi.get("low"), roi.get("high")])),
            )
        )
    lift = one["lift"] or {}
    span = [None if lift.get(end) is None else 100 * lift[end] for end in ("low", "high")]
    told = _span(span, signed=True)
    rows.append((Cell("lift"), Cell(DASH, "num muted"), Cell(_signed(lift.get("lift")), "num own", told)))
    return Table("", ("", "Users", "ROI"), tuple(rows))


def _changes(before: Any, after: Any) -> str:
    """From what to what, key by key; of something new its plain fields."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        pairs = _pairs(before, after, "")
        return "; ".join(f"{key}: {_short(old)} → {_short(new)}" for key, old, new in pairs) or DASH
    if isinstance(after, Mapping) and before is None:
        plain = [(key, value) for key, value in after.items() if not isinstance(value, Mapping) and value is not None]
        return "; ".join(f"{key}: {_short(value)}" for key, value in plain if key != "campaign_id")
    if before is None and after is None:
        return DASH
    return f"{_short(before)} → {_short(after)}"


def _pairs(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any, Any]]:
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _pairs(old, new, f"{prefix}{key}.")
        elif old != new:
            yield f"{prefix}{key}", old, new


def _short(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.10g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if _MOMENT.match(text):
        return _day(text)
    return text if len(text) <= 160 else text[:159] + "…"


def _headline(found: Mapping[str, Any]) -> str:
    running = [one for one in found["campaigns"] if one["state"] == "running" and not one["paused"]]
    held = [one for one in found["campaigns"] if one["override"] is not None]
    version = found["bundle"]["version"]
    serves = f"Version {version}" if version is not None else f"Bundle {found['bundle']['digest'][:8]}"
    told = f"{serves} splits {len(running)} of {len(found['campaigns'])} campaigns now"
    return told + (f"; {len(held)} held by hand." if held else ".")


def _span(ends: Sequence[float | None] | None, *, signed: bool = False) -> str:
    if ends is None or any(end is None or not math.isfinite(end) for end in ends):
        return ""
    low, high = (_signed(end / 100) if signed else number(end) for end in ends if end is not None)
    return f"{low} to {high}"


def _signed(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:+.1f}\u202f%".replace("-", "−")


def _share(value: float) -> str:
    return f"{100 * value:.1f}\u202f%"


def _day(moment: str | None) -> str:
    return DASH if moment is None else str(moment)[:16].replace("T", " ")
