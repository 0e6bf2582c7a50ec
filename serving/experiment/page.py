"""A status as a page: self-contained HTML with small charts; no script, nothing fetched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crossmix.ledger.experiments import Experiment
from crossmix.metrics import ARMS, DYNAMIC_REWARD, JUDGED, METRIC, QUANTITY
from crossmix.pages.charts import ACCENT, DASHES, INK, MUTED, WARM, Chart, Panel
from crossmix.pages.format import DASH, change, count, interval, metric, moment, number, p_value
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
    "guardrail broken": "fail",
    "insufficient data": "insufficient-data",
    "undecided again": "insufficient-data",
    "balanced": "pass",
    "imbalance": "fail",
    "holds": "pass",
    "broken": "fail",
}
"""The look of a verdict's word."""
DOTS = {"policy better": ACCENT, "control better": WARM}
"""Colours of a lift by what was said of it; grey where no difference was found."""
MARKS = 30
"""Changes that are listed."""
SECTIONS = (
    ("users", "Users"),
    ("figures", "Figures"),
    ("campaigns", "Campaigns"),
    ("phases", "Phases"),
    ("tests", "Tests"),
    ("guardrails", "Guardrails"),
    ("per-user", "Per user"),
    ("platforms", "Platforms"),
    ("notes", "Notes"),
)


def page(status: dict[str, Any], begun: Sequence[Experiment] = ()) -> str:
    """The page of a `serving.experiment.verdict.status`.

    Args:
        begun: every experiment, in the order in which they began, to be listed with links to their pages.
    """
    roi = status["lifts"]["roi"]
    return render(
        TEMPLATE,
        sections=(*SECTIONS, ("all", "All experiments")) if begun else SECTIONS,
        begun=[one.as_dict() for one in reversed(begun)],
        status=status,
        chip=CHIPS.get(status["verdict"]["word"], "none"),
        keys=_keys(status),
        ratio_chip=CHIPS.get(status["sample_ratio"]["verdict"], "none"),
        arms=_arms(status["arms"], status["lifts"]),
        amounts=[_amounts(name, part) for name, part in status["currencies"].items()],
        rewards=_rewards(status),
        tests=_tests(status["lifts"]),
        roi_charts=[
            (name, chart)
            for name, part in status["currencies"].items()
            if (chart := _roi_by_cycle(part["by_cycle"], status["phases"])) is not None
        ],
        lift_chart=_lift_as_seen(roi["by_figure"], status["phases"]) if "by_figure" in roi else None,
        currencies=[(name, part, _arms(part["arms"], part["lifts"])) for name, part in status["currencies"].items()]
        if len(status["currencies"]) > 1
        else [],
        campaigns=_campaigns(status["by_campaign"]),
        marks=_marks(status["phases"]),
        phases=_phases(status["by_phase"]),
        users=_users(status["users"]) if "users" in status["users"] else None,
        guardrails=_guardrails(status["guardrails"]),
        platforms=[(name, _arms(part["arms"], part["lifts"])) for name, part in status["platforms"].items()],
    )


def _keys(status: dict[str, Any]) -> list[dict[str, str]]:
    """What stands in the head: the lifts of ROI, CPA and utilisation, and how far it has come.

    ROI's interval is the one that the word is read from.
    """
    keys = []
    for name in ("roi", "cpa", "utilisation"):
        lift = status["lifts"][name].get("always_valid")
        if name == "roi":
            lift = status["verdict"]["interval"] or lift
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


def _amounts(currency: str, part: dict[str, Any]) -> dict[str, Any]:
    """What each arm had and brought in one currency, and what the policy earned beyond control."""
    rows = [
        (QUANTITY[key].label, ", ".join(f"{arm} {count(part['arms'][arm][key])}" for arm in ARMS))
        for key in ("planned", "spend", "revenue", "conversions")
    ]
    money = part["money"]
    if money is not None:
        # A range is in brackets: an end may be below 0.
        span = interval(money["low"], money["high"], number)
        of = f", the lift of {number(money['base'])}"
        rows.append(("Earned beyond control’s ROI", f"{number(money['extra'])}{f' ({span})' if span else ''}{of}"))
    return {"currency": currency, "rows": rows}


def _rewards(status: dict[str, Any]) -> str:
    rewards = ", ".join(f"{arm} {number(status[DYNAMIC_REWARD.key][arm]['mean'])}" for arm in ARMS)
    return f"{rewards}, mean of cycles; it decides nothing"


def _campaigns(part: dict[str, Any]) -> Table:
    """A line for each campaign of the page."""
    rows = tuple(
        (
            Cell(row["campaign_id"], "", f"{row['currency']}, {_cycles(row['cycles'])}"),
            *(
                Cell(metric("roi", row["arms"][arm]["roi"]), "num", f"of {number(row['arms'][arm]['planned'])} planned")
                for arm in ARMS
            ),
            _lift("roi", row["lift"]) if row["lift"] else Cell(row["reason"] or DASH, "prose"),
            Cell(row["word"], "worse", "below the guardrail’s threshold; ends nothing")
            if row["harm"]
            else Cell(row["word"]),
        )
        for row in part["rows"]
    )
    more = f" Page {part['page']} of {part['pages']}." if part["pages"] > 1 else ""
    return Table(
        f"ROI of each campaign by itself, its lift always-valid; many tests at once: one in twenty may look clear by "
        "luck. A lift weighs every cycle alike, the ROI beside it by money, so that it is not quite their ratio."
        f"{more}",
        ("", "Policy, ROI", "Control, ROI", "Lift of ROI", "By itself"),
        rows,
    )


def _cycles(many: int) -> str:
    return "1 cycle" if many == 1 else f"{many} cycles"


def _marks(marks: list[dict[str, Any]]) -> Table | None:
    if not marks:
        return None
    more = f" The newest {MARKS} of {len(marks)}." if len(marks) > MARKS else ""
    return Table(
        f"Changes while the experiment ran, from the audit trail; upright lines in the curves.{more}",
        ("When, UTC", "Cycle", "What", "Who"),
        tuple(
            (
                Cell(moment(mark["at"])),
                Cell(str(mark["cycle"]), "num"),
                Cell(mark["what"], "", mark["subject"]),
                Cell(mark["who"], "", mark["reason"]),
            )
            for mark in marks[-MARKS:]
        ),
    )


def _phases(phases: list[dict[str, Any]]) -> Table | None:
    if not phases:
        return None
    rows = []
    for phase in phases:
        first, last = phase["from_cycle"], phase["to_cycle"]
        cycles = f"cycle {first}" if first == last else f"cycles {first} to {last}"
        none = last < first
        rows.append(
            (
                Cell("no whole cycle" if none else cycles),
                Cell(", ".join(mark["what"] for mark in phase["begun_by"]) or "the beginning", "wrap"),
                *(
                    _lift("roi", phase[key]["always_valid"])
                    if "always_valid" in phase[key]
                    else Cell(phase[key]["reason"], "prose")
                    for key in ("roi", "roi_since")
                ),
            )
        )
    return Table(
        "Lift of ROI within each phase, and since its beginning, each by an always-valid test of its own. A cycle in "
        "which something was changed is in no phase.",
        ("", "Begun by", "Within", "Since"),
        tuple(rows),
    )


def _arms(arms: dict[str, Any], lifts: dict[str, Any]) -> Table:
    """The paired test's column is that of the planned end where it has come, and has no colour before."""
    rows = []
    for name in JUDGED:
        tests = lifts[name]
        closes = tests.get("closing")
        rows.append(
            (
                Cell(METRIC[name].label, "", METRIC[name].definition),
                *(_value(name, arms[arm][name]) for arm in ARMS),
                _lift(name, closes) if closes else _lift(name, tests.get("paired"), plain=True),
                _lift(name, tests.get("always_valid")),
            )
        )
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
                Cell(f"{tests['paired']['figures']} figures", "", f"of {_cycles(tests['cycles_per_figure'])} each"),
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
        "A guardrail breaks, and ends the experiment, when a whole interval lies beyond its threshold: that of all "
        "cycles, or that of the newest alone. Its intervals are wider than the verdict’s: it seldom stops what does no "
        "harm. Of several currencies each is looked at alone, and all together.",
        ("Guardrail", "Lift", "Threshold", "Verdict", "In words"),
        tuple(
            (
                Cell(row["name"], "mono", row["currency"] or ""),
                _lift(row["figure"], row if row["lift"] is not None else None, plain=row["verdict"] != "broken"),
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


def _lift(name: str, lift: dict[str, Any] | None, *, plain: bool = False) -> Cell:
    """A lift with its interval, coloured by whom it favours where the interval leaves out 0.

    Args:
        plain: never coloured, as it decides nothing.
    """
    if lift is None:
        return NOTHING
    return Cell(change(lift["lift"]), "num" if plain else f"num {colour(name, lift)}".rstrip(), _span(lift))


def colour(name: str, lift: dict[str, Any]) -> str:
    """CSS class of a lift: better or worse for the policy, clear where neither is, none where it may be luck."""
    up, down = ((lift["low"] or 0) > 0, lift["high"] is not None and lift["high"] < 0)
    if not (up or down):
        return ""
    direction = METRIC[name].direction
    if direction == "none":
        return "clear"
    return "better" if up == (direction == "more") else "worse"


def _span(lift: dict[str, Any]) -> str:
    if lift["low"] is None and lift["high"] is None:
        return "too early for an interval"
    if lift["high"] is None:
        return f"{change(lift['low'])} or more"
    return f"{change(lift['high'])} or less" if lift["low"] is None else interval(lift["low"], lift["high"], change)


def _upright(panel: Panel, marks: list[dict[str, Any]]) -> None:
    """A line where something was changed: between cycles, or on the cycle within which it was."""
    for across in sorted({mark["cycle"] if mark["begins"] > mark["cycle"] else mark["cycle"] - 0.5 for mark in marks}):
        panel.upright(across, MUTED)


def _roi_by_cycle(rows: list[dict[str, Any]], marks: list[dict[str, Any]]) -> str | None:
    """ROI of both arms by cycle, of one currency."""
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
    _upright(panel, marks)
    for values, ink, dash in ((control, WARM, DASHES), (policy, ACCENT, "")):
        panel.line(x, values, ink, dash=dash)
        panel.dots(x, values, ink, size=2.8)
    return chart.svg()


def _lift_as_seen(looks: list[dict[str, Any]], marks: list[dict[str, Any]]) -> str | None:
    """The lift and its always-valid interval as it was told after each cycle, coloured by the word of then."""
    bounded = [lift for lift in looks if lift["low"] is not None and lift["high"] is not None]
    if len(bounded) < 2:
        return None
    x = [lift["cycle"] for lift in bounded]
    # Early intervals are wide; what comes later must stay readable.
    later = bounded[len(bounded) // 2 :]
    reach = 1.15 * max(max(abs(lift["low"]), abs(lift["high"])) for lift in later) or 0.01
    chart = Chart("Lift of ROI with its always-valid interval, as told after each cycle", height=HEIGHT)
    panel = chart.panel(
        Axis(Scale(x[0], x[-1]), "cycle", ticks=whole_ticks(x[0], x[-1], 8), grid=False),
        Axis(Scale(-reach, reach), f"lift of {METRIC['roi'].label}", as_percent),
        head=HEAD,
    )
    panel.band(x, [lift["low"] for lift in bounded], [lift["high"] for lift in bounded], MUTED, 0.2)
    panel.level(0.0, INK)
    _upright(panel, marks)
    lifts = [lift["lift"] for lift in bounded]
    panel.line(x, lifts, MUTED)
    panel.dots(x, lifts, [DOTS.get(lift["word"], MUTED) for lift in bounded], size=3.2)
    return chart.svg()
