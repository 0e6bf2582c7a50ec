"""Users are apart: who was learned from, who stopped and calibrated, who is judged on."""

from __future__ import annotations

from crossmix.journeys.gates.case import CRITERIA, Case, Rows
from crossmix.verdicts import FAIL, PASS, Criterion


def apart(case: Case) -> Rows:
    """Users in two parts, and users that ingest holds out among those learned from."""
    both = (case.learned & case.stopped) | (case.learned & case.tested) | (case.stopped & case.tested)
    seen = case.learned & case.held_out
    wrong = both | seen
    detail = (
        f"{len(case.learned):,} users learned from, {len(case.stopped):,} to stop and calibrate, "
        f"{len(case.tested):,} judged on; {len(both):,} in two parts, {len(seen):,} learned from and held out by ingest"
    )
    yield case.gate("journey.apart", float(len(wrong)), "0 users", FAIL if wrong else PASS, detail)


CRITERIA.register(Criterion(name="journey.apart", judge=apart))
