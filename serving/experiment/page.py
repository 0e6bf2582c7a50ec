"""A status as a page: self-contained HTML in the report's look, with small SVG charts; no script, nothing fetched."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from crossmix.metrics import ARMS
from crossmix.pages.format import DASH, Cell, Table, count, number, percent
from crossmix.pages.render import look
from serving.experiment.compare import FIGURES

NAMES = {
    "roi": ("ROI", "revenue / planned budget"),
    "roas": ("ROAS", "revenue / spend"),
    "cpa": ("CPA", "spend / conversion"),
    "ctr": ("CTR", "clicks / impressions"),
    "cvr": ("CVR", "conversions / clicks"),
    "utilisation": ("Utilisation", "spend / planned budget"),
}
PERCENT = {"ctr", "cvr", "utilisation"}
CHIPS = {
    "policy better": "pass",
    "control better": "fail",
    "blocked": "fail",
    "ended by guardrail": "fail",
    "insufficient data": "insufficient-data",
    "balanced": "pass",
    "imbalance": "fail",
    "holds": "pass",
    "broken": "fail",
}
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 460, 250, 52, 12, 12, 34
"""Of a chart, px."""


def page(found: dict[str, Any]) -> str:
    """The page of a `serving.experiment.verdict.status`."""
    macros, style, template = look(Path(__file__).with_name("verdict.html.j2"))
    roi = found["lifts"]["roi"]
    return template.render(
        found=found,
        look=macros,
        style=style,
        chip=CHIPS.get(found["verdict"]["word"], "none"),
        keys=_keys(found),
        ratio_chip=CHIPS.get(found["sample_ratio"]["verdict"], "none"),
        arms=_arms(found["arms"], found["lifts"]),
        tests=_tests(found["lifts"]),
        roi_chart=_roi(found["by_cycle"]),
        lift_chart=_lift(roi) if "by_figure" in roi else None,
        users=_users(found["users"]) if "users" in found["users"] else None,
        guardrails=_guardrails(found["guardrails"]),
        platforms=[(name, _arms(one["arms"], one["lifts"])) for name, one in found["platforms"].items()],
        day=lambda moment: moment[:16].replace("T", " "),
        count=count,
        percent=percent,
        number=number,
    )


def _keys(found: dict[str, Any]) -> list[dict[str, str]]:
    """What stands in the head: the lifts of ROI, CPA and utilisation, always-valid, and how far it has come."""
    keys = []
    for name in ("roi", "cpa", "utilisation"):
        one = found["lifts"][name].get("always_valid")
        keys.append(
            {
                "title": f"{NAMES[name][0]}, policy over control",
                "mean": _signed(one["lift"]) if one else DASH,
                "interval": _span(one) if one else "",
                "meaning": NAMES[name][1],
            }
        )
    cycles = found["cycles"]
    keys.append(
        {
            "title": "Cycles",
            "mean": f"{cycles['finished']} of {cycles['planned']}",
            "interval": "",
            "meaning": f"of {found['experiment']['cycle_hours']:g} hours, finished",
        }
    )
    return keys


def _arms(arms: dict[str, Any], lifts: dict[str, Any]) -> Table:
    rows = []
    for name, (title, meaning) in NAMES.items():
        one = lifts[name]
        cells = [Cell(title, "", meaning)]
        cells += [_value(name, arms[arm][name]) for arm in ARMS]
        for test in ("paired", "always_valid"):
            cells.append(_change(one.get(test)))
        rows.append(tuple(cells))
    return Table("", ("", "Policy", "Control", "Lift, paired", "Lift, always-valid"), tuple(rows))


def _tests(lifts: dict[str, Any]) -> Table:
    rows = []
    for name in FIGURES:
        one = lifts[name]
        if "paired" not in one:
            rows.append((Cell(NAMES[name][0]), Cell(one["reason"], "prose"), *(Cell(DASH, "num muted"),) * 4))
            continue
        welch = one["welch"]
        rows.append(
            (
                Cell(NAMES[name][0]),
                Cell(f"{one['paired']['figures']} figures", "", f"of {one['cycles_per_figure']} cycle(s) each"),
                Cell(_p(one["always_valid"]["p"]), "num"),
                Cell(_p(one["paired"]["p"]), "num"),
                Cell(_p(welch["p"]) if "p" in welch else DASH, "num muted"),
                Cell(
                    number(welch["difference"]) if "p" in welch else DASH,
                    "num muted",
                    f"{number(welch['low'])} – {number(welch['high'])}" if "p" in welch else "",
                ),
            )
        )
    return Table(
        "Always-valid: may be looked at every day. Paired: to be read once, at the planned end. Welch: the paper’s "
        "test on the same figures, unpaired; the market’s shocks, which both arms share, stay in its noise, so that it "
        "hardly ever finds anything.",
        ("", "Read from", "p, always-valid", "p, paired", "p, Welch", "Welch, difference"),
        tuple(rows),
    )


def _users(users: dict[str, Any]) -> Table:
    rows = []
    for name in FIGURES:
        one = users[name]
        if "p" not in one:
            if one["verdict"] != "not applicable":
                dash = (Cell(DASH, "num muted"),) * 5
                rows.append((Cell(NAMES[name][0], "", f"{one['verdict']}: {one['reason']}"), *dash, dash[0]))
            continue
        cuped = one["cuped"]
        rows.append(
            (
                Cell(NAMES[name][0]),
                Cell(_figure(name, one["policy"]), "num"),
                Cell(_figure(name, one["control"]), "num"),
                Cell(_figure(name, one["difference"]), "num", _range(name, one)),
                Cell(_p(one["p"]), "num"),
                Cell(
                    _figure(name, cuped["difference"]) if "p" in cuped else cuped["verdict"],
                    "num" if "p" in cuped else "prose",
                    _range(name, cuped) if "p" in cuped else cuped["reason"],
                ),
                Cell(_p(cuped["p"]) if "p" in cuped else DASH, "num"),
            )
        )
    return Table(
        "Per user, by the delta method; small type: its interval. CUPED takes out what the user’s own figures from "
        "before the experiment explain. ROI and utilisation have no place here: no user has a planned budget.",
        ("", "Policy", "Control", "Difference", "p", "Difference, CUPED", "p, CUPED"),
        tuple(rows),
    )


def _guardrails(rows: list[dict[str, Any]]) -> Table:
    return Table(
        "A guardrail breaks when the whole always-valid interval lies beyond its threshold; then the experiment ends.",
        ("Guardrail", "Lift", "Threshold", "Verdict", "In words"),
        tuple(
            (
                Cell(row["name"], "mono"),
                _change(row if row["lift"] is not None else None),
                Cell(_signed(row["threshold"]), "num"),
                Cell(row["verdict"], f"chip {CHIPS.get(row['verdict'], 'insufficient-data')}"),
                Cell(row["sentence"].partition(": ")[2], "prose"),
            )
            for row in rows
        ),
    )


def _value(name: str, one: dict[str, Any]) -> Cell:
    if one["value"] is None:
        return Cell(DASH, "num muted")
    return Cell(_figure(name, one["value"]), "num", _range(name, one))


def _range(name: str, one: dict[str, Any]) -> str:
    if one["low"] is None or one["high"] is None:
        return ""
    return f"{_figure(name, one['low'])} – {_figure(name, one['high'])}"


def _figure(name: str, value: float) -> str:
    return percent(value) if name in PERCENT else number(value)


def _change(one: dict[str, Any] | None) -> Cell:
    if one is None:
        return Cell(DASH, "num muted")
    known = one["low"] is not None and one["high"] is not None
    clear = known and (one["low"] > 0 or one["high"] < 0)
    return Cell(_signed(one["lift"]), "num own" if clear else "num", _span(one))


def _signed(value: float) -> str:
    return "0\u202f%" if value == 0 else f"{100 * value:+.1f}\u202f%".replace("-", "−")


def _span(one: dict[str, Any]) -> str:
    low, high = (DASH if end is None else _signed(end) for end in (one["low"], one["high"]))
    return "not yet bounded" if low == high == DASH else f"{low} to {high}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _roi(rows: list[dict[str, Any]]) -> str | None:
    """ROI of both arms by cycle."""
    if len(rows) < 2:
        return None
    x = [row["cycle"] for row in rows]
    lines = [
        [row[arm]["revenue"] / row[arm]["planned"] if row[arm]["planned"] else 0.0 for row in rows] for arm in ARMS
    ]
    top = 1.08 * max(max(line) for line in lines) or 1.0
    frame = _Frame((x[0], x[-1]), (0.0, top))
    drawn = [frame.axes(lambda value: f"{value:g}", "cycle", "ROI"), frame.line(x, lines[0], "var(--accent)")]
    return frame.svg([*drawn, frame.line(x, lines[1], "var(--warm)", dashed=True)], "ROI of both arms by cycle")


def _lift(roi: dict[str, Any]) -> str:
    """The lift and its always-valid interval as it was seen at each figure."""
    seen = [one for one in roi["by_figure"] if one["low"] is not None and one["high"] is not None]
    if len(seen) < 2:
        return ""
    x = [one["figures"] * roi["cycles_per_figure"] for one in seen]
    # Early intervals are wide; what comes later must stay readable.
    reach = 1.15 * max(max(abs(one["low"]), abs(one["high"])) for one in seen[len(seen) // 2 :]) or 0.01
    frame = _Frame((x[0], x[-1]), (-reach, reach))
    low = [max(one["low"], -reach) for one in seen]
    high = [min(one["high"], reach) for one in seen]
    return frame.svg(
        [
            frame.band(x, low, high),
            frame.axes(lambda value: _signed(value).replace(".0", ""), "cycle", "lift of ROI"),
            frame.level(0.0),
            frame.line(x, [min(max(one["lift"], -reach), reach) for one in seen], "var(--accent)"),
        ],
        "Lift of ROI with its always-valid interval, as seen by cycle",
    )


class _Frame:
    """A chart's coordinates and marks."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.x, self.y = x, y

    def at(self, x: float, y: float) -> str:
        right = (x - self.x[0]) / max(self.x[1] - self.x[0], 1e-12)
        up = (y - self.y[0]) / max(self.y[1] - self.y[0], 1e-12)
        return f"{LEFT + right * (WIDTH - LEFT - RIGHT):.1f},{HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM):.1f}"

    def line(self, x: list[float], y: list[float], colour: str, *, dashed: bool = False) -> str:
        points = [self.at(a, b) for a, b in zip(x, y, strict=True)]
        dash = ' stroke-dasharray="6 4"' if dashed else ""
        dots = "".join(
            f'<circle cx="{point.split(",")[0]}" cy="{point.split(",")[1]}" r="2.6" fill="{colour}"/>'
            for point in points
        )
        return f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>{dots}'

    def band(self, x: list[float], low: list[float], high: list[float]) -> str:
        there = [self.at(a, b) for a, b in zip(x, high, strict=True)]
        back = [self.at(a, b) for a, b in zip(x, low, strict=True)][::-1]
        return f'<polygon points="{" ".join(there + back)}" fill="var(--accent)" opacity="0.2"/>'

    def level(self, y: float) -> str:
        (left, top), (right, _) = (self.at(x, y).split(",") for x in self.x)
        return f'<line x1="{left}" x2="{right}" y1="{top}" y2="{top}" stroke="var(--ink)" stroke-dasharray="2 3"/>'

    def axes(self, told: Any, below: str, beside: str) -> str:
        """Grid lines at round values, labels, and the names of the axes."""
        step = _round_step((self.y[1] - self.y[0]) / 6)
        first = math.ceil(self.y[0] / step - 1e-9)
        ticks = [k * step for k in range(first, math.floor(self.y[1] / step + 1e-9) + 1)]
        parts = []
        for y in ticks:
            left, height = self.at(self.x[0], y).split(",")
            parts.append(f'<line x1="{left}" x2="{WIDTH - RIGHT}" y1="{height}" y2="{height}" stroke="var(--line)"/>')
            parts.append(_text(float(left) - 6, float(height) + 4, told(y), "end"))
        stride = max(1, math.ceil((self.x[1] - self.x[0]) / 8))
        for x in range(math.ceil(self.x[0]), math.floor(self.x[1]) + 1, stride):
            place = float(self.at(x, self.y[0]).split(",")[0])
            parts.append(_text(place, HEIGHT - BOTTOM + 16, str(x), "middle"))
        parts.append(_text(WIDTH - RIGHT, HEIGHT - 3, below, "end"))
        parts.append(_text(2, 9, beside, "start"))
        return "".join(parts)

    def svg(self, parts: list[str], label: str) -> str:
        return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _text(x: float, y: float, told: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="11" fill="var(--muted)">{told}</text>'


def _round_step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, at least `rough`."""
    power = 10.0 ** math.floor(math.log10(max(rough, 1e-12)))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))
