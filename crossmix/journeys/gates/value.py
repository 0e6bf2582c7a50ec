"""What choosing channels and users earns: in a planted world of known answers, or told by logged propensities.

| row                        | shown                                                                                   |
|----------------------------|-----------------------------------------------------------------------------------------|
| `journey.value.log`        | revenue per cost surely above the log's policy                                          |
| `journey.value.eq17`       | the same, above eq. 17's                                                                |
| `journey.value.spent`      | at least `SPENT` of the budget: who buys the few best users alone wins any such contest |
| `journey.value.own_clicks` | lead over one best channel with users ranked by own clicks; reported, not required      |

All spend the same budget, so that no share of it is traded for better users: the log's policy and eq. 17's spend it
whole, and the model has to as well. A ranking by own clicks comes near the model where whom to show an ad at all is
most of what there is to gain; the lead over it is told so that nobody takes the other two for more than they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from crossmix.evaluate.stats.off_policy import ENOUGH
from crossmix.journeys.gates.case import CRITERIA, Case, Rows
from crossmix.journeys.gates.played import EQ17, LOG, ORACLE, OWN_CLICKS, RESPONSE, Block, lead, per_cost, spent
from crossmix.journeys.logged import ROBUST, SNIPS, Logged
from crossmix.journeys.score import Figure
from crossmix.verdicts import FAIL, INSUFFICIENT, PASS, Criterion, Gate

SPENT = 0.95
"""Least share of the budget."""
ABOVE = "95 % interval above 0"
RIVALS = (("journey.value.log", LOG), ("journey.value.eq17", EQ17), ("journey.value.own_clicks", OWN_CLICKS))


def value(case: Case) -> Rows:
    """Revenue per cost of the response model against its rivals', and what it spent; without either way unknown."""
    if case.blocks:
        yield from _played(case, case.blocks)
    elif case.logged is not None:
        yield from _told(case, case.logged)
    else:
        why = (
            "the log does not say with which chance it took its channel, so nobody can tell what another choice would "
            f"have earned. It takes propensities (column propensity) and some {ENOUGH:g} exposures, weighted by how "
            "far the two policies agree: log the chances of a policy that explores"
        )
        yield case.gate("journey.value", None, "above the log's policy and eq. 17", INSUFFICIENT, why)


def _played(case: Case, blocks: Sequence[Block]) -> Rows:
    own, oracle = per_cost(blocks, RESPONSE), per_cost(blocks, ORACLE)
    for name, other in RIVALS:
        found, theirs = lead(blocks, other), per_cost(blocks, other)
        detail = (
            f"revenue per cost {own.value:.3f} against {theirs.value:.3f}, of the oracle's {oracle.value:.3f}; lead "
            f"{_shown(found)} over {len(blocks)} groups of test users, planted world{_aside(other)}"
        )
        row = case.reported if other == OWN_CLICKS else case.gate
        yield row(name, found.value, ABOVE, PASS if found.low > 0 else FAIL, detail)
    share, least = spent(blocks, RESPONSE)
    detail = f"of all groups' budgets together, {least:.1%} in the group that spent least"
    yield case.gate(
        "journey.value.spent", share, f">= {SPENT:g} of the budget", PASS if share >= SPENT else FAIL, detail
    )


def _told(case: Case, logged: Logged) -> Rows:
    own = logged.policies.get(RESPONSE)
    if own is None or EQ17 not in logged.policies or not own.enough:
        held = "none" if own is None else f"an effective sample of {own.effective:.0f}"
        needed = "" if own is None else f"; {own.needed:,} exposures at this overlap are needed"
        why = f"{logged.exposures:,} exposures with a propensity hold {held} of what the model would choose{needed}"
        yield case.gate("journey.value", None, "above the log's policy and eq. 17", INSUFFICIENT, why)
        return
    for name, other in RIVALS:
        if other == OWN_CLICKS and other not in logged.policies:
            continue
        robust, snips = (logged.lead(RESPONSE, other, by) for by in (ROBUST, SNIPS))
        detail = (
            f"lead in revenue per cost, {ROBUST} {_shown(robust)}, {SNIPS} {_shown(snips)}; the model's "
            f"{own.per_cost[ROBUST].value:.3f}, the log's {logged.log.value:.3f}; {logged.exposures:,} exposures with "
            f"a propensity, an effective sample of {own.effective:.0f}{_aside(other)}"
        )
        row = case.reported if other == OWN_CLICKS else case.gate
        verdict = PASS if min(robust.low, snips.low) > 0 else FAIL
        yield row(name, robust.value, f"both {ABOVE}", verdict, detail)
    yield _spent(case, own.spent, logged.exposures)


def _spent(case: Case, spent: Figure, exposures: int) -> Gate:
    """By propensities: surely too little, or surely more than there is, fails; neither sure, unknown."""
    name, asked = "journey.value.spent", f">= {SPENT:g} of the budget, interval, and not above it"
    half, widest = (spent.high - spent.low) / 2, case.settings.gates.widest
    detail = f"{ROBUST}, {spent.value:.3f} [{spent.low:.3f}, {spent.high:.3f}]; lambda was set on expected costs"
    if spent.high < SPENT or spent.low > 1:
        return case.gate(name, spent.value, asked, FAIL, detail)
    room = min(widest, spent.value - SPENT)
    if spent.low >= SPENT and half <= widest:
        return case.gate(name, spent.value, asked, PASS, detail)
    lacks = f"; more exposures with a propensity tell whether it is {SPENT:g}"
    if room > 0:
        more = max(math.ceil(exposures * (half / room) ** 2) - exposures, 1)
        lacks = f"; some {more:,} exposures with a propensity are missing for an interval of +- {room:.3f}"
    return case.gate(name, None, asked, INSUFFICIENT, detail + lacks)


def _shown(one: Figure) -> str:
    return f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"


def _aside(other: str) -> str:
    if other != OWN_CLICKS:
        return ""
    return ". One best channel, users ranked by own clicks: reported, not required"


CRITERIA.register(Criterion(name="journey.value", judge=value))
