"""The decision, of a spend history: how sure the answer about each campaign is, and the split beside today's."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crossmix.evaluate.decision.standing import idle, per_cycle, probability, standing
from crossmix.pages.format import THIN, change, interval, money, prose, share, signed
from crossmix.pages.table import Cell, Table
from crossmix.report.section import SECTIONS, Section, markup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from crossmix.artifacts import CampaignDecision, Decision, GateTable
    from crossmix.evaluate.decision.standing import Standing
    from crossmix.report.inputs import ReportInputs

KINDS = {"proved": "pass", "plausible": "insufficient-data", "not enough": "fail"}
"""CSS class of the chip of a standing's word."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A campaign's decision and how far to trust it."""

    own: CampaignDecision
    standing: Standing

    @property
    def runs(self) -> bool:
        """Whether the campaign spends anything today."""
        return self.own.ended is None


@dataclass(frozen=True, slots=True)
class Line:
    """A campaign's standing in one line."""

    campaign: str
    word: str
    kind: str
    """CSS class of the word's chip."""
    text: str


def answers(gates: GateTable | None, decision: Decision | None) -> list[Answered]:
    """Of every campaign of a judged spend history, those that ended last; of impressions none."""
    if gates is None or decision is None:
        return []
    found = [Answered(one, standing(gates.gates, decision, one.campaign)) for one in decision.campaigns]
    return sorted(found, key=lambda one: not one.runs)


def headline(found: Sequence[Answered]) -> str:
    """What to do, in one sentence; `found` holds a campaign at least."""
    running = [one for one in found if one.runs]
    if not running:
        return "Every campaign has ended: there is nothing to split."
    if len(running) == 1:
        return _does(running[0])
    counts = Counter[str](one.standing.word for one in running)
    told = ", ".join(f"{counts[word]} {word}" for word in KINDS if counts[word])
    kept = sum(one.standing.keep for one in running)
    return f"Of {len(running)} campaigns: {told}.{f' Keep today’s split of {kept}.' if kept else ''}"


def _does(one: Answered) -> str:
    """What to do about a campaign that runs."""
    trusted = one.standing
    hardly = one.own.withheld is None and idle(one.own)
    if trusted.word == "proved":
        return "Change the split: the recommended one is proved to earn more than today’s."
    if trusted.keep:
        doubted = "it can hardly be bettered" if hardly else "the fit’s best one is likelier to lose than to gain"
        return f"Keep today’s split: {doubted}."
    if hardly:
        return "Today’s split can hardly be bettered."
    if trusted.word == "plausible":
        return "A better split is plausible, and not proved."
    return f"Not enough is known to change the split{': test first' if trusted.first_test else ''}."


def lines(found: Sequence[Answered], decision: Decision) -> list[Line]:
    """The standing of each campaign; nothing is expected of those that ended."""
    return [
        Line(
            one.own.campaign, one.standing.word.upper(), KINDS[one.standing.word], f"{_does(one)} {gain(one, decision)}"
        )
        if one.runs
        else Line(one.own.campaign, "ENDED", "none", f"ended on {one.own.ended}; 0 for the next cycle.")
        for one in found
    ]


def gain(one: Answered, decision: Decision) -> str:
    """What the split beside today's should earn more, with its interval of probability 2 `sure` - 1."""
    own = one.own
    part = f" ({change(own.gain / own.revenue)})" if own.revenue > 0 else ""
    split = "It" if one.standing.word == "proved" else "The fit’s best split"
    sure = f"{100 * (2 * decision.sure - 1):.3g}{THIN}%"
    return (
        f"{split} earns {signed(own.gain)} {decision.currency} {per_cycle(decision.cycle_hours)} "
        f"against as today{part}, {sure} interval {interval(*own.gain_interval, signed)}, more with probability "
        f"{probability(own.probability)}."
    )


def splits(one: Answered, decision: Decision) -> Table:
    """Today's split beside the one that was judged: a row per platform, the largest of today first."""
    own = one.own
    today, other = "Today", "By the fit, not proved"
    if one.standing.word == "proved":
        other = "Recommended"
    elif one.standing.keep:
        today, other = "Today: keep it", "By the fit alone, not recommended"
    rows: list[tuple[Cell, ...]] = [
        (
            Cell(row.platform, "", "" if row.tried else "never tried"),
            Cell(share(row.today), "num"),
            Cell(money(own.budget * row.today), "num"),
            Cell(share(row.best), "num"),
            Cell(money(own.budget * row.best), "num"),
            Cell(_more(own.budget * (row.best - row.today)), "num"),
        )
        for row in sorted(own.platforms, key=lambda row: -row.today)
    ]
    total = [("num", share(1)), ("num", money(own.budget))] * 2
    rows.append((Cell("together"), *(Cell(text, kind) for kind, text in total), Cell("", "num")))
    coming = "splits the coming cycle, with the drift that the policy sees in it, so that its shares may be others"
    if not own.proved and any(other.proved for other in decision.campaigns):
        coming = "keeps today’s split to one point, as only of other campaigns a change was proved"
    elif one.standing.keep:
        coming = "keeps today’s split"
    return Table(
        f"Amounts in {decision.currency} {per_cycle(decision.cycle_hours)}. crossmix allocate OUT {coming}.",
        ("", "Share", "Amount", "Share", "Amount", "Difference"),
        tuple(rows),
        ((today, 2), (other, 2), ("", 1)),
    )


def _more(amount: float) -> str:
    return f"+{money(amount)}" if amount >= 0.005 else money(amount)


def _body(inputs: ReportInputs) -> Markup | None:
    found = answers(inputs.gates, inputs.decision)
    if inputs.decision is None or not found:
        return None
    return markup(
        "decision.html.j2",
        running=[
            (
                one.own.campaign,
                one.standing,
                KINDS[one.standing.word],
                prose(one.standing.reason),
                None if one.standing.first_test is None else prose(one.standing.first_test),
                splits(one, inputs.decision),
            )
            for one in found
            if one.runs
        ],
        ended=[(one.own.campaign, one.own.ended) for one in found if not one.runs],
    )


DECISION = SECTIONS.register(Section(name="decision", order=5, title="The decision", link="Decision", body=_body))
