"""Spend never passes a budget."""

from __future__ import annotations

from crossmix.journeys.allocate import ROUNDING
from crossmix.journeys.gates.case import CRITERIA, Case, Rows
from crossmix.journeys.gates.played import RESPONSE
from crossmix.verdicts import FAIL, PASS, Criterion


def budget(case: Case) -> Rows:
    """Largest spend over its budget, of every campaign and of every group that played."""
    spent = {f"campaign {name}": share for name, share in case.paced.items()}
    for number, block in enumerate(case.blocks):
        played = block.of(RESPONSE)
        spent[f"group {number}"] = played.cost / played.budget
    where = max(spent, key=lambda name: spent[name])
    verdict = PASS if spent[where] <= 1 + ROUNDING else FAIL
    detail = f"{where}, of {len(spent)} budgets; they spent {sum(spent.values()) / len(spent):.1%} on average"
    yield case.gate("journey.budget", spent[where], "<= 1 of the budget", verdict, detail)


CRITERIA.register(Criterion(name="journey.budget", judge=budget))
