"""The policy against every competitor: revenue over the oracle's, and the money words over all platforms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossmix.artifacts import Evaluation, PlayerResult
from crossmix.metrics import DYNAMIC_REWARD, JUDGED, METRIC, formula
from crossmix.pages.charts import ACCENT, INK, LINE, MUTED, PAPER, WIDTH, Chart
from crossmix.pages.format import decimal, estimate, finite, metric, number, percent, points
from crossmix.pages.scales import Axis, Scale
from crossmix.pages.table import NOTHING, Cell, Table
from crossmix.report.section import SECTIONS, Section, absent, markup

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from markupsafe import Markup

    from crossmix.artifacts import Interval
    from crossmix.report.inputs import ReportInputs

ORDER = ("policy", "oracle", "plug_in", "windowed_roi", "rule", "control", "static", "uniform")
ROW, AROUND = 29.0, 55.0
"""Height of a line of the chart, and of what stands around all of them."""


def ordered(evaluation: Evaluation) -> dict[str, PlayerResult]:
    """The policy, the oracle, then competitors in a fixed order, then any other."""
    policies = evaluation.policies
    names = [name for name in ORDER if name in policies]
    return {name: policies[name] for name in [*names, *(name for name in policies if name not in ORDER)]}


def totals(evaluation: Evaluation) -> Table:
    """A row per policy: quality with intervals, then the money words over all platforms."""
    rows = []
    for name, result in ordered(evaluation).items():
        quality = [
            interval_cell(result.oracle_ratio, decimal),
            interval_cell(result.gap_closed, percent),
            NOTHING if result.difference is None else interval_cell(result.difference, points),
        ]
        money = [_money(result, key) for key in JUDGED]
        clairvoyant = "knows the market" if result.clairvoyant else ""
        reward = NOTHING if result.dynamic_reward is None else interval_cell(result.dynamic_reward, number)
        rows.append((Cell(result.label, "own" if name == "policy" else "", clairvoyant), *quality, *money, reward))
    return Table(
        "All platforms together. Small figures are 95 % intervals. “Policy ahead by” is the policy’s oracle ratio "
        f"less this one’s, in points. {formula('roi', 'roas', 'cpa')}, {evaluation.currency}. "
        f"{DYNAMIC_REWARD.label}, is a mean of cycles that judges nothing: its click term buys clicks with revenue.",
        (
            "",
            "Oracle ratio",
            "Gap closed",
            "Policy ahead by",
            *(METRIC[key].label for key in JUDGED),
            DYNAMIC_REWARD.label,
        ),
        tuple(rows),
    )


def interval_cell(interval: Interval, form: Callable[[Any], str]) -> Cell:
    """A mean with its interval in small type."""
    mean, span = estimate(interval, form)
    return Cell(mean, "num", span)


def _money(result: PlayerResult, key: str) -> Cell:
    """With an interval where the judge found one."""
    interval: Interval | None = getattr(result, key, None)
    if interval is not None and finite(interval.mean) is not None:
        return interval_cell(interval, lambda value: metric(key, value))
    return Cell(metric(key, getattr(result.total, key)), "num")


def forest(evaluation: Evaluation) -> Markup:
    """Revenue over the oracle's: mean and 95 % interval a line each, the best on top."""
    known = [(name, one) for name, one in evaluation.policies.items() if finite(one.oracle_ratio.mean) is not None]
    rows = sorted(known, key=lambda pair: -pair[1].oracle_ratio.mean)
    ends = [
        end for _, one in rows for end in (one.oracle_ratio.mean, *one.oracle_ratio.ci95) if finite(end) is not None
    ]
    low, high = min([*ends, 1.0]), max([*ends, 1.0])
    margin = 0.05 * (high - low) or 0.05
    chart = Chart("oracle ratio by competitor", WIDTH, AROUND + ROW * max(len(rows), 2))
    own = [index for index, (name, _) in enumerate(rows) if name == "policy"]
    panel = chart.panel(
        Axis(Scale(low - margin, high + margin), "revenue / oracle’s"),
        Axis(
            Scale(len(rows) - 0.5, -0.5),
            ticks=[(index, one.label) for index, (_, one) in enumerate(rows)],
            grid=False,
            own=own,
        ),
    )
    panel.upright(1.0, LINE, "")
    for index, (name, one) in enumerate(rows):
        colour = ACCENT if name == "policy" else INK if one.clairvoyant else MUTED
        panel.line(one.oracle_ratio.ci95, [index, index], colour, width=3.0 if name == "policy" else 2.0)
        if one.clairvoyant:
            panel.dots([one.oracle_ratio.mean], [index], colour, shape="diamond", hollow=True, fill=PAPER)
        else:
            panel.dots([one.oracle_ratio.mean], [index], colour, size=4.2)
    return chart.svg()


def _body(inputs: ReportInputs) -> Markup:
    evaluation = inputs.evaluation
    if evaluation is None:
        return absent("No evaluation is there: the gate step has not run.")
    return markup(
        "policies.html.j2",
        evaluation=evaluation,
        of_totals=inputs.of_totals,
        forest=forest(evaluation),
        totals=totals(evaluation),
    )


RESULT = SECTIONS.register(
    Section(name="result", order=10, title="Against every competitor", link="Result", body=_body)
)
