"""What must not happen while an experiment runs: tests whose false alarms are bounded, however often one looks.

Each guardrail is looked at in two ways, after every cycle: all cycles together by an always-valid test, and the newest
cycles alone (`crossmix.evaluate.stats.newest`), as a policy that has gone bad hides for weeks behind the good days
before it. A guardrail breaks where one of the intervals lies wholly beyond its threshold.

`Guardrails.false_stops` is the chance that an experiment is ended in which the policy does no harm, over its whole
life: three fifths of it belong to the newest cycles' ROI, the rest in equal parts to the other five tests (`SHARE`).

Where campaigns are in several currencies each guardrail is looked at of all of them together, and of each by itself:
one that goes wrong is not hidden by the others. They share the level (`shares`). The newest cycles' part of it is spent
by the experiment's cycles, so that it holds also where a currency comes later; that of all cycles together is exceeded
by three quarters at most where a second one does, `false_stops` by less than a fifth. Campaigns have no guardrails of
their own (docs/decisions/0013-guardrails-per-currency-none-per-campaign.md).

An arm that goes silent has no ratio: it is caught by a run of cycles in which the policy has nothing and control has
something. Where both sell at a rate in proportion to their weights, such a cycle has a chance of at most
w^(w / (1 - w)) - w^(1 / (1 - w)), w the policy's weight, whatever that rate; a run of n that begins at any of the
planned cycles at most planned times the nth power of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix.config import Guardrails
from crossmix.evaluate.stats.newest import alarmed_by_day, look_levels, newest, windows
from crossmix.evaluate.stats.sequential import Lift, below_by_day, sequential
from crossmix.ledger.outcomes import Array, Outcomes
from crossmix.metrics import METRIC, inside
from serving.experiment.compare import FIGURES, Series, interval, series

BROKEN, HOLDS, UNKNOWN = "broken", "holds", "insufficient data"
SHARE = {
    "roi_drop": (0.08, 0.6),
    "utilisation_drop": (0.08, 0.08),
    "cpa_rise": (0.08, 0.08),
}
"""What all cycles together and the newest ones alone have of the chance of a false stop."""
POOLED = 0.5
"""Part of each that is for all currencies together, where there are several; the rest is theirs, in equal parts."""
FIGURE = {"roi_drop": "roi", "utilisation_drop": "utilisation", "cpa_rise": "cpa"}


@dataclass(frozen=True, slots=True)
class Rail:
    """A guardrail and how it stands."""

    name: str
    """Of the setting, as roi_drop."""
    currency: str | None
    """That it is looked at of alone; `None`: all together, which a single one is."""
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


@dataclass(frozen=True, slots=True, eq=False)
class _Scope:
    """What a guardrail is looked at of: all currencies together, or one in the cycles in which it has campaigns."""

    outcomes: Outcomes
    currency: str | None
    share: float
    """Of the guardrail's level."""
    row: slice
    """Of the currencies."""
    keep_T: NDArray[np.bool_]

    def of(self, name: str) -> Array:
        """A quantity, (C', A, T')."""
        return self.outcomes.by_currency(name)[self.row][:, :, self.keep_T]

    def pairs(self, figure: str) -> Series | str:
        """The pairs of a figure, as its lift is told; or what is missing."""
        top, bottom = FIGURES[figure]
        return series(self.of(top), self.of(bottom), self.outcomes.campaigns_CT[self.row][:, self.keep_T])


def shares(currencies: int) -> tuple[float, float]:
    """What the guardrails over all currencies, and those of each one, have of the level; a single one has it all."""
    return (1.0, 0.0) if currencies < 2 else (POOLED, (1 - POOLED) / currencies)


def rails(outcomes: Outcomes, settings: Guardrails) -> list[Rail]:
    """Every guardrail, judged on the finished cycles: over all currencies, then of each where there are several."""
    every, each = shares(len(outcomes.currencies))
    scopes = [_Scope(outcomes, None, every, slice(None), np.ones(len(outcomes.slot_T), np.bool_))]
    if each > 0:
        scopes += [
            _Scope(outcomes, name, each, slice(c, c + 1), outcomes.campaigns_CT[c] > 0)
            for c, name in enumerate(outcomes.currencies)
        ]
    limits = {
        "roi_drop": 0.0 - settings.roi_drop,
        "utilisation_drop": -settings.utilisation_drop,
        "cpa_rise": settings.cpa_rise,
    }
    return [_rail(name, limit, scope, settings) for name, limit in limits.items() for scope in scopes]


def broken(outcomes: Outcomes, settings: Guardrails) -> str | None:
    """What breaks a guardrail, in a sentence; `None` while all hold."""
    return told(rails(outcomes, settings))


def told(rows: Sequence[Rail]) -> str | None:
    """The first broken guardrail's sentence, with the other currencies that break it alone; `None` while all hold."""
    first = next((rail for rail in rows if rail.verdict == BROKEN), None)
    if first is None:
        return None
    others = [
        rail.currency
        for rail in rows
        if rail.verdict == BROKEN and rail.name == first.name and rail.currency not in (None, first.currency)
    ]
    return first.sentence + (f"; broken in {', '.join(map(str, others))} alone too" if others else "")


def looks(
    name: str, pairs: Series, cycles: int, settings: Guardrails, *, share: float = 1.0, look: int | None = None
) -> list[tuple[int, Lift]]:
    """The intervals that a guardrail looks at after so many cycles, each with the cycles that it is of: all first.

    A chance of a false alarm on one side is half of the two-sided level.

    Args:
        share: what it has of the level (`shares`).
        look: cycles of the experiment, by which the newest cycles' level is spent; absent: `cycles`.
    """
    whole, late = (part * settings.false_stops * share for part in SHARE[name])
    intervals = [(cycles, sequential(pairs.policy_F, pairs.control_F, 2 * whole))]
    lengths = windows(math.ceil(settings.window / pairs.period))
    for length, level in zip(lengths, look_levels(look or cycles, late), strict=True):
        one = newest(pairs.policy_F, pairs.control_F, length, level)
        if one is not None:
            intervals.append((length * pairs.period, one))
    return intervals


def stopped_by_day(
    name: str, policy_RT: Array, control_RT: Array, threshold: float, settings: Guardrails, share: float = 1.0
) -> NDArray[np.bool_]:
    """Whether a guardrail has been broken by each day, (R, T): `looks` after every day, of many experiments at once."""
    whole, late = (part * settings.false_stops * share for part in SHARE[name])
    one, other, limit = policy_RT, control_RT, threshold
    if threshold > 0:  # what rises is what falls the other way round
        one, other, limit = control_RT, policy_RT, 1 / (1 + threshold) - 1
    return below_by_day(one, other, limit, 2 * whole) | alarmed_by_day(one, other, settings.window, late, limit)


def _rail(name: str, threshold: float, scope: _Scope, settings: Guardrails) -> Rail:
    outcomes, figure = scope.outcomes, FIGURE[name]
    metric, many = METRIC[figure], int(scope.keep_T.sum())
    above, where = metric.direction == "less", f" in {scope.currency}" if scope.currency else ""
    run = _silence(scope.of(metric.numerator))
    enough = _enough(outcomes, settings.false_stops * SHARE[name][0] * scope.share)
    if not above and run >= enough:
        reported = scope.of("impressions")[:, 0, -run:].sum() > 0
        detail = (
            f"the policy arm had no {metric.numerator}{where} in its last {run} cycles while control had in each; "
            f"{enough} on end end the experiment"
        )
        if not reported:
            detail += "; it had no impression either: its feedback may be missing"
        return Rail(name, scope.currency, figure, threshold, -1.0, None, None, run, BROKEN, detail)
    pairs = scope.pairs(figure)
    if isinstance(pairs, str):
        missing = f"in {scope.currency}: {pairs}" if scope.currency else pairs
        return Rail(name, scope.currency, figure, threshold, None, None, None, many, UNKNOWN, missing)
    intervals = looks(name, pairs, many, settings, share=scope.share, look=len(outcomes.slot_T))
    bad = [(cycles, one) for cycles, one in intervals if (one.low > threshold if above else one.high < threshold)]
    cycles, one = bad[0] if bad else intervals[0]
    when = f"after {cycles} cycles" if cycles == many else f"in the newest {cycles} cycles"
    if scope.currency is None and len(outcomes.currencies) > 1:
        where = " over all currencies"
    limit = f"{'above' if above else 'below'} {threshold:.0%}"
    ends = (one.low if one.low > -1 else None, one.high if math.isfinite(one.high) else None)
    detail = (
        f"the policy's {inside(figure)}{where} is {interval(one.lift, *ends)} against control's {when}, "
        f"{'' if bad else 'not '}wholly {limit}{'' if bad else '; nor are the newest cycles alone'}"
    )
    verdict = BROKEN if bad else HOLDS
    return Rail(name, scope.currency, figure, threshold, one.lift, *ends, cycles, verdict, detail)


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
    if not 0 < once < 1:
        # Of hardly any users silence is always luck, of nearly all of them never: the two ends of floating point.
        return 2 if weight > 0.5 else outcomes.experiment.days + 1
    return max(math.ceil(math.log(chance / outcomes.experiment.days) / math.log(once)), 2)
