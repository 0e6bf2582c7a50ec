"""A status as a page: self-contained HTML with small charts; no script, nothing fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crossmix.metrics import ARMS, DYNAMIC_REWARD, JUDGED, METRIC, QUANTITY
from crossmix.pages.charts import ACCENT, DASHES, INK, WARM, Chart
from crossmix.pages.format import DASH, change, count, interval, metric, number, p_value
from crossmix.pages.render import render
from crossmix.pages.scales import Axis, Scale, as_percent, whole_ticks
from crossmix.pages.table import NOTHING, Cell, Table

TEMPLATE = Path(__file__).with_name("verdict.html.j2")
HEIGHT, HEAD = 250.0, 12.0
"""Of a chart, and of the room above its axes."""
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
"""The look of a verdict's word."""
SECTIONS = (
    ("users", "Users"),
    ("figures", "Figures"),
    ("tests", "Tests"),
    ("guardrails", "Guardrails"),
    ("per-user", "Per user"),
    ("platforms", "Platforms"),
    ("notes", "Notes"),
)


def page(status: dict[str, Any]) -> str:
    """The page of a `serving.experiment.verdict.status`."""
    roi = status["lifts"]["roi"]
    return render(
        TEMPLATE,
        sections=SECTIONS,
        status=status,
        chip=CHIPS.get(status["verdict"]["word"], "none"),
        keys=_keys(status),
        ratio_chip=CHIPS.get(status["sample_ratio"]["verdict"], "none"),
        arms=_arms(status["arms"], status["lifts"]),
        amounts=_amounts(status),
        tests=_tests(status["lifts"]),
        roi_chart=_roi_by_cycle(status["by_cycle"]),
        lift_chart=_lift_as_seen(roi) if "by_figure" in roi else None,
        users=_users(status["users"]) if "users" in status["users"] else None,
        guardrails=_guardrails(status["guardrails"]),
        platforms=[(name, _arms(part["arms"], part["lifts"])) for name, part in status["platforms"].items()],
    )


def _keys(status: dict[str, Any]) -> list[dict[str, str]]:
    """What stands in the head: the lifts of ROI, CPA and utilisation, always-valid, and how far it has come."""
    keys = []
    for name in ("roi", "cpa", "utilisation"):
        lift = status["lifts"][name].get("always_valid")
        keys.append(
            {
                "title": f"{METRIC[name].label}, policy over control",
                "mean": change(lift["lift"]) if lift else DASH,
                "interval": _span(lift) if lift else "",
                "meaning": METRIC[name].definition,
            }
        )
    cycles = status["cycles"]
    keys.append(
        {
            "title": "Cycles",
            "mean": f"{cycles['finished']} of {cycles['planned']}",
            "interval": "",
            "meaning": f"of {status['experiment']['cycle_hours']:g} hours, finished",
        }
    )
    return keys


def _amounts(status: dict[str, Any]) -> list[tuple[str, str]]:
    """What each arm had and brought."""
    rows = [
        (QUANTITY[key].label, ", ".join(f"{arm} {count(status['arms'][arm][key])}" for arm in ARMS))
        for key in ("planned", "spend", "revenue", "conversions")
    ]
    rewards = ", ".join(f"{arm} {number(status[DYNAMIC_REWARD.key][arm]['mean'])}" for arm in ARMS)
    return [*rows, (DYNAMIC_REWARD.label, f"{rewards}, mean of cycles; it decides nothing")]


def _arms(arms: dict[str, Any], lifts: dict[str, Any]) -> Table:
    rows = [
        (
            Cell(METRIC[name].label, "", METRIC[name].definition),
            *(_value(name, arms[arm][name]) for arm in ARMS),
            *(_lift(lifts[name].get(test)) for test in ("paired", "always_valid")),
        )
        for name in JUDGED
    ]
    return Table("", ("", "Policy", "Control", "Lift, paired", "Lift, always-valid"), tuple(rows))


def _tests(lifts: dict[str, Any]) -> Table:
    rows = []
    for name in JUDGED:
        tests = lifts[name]
        if "paired" not in tests:
            rows.append((Cell(METRIC[name].label), Cell(tests["reason"], "prose"), *[NOTHING] * 4))
            continue
        welch = tests["welch"]
        known = "p" in welch
        rows.append(
            (
                Cell(METRIC[name].label),
                Cell(f"{tests['paired']['figures']} figures", "", f"of {tests['cycles_per_figure']} cycle(s) each"),
                Cell(p_value(tests["always_valid"]["p"]), "num"),
                Cell(p_value(tests["paired"]["p"]), "num"),
                Cell(p_value(welch["p"]), "num muted") if known else NOTHING,
                Cell(number(welch["difference"]), "num muted", interval(welch["low"], welch["high"]))
                if known
                else NOTHING,
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
    for name in JUDGED:
        test = users[name]
        if "p" not in test:
            if test["verdict"] != "not applicable":
                rows.append((Cell(METRIC[name].label, "", f"{test['verdict']}: {test['reason']}"), *[NOTHING] * 6))
            continue
        cuped = test["cuped"]
        rows.append(
            (
                Cell(METRIC[name].label),
                *(Cell(metric(name, test[arm]), "num") for arm in ARMS),
                Cell(metric(name, test["difference"]), "num", _range(name, test)),
                Cell(p_value(test["p"]), "num"),
                Cell(metric(name, cuped["difference"]), "num", _range(name, cuped))
                if "p" in cuped
                else Cell(cuped["verdict"], "prose", cuped["reason"]),
                Cell(p_value(cuped["p"]), "num") if "p" in cuped else NOTHING,
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
                _lift(row if row["lift"] is not None else None),
                Cell(change(row["threshold"]), "num"),
                Cell(row["verdict"], f"chip {CHIPS.get(row['verdict'], 'insufficient-data')}"),
                Cell(row["detail"], "prose"),
            )
            for row in rows
        ),
    )


def _value(name: str, value: dict[str, Any]) -> Cell:
    if value["value"] is None:
        return NOTHING
    return Cell(metric(name, value["value"]), "num", _range(name, value))


def _range(name: str, span: dict[str, Any]) -> str:
    return interval(span["low"], span["high"], lambda end: metric(name, end))


def _lift(lift: dict[str, Any] | None) -> Cell:
    if lift is None:
        return NOTHING
    known = lift["low"] is not None and lift["high"] is not None
    clear = known and (lift["low"] > 0 or lift["high"] < 0)
    return Cell(change(lift["lift"]), "num own" if clear else "num", _span(lift))


def _span(lift: dict[str, Any]) -> str:
    if lift["low"] is None and lift["high"] is None:
        return "not yet bounded"
    return f"{change(lift['low'])} to {change(lift['high'])}"


def _roi_by_cycle(rows: list[dict[str, Any]]) -> str | None:
    """ROI of both arms by cycle."""
    if len(rows) < 2:
        return None
    x = [row["cycle"] for row in rows]
    policy, control = ([METRIC["roi"].of(row[arm]) or 0.0 for row in rows] for arm in ARMS)
    chart = Chart("ROI of both arms by cycle", height=HEIGHT)
    panel = chart.panel(
        Axis(Scale(x[0], x[-1]), "cycle", ticks=whole_ticks(x[0], x[-1], 8), grid=False),
        Axis(Scale(0.0, 1.08 * max(*policy, *control) or 1.0), METRIC["roi"].label),
        head=HEAD,
    )
    for values, colour, dash in ((control, WARM, DASHES), (policy, ACCENT, "")):
        panel.line(x, values, colour, dash=dash)
        panel.dots(x, values, colour, size=2.8)
    return chart.svg()


def _lift_as_seen(roi: dict[str, Any]) -> str | None:
    """The lift and its always-valid interval as it was seen at each figure."""
    bounded = [lift for lift in roi["by_figure"] if lift["low"] is not None and lift["high"] is not None]
    if len(bounded) < 2:
        return None
    x = [lift["figures"] * roi["cycles_per_figure"] for lift in bounded]
    # Early intervals are wide; what comes later must stay readable.
    later = bounded[len(bounded) // 2 :]
    reach = 1.15 * max(max(abs(lift["low"]), abs(lift["high"])) for lift in later) or 0.01
    chart = Chart("Lift of ROI with its always-valid interval, as seen by cycle", height=HEIGHT)
    panel = chart.panel(
        Axis(Scale(x[0], x[-1]), "cycle", ticks=whole_ticks(x[0], x[-1], 8), grid=False),
        Axis(Scale(-reach, reach), f"lift of {METRIC['roi'].label}", as_percent),
        head=HEAD,
    )
    panel.band(x, [lift["low"] for lift in bounded], [lift["high"] for lift in bounded], ACCENT, 0.2)
    panel.level(0.0, INK)
    lifts = [lift["lift"] for lift in bounded]
    panel.line(x, lifts, ACCENT)
    panel.dots(x, lifts, ACCENT, size=2.8)
    return chart.svg()
