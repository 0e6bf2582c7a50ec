"""Users are apart: whom training used, as it wrote down, against who is judged on and whom ingest holds out."""

from __future__ import annotations

from crossmix.journeys.gates.case import CRITERIA, Case, Rows
from crossmix.verdicts import FAIL, PASS, Criterion


def apart(case: Case) -> Rows:
    """Users in two parts, and users that ingest holds out among those learned from."""
    seen = case.learned | case.stopped
    judged = seen & case.tested
    both = case.learned & case.stopped
    held = case.learned & case.held_out
    wrong = judged | both | held
    detail = (
        f"training wrote down {len(case.learned):,} users learned from and {len(case.stopped):,} to stop and calibrate;"
        f" of {len(case.tested):,} judged on {len(judged):,} are among them; {len(both):,} are in both; {len(held):,} "
        "learned from are held out by ingest"
    )
    yield case.gate("journey.apart", float(len(wrong)), "0 users", FAIL if wrong else PASS, detail)


CRITERIA.register(Criterion(name="journey.apart", judge=apart))
