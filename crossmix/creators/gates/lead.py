"""Whether plans give more than the template whose leftovers are spent, by effects that neither planner has seen."""

from __future__ import annotations

from crossmix.artifacts.creators import LEFTOVERS
from crossmix.creators.gates.case import CRITERIA, Case, Rows
from crossmix.creators.gates.played import lead_over
from crossmix.verdicts import FAIL, INSUFFICIENT, PASS, Criterion


def lead(case: Case) -> Rows:
    """Mean ratio of effects over briefs; its 95 % interval must lie above 1."""
    if not all(one.judged for one in case.played):
        yield case.gate("creators.lead", None, "interval above 1", INSUFFICIENT, f"judged {case.judged_by}")
        return
    mean, low, high = lead_over(case.played, LEFTOVERS, case.settings.briefs.bootstrap)
    detail = f"effect over the template's with leftovers spent, 95 % interval {low:.3f} to {high:.3f}, {case.judged_by}"
    yield case.gate("creators.lead", mean, "interval above 1", PASS if low > 1 else FAIL, detail)


CRITERIA.register(Criterion(name="creators.lead", judge=lead))
