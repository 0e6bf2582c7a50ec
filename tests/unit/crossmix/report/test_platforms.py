"""Tables by platform and by policy: the right figures, the best competitor marked."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from crossmix.artifacts import Evaluation, Interval
from crossmix.metrics import METRIC
from crossmix.pages.format import metric, number
from crossmix.report.platforms import by_metric, comparison, value
from crossmix.report.policies import forest, ordered, totals
from tests.support.report_judged import NAMES


def test_the_best_competitor_is_marked_but_never_the_clairvoyant(evaluation: Evaluation) -> None:
    for title, _, table in by_metric(evaluation):
        marked = {head for row in table.rows for head, cell in zip(table.head, row, strict=True) if "best" in cell.kind}
        assert "oracle (clairvoyant)" not in marked
        assert bool(marked) == (title in ("ROI", "ROAS", "CPA", "CPC"))


def test_less_is_better_of_a_cost(evaluation: Evaluation) -> None:
    table = next(table for title, _, table in by_metric(evaluation) if title == "CPA")
    names = list(ordered(evaluation))
    costs = {name: evaluation.policies[name].platform["a"].cpa for name in names if name != "oracle"}
    best = min(cost for cost in costs.values() if cost is not None)
    row = next(row for row in table.rows if row[0].text == "a")
    marked = [name for name, cell in zip(names, row[1:], strict=True) if "best" in cell.kind]
    assert marked == [name for name in names if costs.get(name) == best]


def test_every_metric_has_its_definition_and_a_row_for_all(evaluation: Evaluation) -> None:
    tables = {title: (definition, table) for title, definition, table in by_metric(evaluation)}
    assert list(tables) == [one.label for one in METRIC.values()]
    assert tables["CPC"][0] == "spend / click, EUR"
    assert tables["ROI"][0] == "revenue / planned budget"
    for title, (_, table) in tables.items():
        assert [row[0].text for row in table.rows] == (["a", "b"] if title == "Share" else ["a", "b", "all"])
    whole = evaluation.policies["policy"].total
    assert tables["CPC"][1].rows[-1][1].text == metric("cpc", whole.spend / whole.clicks)
    assert tables["ROI"][1].rows[-1][1].text == metric("roi", whole.roi)


def test_what_was_not_judged_follows_from_the_sums(evaluation: Evaluation) -> None:
    figures = evaluation.policies["policy"].platform["a"]
    assert value(figures, "cpc") == pytest.approx(figures.spend / figures.clicks)
    assert value(figures, "share") == figures.share
    assert value(replace(figures, cpa=None, conversions=0), "cpa") is None
    assert value(replace(figures, roi=math.nan), "roi") is None


def test_the_comparison_has_the_policy_beside_control_and_oracle(evaluation: Evaluation) -> None:
    table = comparison(evaluation)
    assert [name for name, _ in table.groups] == ["Share", "ROI", "CPA", "Utilisation"]
    assert sum(width for _, width in table.groups) == len(table.head) - 1
    assert table.head[1:4] == tuple(NAMES[name] for name in ("policy", "control", "oracle"))
    row = table.rows[0]
    assert row[4].text == metric("roi", evaluation.policies["policy"].platform["a"].roi)
    assert [cell.kind for cell in row[1:4]] == ["num own", "num", "num"]


def test_totals_have_intervals_where_the_judge_found_them(evaluation: Evaluation) -> None:
    table = totals(evaluation)
    policy = next(row for row in table.rows if row[0].text == NAMES["policy"])
    oracle = next(row for row in table.rows if row[0].text == NAMES["oracle"])
    cells = dict(zip(table.head, policy, strict=True))
    result = evaluation.policies["policy"]
    assert cells["ROI"].text == metric("roi", result.roi.mean)
    assert cells["ROI"].small == f"{metric('roi', result.roi.ci95[0])} to {metric('roi', result.roi.ci95[1])}"
    assert cells["CTR"].text == metric("ctr", result.total.ctr)
    assert cells["CTR"].small == ""
    assert cells["Policy ahead by"].text == "–"
    assert oracle[0].small == "knows the market"
    assert cells["Reward, eq. 10"].text == number(result.dynamic_reward.mean)


def test_a_mean_that_is_undefined_is_taken_from_the_totals(evaluation: Evaluation) -> None:
    undefined = Interval(mean=math.nan, ci95=(math.nan, math.nan))
    policies = evaluation.policies | {"policy": replace(evaluation.policies["policy"], roi=undefined)}
    table = totals(replace(evaluation, policies=policies))
    assert dict(zip(table.head, table.rows[0], strict=True))["ROI"].text == metric(
        "roi", evaluation.policies["policy"].total.roi
    )
    unknown = {name: replace(one, oracle_ratio=undefined) for name, one in evaluation.policies.items()}
    assert "polyline" not in forest(replace(evaluation, policies=unknown))
