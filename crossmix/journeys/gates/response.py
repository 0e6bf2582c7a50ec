"""Clicks are told better than by own click share on their channel, and clicks, conversions and value as they come.

Of every row an interval decides: surely off fails; so wide that nothing can be told is insufficient data.
"""

from __future__ import annotations

import math

from crossmix.journeys.gates.case import CRITERIA, Case, Rows
from crossmix.journeys.head import Z95
from crossmix.journeys.score import Figure
from crossmix.verdicts import FAIL, INSUFFICIENT, PASS, Criterion, Gate


def response(case: Case) -> Rows:
    """AUC lead with its interval by user; calibration slope give or take twice its error; predicted over observed."""
    yield from _clicks(case)
    told = case.response
    for name, found, what in (
        ("clicks", told.click_ratio, "clicks"),
        ("conversions", told.conversion_ratio, "conversions"),
        ("value", told.value_ratio, "value, by each campaign's worth of a conversion"),
    ):
        count = (told.clicks, "clicks") if name == "clicks" else (told.conversions, "conversions")
        yield _in_the_large(case, f"journey.response.{name}", found, what, *count)


def _clicks(case: Case) -> Rows:
    (least, most), needed, told = case.settings.gates.slope, case.settings.gates.clicks, case.response
    widest = case.settings.gates.widest
    above, within = "95 % interval above 0", f"{least:g} to {most:g}, give or take 2 errors of at most {widest:g}"
    lead, own, reference = told.lead, told.own_auc, told.reference_auc
    if told.clicks < needed or lead is None or own is None or reference is None:
        lacks = f"{told.clicks:,} clicks of test users after another exposure; {needed:,} are needed"
        yield case.gate("journey.response.auc", None, above, INSUFFICIENT, lacks)
        yield case.gate("journey.response.slope", None, within, INSUFFICIENT, lacks)
        return
    detail = (
        f"{lead.value:+.4f} [{lead.low:+.4f}, {lead.high:+.4f}] of AUC over own click share with an intercept for the "
        f"channel ({reference.value:.4f}; without the channel {own.value:.4f}), {told.clicks:,} clicks"
    )
    yield case.gate("journey.response.auc", lead.value, above, PASS if lead.low > 0 else FAIL, detail)
    yield _slope(case, told.slope, 2 * told.slope_error, within)


def _slope(case: Case, slope: float, room: float, within: str) -> Gate:
    """Off where it is surely outside, unknown where twice its error is above `widest`."""
    (least, most), widest, clicks = case.settings.gates.slope, case.settings.gates.widest, case.response.clicks
    told = f"log-odds of clicks on those predicted, {slope:.3f}, standard error {room / 2:.3f}; 1: as sure as it may be"
    if slope - room > most or slope + room < least:
        return case.gate("journey.response.slope", slope, within, FAIL, told)
    if not room <= widest:
        lacks = (
            f"{clicks:,} clicks of test users do not tell the slope; {missing(clicks, room, widest, 'clicks')}; {told}"
        )
        return case.gate("journey.response.slope", None, within, INSUFFICIENT, lacks)
    return case.gate("journey.response.slope", slope, within, PASS, told)


def _in_the_large(case: Case, name: str, found: Figure | None, what: str, count: int, of: str) -> Gate:
    """Predicted over observed: off where the interval lies outside the band, unknown where it is too wide."""
    (least, most), widest = case.settings.gates.ratio, case.settings.gates.widest
    within = f"{least:g} to {most:g}, give or take the 95 % interval of at most +- {widest:g}"
    half = math.inf if found is None else (found.high - found.low) / 2
    if found is not None and (found.low > most or found.high < least):
        detail = f"predicted over observed {what} {_shown(found)}, {count:,} {of} of test users"
        return case.gate(name, found.value, within, FAIL, detail)
    if found is None or not half <= widest:
        known = "" if found is None else f"; so far {_shown(found)}"
        lacks = (
            f"{count:,} {of} of test users do not tell predicted over observed {what}; "
            f"{missing(count, half, widest, of)}{known}"
        )
        return case.gate(name, None, within, INSUFFICIENT, lacks)
    detail = f"predicted over observed {what} {_shown(found)}, {count:,} {of} of test users"
    return case.gate(name, found.value, within, PASS, detail)


def missing(count: int, half: float, widest: float, of: str) -> str:
    """How many more there have to be: an interval narrows with the root of their number, a count's is 1.96 / sqrt(n).

    Args:
        half: of the interval that `count` of them have; infinite: none is known.
    """
    needed = math.ceil((Z95 / widest) ** 2)
    if math.isfinite(half):
        needed = max(needed, math.ceil(count * (half / widest) ** 2))
    return f"some {max(needed - count, 1):,} {of} are missing for an interval of +- {widest:g}"


def _shown(found: Figure) -> str:
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


CRITERIA.register(Criterion(name="journey.response", judge=response))
