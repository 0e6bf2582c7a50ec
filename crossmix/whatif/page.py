"""whatif.html: one self-contained page, in the report's look; nothing is fetched and no script runs."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crossmix.pages import charts as base
from crossmix.pages import format as formats
from crossmix.pages.format import Cell, Table
from crossmix.report import page as report
from crossmix.report import tables
from crossmix.whatif import figures
from crossmix.whatif.answer import COVERS

if TYPE_CHECKING:
    from jinja2 import Template

    from crossmix.whatif.answer import WhatIf
    from crossmix.whatif.split import BudgetAnswer, Estimate, LimitPrice
    from crossmix.whatif.target import TargetAnswer


LIMITS = {"min": "floor", "max": "cap", "step": "step limit", "frozen": "freeze"}


def render(answer: WhatIf, path: Path | None = None) -> str:
    """The page; also written to `path` if given."""
    macros, style, template = _look()
    page = template.render(
        answer=answer,
        style=style,
        look=macros,
        generated=answer.generated,
        headline=_headline(answer),
        keys=_keys(answer.budgets[0]),
        budgets=_budgets(answer),
        splits=[(_label(one), _money(one.best.budget), _split(answer, one)) for one in answer.budgets],
        limits=_limits(answer.budgets[0]),
        targets=[_target(answer, target) for target in answer.targets],
        drawn=_frontier(answer),
        legend=[
            (name, base.PLATFORM_COLOURS[index % len(base.PLATFORM_COLOURS)])
            for index, name in enumerate(answer.platforms)
        ],
        responses=_responses(answer),
        perturbations=_perturbations(answer),
        notes=COVERS,
        t=tables,
        money=_money,
    )
    if path is not None:
        path.write_text(page, encoding="utf-8")
    return page


def _headline(answer: WhatIf) -> str:
    now = answer.budgets[0]
    gain = _money(100 * now.gain.value / max(now.today.revenue.value, 1e-12))
    if now.gain.low <= 0:
        return (
            f"Today’s split of {_money(answer.budget)} {answer.currency} per cycle can hardly be bettered: the best "
            f"one should earn {gain}\u202f% more, within the fitting error."
        )
    return (
        f"The best split of today’s {_money(answer.budget)} {answer.currency} per cycle should earn {gain}\u202f% more "
        "than today’s split."
    )


def _keys(now: BudgetAnswer) -> list[dict[str, str]]:
    rows = (
        ("Revenue, best split", now.best.revenue, "per cycle, at today’s budget"),
        ("Against today’s split", now.gain, "revenue per cycle, same budget"),
        ("ROAS", now.best.roas, "revenue / spend"),
        ("CPA", now.best.cpa, "spend / conversion"),
        ("Next unit of budget", now.next_unit, "earns so much revenue"),
    )
    return [
        {"title": title, "mean": formats.number(one.value), "interval": _span(one), "meaning": meaning}
        for title, one, meaning in rows
    ]


def _budgets(answer: WhatIf) -> Table:
    rows = []
    for one in sorted(answer.budgets, key=lambda item: item.best.budget):
        low, high = one.best.cycle_revenue
        rows.append(
            (
                Cell(_money(one.best.budget), "num own" if one is answer.budgets[0] else "num", _label(one)),
                _cell(one.best.revenue),
                Cell(f"{_money(low)} – {_money(high)}", "num muted"),
                _cell(one.gain, sign=True),
                Cell("–", "num muted") if one is answer.budgets[0] else _cell(one.against_best_now, sign=True),
                _cell(one.best.conversions),
                _cell(one.best.cpa),
                _cell(one.best.roas),
                Cell(formats.percent(one.best.utilisation.value), "num"),
                _cell(one.next_unit),
            )
        )
    return Table(
        f"Money in {answer.currency} per cycle; small type: 95 % interval from the fitted parameters. A single cycle: "
        "95 % of cycles. ROAS is revenue / spend, CPA spend / conversion, utilisation spend / planned budget. "
        "Next unit: revenue of one more unit of budget, split as the limits ask.",
        (
            "Budget",
            "Revenue, best split",
            "A single cycle",
            "Against today’s split",
            "Against the best now",
            "Conversions",
            "CPA",
            "ROAS",
            "Utilisation",
            "Next unit",
        ),
        tuple(rows),
    )


def _split(answer: WhatIf, one: BudgetAnswer) -> Table:
    held = {price.platform: price for price in one.limits}
    rows = []
    for line, now in sorted(zip(one.best.platforms, answer.today, strict=True), key=lambda pair: -pair[0].share.value):
        price = held.get(line.platform)
        rows.append(
            (
                Cell(line.platform, "", _held(price)),
                Cell(formats.percent(now), "num muted"),
                Cell(formats.percent(line.share.value), "num own", _span(line.share, 100)),
                _cell(line.amount),
                _cell(line.revenue),
                _cell(line.conversions),
                _cell(line.cpa),
                _cell(line.roas),
                Cell(formats.percent(line.utilisation.value), "num", _span(line.utilisation, 100)),
                _cell(line.marginal_roi),
            )
        )
    return Table(
        f"Money in {answer.currency} per cycle. Where no limit holds, the marginal ROIs are equal.",
        (
            "Platform",
            "Today",
            "Best share",
            "Amount",
            "Revenue",
            "Conversions",
            "CPA",
            "ROAS",
            "Utilisation",
            "Marginal ROI",
        ),
        tuple(rows),
    )


def _held(price: LimitPrice | None) -> str:
    return f"held by its {LIMITS[price.kind]}" if price else ""


def _label(one: BudgetAnswer) -> str:
    return one.label.replace("-", "−")


def _limits(now: BudgetAnswer) -> Table | None:
    if not now.limits:
        return None
    return Table(
        "Revenue per cycle of loosening the limit by one point of the cycle budget, at today’s budget; the slope at "
        "the limit, so a larger change brings less per point.",
        ("Platform", "Limit", "Share held at", "Its marginal ROI", "Marginal ROI elsewhere", "A point is worth"),
        tuple(
            (
                Cell(price.platform),
                Cell(LIMITS[price.kind], "", f"{price.loosen} it"),
                Cell(formats.percent(price.share), "num"),
                _cell(price.marginal_roi),
                _cell(price.other_marginal_roi),
                _cell(price.per_point, sign=True),
            )
            for price in now.limits
        ),
    )


def _target(answer: WhatIf, target: TargetAnswer) -> dict[str, Any]:
    name, bound = target.kind.upper(), "at most" if target.kind == "cpa" else "at least"
    best = target.answer.best
    there = best.cpa if target.kind == "cpa" else best.roas
    wanted = f"An average {name} of {bound} {formats.number(target.target)}"
    if target.verdict == "never":
        title = f"{wanted} is out of reach"
        line = (
            f"No budget meets it. The nearest is {formats.number(there.value)}, at a budget of {_money(target.budget)}."
        )
    elif target.verdict == "always":
        title = f"{wanted} is met at any budget"
        line = (
            f"Up to all supply, {_money(target.budget)} {answer.currency} per cycle, where it is "
            f"{formats.number(there.value)}."
        )
    else:
        change = _signed(100 * (target.budget / answer.budget - 1))
        title = f"{wanted} is met up to {_money(target.budget)} {answer.currency} per cycle"
        line = f"That is {change}\u202f% against today’s budget."
    return {
        "title": title,
        "line": line,
        "facts": (
            (f"Average {name}", f"{formats.number(there.value)}, 95 % {_span(there)}"),
            (f"{name} of the last unit", formats.number(target.marginal)),
            ("Revenue", f"{_money(best.revenue.value)}, 95 % {_span(best.revenue)}"),
            ("Conversions", f"{_money(best.conversions.value)}, 95 % {_span(best.conversions)}"),
            (
                "Split",
                ", ".join(
                    f"{line.platform} {formats.percent(line.share.value, 2)}"
                    for line in sorted(best.platforms, key=lambda item: -item.share.value)
                ),
            ),
        ),
    }


def _frontier(answer: WhatIf) -> dict[str, str]:
    marks = [(one.label, one.best.budget) for one in answer.budgets]
    marks += [(target.kind, target.budget) for target in answer.targets if target.verdict == "met"]
    given = (answer.frontier, marks, answer.budget, answer.currency)
    return {
        "revenue": base.svg(figures.frontier(*given), "Revenue over the total budget"),
        "split": base.svg(figures.next_money(*given), "Best amounts by platform over the total budget"),
    }


def _responses(answer: WhatIf) -> list[dict[str, str]]:
    now = answer.budgets[0]
    # A few dear first impressions would flatten all the rest.
    top_slope = max(float(np.quantile(curve.marginal_roi.high, 0.93)) for curve in answer.curves)
    panels = []
    for curve, line, today in zip(answer.curves, now.best.platforms, answer.today, strict=True):
        places = (today * answer.budget, line.amount.value)
        top_revenue = 1.02 * max(float(curve.revenue.high.max()), float(curve.cycle_revenue.high.max()))
        panels.append(
            {
                "platform": curve.platform,
                "today": _money(places[0]),
                "best": _money(places[1]),
                "roi": formats.number(line.marginal_roi.value),
                "revenue": base.svg(
                    figures.revenue(curve, *places, top_revenue), f"Revenue of {curve.platform} over its budget"
                ),
                "marginal": base.svg(
                    figures.marginal(curve, *places, top_slope), f"Marginal ROI of {curve.platform} over its budget"
                ),
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
        {
            "platform": one.platform,
            "figure": base.svg(
                figures.perturbation(one, today, edges), f"Marginal ROI of {one.platform}, measured and closed form"
            ),
        }
        for one, today in zip(answer.perturbations, answer.today, strict=True)
    ]


def _cell(one: Estimate, *, sign: bool = False) -> Cell:
    if not math.isfinite(one.value):
        return Cell(formats.DASH, "num muted")
    return Cell(_signed(one.value) if sign else _money(one.value), "num", _span(one))


def _span(one: Estimate, unit: float = 1.0) -> str:
    if not (math.isfinite(one.low) and math.isfinite(one.high)):
        return ""
    return f"{_money(unit * one.low)} – {_money(unit * one.high)}"


def _money(value: float) -> str:
    """Whole units from a thousand on, three significant digits below."""
    return formats.count(value).replace("-", "−") if abs(value) >= 1000 else formats.number(value)


def _signed(value: float) -> str:
    return f"+{_money(value)}" if value > 0 else _money(value)


@cache
def _look() -> tuple[Any, str, Template]:
    """The report's own macros and style sheet, and this page's template: one look for both pages."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = Markup
    source = Path(report.__file__).with_name("report.html.j2").read_text(encoding="utf-8")
    macros, mark, rest = source.partition("<!doctype html>")
    style = rest.partition("<style>")[2].partition("</style>")[0]
    if not (mark and style):
        raise RuntimeError("report.html.j2: its macros or its style sheet are not where this page looks for them")
    return environment.from_string(macros).module, style, environment.get_template("whatif.html.j2")
