"""How much of the dual bound plans reach, by expected effects: on average, and of the worst brief.

Where it is too little the row says what can be done.
"""

from __future__ import annotations

import numpy as np

from crossmix.creators.gates.case import CRITERIA, Case, Rows
from crossmix.verdicts import FAIL, PASS, Criterion

OTHERWISE = {
    "solver": "give the solver longer by creators.solver.seconds",
    "ddpg": "the walk plans less than the solver does: plan with creators.agent=solver",
}
"""What to do where too little of the bound is reached, by agent."""


def gap(case: Case) -> Rows:
    """Mean and least share of the bound."""
    share_N, limits = np.asarray([one.share for one in case.played]), case.settings.gates
    other = OTHERWISE[case.settings.agent]
    worst = case.played[int(np.argmin(share_N))]
    for name, setting, value, limit, detail in (
        ("mean", "share", share_N.mean(), limits.share, f"over {len(share_N)} briefs; no plan can give more than 1"),
        ("least", "least_share", share_N.min(), limits.least_share, f"{worst.name}, budget {worst.budget:,.0f}"),
    ):
        verdict = PASS if value >= limit else FAIL
        if verdict == FAIL:
            detail += f"; {other}, or ask for less by creators.gates.{setting}, which the bundle's gates then say"
        yield case.gate(f"creators.gap.{name}", float(value), f">= {limit:g}", verdict, detail)


CRITERIA.register(Criterion(name="creators.gap", judge=gap))
