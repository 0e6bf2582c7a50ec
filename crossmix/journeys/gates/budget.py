"""Spend never passes a budget, at prices that nothing was fitted on and that are told once they are paid."""

from __future__ import annotations

from crossmix.journeys.allocate import ROUNDING
from crossmix.journeys.gates.case import CRITERIA, Case, Rows
from crossmix.journeys.gates.played import RESPONSE
from crossmix.verdicts import FAIL, PASS, Criterion


def budget(case: Case) -> Rows:
    """Largest spend over its budget, of every campaign and of every group that played."""
    spent = {f"campaign {name}": one.share for name, one in case.paced.items()}
    for number, block in enumerate(case.blocks):
        played = block.of(RESPONSE)
        spent[f"group {number}"] = played.cost / played.budget
    most, least = (pick(spent, key=lambda name: spent[name]) for pick in (max, min))
    verdict = PASS if spent[most] <= 1 + ROUNDING else FAIL
    paid, expected = (sum(getattr(one, of) for one in case.paced.values()) for of in ("spend", "expected"))
    dearer = f"; test users' prices were {paid / expected:.1%} of the expected" if expected > 0 else ""
    detail = (
        f"{most} the most, {least} the least ({spent[least]:.1%}), {sum(spent.values()) / len(spent):.1%} spent on "
        f"average of {len(spent)} budgets{dearer}"
    )
    yield case.gate("journey.budget", spent[most], "<= 1 of the budget", verdict, detail)


CRITERIA.register(Criterion(name="journey.budget", judge=budget))
