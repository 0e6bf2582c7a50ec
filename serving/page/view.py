"""How the page at `/` looks: `serving.page.routes`'s plain data as HTML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from crossmix.metrics import ARMS, formula
from crossmix.pages.charts import platform_colour
from crossmix.pages.format import DASH, change, count, interval, moment, number, share
from crossmix.pages.render import render as page
from crossmix.pages.table import NOTHING, Cell, Table, gate_table
from serving.page import curves

TEMPLATE = Path(__file__).with_name("page.html.j2")
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
BINDS = {"min": "floor", "max": "cap", "step": "step limit", "frozen": "freeze", "supply": "sold out"}


def render(data: Mapping[str, Any]) -> str:
    """The page."""
    platforms = list(dict.fromkeys(row["platform"] for one in data["details"] for row in one["platforms"]))
    colours = {name: platform_colour(index) for index, name in enumerate(platforms)}
    details = [
        {
            **one,
            "table": _split_table(one),
            "bars": _bars(one, colours),
            "reasons": _reasons(one),
            "legend": [(row["platform"], colours[row["platform"]]) for row in one["platforms"]],
            "panels": curves.panels(one["curves"]),
        }
        for one in data["details"]
    ]
    anchors = {one["campaign_id"]: f"campaign-{index}" for index, one in enumerate(details)}
    return page(
        TEMPLATE,
        sections=[
            ("campaigns", "Campaigns"),
            *((anchor, campaign) for campaign, anchor in anchors.items()),
            ("experiment", "Experiment"),
            ("bundle", "Bundle"),
            ("trail", "Audit trail"),
        ],
        data=data,
        refresh=REFRESH_SECONDS,
        headline=_headline(data),
        details=details,
        opened=next((one["campaign_id"] for one in details if one["panels"]), None),
        anchors=anchors,
        chips=CHIPS,
        verdict_chip=VERDICT_CHIPS.get(str((data["experiment"] or {}).get("word")), "none"),
        experiment=_experiment_table(data["experiment"]),
        formula=formula("roi"),
        gates=gate_table(data["bundle"]["gates"]),
        passed=sum(gate.get("verdict") == "pass" for gate in data["bundle"]["gates"]),
        changes=_changes,
        sources=SOURCES,
    )


def _split_table(one: Mapping[str, Any]) -> Table:
    shown = [arm for arm in ARMS if arm in one["arms"]]
    policy = "policy" in shown
    rows = []
    for row in one["platforms"]:
        cells = [Cell(row["platform"])]
        for arm in shown:
            part = row["arms"][arm]
            cells.append(Cell(share(part["share"]), f"num {'own' if arm == 'policy' else ''}", number(part["amount"])))
            cells.append(
                Cell(number(part["marginal_roi"]), "num", interval(*(part["marginal_roi_interval"] or (None,) * 2)))
            )
            if arm == "policy":
                limit = part["binding"]
                cells.append(Cell(BINDS.get(limit, limit or DASH), "" if limit else "muted"))
        cells.append(Cell(row["arms"][shown[0]].get("differs") or DASH, "prose"))
        cells.append(Cell(row["arms"][shown[0]]["reason"], "prose"))
        rows.append(tuple(cells))
    columns = {"policy": ("Share", "Marginal ROI", "Held by"), "control": ("Share", "Marginal ROI")}
    return Table(
        f"Share of the arm’s budget; small type: the amount in {one['currency']} per cycle. Marginal ROI: revenue of "
        "the next unit of money, as the policy sees the cycle; small type: 95 % interval from the market’s fitted "
        "parameters.",
        (
            "",
            *(title for arm in shown for title in columns[arm]),
            "Differs from usual",
            "Why, policy" if policy else "Why",
        ),
        tuple(rows),
        (*((arm, len(columns[arm])) for arm in shown), ("", 2)),
    )


def _reasons(one: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the table's last column says, for a screen too narrow for it."""
    first = next(iter(one["arms"]), "policy")
    return [(row["platform"], row["arms"][first]["reason"]) for row in one["platforms"]]


def _bars(one: Mapping[str, Any], colours: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "arm": arm,
            "parts": [
                {
                    "platform": row["platform"],
                    "share": share(row["arms"][arm]["share"]),
                    "width": f"{100 * row['arms'][arm]['share']:.3f}",
                    "colour": colours[row["platform"]],
                }
                for row in one["platforms"]
                if row["arms"][arm]["share"] > 0
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
        users = Cell(count((one["users"] or {}).get(arm)), "num")
        rows.append(
            (Cell(arm), users, Cell(number(roi.get("value")), "num", interval(roi.get("low"), roi.get("high"))))
        )
    lift = one["lift"] or {}
    span = interval(lift.get("low"), lift.get("high"), change)
    rows.append((Cell("lift"), NOTHING, Cell(change(lift.get("lift")), "num own", span)))
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
        return moment(text)
    return text if len(text) <= 160 else text[:159] + "…"


def _headline(data: Mapping[str, Any]) -> str:
    running = [one for one in data["campaigns"] if one["state"] == "running" and not one["paused"]]
    held = [one for one in data["campaigns"] if one["override"] is not None]
    version = data["bundle"]["version"]
    bundle = f"Version {version}" if version is not None else f"Bundle {data['bundle']['digest'][:8]}"
    sentence = f"{bundle} splits {len(running)} of {len(data['campaigns'])} campaigns now"
    return sentence + (f"; {len(held)} held by hand." if held else ".")
