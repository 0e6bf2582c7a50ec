"""Whether a canary loses against the policy: one guardrail on ROI, whose false stops are bounded over the whole canary.

Both arms are the policy's users, told apart by their bucket alone, in the same cycles: canary and policy are paired by
cycle, within each currency; currencies are pooled on the log-ratio (`serving.experiment.compare.series`). The test
knows that the canary is small, and how much figures vary from what the experiment's arms showed before
(`crossmix.evaluate.stats.unequal`). Three fifths of `serving.canary.false_stops` are its own, on the losing side; a
fifth belongs to an arm that sells nothing at all, and a fifth is kept back for what few sales are less normal by.

A silent canary has no ratio: it is caught by newest cycles on end without revenue, in which the policy had so many
conversions that the canary should have had some. Conversions are taken to come in clumps of `CLUMP`.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from crossmix import terms
from crossmix.evaluate.stats import unequal
from crossmix.evaluate.stats.sequential import summed
from crossmix.ledger import canaries, experiments
from crossmix.ledger.canaries import Canary
from crossmix.ledger.experiments import Experiment
from crossmix.ledger.outcomes import Array, Outcomes
from crossmix.ledger.outcomes_read import of_arms, read
from crossmix.ledger.store import Store
from crossmix.metrics import ARMS, CANARY
from serving.experiment.compare import Series, interval, of_outcomes
from serving.experiment.guardrails import BROKEN, HOLDS, UNKNOWN

POLICY = ARMS[0]
WHOLE, SILENT = 0.6, 0.2
"""Parts of the chance of a false stop: of the test of ROI, and of a silent arm."""
CLUMP = 4.0
"""Conversions that come together: so many fewer independent ones there are."""
MOST_CYCLES = 100_000
"""A canary waits for feedback, however long."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a canary stands."""

    verdict: str
    """broken, holds, insufficient data."""
    detail: str
    """In words."""
    lift: float | None
    """Of its ROI over the policy's, relative."""
    low: float | None
    high: float | None
    cycles: int
    """Finished with feedback, since it began."""
    of_step: int
    """Of those, the ones that began in the step that runs."""
    earlier: int
    """Degrees of freedom that cycles before it told of the noise."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def standing(store: Store, canary: Canary, now: datetime) -> Standing:
    """How a canary stands by the cycles that have finished; raises `StoreAwayError`."""
    outcomes = delivered(store, canary, now)
    return judged(outcomes, canary, noise_before(store, canary))


def delivered(store: Store, canary: Canary, now: datetime) -> Outcomes:
    """What canary and policy delivered in the cycles of the canary, of all campaigns; raises `StoreAwayError`."""
    begun, trials = experiments.load_all(store), canaries.load_all(store)

    def parts(begins: datetime) -> tuple[float, ...]:
        return tuple(terms.part(begun, arm, begins, trials) for arm in (CANARY, POLICY))

    own = Experiment(
        f"canary {canary.id}", "", {}, canary.began, MOST_CYCLES, 2 * WHOLE * canary.false_stops, canary.ended, None,
        None, begun[-1].cycle_hours if begun else None,
    )  # fmt: skip
    return of_arms(store, own, now, (CANARY, POLICY), parts)


def noise_before(store: Store, canary: Canary) -> unequal.Before:
    """What the experiment's arms told of the noise of a cycle until the canary began; raises `StoreAwayError`."""
    begun = [one for one in experiments.load_all(store) if one.started <= canary.began]
    if not begun or min(begun[-1].weights.get(arm, 0.0) for arm in ARMS) <= 0:
        return unequal.NOTHING
    past = replace(begun[-1], ended=min(begun[-1].ended or canary.began, canary.began))
    outcomes = read(store, past, canary.began)
    pairs = of_outcomes(outcomes, "roi")
    if isinstance(pairs, str):
        return unequal.NOTHING
    return unequal.before(_ratio(pairs), unequal.noise(_parts(outcomes, pairs), pairs.period))


def judged(outcomes: Outcomes, canary: Canary, known: unequal.Before) -> Standing:
    """The same, from what was delivered."""
    cycles = len(outcomes.slot_T)
    share_T = outcomes.part_AT[0] / np.maximum(outcomes.part_AT.sum(0), 1e-12)
    of_step = int((share_T >= canary.parts[canary.step] - 1e-6).sum())
    rest = {"cycles": cycles, "of_step": of_step, "earlier": known.degrees}
    silent = _silent(outcomes, canary)
    if silent is not None:
        return Standing(BROKEN, silent, -1.0, None, None, **rest)
    pairs = of_outcomes(outcomes, "roi")
    if isinstance(pairs, str):
        return Standing(UNKNOWN, pairs, None, None, None, **rest)
    level = 2 * WHOLE * canary.false_stops
    one = unequal.unequal(_ratio(pairs), _parts(outcomes, pairs), level, known, pairs.period)
    bad = one.high < -canary.roi_drop
    ends = (one.low if one.low > -1 else None, one.high if math.isfinite(one.high) else None)
    detail = (
        f"the canary's ROI is {interval(one.lift, *ends)} against the policy's after {cycles} cycles, "
        f"{'' if bad else 'not '}wholly below {0.0 - canary.roi_drop:.0%}"
    )
    return Standing(BROKEN if bad else HOLDS, detail, one.lift, *ends, **rest)


def _ratio(pairs: Series) -> Array:
    return np.asarray(np.log(pairs.policy_F / pairs.control_F), float)


def _parts(outcomes: Outcomes, pairs: Series) -> Array:
    """The arms' parts of the users in each figure of `pairs`, (F, 2)."""
    campaigns_CF = summed(np.delete(outcomes.campaigns_CT, pairs.left_out, axis=0), pairs.period)
    part_FA = summed(outcomes.part_AT, pairs.period).T / pairs.period
    return np.asarray(part_FA[(campaigns_CF > 0).any(0)], float)


def _silent(outcomes: Outcomes, canary: Canary) -> str | None:
    """That the canary has sold nothing for so long that luck does not explain it."""
    some_AT = np.asarray((outcomes.by_currency("revenue") > 0).any(0), np.bool_)
    quiet_T = ~some_AT[0] & some_AT[1]
    run = int(np.argmin(quiet_T[::-1])) if not quiet_T.all() else len(quiet_T)
    if run == 0:
        return None
    part_AT = outcomes.part_AT[:, -run:]
    due = float((outcomes.of("conversions")[1, -run:] * part_AT[0] / part_AT[1]).sum())
    planned = canary.cycles * len(canary.parts)
    if due < CLUMP * math.log(planned / (SILENT * canary.false_stops)):
        return None
    reported = outcomes.of("impressions")[0, -run:].sum() > 0
    missing = "" if reported else "; it had no impression either: its feedback may be missing"
    return (
        f"the canary sold nothing in its newest {run} cycle{'s' * (run != 1)}, in which the policy's sales say "
        f"{due:.0f} conversions{missing}"
    )
