"""Clicks are told better than by own click share, and as surely as they come."""

from __future__ import annotations

from crossmix.journeys.gates.case import CRITERIA, Case, Rows
from crossmix.verdicts import FAIL, INSUFFICIENT, PASS, Criterion


def response(case: Case) -> Rows:
    """AUC lead with its interval by user; calibration slope give or take twice its error."""
    (least, most), needed = case.settings.gates.slope, case.settings.gates.clicks
    above, within = "95 % interval above 0", f"{least:g} to {most:g}, give or take 2 errors"
    if case.clicks < needed:
        lacks = f"{case.clicks:,} clicks of test users after another exposure; {needed:,} are needed"
        yield case.gate("journey.response.auc", None, above, INSUFFICIENT, lacks)
        yield case.gate("journey.response.slope", None, within, INSUFFICIENT, lacks)
        return
    found = case.auc_lead
    detail = (
        f"{found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}] of AUC over own click share, {case.clicks:,} clicks"
    )
    yield case.gate("journey.response.auc", found.value, above, PASS if found.low > 0 else FAIL, detail)
    room = 2 * case.slope_error
    verdict = PASS if least - room <= case.slope <= most + room else FAIL
    detail = f"log-odds of clicks on those predicted, standard error {case.slope_error:.3f}; 1: as sure as it may be"
    yield case.gate("journey.response.slope", case.slope, within, verdict, detail)


CRITERIA.register(Criterion(name="journey.response", judge=response))
