"""whatif.html: one self-contained page about an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crossmix.evaluate.decision.standing import LITTLE
from crossmix.metrics import METRIC, formula, title
from crossmix.pages.charts import platform_legend
from crossmix.pages.format import MINUS, THIN, interval, metric, number, percent, signed
from crossmix.pages.render import render as page
from crossmix.pages.table import NOTHING, Cell, Table
from crossmix.whatif import figures

if TYPE_CHECKING:
    from crossmix.whatif.answer import WhatIf
    from crossmix.whatif.split import BudgetAnswer, Estimate, LimitPrice
    from crossmix.whatif.target import TargetAnswer

TEMPLATE = Path(__file__).with_name("whatif.html.j2")
BY_FIT = "Best split earns more, by the fit alone"
"""The gain of a split that is not recommended."""
NEXT_UNIT = "Next unit: revenue of one more unit of budget, split as the limits ask."
LIMITS = {"min": "floor", "max": "cap", "step": "step limit", "frozen": "freeze"}
"""What each kind of limit is called."""


def render(answer: WhatIf, path: Path | None = None) -> str:
    """The page; also written to `path` if given."""
    sections = [
        *([("standing", "Standing")] if answer.standing else []),
        ("budgets", "Budgets"),
        *([("targets", "Targets")] if answer.targets else []),
        ("split", "Splits"),
        ("limits", "Limits"),
        ("curves", "Response curves"),
        *([("measured", "Measured marginal ROI")] if answer.perturbations else []),
        ("covers", "What the intervals cover"),
    ]
    text = page(
        TEMPLATE,
        sections=sections,
        answer=answer,
        headline=_headline(answer),
        keys=_keys(answer),
        budgets=_budgets(answer),
        splits=[(_label(one), number(one.best.budget), _split(answer, one)) for one in answer.budgets],
        limits=_limits(answer),
        targets=[_target(answer, target) for target in answer.targets],
        charts=_frontier(answer),
        legend=platform_legend(answer.platforms),
        responses=_responses(answer),
        perturbations=_perturbations(answer),
        notes=answer.notes,
        held=[*(one.sentence for one in answer.held), *([answer.together] if answer.together else [])],
    )
    if path is not None:
        path.write_text(text, encoding="utf-8")
    return text


def _headline(answer: WhatIf) -> str:
    now = answer.budgets[0]
    if answer.kept:
        return (
            f"Keep today’s split of {number(answer.budget)} {answer.currency} per cycle: with what the data leave open "
            "the best one of the fit is likelier to lose than to gain."
        )
    money = f"{number(answer.budget)} {answer.currency} per cycle"
    earns = f"should earn {number(100 * now.gain.value / max(now.today.revenue.value, 1e-12))}{THIN}% more"
    proved = answer.standing is not None and answer.standing.word == "proved"
    if now.gain.low <= 0 and not proved:
        if now.gain.high <= LITTLE * now.today.revenue.value:
            return f"Today’s split of {money} can hardly be bettered: the best one {earns}, within the fitting error."
        return (
            f"Whether another split of {money} earns more is not known: the best one {earns}, within the fitting error."
        )
    doubt = "" if proved or answer.standing is None else ", by the fit alone; it is not proved"
    return f"The best split of today’s {money} {earns} than today’s split{doubt}."


def _keys(answer: WhatIf) -> list[dict[str, str]]:
    now = answer.budgets[0]
    told, name = (now.today, "today’s split") if answer.kept else (now.best, "best split")
    gain = ("Against today’s split", now.gain, "revenue per cycle, same budget")
    next_unit = ("Next unit of budget", now.next_unit, "earns so much revenue")
    rows = (
        (f"Revenue, {name}", told.revenue, "per cycle, at today’s budget"),
        *([] if answer.kept else [gain]),
        (METRIC["roas"].label, told.roas, METRIC["roas"].definition),
        (METRIC["cpa"].label, told.cpa, METRIC["cpa"].definition),
        (BY_FIT, now.gain, "not recommended: likelier to lose than to gain") if answer.kept else next_unit,
    )
    return [
        {"title": heading, "mean": number(one.value), "interval": _span(one), "meaning": meaning}
        for heading, one, meaning in rows
    ]


def _budgets(answer: WhatIf) -> Table:
    today, name = answer.budgets[0], "today’s split" if answer.kept else "best split"
    rows = []
    for one in sorted(answer.budgets, key=lambda item: item.best.budget):
        told, gain = (one.today if answer.kept else one.best), _cell(one.gain, sign=True)
        against = NOTHING if one is today else _cell(one.against_best_now, sign=True)
        of_best = {"Against today’s split": gain, "Against the best now": against}
        rows.append(
            {
                "Budget": Cell(number(one.best.budget), "num own" if one is today else "num", _label(one)),
                f"Revenue, {name}": _cell(told.revenue),
                "A single cycle": Cell(interval(*told.cycle_revenue), "num muted"),
                **({} if answer.kept else of_best),
                title("conversions"): _cell(told.conversions),
                title("cpa"): _cell(told.cpa),
                title("roas"): _cell(told.roas),
                title("utilisation"): Cell(metric("utilisation", told.utilisation.value), "num"),
                **({BY_FIT: gain} if answer.kept else {"Next unit": _cell(one.next_unit)}),
            }
        )
    return _table(
        f"Money in {answer.currency} per cycle; small type: 95 % interval from the fitted parameters. A single cycle: "
        f"95 % of cycles at the fitted parameters. {formula('roas', 'cpa', 'utilisation')}. "
        + (f"{BY_FIT}: not recommended." if answer.kept else NEXT_UNIT),
        rows,
    )


def _split(answer: WhatIf, one: BudgetAnswer) -> Table:
    held = {price.platform: price for price in one.limits}
    best = {plan.platform: plan for plan in one.best.platforms}
    told = one.today.platforms if answer.kept else one.best.platforms
    pairs = sorted(zip(told, answer.today, strict=True), key=lambda pair: -pair[0].share.value)
    if answer.kept:
        held = {}
    share = "Best share, by the fit alone" if answer.kept else "Best share"
    others = "All else is of today’s split." if answer.kept else "Where no limit holds, the marginal ROIs are equal."
    return _table(
        f"Money in {answer.currency} per cycle. {others}",
        [
            {
                "Platform": Cell(plan.platform, "", _held(held.get(plan.platform))),
                "Today": Cell(percent(now), "num own" if answer.kept else "num muted"),
                share: _share_cell(best[plan.platform].share, "num muted" if answer.kept else "num own"),
                "Amount": _cell(plan.amount),
                title("revenue"): _cell(plan.revenue),
                title("conversions"): _cell(plan.conversions),
                title("cpa"): _cell(plan.cpa),
                title("roas"): _cell(plan.roas),
                title("utilisation"): _share_cell(plan.utilisation),
                "Marginal ROI": _marginal(answer, plan.platform, plan.marginal_roi),
            }
            for plan, now in pairs
        ]
        + _fixed(answer, one.best.budget),
    )


def _fixed(answer: WhatIf, budget: float) -> list[dict[str, Cell]]:
    """Rows of money that is held: its amount, and what a cycle costs with it."""
    whose = "" if answer.alone else ", of all campaigns"
    rows = [(one.platform, f"held at its plan{whose}", one.today) for one in answer.held]
    if answer.held and answer.alone:
        rows.append(("all money", "with what is held", budget + sum(one.today for one in answer.held)))
    columns = ("Today", "Best share", *(title(key) for key in ("revenue", "conversions", "cpa", "roas", "utilisation")))
    none = dict.fromkeys((*columns, "Marginal ROI"), NOTHING)
    return [
        {
            "Platform": Cell(name, "", what),
            **{key: none[key] for key in ("Today", "Best share")},
            "Amount": Cell(number(amount), "num"),
            **none,
        }
        for name, what, amount in rows
    ]


def _table(caption: str, rows: Sequence[Mapping[str, Cell]]) -> Table:
    """Of rows by column; every row has the columns of the first."""
    return Table(caption, tuple(rows[0]), tuple(tuple(row.values()) for row in rows))


def _held(price: LimitPrice | None) -> str:
    return f"held by its {LIMITS[price.kind]}" if price else ""


def _label(one: BudgetAnswer) -> str:
    return one.label.replace("-", MINUS)


def _marginal(answer: WhatIf, platform: str, earned: Estimate) -> Cell:
    return Cell("never tried", "num muted") if platform in answer.untried else _cell(earned)


def _limits(answer: WhatIf) -> Table | None:
    now = answer.budgets[0]
    if not now.limits:
        return None
    return _table(
        "Revenue per cycle of loosening the limit by one point of the cycle budget, at today’s budget; the slope at "
        "the limit, so a larger change brings less per point.",
        [
            {
                "Platform": Cell(price.platform),
                "Limit": Cell(LIMITS[price.kind], "", f"{price.loosen} it"),
                "Share held at": Cell(percent(price.share), "num"),
                "Its marginal ROI": _marginal(answer, price.platform, price.marginal_roi),
                "Marginal ROI elsewhere": _cell(price.other_marginal_roi),
                "A point is worth": _cell(price.per_point, sign=True),
            }
            for price in now.limits
        ],
    )


def _target(answer: WhatIf, target: TargetAnswer) -> dict[str, Any]:
    name, bound = title(target.kind), "at most" if METRIC[target.kind].direction == "less" else "at least"
    best = target.answer.best
    average = best.cpa if target.kind == "cpa" else best.roas
    wanted = f"An average {name} of {bound} {number(target.target)}"
    budget = f"{number(target.budget)} {answer.currency} per cycle"
    if target.verdict == "never":
        heading = f"{wanted} is out of reach"
        sentence = (
            f"No budget meets it. The nearest is {number(average.value)}, at a budget of {number(target.budget)}."
        )
    elif target.verdict == "always":
        heading = f"{wanted} is met at any budget"
        sentence = f"Up to {answer.end}, {budget}, where it is {number(average.value)}."
    else:
        more = signed(100 * (target.budget / answer.budget - 1))
        heading, sentence = f"{wanted} is met up to {budget}", f"That is {more}{THIN}% against today’s budget."
    return {
        "title": heading,
        "sentence": sentence,
        "facts": (
            (f"Average {name}", f"{number(average.value)}, 95 % {_span(average)}"),
            (f"{name} of the last unit", number(target.marginal)),
            ("Revenue", f"{number(best.revenue.value)}, 95 % {_span(best.revenue)}"),
            ("Conversions", f"{number(best.conversions.value)}, 95 % {_span(best.conversions)}"),
            (
                "Split",
                ", ".join(
                    f"{plan.platform} {percent(plan.share.value, 2)}"
                    for plan in sorted(best.platforms, key=lambda plan: -plan.share.value)
                ),
            ),
        ),
    }


def _frontier(answer: WhatIf) -> dict[str, str]:
    marks = [(one.label, one.best.budget) for one in answer.budgets]
    marks += [(target.kind, target.budget) for target in answer.targets if target.verdict == "met"]
    given = (answer.frontier, marks, answer.budget, answer.currency)
    return {"revenue": figures.frontier(*given), "split": figures.next_money(*given)}


def _responses(answer: WhatIf) -> list[dict[str, str]]:
    # A few dear first impressions would flatten all the rest.
    top_slope = max(float(np.quantile(curve.marginal_roi.high, 0.93)) for curve in answer.curves)
    panels = []
    ever = (None,) * len(answer.curves) if answer.ever is None else answer.ever.platforms
    shown = zip(answer.curves, answer.budgets[0].best.platforms, answer.today, ever, strict=True)
    for curve, plan, today, most in shown:
        now, best = today * answer.budget, plan.amount.value
        top_revenue = 1.02 * max(float(curve.revenue.high.max()), float(curve.cycle_revenue.high.max()))
        panels.append(
            {
                "platform": curve.platform,
                "today": number(now),
                "best": number(best),
                "earns": "never tried: what it earns is borrowed from others"
                if curve.platform in answer.untried
                else f"where the next unit earns {number(plan.marginal_roi.value)}",
                "revenue": figures.revenue(curve, now, best, top_revenue, most),
                "marginal": figures.marginal(curve, now, best, top_slope, most),
            }
        )
    return panels


def _perturbations(answer: WhatIf) -> list[dict[str, str]]:
    if not answer.perturbations:
        return []
    closed = np.concatenate(
        [curve for one in answer.perturbations for curve in (one.own.closed[1:], one.net.closed[1:])]
    )
    edges = (float(np.quantile(closed, 0.01)) * 1.15, float(np.quantile(closed, 0.985)) * 1.15)
    return [
        {"platform": one.platform, "figure": figures.perturbation(one, today, edges)}
        for one, today in zip(answer.perturbations, answer.today, strict=True)
    ]


def _cell(one: Estimate, *, sign: bool = False) -> Cell:
    if not np.isfinite([one.value, one.low, one.high]).all():
        return NOTHING
    return Cell(signed(one.value) if sign else number(one.value), "num", _span(one))


def _share_cell(one: Estimate, kind: str = "num") -> Cell:
    return Cell(percent(one.value), kind, _span(one, 100))


def _span(one: Estimate, unit: float = 1.0) -> str:
    return interval(unit * one.low, unit * one.high)
