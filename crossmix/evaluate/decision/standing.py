"""The standing of an answer: proved, plausible, or not enough, with what would settle it.

Proved: every required gate passed. Plausible: none failed, and the change earns more than as today with
`gates.plausible`. Not enough otherwise: then the first thing to do is an experiment.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from crossmix.artifacts import CampaignDecision, Decision, FirstTest, GateRow
from crossmix.evaluate.decision.held_out_told import begun, contradicted
from crossmix.schema import campaign_called
from crossmix.verdicts import FAIL, NOT_APPLICABLE, PASS

Word = Literal["proved", "plausible", "not enough"]
YEARS = 3_652
"""Days beyond which a test's length is told no more."""
MOST_TIMES = 10.0
"""A probe that is to be more times as large is none."""
NOTHING = 10.0
"""Half of an interval of an elasticity from which on it says nothing."""
LITTLE = 0.01
"""Part of revenue below which a gain is not worth a change."""
EVEN = 0.5
"""Probability of a gain below which today's split is the better one, whatever the fit alone says."""
DECIDING = ("decision.", "fidelity.")
"""Gates that say most of an answer come first."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one campaign's answer, or of a whole run's."""

    word: Word
    reason: str
    """One sentence: what was shown, or which gate was not passed and what it lacks."""
    first_test: str | None
    """What to do that would settle it; `None`: it is proved, or nothing can be said."""
    keep: bool = False
    """The answer is today's split: the best one of the fit is likelier to lose than to gain."""

    def lines(self) -> list[str]:
        """For a terminal."""
        explore = ", explore like this" if self.first_test else ""
        head = f"NOT ENOUGH{explore}" if self.word == "not enough" else self.word.upper()
        return [f"{head}: {self.reason}", *([f"first test: {self.first_test}"] if self.first_test else [])]


def standing(gates: Sequence[GateRow], decision: Decision | None = None, campaign: str | None = None) -> Standing:
    """The standing of an answer.

    Args:
        gates: every gate of the run that answers.
        decision: of a spend history; `None`: a log of impressions.
        campaign: whose; `None`: the least sure campaign's.
    """
    missed = [gate for gate in gates if gate.required and gate.verdict not in (PASS, NOT_APPLICABLE)]
    own = None if decision is None else _own(decision, campaign)
    if own is not None and decision is not None:
        found = _of_history(missed, own, decision)
        return replace(found, reason=_with(found.reason, own))
    if not missed:
        shown = sum(gate.required and gate.verdict == PASS for gate in gates)
        return Standing("proved", f"all {shown} required gates passed", None)
    fails = any(gate.verdict == FAIL for gate in missed)
    trial = "the 7:3 experiment against the static split; `crossmix experiment plan OUT` says how long it takes"
    return Standing("not enough" if fails else "plausible", _missed(missed), trial)


def _of_history(missed: Sequence[GateRow], own: CampaignDecision, decision: Decision) -> Standing:
    """Of a campaign of a spend history; `missed`: required gates that were not passed."""
    if own.ended is not None:
        return Standing("not enough", own.withheld or f"{own.campaign} ended on {own.ended}", None)
    test = sentence(own.first_test, decision.currency, decision.cycle_hours)
    keeps = not own.proved and own.probability < EVEN
    if own.withheld is not None:
        return Standing("not enough", f"{keep(own)}; {own.withheld}" if keeps else own.withheld, test, keeps)
    if not missed and own.proved:
        return Standing("proved", _gain(own, decision), None)
    lacking = _missed(missed) if missed else ""
    # Gates of a decision sum all campaigns, whose gain and never tried platforms are not this one's.
    summed = bool(missed) and _first(missed).name.startswith(DECIDING[0]) and _several(decision) and not own.proved
    if summed:
        lacking = _of_all(missed)
    reason = f"{_unsure(own, decision)}; {lacking}" if summed else lacking or _unsure(own, decision)
    hardly = idle(own)
    if hardly:
        lacks = f"; {lacking}" if missed else ""
        start = f"keep today's split of {campaign_called(own.campaign)}, which" if keeps else "today's split"
        reason = f"{start} can hardly be bettered: {_gain(own, decision)}{lacks}"
    elif keeps:
        reason = f"{keep(own)}; {reason}"
    fails = any(gate.verdict == FAIL for gate in missed)
    likely = hardly or (own.probability >= decision.plausible and not _all_borrowed(own))
    return Standing("plausible" if likely and not fails else "not enough", reason, test, keeps)


def _with(reason: str, own: CampaignDecision) -> str:
    """The same, and what has to be said of the held-out weeks, where it is not said."""
    if own.ended is not None:
        return reason
    against = "" if own.contradicted is None else contradicted(own.contradicted, own.blocks)
    return "; ".join([reason, *(one for one in (against, begun(own)) if one and one not in reason)])


def _own(decision: Decision, campaign: str | None) -> CampaignDecision | None:
    known = {one.campaign: one for one in decision.campaigns}
    if campaign is not None:
        return known.get(campaign)
    # What is over is nobody's question, unless it is asked for by name.
    current = [one for one in decision.campaigns if one.ended is None] or decision.campaigns
    return min(current, key=lambda one: one.probability, default=None)


def idle(own: CampaignDecision) -> bool:
    """Whether today's split can hardly be bettered: even the upper end of the gain's interval is worth no change."""
    return own.gain_interval[1] <= LITTLE * own.revenue


def _several(decision: Decision) -> bool:
    """Whether the gates of the decision are of several campaigns together."""
    return sum(one.withheld is None for one in decision.campaigns) > 1


def _order(missed: Sequence[GateRow]) -> list[GateRow]:
    return sorted(missed, key=lambda gate: [not gate.name.startswith(one) for one in DECIDING])


def _first(missed: Sequence[GateRow]) -> GateRow:
    """The gate that says most."""
    return _order(missed)[0]


def _others(missed: Sequence[GateRow]) -> str:
    """How many gates there are beside the one that says most."""
    others = [gate.name for gate in _order(missed)[1:]]
    return f" (and {len(others)} more gate{'' if len(others) == 1 else 's'}: {', '.join(others[:3])})" if others else ""


def _missed(missed: Sequence[GateRow]) -> str:
    """The gate that says most, in one line, and how many others there are."""
    first = _first(missed)
    return f"gate {first.name}, {first.verdict}: {first.detail}, wanted {first.threshold}{_others(missed)}"


def _of_all(missed: Sequence[GateRow]) -> str:
    """The same of a gate that judged several campaigns together, without its figures."""
    first = _first(missed)
    return f"gate {first.name} of all campaigns together, {first.verdict}{_others(missed)}"


def only_together(platforms: Iterable[str]) -> str:
    """What is lacking where budgets only ever moved together."""
    return (
        f"budgets ({', '.join(platforms)}) only ever moved together: whether money or demand moved revenue, only money "
        "moved on purpose can tell"
    )


def demand_led(platforms: Iterable[str]) -> str:
    """What is lacking where a platform's spend may follow its own demand."""
    return (
        f"spend and sales of {', '.join(platforms)} rise and fall together, apart from the other platforms': the data "
        "cannot tell whether money brings sales or demand brings spend; only money moved on purpose can tell"
    )


def keep(own: CampaignDecision) -> str:
    """What to do where the fit's best split is likelier to lose, which the fit alone does not show."""
    fitted = sum(one.revenue_best - one.revenue_today for one in own.platforms)
    return (
        f"keep today's split of {campaign_called(own.campaign)}: by the fit alone the best one earns {fitted:+,.2f}, "
        "but with what the data leave open it is likelier to lose than to gain (more with probability "
        f"{probability(own.probability)})"
    )


def probes(platforms: Iterable[str], revenue: float, currency: str) -> str:
    """What of a gain is borrowed: `revenue` is what probes of these platforms are expected to bring."""
    named = ", ".join(platforms)
    if not named:
        return ""
    return f"; {revenue:,.2f} {currency} of it is borrowed, what a probe of {named}, never tried, may bring"


def _all_borrowed(own: CampaignDecision) -> bool:
    """Whether nothing that was seen gains by the change: all of its gain is what platforms never tried may bring."""
    new = {one.platform for one in own.platforms if not one.tried and one.best > one.today}
    seen = sum(one.revenue_best - one.revenue_today for one in own.platforms if one.platform not in new)
    return bool(new) and seen <= 0


def _gain(own: CampaignDecision, decision: Decision) -> str:
    low, high = own.gain_interval
    new = [one for one in own.platforms if not one.counted and one.best > one.today]
    what = "the recommended split" if own.proved else "the split that the fit would choose"
    if own.part < 1 or own.new is not None:
        shares = ", ".join(f"{one.platform} {one.best:.1%}" for one in own.platforms)
        what = f"{way(own.part, own.new)} ({shares})"
    fitted = sum(one.revenue_best - one.revenue_today for one in own.platforms)
    borrowed = sum(one.revenue_best for one in new)
    rest = f" (by the fit alone {fitted - borrowed:+,.2f} without that)" if new else ""
    return (
        f"{what} of {own.budget:,.2f} {decision.currency} per cycle earns {own.gain:+,.2f} against as today"
        f"{relative(own.gain, own.revenue, ' (', ')')}, {interval(low, high, decision.sure)}, "
        f"more with probability {probability(own.probability)} (by the fit alone {fitted:+,.2f})"
        f"{probes((one.platform for one in new), borrowed, decision.currency)}{rest}"
    )


def way(part: float, new: float | None) -> str:
    """Which split is meant, in words: a part of the way to the best one, with so much for platforms never tried."""
    best = "the best split"
    if new is not None:
        best += (
            f" with at most {100 * new:.3g}% for a platform never tried"
            if new
            else " among the platforms that were tried"
        )
    return best if part == 1 else f"going {100 * part:.3g}% of the way to {best}"


def relative(gain: float, revenue: float, before: str = "", after: str = "") -> str:
    """A gain as a part of revenue, with what stands around it; nothing where there is no revenue."""
    return f"{before}{gain / revenue:+.1%}{after}" if revenue > 0 else ""


def interval(low: float, high: float, sure: float) -> str:
    """An interval of `judged.ends`, with its probability."""
    return f"{100 * (2 * sure - 1):.3g} % interval [{low:+,.2f}, {high:+,.2f}]"


def probability(value: float) -> str:
    """Rounded towards less, so that what falls short of a threshold does not read as if it reached it."""
    return "above 0.99" if value > 0.995 else f"{math.floor(100 * value + 1e-9) / 100:.2f}"


def _unsure(own: CampaignDecision, decision: Decision) -> str:
    new = [one for one in own.platforms if not one.tried and one.best > one.today]
    unnamed = [one.platform for one in new if one.counted]
    together = [one.platform for one in own.platforms if one.together]
    led = [one.platform for one in own.platforms if one.demand_led]
    lacks = f"wanted {decision.sure:g} in draws and weeks alike"
    if own.more_cycles:
        lacks += f": about {max(1, -(-own.more_cycles * decision.cycle_hours // 24)):,} more days"
    if new:  # those that the gain names as borrowed need no second mention
        were = "was" if len(unnamed) == 1 else "were"
        lacks = f"{', '.join(unnamed)} {were} never tried there" if unnamed else "which no history proves"
    elif together:
        lacks = only_together(together)
    elif led:
        lacks = demand_led(led)
    elif own.probability >= decision.sure and own.weeks is not None and own.weeks[1] <= 0:
        mean, low, high = own.weeks
        lacks = (
            f"but at the levels of {own.blocks} held-out weeks, by the fit of the time before them, {mean:+,.2f}, "
            f"{interval(low, high, decision.sure)}"
        )
    return f"of {campaign_called(own.campaign)} {_gain(own, decision)}, {lacks}"


def _lasting(days: int) -> str:
    """A time that nobody waits for."""
    return f"{days:,} days" if days <= YEARS else "more than ten years"


def per_cycle(cycle_hours: int) -> str:
    """Of amounts of money: in which time."""
    return "a day" if cycle_hours == 24 else f"per cycle of {cycle_hours} h"


def sentence(test: FirstTest, currency: str, cycle_hours: int) -> str:
    """An experiment in words."""
    days = test.cycles * cycle_hours // 24
    span = test.block * cycle_hours // 24
    per = per_cycle(cycle_hours)
    needed = None if test.needed_cycles is None else test.needed_cycles * cycle_hours // 24
    if test.elasticity_error is None:
        probe = (
            f"give {test.platform}, which was never tried, {test.low:,.2f} {currency} {per} for {days} days, taken "
            "from the others in proportion"
        )
        if needed is None:
            return probe
        # Upwards: a probe that is a little smaller would not do.
        times = math.ceil(10 * needed / max(days, 1) - 1e-9) / 10
        larger = f", or a probe {times:g} times as large (limits.probe)" if times <= MOST_TIMES else ""
        return (
            f"{probe}. That brings too few conversions to tell: it would take {_lasting(needed)}, too long to be of "
            f"use{larger}"
        )
    known = 1.96 * test.elasticity_error
    tells = f"the elasticity of its revenue to ±{known:.2f}" if known <= NOTHING else "nothing of its elasticity"
    step = f"{(test.high - test.low) / max(test.high + test.low, 1e-12):.0%}"
    amounts = f"{test.high:,.2f} and {test.low:,.2f} {currency} {per} on {test.platform} in turn"
    if not test.settles:
        longer = "" if needed is None else f"; {_lasting(needed)} would be enough and are too long to be of use"
        return (
            f"no test of {days} days settles it: even {amounts} ({step} up and down), {span} days each, with the other "
            f"platforms taking up the difference, tells {tells} by then{longer}. Only more conversions a day there "
            "make it shorter"
        )
    usual = ""
    if test.usual_cycles is not None:
        usual = (
            f". The usual step would take {_lasting(test.usual_cycles * cycle_hours // 24)}, too long to be of use: "
            f"hence {step} up and down"
        )
    return (
        f"spend {amounts}, {span} days each, for {days} days; the other platforms take up the difference. That tells "
        f"{tells}{usual}"
    )
