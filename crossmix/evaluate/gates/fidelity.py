"""The gates of the market: deviations by an equivalence test, divergences, the two-sample test (paper 2.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from crossmix.config import Config
from crossmix.evaluate.fidelity.divergence import Divergence
from crossmix.evaluate.fidelity.impressions import LEAST_CONVERSIONS, Comparison, Deviation
from crossmix.evaluate.fidelity.spend_history import NEEDS_IMPRESSIONS
from crossmix.evaluate.fidelity.two_sample import LEAST_CYCLES, LEAST_ROWS, TwoSample, limit
from crossmix.evaluate.gates.case import CRITERIA, Case
from crossmix.evaluate.gates.verdicts import days_more, required_of
from crossmix.verdicts import FAIL, INSUFFICIENT, NOT_APPLICABLE, PASS, Criterion, Gate, is_required


def fidelity(case: Case) -> Iterator[Gate]:
    """The market against the held-out log; what a spend history cannot show does not apply."""
    yield from fidelity_gates(case.config, case.fidelity, plan_from_spend=case.plan_from_spend, need=_need(case))
    if case.aggregate:
        yield from without_impressions(case.config)


class Need(NamedTuple):
    """What the decision of a spend history asks of its market's fidelity."""

    bound: float
    """Largest deviation."""
    days: float
    """Length of the history: a deviation that needs more data is told in days."""


MOST_ALLOWED = 0.25
"""No decision's gain makes a larger deviation acceptable."""


def _need(case: Case) -> Need | None:
    """The gain over the revenue that the change moves: an error of every platform below it leaves the gain above 0."""
    if case.decided is None:
        return None
    bound = min(max(case.decided.margin, case.config.gates.deviation), MOST_ALLOWED)
    return Need(bound, case.decided.test.cycles * case.market.cycle_hours / 24)


def without_impressions(config: Config) -> list[Gate]:
    """The divergences that a spend history cannot show."""
    why = "the log is a spend history: it has no single impression to compare"
    bound = f"KL < {config.gates.divergence:g}"
    names = (f"fidelity.divergence.{quantity}" for quantity in NEEDS_IMPRESSIONS)
    return [
        Gate(name, None, bound, NOT_APPLICABLE, is_required(name, required_of(config, aggregate=True)), why)
        for name in names
    ]


def fidelity_gates(
    config: Config, compared: Comparison, *, plan_from_spend: bool, need: Need | None = None
) -> list[Gate]:
    """The gates of the market: fidelity.campaign.*, fidelity.platform.<name>.*, fidelity.divergence.*.

    `need`: a spend history's, which says how precise its decision needs them.
    """
    settings, names = config.gates, required_of(config, aggregate=need is not None)
    deviation, days = (settings.deviation, None) if need is None else need
    gates = []
    for group, metrics in compared.deviations.items():
        prefix = "fidelity.campaign" if group == "total" else f"fidelity.platform.{group}"
        for metric, item in metrics.items():
            name = f"{prefix}.{metric}"
            required = is_required(name, names)
            gate = equivalence(name, item, deviation, required, days)
            if metric == "spend" and plan_from_spend:
                why = "the log came without a plan: its plan is what it spent"
                gate = Gate(name, None, gate.threshold, NOT_APPLICABLE, required, why)
            gates.append(gate)
    for group, quantities in compared.divergences.items():
        prefix = "fidelity.divergence" if group == "total" else f"fidelity.platform.{group}.divergence"
        for quantity, divergence in quantities.items():
            name = f"{prefix}.{quantity}"
            gates.append(likeness(name, divergence, settings.divergence, is_required(name, names)))
        name = f"{prefix}.two_sample"
        required = is_required(name, names)
        tests = compared.two_sample
        parts = {key: test for key, test in tests.items() if key != "total"} if group == "total" else {}
        gates.append(indistinguishable(name, tests[group], parts, settings.divergence, required))
    return gates


def equivalence(name: str, item: Deviation, bound: float, required: bool, days: float | None = None) -> Gate:
    """Equivalence test: the 95 % interval of a deviation must lie within the bound.

    An interval wholly outside fails, and so does a deviation beyond the bound that is known to within the bound;
    an interval that straddles the bound shows neither, and the verdict says how much data would:
    how many conversions, or how many days more where the log's length is given, days.
    """
    threshold = f"95 % interval within ±{bound:.0%}"
    half = 0.5 * (item.high - item.low)
    detail = f"{item.value:+.1%} [{item.low:+.1%}, {item.high:+.1%}], {item.conversions} held-out conversions"
    if item.conversions < LEAST_CONVERSIONS or not np.isfinite(half):
        detail = f"{item.conversions} held-out conversions; at least {LEAST_CONVERSIONS} needed to say anything"
        return Gate(name, None, threshold, INSUFFICIENT, required, detail)
    if -bound <= item.low and item.high <= bound:
        verdict = PASS
    elif item.low > bound or item.high < -bound or (half <= bound and abs(item.value) > bound):
        verdict = FAIL
    else:
        verdict = INSUFFICIENT
        # The half-width falls with the square root of the data; it must fit beside the deviation.
        room = max(bound - abs(item.value), 0.25 * bound)
        times = (half / room) ** 2
        if days is None:
            detail += f"; about {int(np.ceil(item.conversions * times)):,} needed"
        else:
            detail += f"; {days_more(int(np.ceil(days * (times - 1))), 24)}"
    return Gate(name, item.value, threshold, verdict, required, detail)


def likeness(name: str, divergence: Divergence, bound: float, required: bool) -> Gate:
    """A KL divergence must stay below the bound.

    With fewer values than make its own noise that small, only a divergence beyond bound and noise together is told.
    """
    threshold = f"KL < {bound:g}"
    needed = divergence.needed(bound)
    if not np.isfinite(divergence.value):
        detail = f"{divergence.count:,} held-out values; at least {needed:,} needed"
        return Gate(name, None, threshold, INSUFFICIENT, required, detail)
    detail = f"held-out log against market, nats; {divergence.count:,} held-out values"
    if divergence.count < needed:
        verdict = FAIL if divergence.value > bound + divergence.noise() else INSUFFICIENT
        detail += f", {needed:,} needed to pass"
    else:
        verdict = PASS if divergence.value < bound else FAIL
    return Gate(name, divergence.value, threshold, verdict, required, detail)


def indistinguishable(
    name: str, test: TwoSample, parts: dict[str, TwoSample], divergence: float, required: bool
) -> Gate:
    """The better classifier's AUC must lie within its bound: fail, pass and insufficient data as in `equivalence`.

    `parts`: the same on each platform's rows. A platform on which the samples are told apart beyond doubt (its interval
    widened for how many platforms there are) fails the whole: among many others it would hardly move the AUC of all.
    """
    bound = limit(divergence)
    threshold = f"95 % interval of the AUC below {bound:.3f}"
    if not np.isfinite(test.auc):
        detail = f"{test.rows} pairs of cycles; at least {LEAST_ROWS} in {LEAST_CYCLES} cycles needed"
        return Gate(name, None, threshold, INSUFFICIENT, required, detail)
    detail = f"{test.auc:.3f} [{test.low:.3f}, {test.high:.3f}], {test.classifier}, p {test.p_value:.3f}"
    half = 0.5 * (test.high - test.low)
    distinguished = {
        key: part for key, part in parts.items() if np.isfinite(part.auc) and part.surely_above(len(parts)) > bound
    }
    if distinguished:
        worst = max(distinguished, key=lambda key: distinguished[key].auc)
        detail += f"; told apart on {', '.join(distinguished)} (AUC up to {distinguished[worst].auc:.3f})"
    if distinguished or test.low > bound or (test.auc > bound and half <= bound - 0.5):
        return Gate(name, test.auc, threshold, FAIL, required, detail)
    if test.high <= bound:
        return Gate(name, test.auc, threshold, PASS, required, detail)
    room = max(bound - test.auc, 0.25 * (bound - 0.5))
    detail += f"; {test.rows} pairs of cycles, about {int(np.ceil(test.rows * (half / room) ** 2)):,} needed"
    return Gate(name, test.auc, threshold, INSUFFICIENT, required, detail)


CRITERIA.register(Criterion(name="fidelity", judge=fidelity))
