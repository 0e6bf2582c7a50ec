"""How much of the dual bound plans reach, by expected effects: on average, and of the worst brief."""

from __future__ import annotations

import numpy as np

from crossmix.creators.gates.case import CRITERIA, Case, Rows
from crossmix.verdicts import FAIL, PASS, Criterion


def gap(case: Case) -> Rows:
    """Mean and least share of the bound."""
    share_N, limits = np.asarray([one.share for one in case.played]), case.settings.gates
    worst = case.played[int(np.argmin(share_N))]
    for name, value, limit, detail in (
        ("mean", float(share_N.mean()), limits.share, f"over {len(share_N)} briefs; no plan can give more than 1"),
        ("least", float(share_N.min()), limits.least_share, f"{worst.name}, budget {worst.budget:,.0f}"),
    ):
        yield case.gate(f"creators.gap.{name}", value, f">= {limit:g}", PASS if value >= limit else FAIL, detail)


CRITERIA.register(Criterion(name="creators.gap", judge=gap))
