"""The gates of a decision: does the change that a spend history recommends beat going on as today?

By the fit's own uncertainty and what data alone know (`decision.gain`), and in the held-out weeks, each predicted from
those before it (`decision.weeks`). Of each campaign's change the longest part that is sure is judged; a campaign of
which no part is sure stays as today, and counts for nothing where another's is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from crossmix.evaluate.decision.backtest import WEEK_HOURS
from crossmix.evaluate.decision.held_out import contradiction
from crossmix.evaluate.decision.held_out_told import borrowed, contradicted
from crossmix.evaluate.decision.judged import LEAST_BLOCKS, Judged, ends, redrawn_alike
from crossmix.evaluate.decision.standing import EVEN, demand_led, interval, only_together, probes, relative, way
from crossmix.evaluate.decision.table import Decided
from crossmix.evaluate.gates.case import CRITERIA, Case
from crossmix.evaluate.gates.verdicts import days_more
from crossmix.verdicts import FAIL, INSUFFICIENT, PASS, Criterion, Gate

OTHERWISE = (
    "the fit on all of the history, which knows those weeks too, says otherwise: more of them, or money moved on "
    "purpose, have to settle it"
)
BORROWED = "it rests on what a platform earns that was never tried, which is borrowed from others: try it first"


def decision(case: Case) -> Iterator[Gate]:
    """Nothing of a log of impressions, whose fidelity is known better than a decision needs."""
    if case.decided is None:
        return
    moving = [one for one, proved in zip(case.decided.campaigns, case.decided.proved, strict=True) if proved]
    judged = moving or _open(case.decided) or list(case.decided.campaigns)
    yield gain(case, judged)
    yield weeks(case, judged)


def _open(decided: Decided) -> list[Judged]:
    """Campaigns of which something could be proved (`Decided.withheld`)."""
    reasons = decided.withheld or (None,) * len(decided.campaigns)
    return [one for one, reason in zip(decided.campaigns, reasons, strict=True) if reason is None]


def _withheld(case: Case) -> str | None:
    """Why nothing of any campaign is judged; `None`: something is."""
    if case.decided is None or _open(case.decided):
        return None
    return "; ".join(reason for reason in case.decided.withheld if reason)


def gain(case: Case, judged: Sequence[Judged]) -> Gate:
    """The changes together earn more than as today, as surely as config asks."""
    least = case.config.gates.decision
    gain_N = np.sum([one.gain_N for one in judged], 0)
    probability = float((gain_N > 0).mean())
    low, high = ends(gain_N, least)
    now = sum(float(one.change.now_P.sum()) for one in judged)
    detail = (
        f"{gain_N.mean():+,.2f} {case.market.currency} per cycle against as today{_whose(judged)}, "
        f"{interval(low, high, least)}"
        f"{relative(float(gain_N.mean()), now, ', ', ' of revenue')}{_parts(judged)}"
        f"{_probes(judged, case.market.currency)}"
    )
    seen = float((np.sum([one.seen_N for one in judged], 0) > 0).mean())
    verdict = PASS if seen >= least else FAIL if probability <= 1 - least else INSUFFICIENT
    if verdict == PASS and any(one.unproved for one in judged):
        verdict = INSUFFICIENT
    reason = _withheld(case)
    if reason is not None:
        verdict, detail = INSUFFICIENT, f"{detail}; {reason}"
    elif verdict == INSUFFICIENT:
        rests = seen < least <= probability
        detail = f"{detail}; {BORROWED if rests else wanting(judged, case.market.cycle_hours)}"
    return case.gate("decision.gain", seen, f"P(gain > 0) >= {least:g}", verdict, detail)


def _whose(judged: Sequence[Judged]) -> str:
    """Of how many campaigns a figure is the sum."""
    return f", of {len(judged)} campaigns together" if len(judged) > 1 else ""


def _parts(judged: Sequence[Judged]) -> str:
    short = [one.change for one in judged if one.change.part < 1 or one.change.new is not None]
    if not short:
        return ""
    least = min(short, key=lambda change: change.part)
    return f", by {way(least.part, least.new)}" + (" or more" if len(judged) > 1 else "")


def _probes(judged: Sequence[Judged], currency: str) -> str:
    names, revenue = list[str](), 0.0
    for one in judged:
        names += [one.change.platforms[p] for p in one.probed_P.nonzero()[0]]
        revenue += float(one.change.then_P[one.probed_P].sum())
    return probes(dict.fromkeys(names), revenue, currency)


def wanting(judged: Sequence[Judged], cycle_hours: int) -> str:
    """What a gain that is not sure lacks: days, or spend that moved."""
    new = list(dict.fromkeys(one.change.platforms[p] for one in judged for p in one.new_P.nonzero()[0]))
    if new:
        was, it, them = ("was", "it earns", "it") if len(new) == 1 else ("were", "they earn", "them")
        return f"{', '.join(new)} {was} never tried, and what {it} is borrowed from others: try {them} first"
    together = [one.change.platforms[p] for one in judged for p in one.together_P.nonzero()[0]]
    if together:
        return only_together(dict.fromkeys(together))
    led = [one.change.platforms[p] for one in judged for p in one.demand_led_P.nonzero()[0]]
    if led:
        return demand_led(dict.fromkeys(led))
    still = [one.change.platforms[p] for one in judged for p in one.still_P.nonzero()[0]]
    if still:
        named = ", ".join(dict.fromkeys(still))
        return f"spend on {named} moved too little to tell what more of it earns: only money moved on purpose can"
    more = [one.more() for one in judged]
    known = [one for one in more if one is not None]
    if len(known) < len(more):
        return "more days of the same would hardly tell: the change is too small, or its platforms too unsure"
    return days_more(max(known, default=0), cycle_hours)


def weeks(case: Case, judged: Sequence[Judged]) -> Gate:
    """The changes would have gained in the held-out weeks, at the level that came."""
    least, hours, first = case.config.gates.decision, case.market.cycle_hours, judged[0]
    threshold = f"gained on average in {least:.0%} of redrawn weeks"
    blocks = len(first.realised_W)
    if blocks < LEAST_BLOCKS:
        part = max(first.held_out / first.cycles, 0.1)
        lacking = (LEAST_BLOCKS - blocks) * max(1, round(WEEK_HOURS / hours)) / part
        detail = f"{blocks} held-out weeks, {LEAST_BLOCKS} needed; {days_more(int(np.ceil(lacking)), hours)}"
        return case.gate("decision.weeks", None, threshold, INSUFFICIENT, detail)
    realised_W = np.sum([one.realised_W for one in judged], 0)
    mean_R = redrawn_alike(realised_W)
    above = float((redrawn_alike(np.sum([one.seen_W for one in judged], 0)) > 0).mean())
    low, high = ends(mean_R, least)
    detail = (
        f"{realised_W.mean():+,.2f} {case.market.currency} per cycle at the levels of {blocks} held-out weeks, "
        f"by the fit of the time before them{_whose(judged)}, {interval(low, high, least)}; gained in "
        f"{int((realised_W > 0).sum())} of them"
    )
    late = borrowed(dict.fromkeys(since for one in judged for since in one.since))
    detail += f"; {late}" if late else ""
    for one in judged:
        found = contradiction(one)
        if found is not None:
            detail = f"{detail}; {contradicted(found, blocks)}"
            return case.gate("decision.weeks", above, threshold, FAIL, detail)
    hoped = float((mean_R > 0).mean())
    # Of two fits of which only the one of less data says that it loses, the other is believed, and not sure.
    loses, gains = hoped <= 1 - least, float((np.sum([one.gain_N for one in judged], 0) > 0).mean()) >= EVEN
    verdict = PASS if above >= least else FAIL if loses and not gains else INSUFFICIENT
    if verdict == INSUFFICIENT and loses:
        detail = f"{detail}; {OTHERWISE}"
    elif verdict == INSUFFICIENT and hoped >= least:
        detail = f"{detail}; {BORROWED}"
    elif verdict == INSUFFICIENT:
        more = [one.more_weeks() for one in judged]
        detail = f"{detail}; {days_more(max((one for one in more if one is not None), default=first.cycles), hours)}"
    return case.gate("decision.weeks", above, threshold, verdict, detail)


CRITERIA.register(Criterion(name="decision", judge=decision))
