"""What must not happen while an experiment runs: always-valid tests, so that looking every minute is safe.

Each guardrail asks whether the whole always-valid interval of a lift lies beyond its threshold; its chance of a false
alarm, over all looks together, is at most the experiment's level. An arm that goes silent has no ratio: it is caught
by a run of cycles in which the policy has nothing and control has something, each of which is at most as likely as not
where the policy does no harm; a run of n, begun at any of the planned cycles, has a chance below planned x 2^-n.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from crossmix.config import Guardrails
from crossmix.evaluate.stats.sequential import Lift, sequential
from crossmix.ledger.outcomes import Array, Outcomes
from crossmix.metrics import METRIC, inside
from serving.experiment.compare import figures, of_arms

BROKEN, HOLDS, UNKNOWN = "broken", "holds", "insufficient data"


@dataclass(frozen=True, slots=True)
class Rail:
    """A guardrail and how it stands."""

    name: str
    """Of the setting, as roi_drop."""
    figure: str
    threshold: float
    """Relative; negative: the lift must not lie wholly below it, positive: not wholly above."""
    lift: float | None
    low: float | None
    high: float | None
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
        _rail("roi_drop", "roi", 0.0 - settings.roi_drop, outcomes),
        _rail("utilisation_drop", "utilisation", -settings.utilisation_drop, outcomes),
        _rail("cpa_rise", "cpa", settings.cpa_rise, outcomes),
    ]


def broken(outcomes: Outcomes, settings: Guardrails) -> str | None:
    """The first broken guardrail's sentence."""
    return next((rail.sentence for rail in rails(outcomes, settings) if rail.verdict == BROKEN), None)


def _rail(name: str, figure: str, threshold: float, outcomes: Outcomes) -> Rail:
    level = outcomes.experiment.level
    top_AT, bottom_AT = of_arms(outcomes, figure)
    metric = METRIC[figure]
    above = metric.direction == "less"
    run, enough = _silence(top_AT), math.ceil(math.log2(outcomes.experiment.days / level))
    if not above and run >= enough:
        detail = (
            f"the policy arm had no {metric.numerator} in its last {run} cycles while control had in each; "
            f"{enough} on end end the experiment"
        )
        return Rail(name, figure, threshold, -1.0, None, None, BROKEN, detail)
    figured = figures(top_AT, bottom_AT)
    if isinstance(figured, str):
        return Rail(name, figure, threshold, None, None, None, UNKNOWN, figured)
    policy_F, control_F = figured[1]
    lift: Lift = sequential(policy_F, control_F, level)
    bad = lift.low > threshold if above else lift.high < threshold
    high = f"{lift.high:+.1%}" if math.isfinite(lift.high) else "unbounded"
    limit = f"{'above' if above else 'below'} {threshold:.0%}"
    detail = (
        f"the policy's {inside(figure)} is {lift.lift:+.1%} [{lift.low:+.1%}, {high}] against control's "
        f"after {len(outcomes.slot_T)} cycles, {'' if bad else 'not '}wholly {limit}"
    )
    ends = (lift.low if lift.low > -1 else None, lift.high if math.isfinite(lift.high) else None)
    return Rail(name, figure, threshold, lift.lift, *ends, BROKEN if bad else HOLDS, detail)


def _silence(top_AT: Array) -> int:
    """Newest cycles on end in which the policy has nothing and control has something."""
    silent_T = (top_AT[0] <= 0) & (top_AT[1] > 0)
    loud_T = np.flatnonzero(~silent_T)
    return len(silent_T) - (int(loud_T[-1]) + 1 if len(loud_T) else 0)
