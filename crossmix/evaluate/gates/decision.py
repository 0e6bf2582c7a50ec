"""The gates of a decision: does the change that a spend history recommends beat going on as today?

By the fit's own uncertainty and what data alone know (`decision.gain`), and in the held-out weeks, each predicted from
those before it (`decision.weeks`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from crossmix.evaluate.decision.judged import LEAST_BLOCKS, LEVELS, Judged
from crossmix.evaluate.gates.case import CRITERIA, Case, Criterion
from crossmix.evaluate.gates.verdicts import FAIL, INSUFFICIENT, PASS, Gate, days_more


def decision(case: Case) -> Iterator[Gate]:
    """Nothing of a log of impressions, whose fidelity is known better than a decision needs."""
    if case.judged:
        yield gain(case)
        yield weeks(case)


def gain(case: Case) -> Gate:
    """All campaigns' changes together earn more than as today, as surely as config asks."""
    least, all_ = case.config.gates.decision, case.judged
    gain_N = np.sum([one.gain_N for one in all_], 0)
    probability = float((gain_N > 0).mean())
    low, high = np.quantile(gain_N, LEVELS)
    now = sum(float(one.change.now_P.sum()) for one in all_)
    detail = (
        f"{gain_N.mean():+,.2f} [{low:+,.2f}, {high:+,.2f}] {case.market.currency} per cycle against as today, "
        f"{gain_N.mean() / max(now, 1e-12):+.1%} of revenue"
    )
    verdict = PASS if probability >= least else FAIL if probability <= 1 - least else INSUFFICIENT
    if verdict == INSUFFICIENT:
        detail = f"{detail}; {wanting(all_, case.market.cycle_hours)}"
    return case.gate("decision.gain", probability, f"P(gain > 0) >= {least:g}", verdict, detail)


def wanting(all_: Sequence[Judged], cycle_hours: int) -> str:
    """What a gain that is not sure lacks: days, or spend that moved."""
    still = [f"{one.change.platforms[p]}" for one in all_ for p in one.still_P.nonzero()[0]]
    if still:
        named = ", ".join(dict.fromkeys(still))
        return f"spend on {named} moved too little to tell what more of it earns: only money moved on purpose can"
    more = [one.more() for one in all_]
    known = [one for one in more if one is not None]
    if len(known) < len(more):
        return "more days of the same would hardly tell: the change is too small, or its platforms too unsure"
    return days_more(max(known, default=0), cycle_hours)


def weeks(case: Case) -> Gate:
    """The changes would have gained in the held-out weeks, at the level that came."""
    least, all_ = case.config.gates.decision, case.judged
    threshold = f"gained on average at {least:.0%} of redrawn weeks"
    blocks = len(all_[0].realised_W)
    hours = case.market.cycle_hours
    if blocks < LEAST_BLOCKS:
        lacking = (LEAST_BLOCKS - blocks) * max(1, round(168 / hours)) / max(all_[0].held_out / all_[0].cycles, 0.1)
        detail = f"{blocks} held-out weeks, {LEAST_BLOCKS} needed; {days_more(int(np.ceil(lacking)), hours)}"
        return case.gate("decision.weeks", None, threshold, INSUFFICIENT, detail)
    realised_W = np.sum([one.realised_W for one in all_], 0)
    low, high = (sum(one.weeks[end] for one in all_) for end in (1, 2))
    above = _above(realised_W)
    gained = int((realised_W > 0).sum())
    detail = (
        f"{realised_W.mean():+,.2f} [{low:+,.2f}, {high:+,.2f}] {case.market.currency} per cycle at the levels of "
        f"{blocks} held-out weeks, each predicted from those before it; gained in {gained} of them"
    )
    contradiction = contradicted(all_)
    if contradiction is not None:
        return case.gate("decision.weeks", above, threshold, FAIL, f"{detail}; {contradiction}")
    verdict = PASS if above >= least else FAIL if above <= 1 - least else INSUFFICIENT
    if verdict == INSUFFICIENT:
        more = [one.more_weeks() for one in all_]
        lacking_days = days_more(max((one for one in more if one is not None), default=0) or all_[0].cycles, hours)
        detail = f"{detail}; {lacking_days}"
    return case.gate("decision.weeks", above, threshold, verdict, detail)


def _above(realised_W: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    rng = np.random.default_rng(0)
    redrawn = realised_W[rng.integers(len(realised_W), size=(2_000, len(realised_W)))].mean(1)
    return float((redrawn > 0).mean())


def contradicted(all_: Sequence[Judged]) -> str | None:
    """Says so where the answer to money that held-out weeks show would surely make the changes lose."""
    mean, variance = 0.0, 0.0
    for one in all_:
        change = one.change
        ratio_P = change.log_ratio_P
        shifted_P = change.then_P * np.exp(np.clip(one.off_P * ratio_P, -2, 2))
        mean += float((shifted_P - change.now_P).sum())
        variance += float(((shifted_P * ratio_P * one.off_error_P) ** 2).sum())
    high = mean + 1.96 * float(np.sqrt(variance))
    if high >= 0:
        return None
    return f"money moved in those weeks answered otherwise: by it the change earns {mean:+,.2f}, at most {high:+,.2f}"


CRITERIA.register(Criterion(name="decision", judge=decision))
