"""Whether the predictor's differences and intervals hold on past results that it was not fitted on."""

from __future__ import annotations

import math

from crossmix.creators.calibration import COVERED
from crossmix.creators.gates.case import CRITERIA, Case, Rows
from crossmix.verdicts import FAIL, INSUFFICIENT, PASS, Criterion

ROOM = 0.3
"""Twice the slope's standard error above which the slope says nothing."""


def predictor(case: Case) -> Rows:
    """Slope of log results on predictions, and coverage of the 80 % interval; each give or take its chance."""
    limits, found = case.settings.gates, case.calibration
    least, most = limits.slope
    slope_wanted = f"{least:g} to {most:g}, give or take 2 errors"
    wanted = f"{COVERED:g} give or take {limits.coverage:g} and chance"
    if found is None or found.results < limits.results:
        held = 0 if found is None else found.results
        lacks = (
            f"{held} results held out, a fifth of all; {limits.results} are needed, {limits.results - held} are missing"
        )
        yield case.gate("creators.predictor.slope", None, slope_wanted, INSUFFICIENT, lacks)
        yield case.gate("creators.predictor.coverage", None, wanted, INSUFFICIENT, lacks)
        return
    room = 2 * found.slope_error
    verdict = PASS if least - room <= found.slope <= most + room else FAIL
    detail = f"{found.results} held-out results, standard error {found.slope_error:.3f}"
    if room > ROOM:
        verdict, detail = INSUFFICIENT, f"{detail}: predictions differ too little, or results are too few, to tell"
    yield case.gate("creators.predictor.slope", found.slope, slope_wanted, verdict, detail)
    room = limits.coverage + 2 * math.sqrt(COVERED * (1 - COVERED) / found.results)
    verdict = PASS if abs(found.coverage - COVERED) <= room else FAIL
    detail = f"of {found.results} held-out results within the predicted 80 % interval"
    yield case.gate("creators.predictor.coverage", found.coverage, wanted, verdict, detail)


CRITERIA.register(Criterion(name="creators.predictor", judge=predictor))
