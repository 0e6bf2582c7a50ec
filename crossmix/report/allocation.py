"""The allocation over time: the policy's and the oracle's splits in one market, stacked and on the simplex."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from crossmix.pages.charts import ACCENT, LINE, MUTED, WIDTH, Chart, Panel, platform_legend, shade
from crossmix.pages.format import percent
from crossmix.pages.scales import Scale
from crossmix.report.charts import shares
from crossmix.report.decision import answers
from crossmix.report.section import SECTIONS, Section, absent, markup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from crossmix.artifacts import Evaluation
    from crossmix.report.inputs import ReportInputs

TIME = ("#2f6fc0", "#8d8b97", "#e08a1e")
"""First to last cycle: readable on light and dark pages."""
SIMPLEX_HEIGHT = 380.0
ACROSS, UP = Scale(-0.16, 1.16), Scale(-0.15, 1.0)
"""What of the plane is shown around the triangle, whose sides are 1."""


def simplex(
    policy_TP: Sequence[Sequence[float]], oracle_TP: Sequence[Sequence[float]], platforms: Sequence[str]
) -> tuple[Markup, tuple[str, ...]]:
    """Paths of policy and oracle in the triangle of the three largest platforms, coloured by time; and which they are.

    With more than three platforms a point is the split among the three, which says nothing of the rest: the stacked
    figure does. The triangle is cut to where the paths run; a small one shows the cut in the whole.
    """
    policy, oracle = np.asarray(policy_TP, float), np.asarray(oracle_TP, float)
    largest = np.sort(np.argsort(-(policy.mean(0) + oracle.mean(0)), kind="stable")[:3])
    names = tuple(platforms[index] for index in largest)
    paths = [path[:, largest] / np.maximum(path[:, largest].sum(1, keepdims=True), 1e-9) for path in (oracle, policy)]
    if len(largest) < 3:
        paths = [np.pad(path, ((0, 0), (0, 3 - len(largest)))) for path in paths]
    corner, side = _cut(np.concatenate(paths))
    unit = SIMPLEX_HEIGHT / (UP.high - UP.low)
    width = unit * (ACROSS.high - ACROSS.low)
    chart = Chart("allocation on the simplex", WIDTH, SIMPLEX_HEIGHT)
    panel = chart.bare(((WIDTH - width) / 2, 0, (WIDTH + width) / 2, SIMPLEX_HEIGHT), ACROSS, UP)
    _grid(panel)
    for index, (at, lift) in enumerate((((1, 0), -18.0), ((0, 1), 20.0), ((0, 0), -18.0))):
        if index < len(names):
            label = f"{names[index]}\n{corner[index] + side:.0%}"
            panel.note(*_bary(*at), label, "var(--ink)", anchor="middle", lift=lift)
    _path(panel, (paths[0] - corner) / side, hollow=True)
    _path(panel, (paths[1] - corner) / side, hollow=False)
    if side < 0.98:
        _inset(chart, corner, side)
    return chart.svg(), names


def _bary(first: Any, second: Any) -> tuple[Any, Any]:
    """Triangle coordinates: the first platform lower right, the second on top, the third lower left."""
    return first + 0.5 * second, second * math.sqrt(3) / 2


def _cut(points_N3: Any) -> tuple[Any, float]:
    """Lower corner and side of the smallest triangle of the same shape around all points, with a margin, in fifths."""
    low = np.maximum(points_N3.min(0) - 0.02, 0)
    low = np.floor(low * 20) / 20
    return low, max(float(1 - low.sum()), 0.05)


def _grid(panel: Panel) -> None:
    for step in np.linspace(0, 1, 6):
        for one, other in (((step, 0), (step, 1 - step)), ((0, step), (1 - step, step)), ((step, 0), (0, step))):
            ends = np.array([_bary(*one), _bary(*other)])
            edge = step == 0 or (step == 1 and one[0] == 1 and other[1] == 1)
            panel.line(ends[:, 0], ends[:, 1], MUTED if edge else LINE, width=1.2 if edge else 0.8)


def _path(panel: Panel, path_T3: Any, *, hollow: bool) -> None:
    x, y = _bary(path_T3[:, 0], path_T3[:, 1])
    last = max(len(path_T3) - 1, 1)
    colours = [shade(TIME, index / last) for index in range(len(path_T3))]
    if hollow:
        panel.dots(x, y, colours, shape="diamond", size=4.2, hollow=True)
    else:
        panel.line(x, y, LINE, width=1.2)
        panel.dots(x, y, colours, size=3.6)


def _inset(chart: Chart, corner: Any, side: float) -> None:
    whole = np.array([_bary(*at) for at in ((0, 0), (1, 0), (0, 1), (0, 0))])
    part = np.array([_bary(corner[0] + side * a, corner[1] + side * b) for a, b in ((0, 0), (1, 0), (0, 1))])
    panel = chart.bare((14, 14, 84, 84), Scale(0, 1), Scale(0, 1))
    panel.line(whole[:, 0], whole[:, 1], MUTED, width=1.1)
    panel.area([panel.at(*point) for point in part], f'fill="{ACCENT}"')


def _body(inputs: ReportInputs) -> Markup:
    evaluation: Evaluation | None = inputs.evaluation
    if evaluation is None:
        return absent("No trajectory is there: the gate step has not run.")
    trajectory, platforms = evaluation.trajectory, evaluation.platforms
    triangle, largest = simplex(trajectory.policy, trajectory.oracle, platforms)
    policy_TP, oracle_TP = np.asarray(trajectory.policy, float), np.asarray(trajectory.oracle, float)
    return markup(
        "allocation.html.j2",
        campaign=trajectory.campaign,
        seed=trajectory.seed,
        kept=[one.own.campaign for one in answers(inputs.gates, inputs.decision) if one.standing.keep],
        apart=percent(float(np.abs(policy_TP - oracle_TP).sum(1).mean() / 2), 2),
        legend=platform_legend(platforms),
        policy=shares(trajectory.policy, "shares of the policy"),
        oracle=shares(trajectory.oracle, "shares of the oracle"),
        simplex=triangle,
        largest=largest,
        covered=percent(float(policy_TP[:, [platforms.index(name) for name in largest]].sum(1).mean()), 2),
    )


ALLOCATION = SECTIONS.register(
    Section(name="allocation", order=50, title="The allocation over time", link="Allocation", body=_body)
)
