"""What choosing channels and users earns: in a planted world of known answers, or told by logged propensities."""

from __future__ import annotations

from crossmix.journeys.gates.case import CRITERIA, Case, Rows
from crossmix.journeys.gates.played import EQ17, LOG, ORACLE, RESPONSE, lead, per_cost
from crossmix.verdicts import FAIL, INSUFFICIENT, PASS, Criterion

CLICKS = 50
"""Effective sample size below which an estimate by propensities is not believed (`evaluate/stats/off_policy.py`)."""


def value(case: Case) -> Rows:
    """Revenue per cost above the log's policy's and above eq. 17's, surely; without a world or propensities unknown."""
    if not case.blocks:
        why = (
            "the log does not say with which chance it took its channel, so nobody can tell what another choice would "
            f"have earned. It takes propensities and some {CLICKS} exposures, weighted by how far the two policies "
            "agree: log the chances of a policy that explores"
        )
        yield case.gate("journey.value", None, "above the log's policy and eq. 17", INSUFFICIENT, why)
        return
    own, oracle = per_cost(case.blocks, RESPONSE), per_cost(case.blocks, ORACLE)
    for name, other in (("journey.value.log", LOG), ("journey.value.eq17", EQ17)):
        found, theirs = lead(case.blocks, other), per_cost(case.blocks, other)
        detail = (
            f"revenue per cost {own.value:.3f} against {theirs.value:.3f}, of the oracle's {oracle.value:.3f}; lead "
            f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}] over {len(case.blocks)} groups of test users, "
            "planted world"
        )
        yield case.gate(name, found.value, "95 % interval above 0", PASS if found.low > 0 else FAIL, detail)


CRITERIA.register(Criterion(name="journey.value", judge=value))
