"""plan.html: one self-contained page about a plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crossmix.creators import drawn, prior, words
from crossmix.creators.plan import Plan
from crossmix.creators.results import After
from crossmix.pages.format import count, interval, money, number, prose, share
from crossmix.pages.render import render as page
from crossmix.pages.table import Cell, Table

TEMPLATE = Path(__file__).with_name("plan.html.j2")
NOTES = (
    "Effects are in the unit of the catalogue’s past results. They are posterior means: what a creator gave so far, "
    "drawn towards what creators with the same columns give.",
    "Intervals hold 80 %: what the predictor does not know of creators, and the chance of each result. They do not "
    "hold what it takes for granted: that next results follow the past ones’ law, and towards what a cell saturates.",
    "A cell saturates, as audiences overlap: its effect is less than its creators’ effects together.",
    "Shadow prices are slopes for little money; whole creators come in steps.",
)
ASSUMED = (
    "Effects are interactions by public laws of followers, interaction rate and audience quality, for want of past "
    "results: they order creators, and say little of how much comes. Add past results before much money is spent.",
    "Intervals hold 80 % of what the laws leave open: the level, creators, the chance of each result, and, where the "
    "brief does not say it, towards what a cell saturates, which moves with the level. How wide that is, is assumed.",
    *NOTES[2:],
)


def render(
    plan: Plan,
    path: Path | None = None,
    *,
    generated: bool = False,
    after: After | None = None,
    assumed: bool = False,
    source: Sequence[str] = (),
) -> str:
    """The page; also written to `path` if given.

    Args:
        generated: the catalogue is.
        after: what an earlier phase has given, where the plan is of the rest.
        assumed: no past result tells of effects.
        source: what planned, and what is wrong with it, in sentences.
    """
    text = page(
        TEMPLATE,
        sections=[
            *([("before", "What was done")] if after else []),
            ("matrix", "Matrix"),
            ("binds", "What binds"),
            ("cells", "Cells"),
            ("creators", "Creators"),
            ("covers", "What the figures cover"),
        ],
        plan=plan,
        generated=generated,
        headline=headline(plan),
        keys=_keys(plan),
        chart=drawn.matrix(plan),
        binding=[prose(line) for line in words.binding(plan)],
        free=words.free(plan),
        margins=[prose(line) for line in words.margins(plan)],
        distance=prose(words.distance(plan)),
        cells=_cells(plan),
        creators=_creators(plan),
        after=None if after is None else prose(words.done(after, plan)),
        notes=ASSUMED if assumed else NOTES,
        assumed=prior.told(0 if after is None else len(after.before.used)) if assumed else None,
        source=source,
    )
    if path is not None:
        path.write_text(text, encoding="utf-8")
    return text


def headline(plan: Plan) -> str:
    """The plan in one sentence."""
    creators = "1 creator" if len(plan.choices) == 1 else f"{len(plan.choices)} creators"
    return (
        f"{creators} for {count(plan.cost)} {plan.currency} should add "
        f"{number(plan.effect)}, {number(plan.low)} to {number(plan.high)}."
    )


def _keys(plan: Plan) -> list[dict[str, str]]:
    return [
        {
            "title": "Effect",
            "mean": number(plan.effect),
            "interval": interval(plan.low, plan.high),
            "meaning": "what the plan adds, in the unit of past results",
        },
        {
            "title": "Cost",
            "mean": money(plan.cost),
            "interval": "",
            "meaning": f"{plan.currency}, of {money(plan.budget)} ({share(plan.cost / plan.budget)})",
        },
        {
            "title": "Effect per cost",
            "mean": number(plan.effect / plan.cost if plan.cost else None),
            "interval": "",
            "meaning": f"of a {plan.currency}; the last one adds {number(plan.budget_price)}",
        },
        {
            "title": "From the best possible",
            "mean": share(plan.gap),
            "interval": "",
            "meaning": "at most: the plan against a bound on all plans",
        },
    ]


def _cells(plan: Plan) -> Table:
    rows = tuple(
        (
            Cell(f"{cell.channel} {cell.tier}"),
            Cell(cell.phase),
            Cell(count(cell.creators), "num"),
            Cell(money(cell.cost), "num"),
            Cell(number(cell.effect), "num", interval(cell.low, cell.high) if cell.creators else ""),
        )
        for cell in plan.cells
        if cell.cost > 0
    )
    caption = "Small type: 80 % interval. Money of phases that are over is counted in its cells."
    return Table(caption, ("Channel, tier", "Phase", "Creators", f"Cost, {plan.currency}", "Effect"), rows)


def _creators(plan: Plan) -> Table:
    rows = tuple(
        (
            Cell(one.creator_id, "mono"),
            Cell(one.channel),
            Cell(one.phase),
            Cell(one.tier),
            Cell(money(one.cost), "num"),
            Cell(number(one.effect), "num", interval(one.low, one.high)),
            Cell(number(one.effect / one.cost), "num"),
        )
        for one in plan.choices
    )
    head = ("Creator", "Channel", "Phase", "Tier", f"Cost, {plan.currency}", "Effect", "Effect per cost")
    return Table("Effects of creators alone, before their cell saturates. Small type: 80 % interval.", head, rows)
