"""What must not happen while an experiment runs: tests whose false alarms are bounded, however often one looks.

Each guardrail is looked at in two ways, after every cycle: all cycles together by an always-valid test, and the newest
cycles alone (`crossmix.evaluate.stats.newest`), as a policy that has gone bad hides for weeks behind the good days
before it. A guardrail breaks where one of the intervals lies wholly beyond its threshold.

`Guardrails.false_stops` is the chance that an experiment is ended in which the policy does no harm, over its whole
life: three fifths of it belong to the newest cycles' ROI, the rest in equal parts to the other five tests (`SHARE`).

An arm that goes silent has no ratio: it is caught by a run of cycles in which the policy has nothing and control has
something. Where both sell at a rate in proportion to their weights, such a cycle has a chance of at most
w^(w / (1 - w)) - w^(1 / (1 - w)), w the policy's weight, whatever that rate; a run of n that begins at any of the
planned cycles at most planned times the nth power of it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix.config import Guardrails
from crossmix.evaluate.stats.newest import alarmed_by_day, look_levels, newest, windows
from crossmix.evaluate.stats.sequential import Lift, below_by_day, sequential
from crossmix.ledger.outcomes import Array, Outcomes
from crossmix.metrics import METRIC, inside
from serving.experiment.compare import FIGURES, Series, interval, of_outcomes

BROKEN, HOLDS, UNKNOWN = "broken", "holds", "insufficient data"
SHARE = {
    "roi_drop": (0.08, 0.6),
    "utilisation_drop": (0.08, 0.08),
    "cpa_rise": (0.08, 0.08),
}
"""What all cycles together and the newest ones alone have of the chance of a false stop."""


@dataclass(frozen=True, slots=True)
class Rail:
    """A guardrail and how it stands."""

    name: str
    """Of the setting, as roi_drop."""
    figure: str
    threshold: float
    """Relative; negative: the lift must not lie wholly below it, positive: not wholly above."""
    lift: float | None
    """Of the interval that broke it, else of all cycles together."""
    low: float | None
    high: float | None
    cycles: int
    """That the lift is of."""
    verdict: str
    detail: str
    """How it stands, in words."""

    @property
    def sentence(self) -> str:
        """The same where nothing else names it."""
        return f"guardrail {self.name}: {self.detail}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"sentence": self.sentence}


def rails(outcomes: Outcomes, settings: Guardrails) -> list[Rail]:
    """Every guardrail, judged on the finished cycles."""
    return [
        _rail("roi_drop", "roi", 0.0 - settings.roi_drop, outcomes, settings),
        _rail("utilisation_drop", "utilisation", -settings.utilisation_drop, outcomes, settings),
        _rail("cpa_rise", "cpa", settings.cpa_rise, outcomes, settings),
    ]


def broken(outcomes: Outcomes, settings: Guardrails) -> str | None:
    """The first broken guardrail's sentence."""
    return next((rail.sentence for rail in rails(outcomes, settings) if rail.verdict == BROKEN), None)


def looks(name: str, pairs: Series, cycles: int, settings: Guardrails) -> list[tuple[int, Lift]]:
    """The intervals that a guardrail looks at after so many cycles, each with the cycles that it is of: all first.

    A chance of a false alarm on one side is half of the two-sided level.
    """
    whole, late = (part * settings.false_stops for part in SHARE[name])
    intervals = [(cycles, sequential(pairs.policy_F, pairs.control_F, 2 * whole))]
    lengths = windows(math.ceil(settings.window / pairs.period))
    for length, level in zip(lengths, look_levels(cycles, late), strict=True):
        one = newest(pairs.policy_F, pairs.control_F, length, level)
        if one is not None:
            intervals.append((length * pairs.period, one))
    return intervals


def stopped_by_day(
    name: str, policy_RT: Array, control_RT: Array, threshold: float, settings: Guardrails
) -> NDArray[np.bool_]:
    """Whether a guardrail has been broken by each day, (R, T): `looks` after every day, of many experiments at once."""
    whole, late = (part * settings.false_stops for part in SHARE[name])
    one, other, limit = policy_RT, control_RT, threshold
    if threshold > 0:  # what rises is what falls the other way round
        one, other, limit = control_RT, policy_RT, 1 / (1 + threshold) - 1
    return below_by_day(one, other, limit, 2 * whole) | alarmed_by_day(one, other, settings.window, late, limit)


def _rail(name: str, figure: str, threshold: float, outcomes: Outcomes, settings: Guardrails) -> Rail:
    metric = METRIC[figure]
    above = metric.direction == "less"
    top_AT = outcomes.by_currency(FIGURES[figure][0])
    run, enough = _silence(top_AT), _enough(outcomes, settings.false_stops * SHARE[name][0])
    if not above and run >= enough:
        reported = outcomes.by_currency("impressions")[:, 0, -run:].sum() > 0
        detail = (
            f"the policy arm had no {metric.numerator} in its last {run} cycles while control had in each; "
            f"{enough} on end end the experiment"
        )
        if not reported:
            detail += "; it had no impression either: its feedback may be missing"
        return Rail(name, figure, threshold, -1.0, None, None, run, BROKEN, detail)
    pairs = of_outcomes(outcomes, figure)
    if isinstance(pairs, str):
        return Rail(name, figure, threshold, None, None, None, len(outcomes.slot_T), UNKNOWN, pairs)
    intervals = looks(name, pairs, len(outcomes.slot_T), settings)
    bad = [(cycles, one) for cycles, one in intervals if (one.low > threshold if above else one.high < threshold)]
    cycles, one = bad[0] if bad else intervals[0]
    when = f"after {cycles} cycles" if cycles == len(outcomes.slot_T) else f"in the newest {cycles} cycles"
    limit = f"{'above' if above else 'below'} {threshold:.0%}"
    ends = (one.low if one.low > -1 else None, one.high if math.isfinite(one.high) else None)
    detail = (
        f"the policy's {inside(figure)} is {interval(one.lift, *ends)} against control's {when}, "
        f"{'' if bad else 'not '}wholly {limit}{'' if bad else '; nor are the newest cycles alone'}"
    )
    return Rail(name, figure, threshold, one.lift, *ends, cycles, BROKEN if bad else HOLDS, detail)


def _silence(top_CAT: Array) -> int:
    """Newest cycles on end in which the policy has nothing and control has something, in any currency."""
    top_AT = np.asarray((top_CAT > 0).any(0), np.bool_)
    silent_T = ~top_AT[0] & top_AT[1]
    loud_T = np.flatnonzero(~silent_T)
    return len(silent_T) - (int(loud_T[-1]) + 1 if len(loud_T) else 0)


def _enough(outcomes: Outcomes, chance: float) -> int:
    """Silent cycles on end that luck does not explain."""
    # A canary has a part of the policy's users: the fewer they are, the likelier is luck.
    weight = float((outcomes.part_AT[0] / outcomes.part_AT.sum(0)).min(initial=outcomes.experiment.weights["policy"]))
    if not 0 < weight < 1:
        return outcomes.experiment.days + 1  # nothing to compare: one arm serves everybody
    once = weight ** (weight / (1 - weight)) - weight ** (1 / (1 - weight))
    return max(math.ceil(math.log(chance / outcomes.experiment.days) / math.log(once)), 2)
